"""Runs sent to a ClearML server: a double on loopback that refuses what ClearML's own schemas (2.13) do not know."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from autotrack.backend import BackendContext, BackendUnavailable
from autotrack.errors import UsageError
from autotrack.events import (
    ArtifactLogged,
    ConsoleLogged,
    DatasetLogged,
    MetricsLogged,
    ModelLogged,
    ParamsLogged,
    Record,
    RunEnded,
    RunStarted,
    TagsSet,
)
from autotrack.settings import load
from autotrack_clearml.backend import ClearmlBackend

sys.path.insert(0, str(Path(__file__).parent))  # test modules are not a package: a folder's name could hide a product

sys.path.insert(0, str(Path(__file__).parents[1] / "contract"))

from clearml_reader import Clearml
from proxy import Proxy

BEGIN = 1_700_000_000_123_456_789


class Lent:
    """What the forwarder lends, for one journal."""

    def __init__(self, home: Path, writer: str) -> None:
        home.mkdir(exist_ok=True)
        self.writer = writer
        self.notes: list[tuple[str, str, str]] = []
        self.position = 0
        self.context = BackendContext(home=home, settings=load({}), note=lambda *note: self.notes.append(note))

    def keep(self, content: bytes) -> tuple[str, int]:
        digest = hashlib.sha256(content).hexdigest()
        path = self.context.blob(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return digest, len(content)

    def records(self, *events: object) -> list[Record]:
        made = [Record(self.writer, self.position + n, self.position + n, event) for n, event in enumerate(events)]
        self.position += len(events)
        return made

    def deliver(self, *batches: list[Record]) -> None:
        """In a new process, with the state as the forwarder keeps it."""
        self.context.state = json.loads(json.dumps(dict(self.context.state)))
        backend = ClearmlBackend()
        backend.open(self.context)
        for batch in batches:
            assert backend.deliver(batch) == batch[-1].sequence
        backend.close()


@pytest.fixture(scope="module")
def clearml(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Clearml, str]]:
    one = Clearml(tmp_path_factory.mktemp("clearml"))
    yield one, one.serve()
    one.stop()


@pytest.fixture
def server(clearml: tuple[Clearml, str], monkeypatch: pytest.MonkeyPatch) -> Clearml:
    monkeypatch.delenv("CLEARML_OFFLINE_MODE", raising=False)
    monkeypatch.setenv("CLEARML_API_HOST", clearml[1])
    monkeypatch.setenv("CLEARML_FILES_HOST", clearml[1])
    monkeypatch.setenv("CLEARML_API_ACCESS_KEY", "key")
    monkeypatch.setenv("CLEARML_API_SECRET_KEY", "secret")
    return clearml[0]


def points_of(server: Clearml, task: str) -> dict[tuple[str, str, int], float]:
    """As a server keeps them: by series and iteration (`event_bll.py` of clearml-server)."""
    events = [event for event in server.held()["events"] if event["task"] == task]
    return {(event["metric"], event["variant"], event["iter"]): event["value"] for event in events}


def task_of(server: Clearml, run: str) -> dict:
    (task,) = [task for task in server.held()["tasks"].values() if f"autotrack:{run}" in task["tags"]]
    return task


def test_a_run_is_one_task_however_often_it_is_sent(server: Clearml, tmp_path: Path) -> None:
    lent = Lent(tmp_path / "home", "w1")
    text, weights = lent.keep(b"a text"), lent.keep(b"weights")
    batch = lent.records(
        RunStarted("r1", BEGIN, "whole run", "a/pro.ject", environment={"python": "3.11.7"}),
        ParamsLogged("r1", BEGIN + 1, {"lr": 0.1, "flag": True, "none": None}),
        TagsSet("r1", BEGIN + 2, {"team": "risk"}),
        ConsoleLogged("r1", BEGIN + 4, "stdout", "one\n"),
        *(MetricsLogged("r1", BEGIN + 10**6 * n, n, {"loss": n / 7, "val/loss": n / 9}) for n in range(40)),
        DatasetLogged("r1", BEGIN + 10**10, "train", "rows", {"value": "x1:ab"}),
        ArtifactLogged("r1", BEGIN + 10**10, "notes/a b.txt", *text, "text/plain"),
        ModelLogged("r1", BEGIN + 10**10, "clf", "safetensors", *weights, 5),
        RunEnded("r1", BEGIN + 2 * 10**10, "failed", {"type": "E", "message": "broke"}),
    )
    lent.deliver(batch[:10])
    assert task_of(server, "r1")["status"] == "in_progress"
    state = json.dumps(dict(lent.context.state))
    lent.deliver(batch[10:])
    for _ in range(2):
        task = task_of(server, "r1")
        held = server.held()
        assert not held["refused"] and not lent.notes
        assert (task["name"], task["status"], task["comment"]) == ("whole run", "failed", "E: broke")
        assert task["tags"] == ["autotrack:r1", "team: risk", "failed"]
        assert held["projects"][task["project"]] == "a/pro.ject"
        assert task["hyperparams"]["General"]["lr"]["value"] == "0.1"
        assert task["hyperparams"]["Datasets"]["train/rows"]["value"] == "x1:ab"
        expected = {("loss", "loss", n): n / 7 for n in range(40)} | {("val", "loss", n): n / 9 for n in range(40)}
        assert points_of(server, task["id"]) == expected
        uris = {one["key"]: one["uri"] for one in task["execution"]["artifacts"]}
        assert set(uris) == {"notes/a b.txt", "models/clf"}
        files = {key: held["files"][uri.split("/", 3)[3]] for key, uri in uris.items()}
        assert {bytes.fromhex(content) for content in files.values()} == {b"a text", b"weights"}
        lent.context.state = json.loads(state)
        lent.deliver(batch[10:])


def test_events_of_another_process_reach_the_same_task(server: Clearml, tmp_path: Path) -> None:
    first, second = Lent(tmp_path / "home", "w1"), Lent(tmp_path / "home", "w2")
    second.deliver(second.records(MetricsLogged("run2", BEGIN + 1, 0, {"sys": 1.0})))
    assert task_of(server, "run2")["name"] == "run2"
    first.deliver(first.records(RunStarted("run2", BEGIN, "2", "p"), RunEnded("run2", BEGIN + 5, "killed")))
    tags = TagsSet("run2", BEGIN + 9, {"a": "b", " ": "c", "a ": "d"})
    second.deliver(second.records(MetricsLogged("run2", BEGIN + 9, 1, {"sys": 2.0}), tags))
    task = task_of(server, "run2")
    assert (task["name"], task["status"]) == ("2__", "stopped") and "a: b" in task["tags"]
    assert server.held()["projects"][task["project"]] == "p__"
    assert [what for _, what, _ in first.notes] == ["project p", "name 2"]
    found = {name: one["value"] for name, one in task["hyperparams"]["Tags"].items()}
    assert found == {"a": "b", "name": "c", "a_": "d"} and len(second.notes) == 2
    assert points_of(server, task["id"]) == {("sys", "sys", 0): 1.0, ("sys", "sys", 1): 2.0}


def test_credentials_and_addresses_that_are_wrong_are_said(
    server: Clearml, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lent = Lent(tmp_path / "home", "w1")
    batch = lent.records(RunStarted("r3", BEGIN, "three", "project"))
    monkeypatch.setenv("CLEARML_API_SECRET_KEY", "wrong")
    with pytest.raises(BackendUnavailable, match="CLEARML_API_ACCESS_KEY") as problem:
        lent.deliver(batch)
    assert "wrong" not in str(problem.value)
    monkeypatch.delenv("CLEARML_API_SECRET_KEY")
    with pytest.raises(UsageError, match="CLEARML_API_SECRET_KEY"):
        lent.deliver(batch)
    monkeypatch.setenv("CLEARML_API_HOST", "tracker")
    with pytest.raises(UsageError, match="CLEARML_API_HOST"):
        lent.deliver(batch)


def test_without_a_server_of_files_they_are_told(
    server: Clearml, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CLEARML_FILES_HOST")
    lent = Lent(tmp_path / "home", "w1")
    lent.deliver(
        lent.records(RunStarted("r4", BEGIN, "four", "project"), ArtifactLogged("r4", BEGIN, "a", *lent.keep(b"a")))
    )
    assert [what for _, what, _ in lent.notes] == ["artifact a"]
    assert task_of(server, "r4")["execution"]["artifacts"] == []


@pytest.mark.parametrize("fault", ["500", "lost", "down"])
def test_requests_that_fail_once_make_no_second_task(
    fault: str, server: Clearml, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = Proxy(os.environ["CLEARML_API_HOST"])
    monkeypatch.setenv("CLEARML_API_HOST", proxy.url)
    monkeypatch.setenv("CLEARML_FILES_HOST", proxy.url)
    lent, run = Lent(tmp_path / "home", "w1"), f"fails-{fault}"
    batch = lent.records(
        RunStarted(run, BEGIN, "five", f"project {fault}"),
        MetricsLogged(run, BEGIN, 0, {"loss": 1.0}),
        ArtifactLogged(run, BEGIN, "a", *lent.keep(b"a")),
        RunEnded(run, BEGIN + 1, "finished"),
    )
    proxy.each_fails_once(fault)
    try:
        failures = 0
        while failures < 40:
            try:
                lent.deliver(batch)
                break
            except BackendUnavailable:
                failures += 1
        assert 5 <= failures < 40
    finally:
        proxy.close()
    task = task_of(server, run)
    assert task["status"] == "completed" and points_of(server, task["id"]) == {("loss", "loss", 0): 1.0}
    assert [one["key"] for one in task["execution"]["artifacts"]] == ["a"] and not lent.notes
