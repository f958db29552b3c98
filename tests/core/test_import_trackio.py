"""Projects that trackio itself wrote, read by the importer, which needs no trackio."""

from __future__ import annotations

import hashlib
import math
import sqlite3
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import pytest

from autotrack.errors import UsageError
from autotrack.events import AnyEvent, ArtifactLogged, MetricsLogged, ParamsLogged, RunEnded, RunStarted, TagsSet
from autotrack.importing import run_id
from autotrack_trackio.importer import TrackioImporter

sys.path.insert(0, str(Path(__file__).parents[1] / "backends"))  # test modules are not a package

from trackio_server import PROGRAM, Trackio


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
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trackio]:
    trackio = Trackio(tmp_path_factory.mktemp("trackio"))
    trackio.write()
    yield trackio
    trackio.stop()


def told(place: Path) -> dict[str, tuple[list[AnyEvent], Kept]]:
    found = {}
    for run in TrackioImporter().runs(str(place), {}):
        kept = Kept()
        events = list(run.events(kept))
        assert {event.run for event in events} == {run_id(run.origin)}
        assert [event.time for event in events] == sorted(event.time for event in events)
        assert isinstance(events[0], RunStarted) and isinstance(events[-1], RunEnded)
        found[run.name] = events, kept
    return found


def test_everything_of_a_run_is_told(written: Trackio) -> None:
    runs = told(written.folder)
    assert set(runs) == {"first", "second"}
    events, kept = runs["first"]
    read = next(run for run in written.read() if run["name"] == "first")
    (start,) = [event for event in events if isinstance(event, RunStarted)]
    assert start.project == "hobby" and start.integration == "trackio"
    (params,) = [event for event in events if isinstance(event, ParamsLogged)]
    assert params.params == {"lr": 0.1, "layers": "[1, 2]", "deep.a": True}
    (tags,) = [event for event in events if isinstance(event, TagsSet)]
    assert tags.tags["trackio.id"] == read["id"]
    points = [event for event in events if isinstance(event, MetricsLogged) and "loss" in event.values]
    assert [(point.step, point.values["loss"]) for point in points] == [(n, 1.0 / (n + 1)) for n in range(4)]
    assert math.isnan(points[0].values["odd"]) and points[1].values["odd"] == math.inf
    assert {log["timestamp"][:19] for log in read["logs"]} >= {
        datetime.fromtimestamp(point.time // 10**9, UTC).isoformat()[:19] for point in points
    }
    files = {event.name: kept.blobs[event.digest] for event in events if isinstance(event, ArtifactLogged)}
    assert files["program/v0/trackio_program.py"] == PROGRAM.read_bytes()
    assert files["picture/4.png"].startswith(b"\x89PNG")
    assert files["words/4.json"] == b'"hello"' and b'"a": 1' in files["table/5.json"]
    assert b"careful" in files["trackio/alerts.json"]
    assert set(kept.missing) == {"status"}


def test_the_same_source_gives_the_same_events(written: Trackio) -> None:
    first, again = told(written.folder), told(written.folder / "hobby.db")
    assert repr([first[name][0] for name in first]) == repr([again[name][0] for name in again])


def test_a_file_from_before_runs_had_ids_is_read_by_their_names(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "old.db") as database:
        database.execute(
            "CREATE TABLE metrics (id INTEGER PRIMARY KEY, timestamp TEXT, run_name TEXT, step INTEGER, metrics TEXT)"
        )
        database.execute("CREATE TABLE configs (id INTEGER PRIMARY KEY, run_name TEXT, config TEXT, created_at TEXT)")
        database.execute(
            "INSERT INTO configs VALUES (1, 'one', '{\"lr\": 0.5, \"x\": \"NaN\"}', '2025-01-01T00:00:00')"
        )
        row = "INSERT INTO metrics (timestamp, run_name, step, metrics) VALUES ('2025-01-01T00:00:00', 'one', 7, ?)"
        database.execute(row, ('{"loss": 0.25, "n": 9007199254740993}',))
    database.close()
    ((events, kept),) = told(tmp_path).values()
    (points,) = [event for event in events if isinstance(event, MetricsLogged)]
    assert points.step == 7 and points.values["loss"] == 0.25 and points.time == 1_735_689_600_000_000_000
    (params,) = [event for event in events if isinstance(event, ParamsLogged)]
    assert params.params["lr"] == 0.5 and math.isnan(params.params["x"])
    assert "digits of n" in kept.missing


def test_a_place_without_projects_is_said(tmp_path: Path) -> None:
    (tmp_path / "other.db").write_bytes(b"no database")
    for place in (tmp_path, tmp_path / "other.db", tmp_path / "absent"):
        with pytest.raises(UsageError, match="no project of trackio"):
            list(TrackioImporter().runs(str(place), {}))
    with pytest.raises(UsageError, match="no options"):
        list(TrackioImporter().runs(str(tmp_path), {"a": "b"}))
