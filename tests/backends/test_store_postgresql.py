"""One battery over the store, on SQLite and on a real PostgreSQL, and what only PostgreSQL can get wrong.

The server is started here, on a free port of the loopback interface, and stopped by its own process at the end.
"""

import math
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select, update

from autotrack.backend import Backend, BackendContext
from autotrack.errors import BackendRejected, BackendUnavailable, RunNotFound, StoreError, UsageError
from autotrack.events import (
    ArtifactLogged,
    DatasetLogged,
    Event,
    MetricsLogged,
    ModelLogged,
    NoteLogged,
    ParamsLogged,
    ProvenanceLogged,
    Record,
    RunEnded,
    RunStarted,
    TagsSet,
)
from autotrack.journal.reader import Journal
from autotrack.journal.writer import Writer
from autotrack.run import Run
from autotrack.settings import Settings
from autotrack.store import append, ingest, schema
from autotrack.store.backend import LocalBackend
from autotrack.store.engine import open_engine, writing
from autotrack.store.query import Store, jsonable
from autotrack.store.series import FULL

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "core"))
from old_stores import described, old_store, opened_at_once
from postgresql_server import new_database, running_server


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The URL of a running server, without a database."""
    with running_server() as url:
        yield url


@dataclass
class Place:
    """Where a test keeps its store."""

    home: Path
    settings: Settings

    def backend(self) -> LocalBackend:
        backend = LocalBackend()
        backend.open(BackendContext(self.home, self.settings))
        return backend

    def store(self) -> Store:
        return Store.open(self.home, self.settings)


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    url = new_database(request.getfixturevalue("server")) if request.param == "postgresql" else None
    return Place(tmp_path / "home", Settings(store_url=url))


def records(events: list[Event], writer: str = "w", start: int = 1) -> list[Record]:
    return [Record(writer, at, at * 10, event) for at, event in enumerate(events, start)]


def put(place: Place, events: list[Event], writer: str = "w", start: int = 1) -> None:
    backend = place.backend()
    backend.deliver(records(events, writer, start))
    backend.close()


def metrics(run: str, count: int, start: int = 0, key: str = "loss") -> list[Event]:
    return [MetricsLogged(run, 1_000 + step, step, {key: step / 3}) for step in range(start, start + count)]


def started(run: str = "r", at: int = 1_700_000_000_000_000_000, **details: Any) -> RunStarted:
    return RunStarted(run, at, details.pop("name", "name"), details.pop("project", "project"), **details)


def journal_into(place: Place, folder: Path, size: int = 1000) -> None:
    backend = place.backend()
    batch: list[Record] = []
    for record in Journal(folder).records(backend.resume(folder.name) or 0):
        batch.append(record)
        if len(batch) == size:
            assert backend.deliver(batch) == batch[-1].sequence
            batch = []
    if batch:
        backend.deliver(batch)
    backend.close()


def steps_and_values(place: Place, run: str, key: str) -> tuple[list[Any], list[float]]:
    with place.store() as store:
        steps, _, values = store.series(run, key)
    return steps.tolist(), values.tolist()


# Feeding it real journals


def test_a_real_journal_is_read_back_as_it_was_written(place: Place, tmp_path: Path) -> None:
    writer = Writer(tmp_path / "journals", version="test", backends=("local",))
    run = Run(lambda: writer, name="baseline", project="churn", integration="sklearn", environment={"python": "3"})
    run.log_params({"lr": 0.1, "depth": {"max": 3}, "name": "naïve", "none": None, "flag": True})
    run.log_params({"lr": 0.2})
    run.log_params({"lr": 0.2})
    run.set_tags({"team": "risk"})
    for step, value in enumerate([0.1, math.nan, math.inf, -math.inf, 0.25]):
        run.log_metrics({"loss": value, "n": step}, step=step)
    run.log_metrics({"half": 1.5}, step=0.5)
    run.log_metrics({"half": 2.5}, step=Decimal("0.1"))
    run.note("points", "too large", 2)
    run.note("points", "too large", 3)
    run.end("failed", RuntimeError("no more"))
    writer.close()
    journal_into(place, writer.folder)
    journal_into(place, writer.folder)

    with place.store() as store:
        record = store.run(run.id)
        assert store.run("baseline")["id"] == store.run(run.id[:6])["id"] == run.id
        points = store.points(run.id, "half")
        listed = store.series_dicts(run.id, "loss")
        half = store.series_dicts(run.id, "half")
    assert set(record) == {
        "id", "name", "project", "status", "started_at", "ended_at", "parent_id", "integration", "params", "metrics",
        "tags", "datasets", "models", "artifacts", "environment", "code", "error", "notes", "params_history",
        "notebook", "randomness",
    }  # fmt: skip
    assert (record["name"], record["project"], record["status"], record["integration"]) == (
        "baseline", "churn", "failed", "sklearn",
    )  # fmt: skip
    assert record["started_at"] < record["ended_at"] and record["ended_at"].endswith("Z")
    assert record["params"] == {"lr": 0.2, "depth.max": 3, "name": "naïve", "none": None, "flag": True}
    assert [was["value"] for was in record["params_history"]["lr"]] == [0.1]
    assert record["tags"] == {"team": "risk"} and record["environment"]["python"] == "3"
    assert record["error"]["type"] == "RuntimeError" and record["error"]["message"] == "no more"
    assert record["notes"] == [{"what": "points", "count": 5, "why": "too large"}]
    assert record["metrics"]["loss"] == {
        "last": 0.25, "min": -math.inf, "max": math.inf, "first_step": 0, "last_step": 4, "count": 5,
    }  # fmt: skip
    assert [points.step(0), points.step(1)] == [Decimal("0.1"), Decimal("0.5")]
    assert [point["step"] for point in half] == [0.1, 0.5] and [point["value"] for point in half] == [2.5, 1.5]
    assert [jsonable(point["value"]) for point in listed] == [0.1, "NaN", "Infinity", "-Infinity", 0.25]
    assert [point["step"] for point in listed] == [0, 1, 2, 3, 4] and listed[0]["time"].endswith("Z")


def test_two_threads_with_one_journal_write_each_point_once(place: Place, tmp_path: Path) -> None:
    writer = Writer(tmp_path / "journals", version="test", backends=("local",))
    run = Run(lambda: writer, name="n", project="p", run_id="r")
    for step in range(3000):
        run.log_metrics({"loss": step * 0.5}, step=step)
        if step % 100 == 0:
            run.note("tick", "why")
    writer.close()
    failed: list[BaseException] = []

    def feed(size: int) -> None:
        try:
            journal_into(place, writer.folder, size)
        except BaseException as problem:
            failed.append(problem)

    threads = [threading.Thread(target=feed, args=(size,)) for size in (70, 113)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert steps_and_values(place, "r", "loss") == (list(range(3000)), [step * 0.5 for step in range(3000)])
    with place.store() as store:
        record = store.run("r")
    assert record["notes"] == [{"what": "tick", "count": 30, "why": "why"}]
    assert record["metrics"]["loss"]["count"] == 3000


INGESTER = """
import sys
from pathlib import Path
from autotrack.backend import BackendContext
from autotrack.journal.reader import Journal
from autotrack.settings import Settings
from autotrack.store.backend import LocalBackend
home, url, folder, size = Path(sys.argv[1]), sys.argv[2] or None, Path(sys.argv[3]), int(sys.argv[4])
backend = LocalBackend()
backend.open(BackendContext(home, Settings(store_url=url)))
batch = []
def deliver():
    backend.deliver(batch)
    batch.clear()
    print("delivered", flush=True)
