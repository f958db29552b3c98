"""The Aim backend beyond the battery: dates, files, replays, and what is said where Aim cannot be used."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from autotrack.backend import BackendContext, BackendRejected
from autotrack.errors import UsageError
from autotrack.events import (
    ArtifactLogged,
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
from autotrack_aim.backend import AimBackend, path_of
from autotrack_aim.importer import AimImporter
from autotrack_aim.repository import run_hash

sys.path.insert(0, str(Path(__file__).parent))  # test modules are not a package: a folder's name could hide a product

from aim_reader import Aim

BEGIN = 1_700_000_000_123_456_000


class Lent:
    """What the forwarder lends, for one journal."""

    def __init__(self, home: Path, writer: str) -> None:
        home.mkdir(exist_ok=True)
        self.writer = writer
        self.notes: list[tuple[str, str, str]] = []
        self.context = BackendContext(home=home, settings=load({}), note=lambda *note: self.notes.append(note))

    def keep(self, content: bytes) -> tuple[str, int]:
        digest = hashlib.sha256(content).hexdigest()
        path = self.context.blob(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return digest, len(content)

    def deliver(self, *events: object) -> None:
        self.context.state = json.loads(json.dumps(dict(self.context.state)))
        backend = AimBackend()
        backend.open(self.context)
        batch = [Record(self.writer, number, number, event) for number, event in enumerate(events)]
        assert backend.deliver(batch) == len(events) - 1
        backend.close()


@pytest.fixture(scope="module")
def aim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aim]:
    one = Aim(tmp_path_factory.mktemp("aim"))
    yield one
    one.stop()


def the_run(aim: Aim, run: str) -> dict:
    (found,) = [one for one in aim.read() if one["hash"] == run_hash(run)]
    return found


def test_a_run_has_its_own_dates_and_all_that_belongs_to_it(
    aim: Aim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOTRACK_AIM_REPO", str(aim.folder))
    lent = Lent(tmp_path / "home", "w1")
    text, weights = lent.keep(b"a text"), lent.keep(b"weights")
    events = [
        RunStarted(
            "r1", BEGIN, "whole \ud800", "a/project", "r0", "sklearn", {"python": "3.11", "command": ["a", "b"]}
        ),
        ParamsLogged("r1", BEGIN + 1, {"lr": 0.1, "big": 2**70, "none": None, "deep.a": True}),
        TagsSet("r1", BEGIN + 2, {"team": "fraud", "plain": ""}),
        TagsSet("r1", BEGIN + 3, {"team": "risk"}),
        ProvenanceLogged("r1", BEGIN + 4, "code", {"commit": "c0ffee", "other": 1}),
        *(MetricsLogged("r1", BEGIN + n * 10**9, n, {"loss": n / 7}) for n in range(3)),
        ArtifactLogged("r1", BEGIN, "a", *text),
        ArtifactLogged("r1", BEGIN, "a/b.txt", *text),
        ModelLogged("r1", BEGIN, "clf", "safetensors", *weights, 5),
        RunEnded("r1", BEGIN + 10**10, "failed", {"type": "E", "message": "broke"}),
    ]
    lent.deliver(*events)
    before = the_run(aim, "r1")
    assert before["name"] == "whole \\ud800" and before["experiment"] == "a/project"
    assert abs(before["created"] - BEGIN / 1e9) < 1e-3 and before["ended"] == (BEGIN + 10**10) / 1e9
    assert before["tags"] == ["plain", "team: risk"]
    attributes = before["attributes"]
    assert attributes["hparams"] == {"lr": 0.1, "big": str(2**70), "none": None, "deep.a": True}
    assert attributes["autotrack"]["status"] == "failed" and attributes["autotrack"]["error"]["message"] == "broke"
    assert attributes["autotrack"]["parent_id"] == "r0" and attributes["code"] == {"commit": "c0ffee"}
    assert before["series"]["loss"] == [[n, repr(n / 7), pytest.approx(BEGIN / 1e9 + n, abs=1e-5)] for n in range(3)]
    contents = [bytes.fromhex(content) for content in before["files"].values()]
    assert sorted(contents) == [b"a text", b"a text", b"weights"]
    assert {what for _, what, _ in lent.notes} == {"param big"}
    lent.context.state.clear()
    lent.deliver(*events)
    lent.deliver(*events[:4])
    assert the_run(aim, "r1") == before | {"attributes": the_run(aim, "r1")["attributes"]}
    assert the_run(aim, "r1")["attributes"]["autotrack"]["status"] == "failed"


def test_events_that_come_before_the_runs_start_are_in_the_same_run(
    aim: Aim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOTRACK_AIM_REPO", str(aim.folder))
    Lent(tmp_path / "home", "w1").deliver(MetricsLogged("r2", BEGIN + 1, 4, {"sys": 1.0}))
    Lent(tmp_path / "home", "w2").deliver(RunStarted("r2", BEGIN, "two", "p"), RunEnded("r2", BEGIN + 9, "finished"))
    Lent(tmp_path / "home", "w3").deliver(MetricsLogged("r2", BEGIN + 20, 5, {"sys": 2.0}))
    run = the_run(aim, "r2")
    assert run["name"] == "two" and [point[:2] for point in run["series"]["sys"]] == [[4, "1.0"], [5, "2.0"]]
    assert run["ended"] == (BEGIN + 9) / 1e9 and run["attributes"]["autotrack"]["status"] == "finished"


def test_a_run_that_goes_on_has_no_end_until_it_ends_again(
    aim: Aim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOTRACK_AIM_REPO", str(aim.folder))
    lent, end = Lent(tmp_path / "home", "w1"), RunEnded("r6", BEGIN + 5, "failed", {"type": "E", "message": "broke"})
    lent.deliver(RunStarted("r6", BEGIN, "six", "p"), end)
    assert the_run(aim, "r6")["ended"] == (BEGIN + 5) / 1e9
    again = Lent(tmp_path / "home", "w2")
    again.deliver(RunStarted("r6", BEGIN + 10**9, "six", "p", resumed=True))
    again.deliver(MetricsLogged("r6", BEGIN + 2 * 10**9, 1, {"loss": 1.0}))
    run = the_run(aim, "r6")
    assert run["ended"] is None and run["attributes"]["autotrack"]["status"] == "running"
    again.deliver(RunEnded("r6", BEGIN + 3 * 10**9, "finished"))
    run = the_run(aim, "r6")
    assert run["ended"] == (BEGIN + 3 * 10**9) / 1e9 and not run["attributes"]["autotrack"].get("error")


def test_what_the_backend_wrote_the_importer_reads(aim: Aim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOTRACK_AIM_REPO", str(aim.folder))
    params, points = ParamsLogged("r3", BEGIN, {"lr": 0.5}), MetricsLogged("r3", BEGIN + 10**9, 7, {"val/loss": 0.25})
    start, end = RunStarted("r3", BEGIN, "three", "p"), RunEnded("r3", BEGIN + 2 * 10**9, "pruned")
    Lent(tmp_path / "home", "w1").deliver(start, params, TagsSet("r3", BEGIN, {"team": "risk"}), points, end)
    (run,) = [one for one in AimImporter().runs(str(aim.folder), {}) if one.name == "three"]
    told = {type(event): event for event in run.events(None)}  # nothing of it is kept, nothing is lost
    assert told[ParamsLogged].params == {"lr": 0.5} and told[TagsSet].tags["team"] == "risk"
    assert told[MetricsLogged].values == {"val/loss": 0.25} and abs(told[MetricsLogged].time - points.time) < 10_000
    assert told[RunEnded].status == "pruned" and abs(told[RunEnded].time - end.time) < 10_000


def test_a_repeated_step_is_told(aim: Aim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOTRACK_AIM_REPO", str(aim.folder))
    lent = Lent(tmp_path / "home", "w1")
    lent.deliver(RunStarted("r4", BEGIN, "four", "p"), MetricsLogged("r4", BEGIN, 1, {"loss": 1.0}))
    assert not lent.notes
    lent.deliver(MetricsLogged("r4", BEGIN + 1, 1, {"loss": 2.0}))
    assert [what for _, what, _ in lent.notes] == ["points at a step that came before"]
    assert [point[:2] for point in the_run(aim, "r4")["series"]["loss"]] == [[1, "2.0"]]
    with pytest.raises(BackendRejected, match="64 bits"):
        lent.deliver(MetricsLogged("r4", BEGIN + 1, 2**63, {"loss": 2.0}))


def test_where_aim_is_missing_or_the_repository_is_elsewhere_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOTRACK_AIM_REPO", "aim://server:53800")
    with pytest.raises(UsageError, match="AUTOTRACK_AIM_REPO"):
        Lent(tmp_path / "home", "w1").deliver(RunStarted("r5", BEGIN, "five", "p"))
    monkeypatch.delenv("AUTOTRACK_AIM_REPO")
    monkeypatch.setitem(sys.modules, "aim", None)
    with pytest.raises(UsageError, match="pip install aim"):
        Lent(tmp_path / "home", "w1").deliver(RunStarted("r5", BEGIN, "five", "p"))


def test_names_of_files_are_plain_paths_and_different() -> None:
    names = ["a/b.txt", "a//b.txt", "/a/b.txt", "../a/b.txt", "__/a/b.txt", "a\\b.txt", "", "/", ".", "..", "x" * 300]
    paths = [path_of(name) for name in names]
    assert len(set(paths)) == len(names) and paths[0] == "a/b.txt"
    assert all(path and not path.startswith("/") and ".." not in path.split("/") for path in paths)
