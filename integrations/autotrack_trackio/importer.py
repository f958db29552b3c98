"""Reading trackio's projects: one SQLite file a project, with the files of its runs beside it.

The layout is that of trackio's `sqlite_storage.py`, schema versions 1 and 2 (0.43): tables `metrics` (one JSON object
a log), `system_metrics`, `configs`, `artifacts` with their versions and links, `alerts`, `traces`. Files older than
version 2 know runs by their names alone. They are opened for reading only, and trackio itself is not needed.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from autotrack.errors import UsageError
from autotrack.events import (
    AnyEvent,
    ArtifactLogged,
    MetricsLogged,
    ParamsLogged,
    RunEnded,
    RunStarted,
    Scalar,
    Status,
    TagsSet,
)
from autotrack.importing import ForeignRun, Keeping, run_id

NOT_FINITE: Final = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
STATUSES: Final[tuple[Status, ...]] = ("finished", "failed", "killed", "pruned")
SYSTEM: Final = "system/"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class TrackioImporter:
    """Reads the runs in a folder of trackio, or in one of its files."""

    def runs(self, place: str, options: Mapping[str, str]) -> Iterator[ForeignRun]:
        """Every run of every project. No options."""
        if options:
            raise UsageError(f"trackio's importer has no options, and was given {', '.join(options)}")
        path = Path(place).expanduser()
        files = [path] if path.is_file() else sorted(path.glob("*.db"))
        found = [(file, runs) for file in files if (runs := _runs(file)) is not None]
        if not found:
            raise UsageError(f"{path} has no project of trackio: name the folder of TRACKIO_DIR, or a .db file in it")
        for file, runs in found:
            for run in runs:
                story = Story(file, run)
                yield ForeignRun(story.origin, run.name, story.tell)


@dataclass(frozen=True)
class TrackioRun:
    """One run: `key` is the column that tells runs apart, `id` what it holds."""

    key: str
    id: str
    name: str


def _runs(file: Path) -> list[TrackioRun] | None:
    """The runs of a file; None where it is no project."""
    try:
        with closing(_opened(file)) as database:
            columns = _columns(database, "metrics")
            if not {"run_name", "step", "metrics", "timestamp"} <= columns:
                return None
            key = "run_id" if "run_id" in columns else "run_name"
            found: dict[str, TrackioRun] = {}
            for table in ("metrics", "system_metrics", "configs"):
                if key in _columns(database, table):
                    for one, name in database.execute(f"SELECT {key}, MIN(run_name) FROM {table} GROUP BY {key}"):
                        found.setdefault(str(one), TrackioRun(key, str(one), str(name)))
            return list(found.values())
    except sqlite3.DatabaseError:
        return None


@dataclass
class Story:
    """Tells one run."""

    file: Path
    run: TrackioRun
    _points: list[tuple[int, MetricsLogged]] = field(default_factory=list)

    @property
    def origin(self) -> str:
        """The project and trackio's own id, which do not depend on where the folder is."""
        return f"trackio:{self.file.stem}/{self.run.id}"

    def tell(self, keeping: Keeping) -> Iterator[AnyEvent]:
        """The events, in the order of time."""
        with closing(_opened(self.file)) as database:
            yield from self._tell(database, keeping)

    def _tell(self, database: sqlite3.Connection, keeping: Keeping) -> Iterator[AnyEvent]:
        run = run_id(self.origin)
        config = self._config(database)
        ours = config.pop("autotrack", None)
        ours = ours if isinstance(ours, dict) else {}
        logs = self._rows(database, "metrics", "timestamp, step, metrics")
        system = self._rows(database, "system_metrics", "timestamp, metrics")
        times = [_nanoseconds(row[0]) for row in (*logs, *system)]
        created = config.pop("_Created", None)
        known = [*times, _nanoseconds(created)] if created else times
        begin = min(known) if known else 0
        group, user = config.pop("_Group", None), config.pop("_Username", None)
        environment = {"user": user} if user else {}
        name = ours.get("name") or self.run.name
        yield RunStarted(run, begin, name, self.file.stem, None, "trackio", environment, ours.get("code") or {})
        tags = {"trackio.id": self.run.id, **({"trackio.group": str(group)} if group else {})}
        yield TagsSet(run, begin, {**tags, **{key: str(value) for key, value in (ours.get("tags") or {}).items()}})
        if config:
            yield ParamsLogged(run, begin, dict(_flat(config)))
        yield from self._artifacts(database, run, begin, keeping)
        yield from self._tables(database, run, begin, keeping)
        events: list[AnyEvent] = []
        for timestamp, step, text in logs:
            events += self._log(run, _nanoseconds(timestamp), step, json.loads(text), keeping)
        for number, (timestamp, text) in enumerate(system):
            # They have no steps in trackio: the number of the sample stands for one.
            values = {SYSTEM + key: value for key, value in json.loads(text).items()}
            events += self._log(run, _nanoseconds(timestamp), number, values, keeping)
        events.sort(key=lambda event: event.time)  # stable: as trackio's own reader orders them
        yield from events
        status: Status | None = next((one for one in STATUSES if one == ours.get("status")), None)
        if status is None:
            status = "finished"
            keeping.not_carried("status", "trackio keeps none: the run is told as finished")
        yield RunEnded(run, max([begin, *times]), status, ours.get("error") or None)

    def _rows(self, database: sqlite3.Connection, table: str, columns: str) -> list[Any]:
        if self.run.key not in _columns(database, table):
            return []
        statement = f"SELECT {columns} FROM {table} WHERE {self.run.key} = ? ORDER BY timestamp, id"
        return database.execute(statement, (self.run.id,)).fetchall()

    def _config(self, database: sqlite3.Connection) -> dict[str, Any]:
        key = self.run.key if self.run.key in _columns(database, "configs") else "run_name"
        if key not in _columns(database, "configs"):
            return {}
        value = self.run.id if key == self.run.key else self.run.name
        row = database.execute(f"SELECT config FROM configs WHERE {key} = ?", (value,)).fetchone()
        config: dict[str, Any] = json.loads(row[0]) if row else {}
        return config

    def _log(self, run: str, time: int, step: Any, values: dict[str, Any], keeping: Keeping) -> Iterator[AnyEvent]:
        numbers: dict[str, float] = {}
        for key, value in values.items():
            if isinstance(value, str) and value in NOT_FINITE:
                numbers[key] = NOT_FINITE[value]
            elif isinstance(value, bool | int | float):
                numbers[key] = float(value)
                if isinstance(value, int) and int(numbers[key]) != value:
                    keeping.not_carried(f"digits of {key}", "metrics are 64-bit floats")
            elif value is not None:
                yield from self._other(run, time, step, key, value, keeping)
        if numbers:
            yield MetricsLogged(run, time, step if isinstance(step, int) else str(step), numbers)

    def _other(self, run: str, time: int, step: Any, key: str, value: Any, keeping: Keeping) -> Iterator[AnyEvent]:
        """What is no number: the file of an image, video or sound; anything else as JSON."""
        path = value.get("file_path") if isinstance(value, dict) else None
        name = f"{key}/{step}"
        if isinstance(path, str):
            media = self.file.parent / "media"
            source = (media / path).resolve()
            if not source.is_relative_to(media.resolve()) or not source.is_file():
                keeping.not_carried(f"files of {key}", "the file is not in trackio's folder")
                return
            digest, size = keeping.keep(source)
            yield ArtifactLogged(run, time, name + source.suffix, digest, size)
            return
        digest, size = keeping.keep(_json(value))
        yield ArtifactLogged(run, time, name + ".json", digest, size, "application/json")

    def _artifacts(self, database: sqlite3.Connection, run: str, begin: int, keeping: Keeping) -> Iterator[AnyEvent]:
        if "artifact_version_id" not in _columns(database, "run_artifact_links"):
            return
        statement = """SELECT a.name, v.version, v.manifest FROM run_artifact_links l
            JOIN artifact_versions v ON v.id = l.artifact_version_id JOIN artifacts a ON a.id = v.artifact_id
            WHERE l.direction = 'output' AND (l.run_id = ? OR l.run_id IS NULL AND l.run_name = ?)
            ORDER BY a.name, v.version"""
        for name, version, manifest in database.execute(statement, (self.run.id, self.run.name)).fetchall():
            for entry in json.loads(manifest):
                digest, label = str(entry.get("digest")), f"{name}/v{version}/{entry.get('path')}"
                source = self.file.parent / "artifacts" / self.file.stem / "blobs" / "sha256" / digest[:2] / digest
                if "ref" in entry or not digest.isalnum() or not source.is_file():
                    keeping.not_carried("files of artifacts", "the file is not in trackio's folder")
                    continue
                kept, size = keeping.keep(source)
                yield ArtifactLogged(run, begin, label, kept, size)

    def _tables(self, database: sqlite3.Connection, run: str, begin: int, keeping: Keeping) -> Iterator[AnyEvent]:
        """Alerts and traces have no place of their own: each is one file of JSON."""
        for table in ("alerts", "traces"):
            if self.run.key not in _columns(database, table):
                continue
            cursor = database.execute(f"SELECT * FROM {table} WHERE {self.run.key} = ? ORDER BY rowid", (self.run.id,))
            names = [column[0] for column in cursor.description]
            rows = [dict(zip(names, row, strict=True)) for row in cursor]
            if rows:
                digest, size = keeping.keep(_json(rows))
                yield ArtifactLogged(run, begin, f"trackio/{table}.json", digest, size, "application/json")


def _opened(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)


def _columns(database: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in database.execute(f"PRAGMA table_info({table})")}


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=2, default=str).encode()


def _flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Scalar]]:
    for key, value in config.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{key}.")
        elif isinstance(value, str) and value in NOT_FINITE and not prefix:
            yield prefix + key, NOT_FINITE[value]
        elif value is None or isinstance(value, str | int | float):
            yield prefix + key, value
        else:
            yield prefix + key, json.dumps(value)


def _nanoseconds(text: Any) -> int:
    """Nanoseconds since the epoch; trackio writes ISO 8601, in UTC where it says no zone."""
    moment = datetime.fromisoformat(str(text))
    passed = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH
    return passed // timedelta(microseconds=1) * 1000
