"""The one battery that every backend passes: what is sent is carried or told, is there once, and is not lost.

`-k NAME` runs it for the backend of one subject (see `subject.py`). Runs are recorded by autotrack, delivered by its
forwarder, and read back by the product's own reader.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # test modules are not a package: a folder's name could hide a product

import registering
import secrets_planted as secrets
from cases import CASES, record_all
from delivering import end_of, environment_of, forwarder
from places import NAMES, REGISTRIES, Place, Places, any_place, place, places
from proxy import RETRY_AFTER
from recorded import assert_full, assert_small, full, points, recording_into, writers
from subject import EVERYTHING, ReadRun

import autotrack
from autotrack.forward.archive import archive
from autotrack.forward.catching_up import take_in
from autotrack.forward.progress import Progress
from autotrack.provenance.blobs import Blobs
from autotrack.provenance.code.restore import restore
from autotrack.session import session
from autotrack.settings import load
from autotrack.store.query import Store

__all__ = ["any_place", "place", "places"]

A_VARIABLE = re.compile(r"\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b")
SECONDS = 60
"""Longest wait for what is awaited."""
TRIES = 200
"""Most times that a delivery whose every request fails once may have to come again."""


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A home in which every case is recorded, and the ids of their runs."""
    home = tmp_path_factory.mktemp("cases") / "home"
    return home, record_all(home)


def delivered_cases(place: Place, home: Path) -> dict[str, ReadRun]:
    """What the subject's reader gives once it has had the cases."""
    if place.cases is None:
        copy = place.folder / "homes" / "cases"
        if not copy.exists():
            shutil.copytree(home, copy)
        assert place.courier.sync(copy) is None
        place.cases = place.read(copy)
    return place.cases


@pytest.mark.parametrize("name", CASES)
def test_is_carried_or_told(name: str, place: Place, cases: tuple[Path, dict[str, str]]) -> None:
    home, runs = cases
    case, read = CASES[name], delivered_cases(place, home)
    notes = place.notes(place.folder / "homes" / "cases", runs[name])
    if case.feature in EVERYTHING and not place.carries(case.feature):
        assert notes, f"{case.feature} is not carried, and no note says so"
        return
    assert runs[name] in read
    if case.feature == "told" and notes:
        case.at_least(read[runs[name]])
    else:
        case.check(read[runs[name]])


def test_no_event_is_refused(place: Place, cases: tuple[Path, dict[str, str]]) -> None:
    delivered_cases(place, cases[0])
    assert place.dead(place.folder / "homes" / "cases") == 0


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a registered model: its versions, aliases that were moved and taken away, an approval."""
    home = tmp_path_factory.mktemp("registered") / "home"
    registering.record(home)
    return home


def test_a_registered_model_is_there_as_it_was_decided_or_a_note_says_that_it_is_not(
    any_place: Place, registered: Path
) -> None:
    """Whatever comes first: each step has a journal of its own. Sent again nothing changes."""
    place, home = any_place, any_place.folder / "homes" / "registered"
    shutil.copytree(registered, home)
    assert place.courier.sync(home) is None
    assert place.dead(home) == 0
    if not place.carries("registry"):
        told = " ".join(what for run in ["", *registering.runs(home)] for what in place.notes(home, run))
        assert f"unalias of the registered model {registering.MODEL}" in told
        return
    registering.check(place.subject.read_model(registering.MODEL))
    if place.name != "local":  # which keeps the cursor with the data
        shutil.rmtree(home / "delivery")
        place.courier.restart()
        assert place.courier.sync(home) is None
        registering.check(place.subject.read_model(registering.MODEL))


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A home with a run of a project that is full of secrets, and its id."""
    return secrets.record(tmp_path_factory.mktemp("planted"))


def test_no_secret_reaches_it(place: Place, planted: tuple[Path, str]) -> None:
    """Searched byte by byte in all that lies on disk, here and there, also in what is compressed."""
    recorded, run = planted
    home = place.folder / "homes" / "secrets"
    shutil.copytree(recorded, home)
    assert place.courier.sync(home) is None
    read = place.read(home)[run]
    assert_small(read, "secrets")
    assert secrets.found_in(repr(read).encode()) == []
    assert secrets.held_below(place.folder) == []


def test_the_code_that_is_kept_beside_secrets_holds_none_of_them(planted: tuple[Path, str], tmp_path: Path) -> None:
    recorded, run = planted
    home = tmp_path / "home"
    shutil.copytree(recorded, home)
    take_in(home, load({}, home=home))
    with Store.open(home, load({}, home=home)) as store:
        code = store.run(run)["code"]
    restore(code, Blobs(home), tmp_path / "code")
    assert (tmp_path / "code" / "train.py").is_file()
    assert secrets.held_below(tmp_path / "code") == []
    assert {one["path"] for one in code["left_out"]} >= {".env", "server.key"}
    assert secrets.held_below(recorded.parent / "project") != [], "the search finds what is there"


def recorded_full(place: Place, name: str) -> tuple[Path, str]:
    """A home with one run, and its id."""
    home = place.home(name)
    with recording_into(home), autotrack.start_run(name) as run:
        full(run)
    return home, run.id


