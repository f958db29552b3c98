"""The ClearML backend beyond the battery: sessions that ClearML itself imports, and what becomes of late events."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from autotrack.backend import BackendContext, BackendRejected, BackendUnavailable
from autotrack.events import (
    ArtifactLogged,
    ConsoleLogged,
    DatasetLogged,
    MetricsLogged,
    ModelLogged,
    ParamsLogged,
    ProvenanceLogged,
    Record,
    RunEnded,
    RunStarted,
    TagsSet,
)
from autotrack.settings import load
from autotrack_clearml.backend import ClearmlBackend, offline_folder
from autotrack_clearml.names import key_of, title_and_series

sys.path.insert(0, str(Path(__file__).parent))  # test modules are not a package: a folder's name could hide a product

from clearml_reader import Clearml

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


@pytest.fixture
def clearml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clearml]:
    one = Clearml(tmp_path)
    monkeypatch.setenv("CLEARML_CACHE_DIR", str(one.cache))
    yield one
    one.stop()


def test_clearml_imports_the_whole_run(clearml: Clearml, tmp_path: Path) -> None:
    lent = Lent(tmp_path / "home", "w1")
    text, weights = lent.keep(b"a text"), lent.keep(b"weights")
    code = {"commit": "c0ffee", "branch": "main", "remote": "https://example.org/a.git", "entry": "train.py"}
    lent.deliver(
        lent.records(
            RunStarted("r1", BEGIN, "whole / run", "a/project", environment={"python": "3.11.7", "host": "here"}),
            ParamsLogged("r1", BEGIN + 1, {"lr": 0.1, "n": 3, "flag": True, "none": None, "odd": float("nan")}),
            TagsSet("r1", BEGIN + 2, {"team": "risk", "plain": ""}),
            ProvenanceLogged("r1", BEGIN + 3, "code", code),
            ConsoleLogged("r1", BEGIN + 4, "stdout", "one\n"),
            ConsoleLogged("r1", BEGIN + 5, "stderr", "two\n"),
            *(MetricsLogged("r1", BEGIN + 10**6 * n, n, {"loss": n / 7, "val/loss": n / 9}) for n in range(300)),
            MetricsLogged("r1", BEGIN + 10**10, 300, {"loss": float("nan"), "val/loss": 1.0}),
            DatasetLogged("r1", BEGIN + 10**10, "train", "rows", {"value": "x1:ab"}),
            ArtifactLogged("r1", BEGIN + 10**10, "notes/a b.txt", *text, "text/plain"),
            ModelLogged("r1", BEGIN + 10**10, "clf", "safetensors", *weights, 5),
            RunEnded("r1", BEGIN + 2 * 10**10, "finished"),
        )
    )
    assert lent.notes == [("r1", "NaN", "ClearML takes finite numbers alone: the points are left out")]
    told = clearml.bring(clearml.archive("r1"))
    assert not told["refused"]
    task = told["tasks"][told["id"]]
    assert (task["name"], task["status"], task["tags"]) == ("whole / run", "completed", ["team: risk", "plain"])
    assert task["script"]["repository"] == code["remote"] and task["script"]["version_num"] == "c0ffee"
    params = {name: (one["value"], one["type"]) for name, one in task["hyperparams"]["General"].items()}
    assert params["lr"] == ("0.1", "float") and params["flag"] == ("True", "bool") and params["odd"] == ("nan", "float")
    assert task["hyperparams"]["Datasets"]["train/rows"]["value"] == "x1:ab"
    scalars = [event for event in told["events"] if event["type"] == "training_stats_scalar"]
    assert {event["task"] for event in told["events"]} == {told["id"]}
    loss = [
        (event["iter"], event["value"]) for event in scalars if (event["metric"], event["variant"]) == ("loss",) * 2
    ]
    assert loss == [(n, n / 7) for n in range(300)]
    assert [event["timestamp"] for event in scalars][-1] == (BEGIN + 10**10) // 10**6
    assert len(scalars) == 601
    log = [(event["level"], event["msg"]) for event in told["events"] if event["type"] == "log"]
    assert log == [("info", "one\n"), ("error", "two\n")]
    assert {one["key"]: one["type"] for one in task["execution"]["artifacts"]} == {
        "notes/a b.txt": "custom",
        "models/clf": "model",
    }
    assert sorted(bytes.fromhex(content) for content in told["files"].values()) == [b"a text", b"weights"]
    assert all(one["uri"].startswith("http") for one in task["execution"]["artifacts"])


def test_what_comes_after_the_end_is_in_the_archive_too(clearml: Clearml, tmp_path: Path) -> None:
    first, second = Lent(tmp_path / "home", "w1"), Lent(tmp_path / "home", "w2")
    second.deliver(second.records(MetricsLogged("r1", BEGIN + 1, 0, {"sys": 1.0})))
    assert not clearml.archive("r1").exists()
    first.deliver(first.records(RunStarted("r1", BEGIN, "one", "project"), RunEnded("r1", BEGIN + 5, "killed")))
    assert clearml.read()[0]["points"] == [["sys", "sys", 0, 1.0, (BEGIN + 1) // 10**6]]
    second.deliver(second.records(MetricsLogged("r1", BEGIN + 9, 1, {"sys": 2.0})))
    first.deliver(first.records(ConsoleLogged("r1", BEGIN + 6, "stdout", "late")))
    resumed = [
        RunStarted("r1", BEGIN + 20, "one", "project", resumed=True),
        MetricsLogged("r1", BEGIN + 21, 2, {"sys": 3.0}),
    ]
    first.deliver(first.records(*resumed), first.records(RunEnded("r1", BEGIN + 22, "finished")))
    (task,) = clearml.read()
    assert [point[3] for point in task["points"]] == [3.0, 1.0, 2.0] and task["log"] == [["info", "late"]]
    assert task["params"]["autotrack"]["status"] == "finished" and task["name"] == "one"
    first.deliver(first.records(RunStarted("r2", BEGIN, "two", "project")))
    assert list(first.context.state["lengths"]) == ["r2/w1-6.facts.jsonl"]


def test_a_batch_that_fails_half_way_comes_again_whole(
    clearml: Clearml, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lent = Lent(tmp_path / "home", "w1")
    batch = lent.records(
        RunStarted("r1", BEGIN, "one", "project"),
        MetricsLogged("r1", BEGIN + 1, 0, {"loss": 1.0}),
        RunEnded("r1", BEGIN + 2, "failed", {"type": "E", "message": "m"}),
        MetricsLogged("r1", BEGIN + 3, 1, {"loss": 2.0}),
    )
    backend = ClearmlBackend()
    backend.open(lent.context)
    (clearml.cache).mkdir()
    (clearml.cache / "offline").write_bytes(b"in the way")
    with pytest.raises(BackendUnavailable, match="CLEARML_CACHE_DIR"):
        backend.check()
    for _ in range(2):
        with pytest.raises(BackendUnavailable, match="cannot be written"):
            backend.deliver(batch)
    (clearml.cache / "offline").unlink()
    assert str(clearml.cache) in backend.check()
    backend.deliver(batch)
    backend.close()
    (task,) = clearml.read()
    assert [(point[2], point[3]) for point in task["points"]] == [(0, 1.0), (1, 2.0)] and not lent.notes
    assert "failed" in task["tags"] and task["comment"] == "E: m"


def test_a_repeated_step_is_told_once(clearml: Clearml, tmp_path: Path) -> None:
    lent = Lent(tmp_path / "home", "w1")
    start = lent.records(RunStarted("r1", BEGIN, "one", "project"), MetricsLogged("r1", BEGIN + 1, 4, {"loss": 1.0}))
    again = lent.records(MetricsLogged("r1", BEGIN + 2, 4, {"loss": 2.0, "other": 1.0}))
    lent.deliver(start)
    lent.deliver(again)
    assert [what for _, what, _ in lent.notes] == ["points at a step that came before"]
    with pytest.raises(BackendRejected, match="64 bits"):
        lent.deliver(lent.records(MetricsLogged("r1", BEGIN + 2, 2**63, {"loss": 2.0})))


def test_no_two_keys_are_one_series() -> None:
    keys = ["a", "a/a", "a/b", "a/b/c", "a//b", "/a", "a/", "/", "//", "", "a/a/a", "a/a/a/a", "b/a/a"]
    found = {title_and_series(key): key for key in keys}
    assert len(found) == len(keys)
    assert [key_of(*pair) for pair in found] == keys
    assert title_and_series("val/loss") == ("val", "loss")


def test_the_folder_is_clearmls_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somebody")
    assert offline_folder({}) == Path("/somebody/.clearml/cache/offline")
    assert offline_folder({"CLEARML_CACHE_DIR": "/a/b"}) == Path("/a/b/offline")