for record in Journal(folder).records(backend.resume(folder.name) or 0):
    batch.append(record)
    if len(batch) == size:
        deliver()
if batch:
    deliver()
backend.close()
"""


def ingester(place: Place, folder: Path, size: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", INGESTER, str(place.home), place.settings.store_url or "", str(folder), str(size)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_processes_that_start_at_once_and_one_that_is_killed_lose_and_double_nothing(
    place: Place, tmp_path: Path
) -> None:
    writer = Writer(tmp_path / "journals", version="test", backends=("local",))
    run = Run(lambda: writer, name="n", project="p", run_id="r")
    for step in range(4000):
        run.log_metrics({"loss": step * 0.5}, step=step)
    writer.close()
    children = [ingester(place, writer.folder, size) for size in (40, 41, 43)]  # on a store that does not exist yet
    victim = children[0]
    assert victim.stdout is not None
    victim.stdout.readline()
    victim.send_signal(signal.SIGKILL)
    for child in children:
        child.communicate(timeout=120)
    assert [child.returncode for child in children] == [-signal.SIGKILL, 0, 0]
    journal_into(place, writer.folder)
    assert steps_and_values(place, "r", "loss") == (list(range(4000)), [step * 0.5 for step in range(4000)])


def test_what_fails_half_way_leaves_nothing_behind(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    put(place, [started(), *metrics("r", 10)])
    more = [NoteLogged("r", 2, "what", 1, "why"), ParamsLogged("r", 2, {"a": 1}), *metrics("r", 10, start=10)]

    def broken(*arguments: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(append, "encode", broken)
        with pytest.raises(KeyboardInterrupt):
            put(place, more, start=12)
    with place.store() as store:
        record = store.run("r")
    assert record["notes"] == [] and record["params"] == {} and record["metrics"]["loss"]["count"] == 10
    assert place.backend().resume("w") == 110
    put(place, more, start=12)
    assert steps_and_values(place, "r", "loss")[0] == list(range(20))


def test_records_that_come_again_or_in_disorder_count_once(place: Place) -> None:
    batch = records([started(), *metrics("r", 50)])
    backend = place.backend()
    assert backend.resume("w") == 0
    shuffled = batch[:30] + batch[10:20]
    random.Random(0).shuffle(shuffled)
    assert backend.deliver(shuffled) == 30
    assert backend.resume("w") == 300
    assert backend.deliver(batch[20:]) == 51
    assert backend.deliver(batch) == 51
    assert steps_and_values(place, "r", "loss") == ([*range(50)], [step / 3 for step in range(50)])


def test_a_batch_is_of_one_writer_and_a_bad_step_is_rejected(place: Place) -> None:
    backend = place.backend()
    with pytest.raises(BackendRejected, match="one writer"):
        backend.deliver([*records(metrics("r", 1)), *records(metrics("r", 1), "other")])
    with pytest.raises(BackendRejected):
        backend.deliver(records([MetricsLogged("r", 1, "not a step", {"loss": 1.0})]))
    assert backend.deliver([]) == 0
    assert backend.resume("w") == 0


# Runs


def test_events_before_their_start_wait_in_a_placeholder(place: Place) -> None:
    put(place, [*metrics("r", 3), ParamsLogged("r", 5, {"rank": 1}), TagsSet("r", 5, {"a": "b"})], writer="child")
    with place.store() as store:
        assert store.run("r")["status"] == "running" and store.run("r")["metrics"]["loss"]["count"] == 3
    put(place, [started(name="true", integration="acme", code={"commit": "abc"}), RunEnded("r", 2**60, "finished")])
    with place.store() as store:
        record = store.run("r")
    assert (record["name"], record["project"], record["status"]) == ("true", "project", "finished")
    assert record["started_at"] == "2023-11-14T22:13:20.000000Z"
    assert record["params"] == {"rank": 1} and record["code"] == {"commit": "abc"}


def test_a_resumed_run_is_reopened_whatever_journal_comes_first(place: Place) -> None:
    first = [started(at=100), RunEnded("r", 200, "failed", {"type": "E", "message": "m", "traceback": ""})]
    second: list[Event] = [started(at=300, name="again", resumed=True)]
    put(place, first, "a")
    put(place, second, "b")
    with place.store() as store:
        record = store.run("r")
        assert (record["status"], record["ended_at"], record["error"]) == ("running", None, None)
        assert (record["name"], record["started_at"]) == ("name", "1970-01-01T00:00:00.000000Z")
    put(place, [RunEnded("r", 400, "finished")], "b", start=2)
    other = [RunEnded("q", 400, "finished")]
    put(place, [started("q", at=300, name="again", resumed=True), *other], "d")
    put(
        place, [started("q", at=100), RunEnded("q", 200, "failed", {"type": "E", "message": "m", "traceback": ""})], "c"
    )
    with place.store() as store:
        for run in ("r", "q"):
            record = store.run(run)
            assert (record["status"], record["name"], record["error"]) == ("finished", "name", None), run


def test_a_clock_that_was_set_back_does_not_keep_a_run_open(place: Place) -> None:
    put(place, [started(at=1_000), RunEnded("r", 500, "pruned")])
    with place.store() as store:
        assert store.run("r")["status"] == "pruned"


def test_two_writers_of_one_run_do_not_lose_each_others_points(place: Place) -> None:
    failed: list[BaseException] = []

    def feed(writer: str, offset: int) -> None:
        try:
            backend = place.backend()
            for start in range(0, 400, 20):
                events = [event for run in ("a", "b") for event in metrics(run, 20, start=offset + start)]
                if writer == "y":
                    events.reverse()
                backend.deliver(records(events, writer, start=1 + 2 * start))
            backend.close()
        except BaseException as problem:
            failed.append(problem)

    place.backend().close()
    threads = [threading.Thread(target=feed, args=("x", 0)), threading.Thread(target=feed, args=("y", 1000))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    for run in ("a", "b"):
        assert steps_and_values(place, run, "loss")[0] == [*range(400), *range(1000, 1400)]


def removed(*runs: str) -> list[Event]:
    return [ProvenanceLogged("", 7, "tombstone", {run: {"who": "ana", "why": "x"} for run in runs})]


def rows_of(place: Place, run: str) -> set[str]:
    """The tables in which something of a run is."""
    with place.store() as store, store.engine.connect() as connection:
        found = set()
        for table in schema.tables.sorted_tables:
            column = table.c.get("run_id", table.c.get("id") if table.name == "runs" else None)
            if column is not None and connection.execute(select(column).where(column == run)).first():
                found.add(table.name)
        series = set(connection.execute(select(schema.series.c.id)).scalars())
        for table in (schema.chunks, schema.overviews):
            if set(connection.execute(select(table.c.series_id)).scalars()) - series:
                found.add(table.name)
        return found


def test_a_removed_run_is_in_no_table_and_comes_back_from_no_journal(place: Place) -> None:
    said: list[Event] = [
        *metrics("r", FULL + 10),
        ParamsLogged("r", 1, {"lr": 0.1}),
        ParamsLogged("r", 2, {"lr": 0.2}),
        TagsSet("r", 3, {"a": "b"}),
        NoteLogged("r", 3, "points", 1, "too large"),
        DatasetLogged("r", 4, "train", "rows", {"value": "x1:1"}),
        ArtifactLogged("r", 5, "a.txt", "d" * 64, 3),
        ModelLogged("r", 6, "m", "safetensors", "e" * 64, 3),
        ProvenanceLogged("r", 6, "inputs", {"f" * 64: {"by": "test"}}),
    ]
    put(place, [started(), *said])
    put(place, [started("s"), *metrics("s", 5)], writer="s")
    assert {"runs", "series", "params_history", "links", "provenance"} < rows_of(place, "r")
    put(place, removed("r", "late"), writer="gone")
    assert rows_of(place, "r") == {"tombstones"}
    put(place, [started("late"), *metrics("late", 5), started(), *said], writer="later")
    assert rows_of(place, "r") == rows_of(place, "late") == {"tombstones"}
    assert steps_and_values(place, "s", "loss")[0] == [0, 1, 2, 3, 4]
    with place.store() as store:
        assert [run["id"] for run in store.runs()] == ["s"]
        with pytest.raises(RunNotFound, match="run late was removed for good on 1970-01-01 by ana because: x"):
            store.run("late")


def test_a_run_that_is_written_while_it_is_removed_stays_removed(place: Place) -> None:
    backends = [place.backend() for _ in range(3)]
    for round_ in range(8):
        run = f"r{round_}"
        if round_ % 2:
            put(place, [started(run)], writer=f"{run}-0")
        told = [
            (f"{run}-a", [started(run), *metrics(run, 50)]),
            (f"{run}-b", metrics(run, 50, 50)),
            (run, removed(run)),
        ]
        at_once = threading.Barrier(3)

        def deliver(backend: Backend, writer: str, events: list[Event], at_once: threading.Barrier = at_once) -> None:
            at_once.wait(30)
            backend.deliver(records(events, writer))

        threads = [threading.Thread(target=deliver, args=(b, *one)) for b, one in zip(backends, told, strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert rows_of(place, run) == {"tombstones"}
    for backend in backends:
        backend.close()


def test_everything_else_that_a_run_has_is_kept(place: Place) -> None:
    shown = {"value": "f1", "rows": {"n": 3}}
    put(
        place,
        [
            started(),
            DatasetLogged("r", 1, "train", "customers", shown),
            DatasetLogged("r", 2, "train", "customers", shown),
            DatasetLogged("r", 3, "train", "customers", {"value": "f2"}),
            DatasetLogged("r", 3, "test", "customers", shown),
            ModelLogged("r", 4, "clf", "safetensors", "d" * 64, 5, "0.5", None, {"in": 1}),
            ModelLogged("r", 5, "clf", "skops", problem="no skops"),
            ArtifactLogged("r", 6, "a.html", "a" * 64, 1),
            ArtifactLogged("r", 7, "a.html", "b" * 64, 2),
            ArtifactLogged("r", 8, "a.html", "a" * 64, 1),
            NoteLogged("", 9, "lost events", 4, "the disk was full"),
            ParamsLogged("r", 10, {"nan": math.nan, "inf": math.inf, "big": 2**62, "text": "x" * 100_000}),
        ],
    )
    with place.store() as store:
        record = store.run("r")
        assert [run["id"] for run in store.runs()] == ["r"], "a writer's own note makes no run"
        with store.engine.connect() as connection:
            assert connection.execute(select(schema.notes.c.run_id, schema.notes.c.count)).all() == [("", 4)]
    assert record["datasets"] == [
        {"role": "train", "name": "customers", "fingerprint": shown},
        {"role": "train", "name": "customers", "fingerprint": {"value": "f2"}},
        {"role": "test", "name": "customers", "fingerprint": shown},
    ]
    assert record["models"] == [
        {"name": "clf", "step": 0.5, "format": "safetensors", "digest": "d" * 64, "bytes": 5, "signature": {"in": 1}},
        {"name": "clf", "step": None, "format": "skops", "digest": None, "bytes": None, "problem": "no skops"},
    ]  # fmt: skip
    assert [artifact["digest"][0] for artifact in record["artifacts"]] == ["b", "a"], "the latest comes last"
    assert math.isnan(record["params"].pop("nan"))
    assert record["params"] == {"inf": math.inf, "big": 2**62, "text": "x" * 100_000}
    assert jsonable({"a": [math.nan, (math.inf,)]}) == {"a": ["NaN", ["Infinity"]]}


def test_params_keep_every_value_across_batches(place: Place) -> None:
    put(place, [started(), *(ParamsLogged("r", at, {"lr": value}) for at, value in enumerate([1, 1.0, True, "1"]))])
    put(place, [ParamsLogged("r", 9, {"lr": "1"}), ParamsLogged("r", 10, {"lr": None})], start=6)
    with place.store() as store:
        record = store.run("r")
    assert record["params"] == {"lr": None}
    assert [repr(was["value"]) for was in record["params_history"]["lr"]] == ["1", "1.0", "True", "'1'"]


def test_characters_that_a_database_cannot_hold_are_replaced_and_told(place: Place) -> None:
    put(
        place,
        [
            started(name="na\0me", environment={"argv": "x\0y"}),
            ParamsLogged("r", 1, {"k\0": "v\0v"}),
            TagsSet("r", 1, {"t": "a\0b"}),
            MetricsLogged("r", 1, 0, {"m\0": 1.0}),
            RunEnded("r", 2, "failed", {"type": "E", "message": "m\0", "traceback": ""}),
        ],
    )
    with place.store() as store:
        record = store.run("r")
    assert (record["name"], record["tags"], list(record["metrics"])) == ("na␀me", {"t": "a␀b"}, ["m␀"])
    assert record["params"] == {"k␀": "v\0v"} and record["environment"] == {"argv": "x\0y"}, "JSON keeps them"
    assert record["error"]["message"] == "m\0"
    assert [(note["what"], note["count"]) for note in record["notes"]] == [("NUL characters", 4)]


def test_names_longer_than_an_index_holds_are_cut_and_kept_whole_in_a_note(place: Place) -> None:
    generator = random.Random(0)
    long = "".join(chr(generator.randrange(0x4E00, 0x9FFF)) for _ in range(5000))  # does not compress
    put(
        place,
        [
            started(name=long, project=long),
            ParamsLogged("r", 1, {long: long}),
            TagsSet("r", 1, {long: long}),
            MetricsLogged("r", 1, 0, {long: 1.0}),
            DatasetLogged("r", 1, "train", long, {"value": "f"}),
            ArtifactLogged("r", 1, long, "a" * 64, 1),
        ],
    )
    with place.store() as store:
        record = store.run("r")
    (short,) = record["metrics"]
    assert len(short) == 500 and short[:400] == long[:400]
    assert record["params"] == {short: long} and record["tags"] == {short: long}
    assert (
        record["name"] == record["project"] == record["datasets"][0]["name"] == record["artifacts"][0]["name"] == short
    )
    (note,) = record["notes"]
    assert (note["what"], note["count"]) == ("long names", 7) and note["why"].endswith(long)


def test_runs_are_found_by_id_beginning_and_name_and_listed_newest_first(place: Place) -> None:
    put(
        place,
        [
            started("aaa111", at=1_000, name="one", project="p"),
            started("aaa222", at=3_000, name="two", project="p", parent="aaa111"),
            started("bbb333", at=2_000, name="two", project="q"),
            RunEnded("bbb333", 5_000, "finished"),
        ],
    )
    with place.store() as store:
        assert [run["id"] for run in store.runs()] == ["aaa222", "bbb333", "aaa111"]
        assert [run["id"] for run in store.runs(project="p")] == ["aaa222", "aaa111"]
        assert [run["id"] for run in store.runs(status="finished")] == ["bbb333"]
        assert [run["id"] for run in store.runs(limit=1)] == ["aaa222"]
        assert store.runs(limit=1)[0]["parent_id"] == "aaa111"
        assert [store.resolve(ref) for ref in ("aaa111", "b", "one")] == ["aaa111", "bbb333", "aaa111"]
        with pytest.raises(RunNotFound, match="aaa222, bbb333"):
            store.run("two")
        with pytest.raises(RunNotFound, match="aaa222, aaa111"):
            store.run("aaa")
        for nothing in ("zzz", "", "%", "a_a"):
            with pytest.raises(RunNotFound, match="autotrack ls"):
                store.run(nothing)
        with pytest.raises(StoreError, match="no metric"):
            store.series("one", "loss")


def test_compare_lays_runs_side_by_side(place: Place) -> None:
    for run, rate in (("a", 0.1), ("b", 0.2)):
        put(place, [started(run), ParamsLogged(run, 1, {"lr": rate, "same": 1}), *metrics(run, 3)], writer=run)
    put(place, [TagsSet("b", 1, {"only": "b"})], writer="c")
    with place.store() as store:
        found = store.compare(["a", "b"])
    assert [run["id"] for run in found["runs"]] == ["a", "b"]
    assert found["params"] == {"lr": [0.1, 0.2], "same": [1, 1]}
    assert found["tags"] == {"only": [None, "b"]}
    assert found["metrics"]["loss"][0]["count"] == 3
    assert found["different"] == {
        "params": ["lr"], "tags": ["only"], "metrics": [], "datasets": [], "environment": [], "code": [],
    }  # fmt: skip


# Series


def test_points_out_of_order_are_all_kept_and_read_by_step(place: Place) -> None:
    put(place, [MetricsLogged("r", at, step, {"x": float(at)}) for at, step in enumerate([5, 1, 5, -2, "0.5"])])
    put(place, [MetricsLogged("r", 9, 1, {"x": 9.0, "y": math.nan})], start=6)
    assert steps_and_values(place, "r", "x") == ([-2, 0.5, 1, 1, 5, 5], [3.0, 4.0, 1.0, 9.0, 0.0, 2.0])
    with place.store() as store:
        found = store.run("r")["metrics"]
    assert found["x"] == {"last": 9.0, "min": 0.0, "max": 9.0, "first_step": -2, "last_step": 5, "count": 6}
    assert found["y"]["count"] == 1 and all(math.isnan(found["y"][name]) for name in ("last", "min", "max"))


def test_keys_that_come_in_changing_company_keep_their_order(place: Place) -> None:
    events: list[Event] = [
        MetricsLogged("r", at, 0, {"a": float(at)} if at % 3 else {"b": 1.0, "a": float(at)}) for at in range(30)
    ]
    put(place, events)
    assert steps_and_values(place, "r", "a")[1] == [float(at) for at in range(30)]


@pytest.mark.parametrize("size", [1, 300, 700, 5000])
def test_however_points_trickle_in_the_series_is_few_chunks(place: Place, size: int) -> None:
    total = 600 if size == 1 else 30_000
    generator = np.random.default_rng(size)
    values = generator.normal(size=total)
    backend = place.backend()
    for start in range(0, total, size):
        events: list[Event] = [
            MetricsLogged("r", 10**18 + at, at, {"x": float(values[at])})
            for at in range(start, min(total, start + size))
        ]
        backend.deliver(records(events, start=start + 1))
    backend.close()
    with place.store() as store:
        steps, times, found = store.series("r", "x")
        with store.engine.connect() as connection:
            counts = list(connection.execute(select(schema.chunks.c.count).order_by(schema.chunks.c.number)).scalars())
            row = connection.execute(select(schema.series)).one()
    assert steps.tolist() == list(range(total)) and times.tolist() == [10**18 + at for at in range(total)]
    assert found.tobytes() == values.tobytes()
    assert sum(counts) == row.count == total and row.chunks == len(counts)
    assert counts[: row.full_chunks] == [FULL] * (total // FULL) and len(counts) <= total // FULL + FULL // 512 + 1


def test_a_series_of_a_million_points_is_equal_and_small(place: Place) -> None:
    total = 1_000_000
    generator = np.random.default_rng(1)
    values = np.exp(-np.arange(total) / 3e5) + generator.normal(0, 0.05, total)
    values[[3, 70_000]] = math.nan, math.inf
    times = 1_700_000_000_000_000_000 + np.cumsum(generator.integers(900_000, 1_400_000, total))
    backend = place.backend()
    for start in range(0, total, 50_000):
        rows = zip(times[start : start + 50_000].tolist(), values[start : start + 50_000].tolist(), strict=True)
        events: list[Event] = [
            MetricsLogged("r", at, step, {"x": value}) for step, (at, value) in enumerate(rows, start)
        ]
        backend.deliver(records(events, start=start + 1))
    backend.close()
    with place.store() as store:
        steps, found_times, found = store.series("r", "x")
        with store.engine.connect() as connection:
            size = sum(len(data) for data in connection.execute(select(schema.chunks.c.data)).scalars())
    assert found.tobytes() == values.tobytes()
    assert np.array_equal(steps, np.arange(total)) and np.array_equal(found_times, times)
    assert size < 10 * total, "random mantissas do not compress, all else must"


def test_a_batch_heavy_with_metrics_arrives_whole(place: Place) -> None:
    events: list[Event] = [started()]
    events += [MetricsLogged("r", at, at, {f"m{key}": at * 0.1 + key for key in range(10)}) for at in range(20_000)]
    batch, backend = records(events), place.backend()
    backend.deliver(batch)
    with place.store() as store:
        record = store.run("r")
    assert sum(metric["count"] for metric in record["metrics"].values()) == 200_000
    assert record["metrics"]["m3"]["last"] == 19_999 * 0.1 + 3


def test_ten_thousand_runs_are_listed_newest_first(place: Place) -> None:
    backend = place.backend()
    events: list[Event] = [started(f"{at:08x}", at=10**18 + at, environment={"x": "y" * 500}) for at in range(10_000)]
    backend.deliver(records(events))
    backend.close()
    with place.store() as store:
        found = store.runs()
    assert len(found) == 10_000 and found[0]["id"] == f"{9_999:08x}"


def test_what_a_run_was_made_of_and_what_it_printed_are_read_back(place: Place, tmp_path: Path) -> None:
    writer = Writer(tmp_path / "journals", version="test", backends=("local",))
    run = Run(lambda: writer, name="baseline", project="churn", environment={"python": "3"}, code={"script": "a.py"})
    run.log_provenance("code", {"kind": "git", "changes": ["a.py"]})
    run.log_provenance("code", {"changed_during_run": ["b.py"]})
    run.log_provenance("environment", {"python": "3.11", "lock": {"digest": "ab", "bytes": 3}})
    run.log_provenance("inputs", {"one": math.nan})
    run.log_console("stdout", "epoch 1\n")
    run.log_console("stderr", "a NUL: \0\n")
    run.end()
    writer.close()
    journal_into(place, writer.folder)
    journal_into(place, writer.folder)

    with place.store() as store:
        record, printed = store.run(run.id), store.console(run.id)
    assert record["code"] == {
        "script": "a.py", "kind": "git", "changes": ["a.py"], "changed_during_run": ["b.py"],
    }  # fmt: skip
    assert record["environment"] == {"python": "3.11", "lock": {"digest": "ab", "bytes": 3}}
    assert math.isnan(record["inputs"]["one"]) and record["notebook"] == record["randomness"] == {}
    assert [(one["stream"], one["text"]) for one in printed] == [("stdout", "epoch 1\n"), ("stderr", "a NUL: \u2400\n")]


# The database itself


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_store_of_an_older_version_becomes_what_a_new_one_is(
    place: Place, tmp_path: Path, version: int, request: pytest.FixtureRequest
) -> None:
    old_store(place.home, place.settings, version, rows=True)
    if place.settings.store_url is None:
        other = Place(tmp_path / "new", Settings())
    else:
        other = Place(tmp_path / "new", Settings(store_url=new_database(request.getfixturevalue("server"))))
    old, new = (open_engine(one.home, one.settings) for one in (place, other))
    assert described(old) == described(new)
    for engine in (old, new):
        engine.dispose()

    writer = Writer(tmp_path / "journals", version="test", backends=("local",))
    run = Run(lambda: writer, name="later", project="churn")
    run.log_provenance("code", {"kind": "git"})
    run.log_console("stdout", "text")
    writer.close()
    journal_into(place, writer.folder)
    with place.store() as store:
        assert store.run(run.id)["code"] == {"kind": "git"} and store.console(run.id)[0]["text"] == "text"
        assert len(store.runs()) == 2 and store.run("r")["params"] == {"lr": 0.5}


def test_who_may_only_look_reads_and_who_may_make_nothing_is_told_so(server: str, tmp_path: Path) -> None:
    import psycopg

    url, empty = new_database(server), new_database(server)
    put(Place(tmp_path, Settings(store_url=url)), [started(), *metrics("r", 3)])
    looker = f"looker{time.monotonic_ns()}"
    for database in (url, empty):
        with psycopg.connect(database.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("REVOKE CREATE ON SCHEMA public FROM public")
            if database == url:
                connection.execute(f"CREATE USER {looker}")
                connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {looker}")
    with Store.open(tmp_path, Settings(store_url=url.replace("autotrack@", f"{looker}@"))) as store:
        assert store.run("r")["metrics"]["loss"]["count"] == 3
    with pytest.raises(StoreError, match=r"may not make or read the tables \(permission denied .*\): grant it CREATE"):
        Store.open(tmp_path, Settings(store_url=empty.replace("autotrack@", f"{looker}@")))


def test_processes_that_open_an_older_store_at_once_bring_it_up_to_date_once(place: Place) -> None:
    old_store(place.home, place.settings, 1, rows=True)
    assert sorted(opened_at_once(place.home, place.settings.store_url)) == ["False", "False", "True"]
    with place.store() as store:
        assert store.run("r")["name"] == "kept"


def test_a_store_of_a_newer_version_is_refused_with_what_to_do(place: Place) -> None:
    put(place, [started()])
    engine = open_engine(place.home, place.settings)
    with writing(engine) as connection:
        connection.execute(update(schema.meta).values(value=str(schema.SCHEMA + 1)))
    engine.dispose()
    with pytest.raises(StoreError, match="upgrade autotrack"):
        place.store()
    with pytest.raises(StoreError, match="upgrade autotrack"):
        place.backend()


def test_many_threads_make_the_tables_at_once(place: Place) -> None:
    results: list[object] = []
    gate = threading.Barrier(8)

    def make() -> None:
        gate.wait()
        try:
            open_engine(place.home, place.settings).dispose()
            results.append(None)
        except BaseException as problem:
            results.append(problem)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [None] * 8


def test_the_backend_keeps_the_contract(place: Place) -> None:
    backend: Backend = LocalBackend()
    with pytest.raises(BackendUnavailable):
        backend.resume("w")
    backend.open(BackendContext(place.home, place.settings))
    assert backend.limits.key_length is None and backend.limits.infinities
    backend.close()
    backend.close()


def test_a_server_that_is_not_there_is_unavailable_and_told(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"postgresql://me:secret@127.0.0.1:{probe.getsockname()[1]}/db?connect_timeout=2"
    with pytest.raises(BackendUnavailable):
        Place(tmp_path, Settings(store_url=url)).backend()
    with pytest.raises(StoreError, match="AUTOTRACK_STORE_URL") as told:
        Place(tmp_path, Settings(store_url=url)).store()
    assert "secret" not in str(told.value)


@pytest.mark.parametrize("url", ["nonsense", "mysql://host/db", "sqlite://", "oracle+what://x/y"])
def test_a_url_that_cannot_be_used_says_what_can(tmp_path: Path, url: str) -> None:
    with pytest.raises(UsageError, match="AUTOTRACK_STORE_URL"):
        Place(tmp_path, Settings(store_url=url)).backend()


def test_a_lost_connection_is_unavailable_once_and_mends_itself(server: str, tmp_path: Path) -> None:
    import psycopg

    url = new_database(server)
    place = Place(tmp_path, Settings(store_url=url))
    backend = place.backend()
    backend.deliver(records([started(), *metrics("r", 5)]))
    original: Callable[..., Any] = ingest.append_points

    def cut_off(connection: Any, points: Any) -> None:
        original(connection, points)
        with psycopg.connect(server.replace("+psycopg", "") + "postgres", autocommit=True) as other:
            mine = connection.connection.driver_connection.info.backend_pid
            other.execute("SELECT pg_terminate_backend(%s)", (mine,))

    more = records(metrics("r", 5, start=5), start=7)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ingest, "append_points", cut_off)
        with pytest.raises(BackendUnavailable):
            backend.deliver(more)
    assert backend.deliver(more) == 11
    assert steps_and_values(place, "r", "loss")[0] == list(range(10))
    backend.close()


def test_what_was_hashed_as_it_passed_completes_the_dataset_that_was_told_before(place: Place, tmp_path: Path) -> None:
    writer = Writer(tmp_path / "journals", version="test", backends=("local",))
    run = Run(lambda: writer, name="streamed", project="churn")
    told = {"kind": "acme.Loader", "n_columns": 3, "coverage": 0.0, "method": "opaque"}
    for record in (told, {"kind": "acme.Loader", "n_rows": 8, "coverage": 1.0, "stream": True, "value": "x1:ab"}):
        writer.append_event(DatasetLogged(run.id, 1, "train", "data", record))
    writer.append_event(DatasetLogged(run.id, 1, "test", "data", told))
    writer.close()
    journal_into(place, writer.folder)
    with place.store() as store:
        train, test = store.run(run.id)["datasets"]
    assert train["fingerprint"] == {
        "kind": "acme.Loader", "n_columns": 3, "coverage": 1.0, "method": "opaque",
        "n_rows": 8, "stream": True, "value": "x1:ab",
    }  # fmt: skip
    assert test == {"role": "test", "name": "data", "fingerprint": told}