def test_sent_twice_it_is_there_once(place: Place) -> None:
    """From an earlier state of the delivery, in a new process, with batches cut in other places."""
    home = place.home("twice")
    with recording_into(home), autotrack.start_run("twice") as run:
        full(run)
        run.log_metrics({"odd": float("inf")}, step=0.5)
        run.log_params({"long": "x" * 100_000})
    (writer,) = writers(home)
    state = home / "delivery" / writer / f"{place.name}.json"
    assert place.courier.steps(home, writer, batch=7, count=2)["problem"] is None
    earlier = state.read_bytes() if state.exists() else b"{}"
    assert place.courier.steps(home, writer, batch=5)["problem"] is None
    before, notes = place.read(home)[run.id], place.notes(home, run.id)
    assert_full(before, "twice", place.subject.carries)
    for batch in (11, 10_000):
        _put_back(state, earlier)
        place.courier.restart()
        assert place.courier.steps(home, writer, batch=batch)["problem"] is None
        assert place.read(home)[run.id] == before
        assert place.notes(home, run.id) == notes
    archive(home, home / "journals" / writer, load({}, keep="all"))
    _put_back(state, earlier)
    assert place.courier.sync(home) is None
    assert place.read(home)[run.id] == before


def _put_back(state: Path, earlier: bytes) -> None:
    if state.exists():  # of the local store there is none: it keeps the cursor with the data
        state.write_bytes(earlier)


