"""Repositories that Aim itself wrote, read by the importer, with a run that was killed and never indexed."""

from __future__ import annotations

import hashlib
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from autotrack.errors import UsageError
from autotrack.events import AnyEvent, ArtifactLogged, MetricsLogged, ParamsLogged, RunEnded, RunStarted, TagsSet
from autotrack.importing import run_id
from autotrack_aim.importer import AimImporter

sys.path.insert(0, str(Path(__file__).parents[1] / "backends"))  # test modules are not a package

from aim_reader import PROGRAM, Aim


class Kept:
    """Blobs in memory."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.missing: dict[str, str] = {}

    def keep(self, source: Path | bytes | BinaryIO) -> tuple[str, int]:
        data = source if isinstance(source, bytes) else Path(source).read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        self.blobs[digest] = data
        return digest, len(data)

    def not_carried(self, what: str, why: str, count: int = 1) -> None:
        self.missing[what] = why


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aim]:
    aim = Aim(tmp_path_factory.mktemp("aim"))
    aim.write()
    yield aim
    aim.stop()


def told(place: Path) -> dict[str, tuple[list[AnyEvent], Kept]]:
    found = {}
    for run in AimImporter().runs(str(place), {}):
        kept = Kept()
        events = list(run.events(kept))
        assert {event.run for event in events} == {run_id(run.origin)}
        assert [event.time for event in events] == sorted(event.time for event in events)
        assert isinstance(events[0], RunStarted) and isinstance(events[-1], RunEnded)
        found[run.name] = events, kept
    return found


def test_every_run_is_told_whole_the_killed_one_too(written: Aim) -> None:
    runs = told(written.folder)
    assert set(runs) == {"closed", "killed"}
    for number, name in enumerate(("closed", "killed")):
        events, kept = runs[name]
        (start,) = [event for event in events if isinstance(event, RunStarted)]
        assert start.project == "hobby" and start.integration == "aim"
        (params,) = [event for event in events if isinstance(event, ParamsLogged)]
        assert params.params == {"lr": 0.5 + number, "deep.layers": "[1, 2]", "none": None, "dataset": "rows"}
        (tags,) = [event for event in events if isinstance(event, TagsSet)]
        assert tags.tags["nice"] == "" and len(tags.tags["aim.hash"]) == 24
        series: dict[str, list[tuple[int, float]]] = {}
        for event in events:
            if isinstance(event, MetricsLogged):
                assert abs(event.time - start.time) < 3600 * 10**9
                for key, value in event.values.items():
                    series.setdefault(key, []).append((event.step, value))
        assert sorted(series["train/loss"]) == [(step, step / 4) for step in range(5)]
        assert sorted(series["fold=1,subset=val/loss"]) == [(step * 10, step / 8) for step in range(5)]
        assert series["plain"] == [(3, math.inf)]
        assert events[-1].status == ("finished" if name == "closed" else "killed")
        assert "status" in kept.missing and any(what.startswith("sequences of") for what in kept.missing)
    events, kept = runs["closed"]
    (file,) = [event for event in events if isinstance(event, ArtifactLogged)]
    assert file.name == "code/program.py" and kept.blobs[file.digest] == PROGRAM.read_bytes()


def test_the_same_source_gives_the_same_events(written: Aim) -> None:
    first, again = told(written.folder), told(written.folder / ".aim")
    assert repr([first[name][0] for name in first]) == repr([again[name][0] for name in again])


def test_a_folder_without_a_repository_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no Aim repository"):
        list(AimImporter().runs(str(tmp_path), {}))
    with pytest.raises(UsageError, match="no options"):
        list(AimImporter().runs(str(tmp_path), {"a": "b"}))
