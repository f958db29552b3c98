"""The Comet backend beyond the battery: archives as Comet's own uploader reads them, and late events."""

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
from autotrack_comet import backend as backends
from autotrack_comet.archive import experiment_key
from autotrack_comet.backend import CometBackend

sys.path.insert(0, str(Path(__file__).parent))  # test modules are not a package: a folder's name could hide a product

from comet_reader import Comet

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
        backend = CometBackend()
        backend.open(self.context)
        for batch in batches:
            assert backend.deliver(batch) == batch[-1].sequence
        backend.close()


@pytest.fixture
def comet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Comet]:
    one = Comet(tmp_path)
    monkeypatch.setenv("COMET_OFFLINE_DIRECTORY", str(one.archives))
    monkeypatch.delenv("COMET_WORKSPACE", raising=False)
    monkeypatch.delenv("COMET_PROJECT_NAME", raising=False)
    yield one
    one.stop()


def test_comets_uploader_reads_the_whole_run(comet: Comet, tmp_path: Path) -> None:
    lent = Lent(tmp_path / "home", "w1")
    text, weights = lent.keep(b"a text"), lent.keep(b"weights")
    code = {"commit": "c0ffee", "branch": "main", "remote": "https://example.org/a.git", "entry": "train.py"}
    lent.deliver(
        lent.records(
            RunStarted("r1", BEGIN, "whole\nrun \ud800", "a/project"),
            ParamsLogged("r1", BEGIN + 1, {"lr": 0.1, "n": 3, "flag": True, "none": None, "odd": float("nan")}),
            TagsSet("r1", BEGIN + 2, {"team": "one\ntwo", "plain": "", "Name": "no name"}),
            ProvenanceLogged("r1", BEGIN + 3, "code", code),
            ConsoleLogged("r1", BEGIN + 4, "stdout", "one\n"),
            ConsoleLogged("r1", BEGIN + 5, "stderr", "two\n"),
            *(MetricsLogged("r1", BEGIN + 10**6 * n, n, {"loss": n / 7}) for n in range(3)),
            MetricsLogged("r1", BEGIN + 10**10, 3, {"loss": float("nan"), "val/loss": float("-inf")}),
            DatasetLogged("r1", BEGIN + 10**10, "train", "rows", {"value": "x1:ab"}),
            ArtifactLogged("r1", BEGIN + 10**10, "notes/a b.txt", *text, "text/plain"),
            ArtifactLogged("r1", BEGIN + 10**10, "again.txt", *text, "text/plain"),
            ModelLogged("r1", BEGIN + 10**10, "clf", "safetensors", *weights, "2.5"),
            RunEnded("r1", BEGIN + 2 * 10**10, "failed", {"type": "E", "message": "broke", "traceback": "lines"}),
        )
    )
    assert [what for _, what, _ in lent.notes] == ["tag Name"]
    (read,) = comet.read()
    assert read["key"] == experiment_key("r1") and read["key"].isalnum() and len(read["key"]) == 32
    assert (read["project"], read["workspace"]) == ("a/project", None)
    assert (read["start"], read["end"]) == (BEGIN // 10**6, (BEGIN + 2 * 10**10) // 10**6)
    assert read["params"] == {"lr": 0.1, "n": 3, "flag": True, "none": None, "odd": "NaN"}
    assert read["tags"] == ["team: one two", "plain", "Name: no name"]
    others = read["others"]
    assert others["Name"] == "whole\nrun \\ud800" and others["Name_"] == "no name" and others["team"] == "one\ntwo"
    assert others["autotrack.status"] == "failed" and others["autotrack.dataset/train/rows"] == "x1:ab"
    assert read["error"] == "E: broke" and others["autotrack.traceback"] == "lines"
    assert read["git"]["parent"] == "c0ffee" and read["git"]["origin"] == code["remote"]
    assert read["log"] == [[False, "one\n"], [True, "two\n"]]
    points = [(one["metricName"], one["step"], one["metricValue"], one["timestamp"]) for one in read["metrics"]]
    assert points[:3] == [("loss", n, n / 7, (BEGIN + 10**6 * n) // 10**6) for n in range(3)]
    assert [point[:3] for point in points[3:]] == [("loss", 3, "NaN"), ("val/loss", 3, "-Infinity")]
    assert sorted(read["files"]) == [
        ["asset", "again.txt", None, b"a text".hex()],
        ["asset", "notes/a b.txt", None, b"a text".hex()],
        ["model-element", "clf.safetensors", "clf", b"weights".hex()],
    ]
    assert read["left"] == ["experiment.json", "messages.json"]


def test_comets_variables_say_where_it_belongs(comet: Comet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMET_WORKSPACE", "team")
    monkeypatch.setenv("COMET_PROJECT_NAME", "all of it")
    lent = Lent(tmp_path / "home", "w1")
    lent.deliver(lent.records(RunStarted("r1", BEGIN, "one", "p"), RunEnded("r1", BEGIN + 1, "finished")))
    (read,) = comet.read()
    assert (read["project"], read["workspace"]) == ("all of it", "team") and "error" not in read


def test_what_comes_after_the_end_is_in_the_archive_too(comet: Comet, tmp_path: Path) -> None:
    first, second = Lent(tmp_path / "home", "w1"), Lent(tmp_path / "home", "w2")
    second.deliver(second.records(MetricsLogged("r1", BEGIN + 1, 0, {"sys": 1.0})))
    assert not comet.archives.exists()
    first.deliver(first.records(RunStarted("r1", BEGIN, "one", "p"), RunEnded("r1", BEGIN + 5, "killed")))
    second.deliver(second.records(MetricsLogged("r1", BEGIN + 9, 1, {"sys": 2.0})))
    resumed = [RunStarted("r1", BEGIN + 20, "one", "p", resumed=True), MetricsLogged("r1", BEGIN + 21, 2, {"sys": 3.0})]
    first.deliver(first.records(*resumed), first.records(RunEnded("r1", BEGIN + 22, "finished")))
    (read,) = comet.read()
    assert sorted(one["metricValue"] for one in read["metrics"]) == [1.0, 2.0, 3.0]
    assert read["others"]["autotrack.status"] == "finished" and read["others"]["Name"] == "one"
    first.deliver(first.records(RunStarted("r2", BEGIN, "two", "p")))
    assert list(first.context.state["lengths"]) == ["r2/w1-5.facts.jsonl"]


def test_a_batch_that_fails_half_way_comes_again_whole(comet: Comet, tmp_path: Path) -> None:
    lent = Lent(tmp_path / "home", "w1")
    batch = lent.records(
        RunStarted("r1", BEGIN, "one", "p"),
        MetricsLogged("r1", BEGIN + 1, 0, {"loss": 1.0}),
        RunEnded("r1", BEGIN + 2, "finished"),
        MetricsLogged("r1", BEGIN + 3, 1, {"loss": 2.0}),
    )
    backend = CometBackend()
    backend.open(lent.context)
    comet.archives.write_bytes(b"in the way")
    with pytest.raises(BackendUnavailable, match="COMET_OFFLINE_DIRECTORY"):
        backend.check()
    for _ in range(2):
        with pytest.raises(BackendUnavailable, match="cannot be written"):
            backend.deliver(batch)
    comet.archives.unlink()
    assert str(comet.archives) in backend.check()
    backend.deliver(batch)
    backend.close()
    (read,) = comet.read()
    assert [(one["step"], one["metricValue"]) for one in read["metrics"]] == [(0, 1.0), (1, 2.0)] and not lent.notes


def test_points_that_comet_samples_away_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMET_OFFLINE_DIRECTORY", str(tmp_path / "archives"))
    monkeypatch.setattr(backends, "SAMPLED", 3)
    lent = Lent(tmp_path / "home", "w1")
    points = [
        MetricsLogged("r1", BEGIN + n, n, {"loss": 1.0, "other": 1.0} if n < 2 else {"loss": 1.0}) for n in range(5)
    ]
    lent.deliver(lent.records(RunStarted("r1", BEGIN, "one", "p"), *points[:3]))
    assert not lent.notes
    lent.deliver(lent.records(*points[3:]))
    assert [what for _, what, _ in lent.notes] == ["points over 3"] * 2
    with pytest.raises(BackendRejected, match="64 bits"):
        lent.deliver(lent.records(MetricsLogged("r1", BEGIN, 2**63, {"loss": 2.0})))