def test_a_forwarder_that_is_killed_in_the_middle_loses_nothing_and_sends_nothing_twice(place: Place) -> None:
    home, events = place.home("killed"), 20_000
    with recording_into(home), autotrack.start_run("long") as run:
        for step in range(events):
            run.log_metrics({"loss": step / 4}, step=step)
    (writer,) = writers(home)
    environment = environment_of(place.variables, place.name)
    kills = 0
    for _ in range(2):
        reached = _position(place, home, writer)
        process = forwarder(home, writer, environment, batch=events // 40)
        deadline = time.monotonic() + SECONDS
        while _position(place, home, writer) == reached and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
    assert kills
    assert not Progress(home, writer, place.name).done
    assert place.courier.sync(home) is None
    found = place.read(home)[run.id].metrics["loss"]
    assert len(found) == events
    assert sorted((int(step), value) for step, value in found) == [(step, step / 4) for step in range(events)]


def _position(place: Place, home: Path, writer: str) -> int:
    """How far a delivery is. The local store keeps that itself: its file tells that something was written."""
    database = home / "store.db-wal"
    if place.name == "local":
        return database.stat().st_mtime_ns if database.exists() else 0
    return Progress(home, writer, place.name).position


def test_a_run_that_goes_on_in_other_processes_is_one_run(place: Place) -> None:
    """One process adds to it while it is open, one takes it up after it was killed, and ends it."""
    home = place.home("resumed")
    with recording_into(home), autotrack.start_run("resumed") as run:
        run.log_params({"lr": 0.5, "optimizer": "adam"})
        points(run, 0, 5)
        run.end("killed")
    assert place.courier.sync(home) is None
    with recording_into(home, run_id=run.id), autotrack.start_run("resumed") as part:
        points(part, 5, 10)
    with recording_into(home), session.open_run("resumed", run_id=run.id, resumed=True) as again:
        points(again, 10, 20)
        again.set_tags({"team": "risk"})
    assert run.id == part.id == again.id
    assert len(writers(home)) == 3
    assert place.courier.sync(home) is None
    found = place.read(home)
    if not place.carries("resumed"):
        assert place.notes(home, run.id)
        return
    assert_small(found[run.id], "resumed")
    assert found[run.id].status in (None, "finished") or not place.carries("status")


def test_journals_that_are_delivered_at_the_same_time_make_one_run(place: Place) -> None:
    home = place.home("together")
    with recording_into(home), autotrack.start_run("together") as run:
        run.log_params({"lr": 0.5, "optimizer": "adam"})
        points(run, 0, 10)
    with recording_into(home, run_id=run.id), autotrack.start_run("together") as part:
        points(part, 10, 20)
    environment = environment_of(place.variables, place.name)
    both = [forwarder(home, writer, environment) for writer in writers(home)]
    assert [end_of(process, 2 * SECONDS) for process in both] == [0, 0]
    assert place.courier.sync(home) is None
    found = place.read(home)
    if place.carries("resumed"):
        read = found[run.id]
        if read.name != "together":  # the part came first and tells no name, and some products cannot rename
            assert "name together" in place.notes(home, run.id)
        assert_small(replace(read, name="together"), "together")
    else:
        assert place.notes(home, run.id)


@pytest.mark.parametrize("fault", ["429", "500", "down", "lost"])
def test_each_request_fails_once_and_nothing_is_lost_or_there_twice(fault: str, place: Place) -> None:
    with place.proxied() as (proxy, courier):
        home, run = recorded_full(place, f"fails-{fault}")
        proxy.each_fails_once(fault)
        problems = []
        for _ in range(TRIES):
            outcome = courier.steps(home, *writers(home), batch=10_000)
            if outcome["complete"]:
                break
            problems.append(outcome)
            assert outcome["kind"] == "BackendUnavailable", outcome
        assert outcome["complete"] and problems
        if fault == "429":
            assert {one["retry_after"] for one in problems} == {RETRY_AFTER}
    assert place.dead(home) == 0
    assert_full(place.read(home)[run], f"fails-{fault}", place.subject.carries)


def test_a_slow_server_gets_everything(place: Place) -> None:
    with place.proxied() as (proxy, courier):
        home, run = recorded_full(place, "slow")
        proxy.fault = lambda request: "slow" if len(proxy.calls) <= 5 else ""
        assert courier.sync(home) is None
    assert_full(place.read(home)[run], "slow", place.subject.carries)


def test_wrong_credentials_are_one_clear_message_and_cost_no_data(place: Place) -> None:
    with place.proxied() as (proxy, courier):
        home, run = recorded_full(place, "denied")
        proxy.all_fail("401")
        problem = courier.sync(home)
        assert problem and "401" in problem and "\n" not in problem and len(problem) < 500
        assert A_VARIABLE.search(problem), f"which variable is to be checked? {problem}"
        assert courier.sync(home) == problem
        assert place.dead(home) == 0
        told = doctor({**courier.environment, "AUTOTRACK_HOME": str(home)})
        assert any("401" in one and A_VARIABLE.search(one) for one in told["problems"])
        proxy.release()
        assert courier.sync(home) is None
    assert_full(place.read(home)[run], "denied", place.subject.carries)


def doctor(environment: dict[str, str]) -> dict[str, Any]:
    """What `autotrack doctor` tells."""
    command = [sys.executable, "-m", "autotrack", "doctor", "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=True)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_one_that_hangs_keeps_no_other_waiting_and_gets_all_in_the_end(place: Place) -> None:
    with place.proxied() as (proxy, courier):
        home, run = recorded_full(place, "hanging")
        (writer,) = writers(home)
        proxy.all_fail("hang")
        process = forwarder(home, writer, {**courier.environment, "AUTOTRACK_BACKENDS": f"{place.name},local"})
        try:
            deadline = time.monotonic() + SECONDS
            while not (Progress(home, writer, "local").done and proxy.calls):
                assert time.monotonic() < deadline and process.poll() is None
                time.sleep(0.01)
            assert not Progress(home, writer, place.name).done
        finally:
            proxy.release()
            code = end_of(process, SECONDS)
        assert code == 0
        assert Progress(home, writer, place.name).done
    assert_full(place.read(home)[run], "hanging", place.subject.carries)


@pytest.mark.timeout(900)
def test_a_run_sent_to_all_of_them_at_once_reads_back_equal(
    places: Places, record_testsuite_property: Callable[[str, object], None]
) -> None:
    """Value by value: what each product's own reader gives is what the local store gives."""
    home, available = places.get("local").home("all"), []
    for name in dict.fromkeys(
        ["local", *(name for name in NAMES if name not in REGISTRIES)]
    ):  # whatever an environment is for: the store is there
        with contextlib.suppress(pytest.skip.Exception):
            available.append(places.get(name))
    record_testsuite_property("backends", ",".join(one.name for one in available))
    with recording_into(home), autotrack.start_run("all") as run:
        full(run)
        for step in range(200):
            run.log_metrics({"curve": math.exp(-step / 7) * math.sin(step)}, step=step)
    groups = [(group, home if group[0].name == "local" else _copied(home, group[0])) for group in together(available)]
    for group, copy in groups:
        variables = {name: value for one in group for name, value in one.variables.items()}
        (writer,) = writers(copy)
        process = forwarder(copy, writer, environment_of(variables, ",".join(one.name for one in group)))
        assert end_of(process, 5 * SECONDS) == 0
        deliveries = {one.name: Progress(copy, writer, one.name) for one in group}
        assert {name: (one.done, one.problem) for name, one in deliveries.items()} == dict.fromkeys(
            deliveries, (True, None)
        )
        for one in group:
            read = one.read(copy)[run.id]
            assert_full(read, "all", one.subject.carries)
            assert same_series(read, "curve", one) == same_series(places.get("local").read(home)[run.id], "curve", one)


def _copied(home: Path, place: Place) -> Path:
    copy = home.with_name(f"all-{place.name}")
    shutil.copytree(home, copy)
    return copy


def together(available: list[Place]) -> list[list[Place]]:
    """In as few groups as can be, so that no two of a group set one variable to different values."""
    groups: list[list[Place]] = []
    for one in sorted(available, key=lambda one: one.name != "local"):
        for group in groups:
            if all(one.variables[name] == other.variables.get(name, one.variables[name])
                   for other in group for name in one.variables):  # fmt: skip
                group.append(one)
                break
        else:
            groups.append([one])
    return groups


def same_series(read: ReadRun, key: str, place: Place) -> list[tuple[str, float]]:
    """A series as both products can have it: in 32 bits where one has no more."""
    exact = place.carries("exact_values")
    single = struct.Struct("f")
    return sorted((step, value if exact else single.unpack(single.pack(value))[0]) for step, value in read.metrics[key])
