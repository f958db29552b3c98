"""What `neptune-scale` left on disk: SQLite files of operations that wait for a server, read without the client.

The format is version `v5` of `neptune_scale/sync/operations_repository.py` (neptune-scale 0.30.0); an operation is one
of the messages of `neptune_pb/ingest/v1/common.proto` (neptune-api 0.24.0), whose field numbers stand below. Operations
are deleted once the server has confirmed them: a file of an online run holds only what was never sent.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from autotrack.errors import AutotrackError
from autotrack.events import Step
from autotrack.importing import ForeignRun
from autotrack.protobuf import Damaged, fields
from autotrack.protobuf import Value as Raw
from autotrack_neptune import wire
from autotrack_neptune.attributes import MICRO, Entry, File, Found, Moment, Value, from_micro
from autotrack_neptune.telling import foreign

FILE: Final = "run_operations.sqlite3"
VERSIONS: Final = ("v5",)

_UPDATE, _CREATE = 0, 1
_ADD, _REMOVE = 1, 2


def runs(places: list[Path], project: str | None, taken: set[str]) -> Iterator[ForeignRun]:
    """The runs of these files, each once: a run that went on in another process has a file for each."""
    by_run: dict[tuple[str, str], list[Path]] = {}
    for place in places:
        try:
            with closing(_opened(place)) as database:
                row = database.execute("SELECT version, project, run_id FROM metadata").fetchone()
        except (sqlite3.Error, OSError) as problem:
            yield _broken(place, f"{place} cannot be read: {problem}")
            continue
        if row is None:
            continue  # made, and never written to
        if row[0] not in VERSIONS:
            yield _broken(place, f"{place} has version {row[0]!r} of neptune-scale's format; read are {VERSIONS}")
            continue
        by_run.setdefault((row[1], row[2]), []).append(place)
    for (home, run), files in sorted(by_run.items()):
        origin = f"neptune:{home}/{run}"
        if origin in taken or any(map(_confirmed, files)):
            origin += "#unsent"  # what the server has of it may come from an export, as a run of its own
        taken.add(origin)
        name = next((name for name in map(_experiment, files) if name), run)
        found = _Reader(origin, home, run, sorted(files), project)
        yield foreign(found.read, origin, name)


def _broken(place: Path, why: str) -> ForeignRun:
    def read() -> Found:
        raise AutotrackError(why)

    return foreign(read, f"neptune:{place}", place.parent.name)


def _opened(place: Path) -> sqlite3.Connection:
    # Read only, whether or not somebody writes to it. Without its log beside it nothing needs be written to read it.
    live = place.with_name(place.name + "-wal").exists()
    how = "mode=ro" if live else "mode=ro&immutable=1"
    return sqlite3.connect(f"file:{quote(str(place.resolve()))}?{how}", uri=True)


def _confirmed(place: Path) -> int:
    """How many operations the server has taken, so that they are no longer here."""
    with closing(_opened(place)) as database:
        made = database.execute("SELECT seq FROM sqlite_sequence WHERE name = 'run_operations'").fetchone()
        (held,) = database.execute("SELECT COUNT(*) FROM run_operations").fetchone()
    return (made[0] if made else 0) - int(held)


def _experiment(place: Path) -> str:
    with closing(_opened(place)) as database:
        rows = database.execute("SELECT operation FROM run_operations WHERE operation_type = ?", (_CREATE,))
        try:
            return next((wire.text(wire.last(row[0]).get(5)) for row in rows), "")
        except Damaged:
            return ""


class _Reader:
    def __init__(self, origin: str, home: str, run: str, files: list[Path], project: str | None) -> None:
        self._made = origin, project or home, run, "scale"
        self._home = home
        self._places = files
        self._uploads: dict[str, tuple[str, str]] = {}
        self._steps: dict[str, Step] = {}

    def read(self) -> Found:
        found = self._found = Found(*self._made, tags={"neptune.project": self._home})
        for place in self._places:
            with closing(_opened(place)) as database:
                rows = database.execute("SELECT destination, source_path, mime_type FROM file_upload_requests")
                self._uploads |= {row[0]: (row[1], row[2]) for row in rows}
                confirmed = _confirmed(place)
                if confirmed:
                    found.lost["operations", "the server has taken them, and they are no longer here"] += confirmed
                for kind, operation, time in database.execute(
                    "SELECT operation_type, operation, timestamp FROM run_operations ORDER BY sequence_id"
                ):
                    found.ended = max(found.ended or 0, time * 1_000_000)
                    try:
                        self._operation(place, kind, operation)
                    except Damaged:
                        found.lost["operations", "cannot be decoded"] += 1
        return found

    def _operation(self, place: Path, kind: int, operation: bytes) -> None:
        if kind == _CREATE:
            self._create(wire.last(operation))
        elif kind == _UPDATE:
            self._update(place, operation)
        else:
            self._found.lost["operations", f"of a kind that is not known: {kind}"] += 1

    def _create(self, run: dict[int, Raw]) -> None:
        found = self._found
        if run.get(3) is not None and found.created is None:
            found.created = _time(wire.inside(run[3]))
            found.assign("sys/creation_time", Moment(found.created))
        if run.get(5):
            found.assign("sys/name", wire.text(run[5]))
        if run.get(4):
            found.tags["neptune.family"] = wire.text(run[4])
        if run.get(2) is not None:
            fork = wire.last(wire.inside(run[2]))
            found.parent = f"neptune:{wire.text(fork.get(1)) or self._home}/{wire.text(fork.get(2))}"
            if fork.get(4) is not None:
                found.tags["neptune.fork_step"] = str(_step(wire.inside(fork[4])))

    def _update(self, place: Path, operation: bytes) -> None:
        step: Step | None = None
        time: int | None = None
        preview = False
        parts: list[tuple[int, bytes]] = []
        for number, value in fields(operation):
            content = wire.inside(value)
            if number == 1:
                step = _step(content)
            elif number == 2:
                time = _time(content)
            elif number == 10:
                preview = bool(wire.last(content).get(1))
            elif number in (4, 5, 8):
                parts.append((number, content))
        for number, content in parts:
            entry = wire.last(content)
            path, inner = wire.text(entry.get(1)), wire.inside(entry.get(2))
            if number == 4:
                self._assign(place, path, inner, time)
            elif number == 5:
                self._modify(path, inner, time)
            elif preview:
                self._found.lost["preview points", "are provisional: those that were committed are carried"] += 1
            else:
                self._append(place, path, inner, step, time)

    def _assign(self, place: Path, path: str, content: bytes, time: int | None) -> None:
        value: Value
        for number, given in fields(content):
            if number == 1:
                value = wire.double(given)
            elif number == 3:
                value = wire.integer(given)
            elif number == 5:
                value = bool(given)
            elif number == 6:
                value = wire.text(given)
            elif number == 8:
                value = Moment(_time(wire.inside(given)))
            elif number == 12:
                value = tuple(sorted({wire.text(one) for _, one in fields(wire.inside(given))}))
            elif number == 13:
                self._found.files[path] = [self._file(place, wire.inside(given), None, time)]
                continue
            else:
                self._found.lost["values", f"of a type that is not known: {number}"] += 1
                continue
            self._found.assign(path, value, time)

    def _modify(self, path: str, content: bytes, time: int | None) -> None:
        add: set[str] = set()
        remove: set[str] = set()
        for number, strings in fields(content):
            if number != 1:
                continue
            for _, entry in fields(wire.inside(strings)):
                change = wire.last(wire.inside(entry))
                (add if change.get(2) == _ADD else remove).add(wire.text(change.get(1)))
        self._found.change_set(path, add, remove, time)

    def _append(self, place: Path, path: str, content: bytes, step: Step | None, time: int | None) -> None:
        found = self._found
        for number, given in fields(content):
            if number in (1, 3):
                value = wire.double(given) if number == 1 else float(wire.integer(given))
                found.points.add(path, step, time if time is not None else found.created or 0, value)
            elif number == 6:
                found.texts.setdefault(path, []).append(Entry(step, time, wire.text(given)))
            elif number == 14:
                found.histograms.setdefault(path, []).append(Entry(step, time, _histogram(wire.inside(given))))
            elif number == 13:
                found.files.setdefault(path, []).append(self._file(place, wire.inside(given), step, time))
            else:
                found.lost["entries of series", f"of a type that is not known: {number}"] += 1

    def _file(self, place: Path, content: bytes, step: Step | None, time: int | None) -> File:
        reference = wire.last(content)
        destination = wire.text(reference.get(1))
        source, _ = self._uploads.get(destination, ("", ""))
        if not source:
            return File(place / destination, step=step, time=time, missing="the server has taken the file")
        there = Path(source)
        beside = place.with_name(there.name)
        if not there.exists() and beside.exists():
            there = beside  # the folder was moved since
        return File(there, there.suffix, step, time)


def _time(stamp: bytes) -> int:
    parts = wire.last(stamp)
    return wire.integer(parts.get(1)) * 1_000_000_000 + wire.integer(parts.get(2))


def _step(content: bytes) -> Step:
    parts = wire.last(content)
    return from_micro(wire.integer(parts.get(1)) * MICRO + wire.integer(parts.get(2)))


def _histogram(content: bytes) -> dict[str, Any]:
    held = {"type": "", "edges": wire.doubles(content, 1), "values": []}
    for number, given in fields(content):
        if number == 4:
            held |= {"type": "COUNTING", "values": wire.integers(wire.inside(given), 1)}
        elif number == 5:
            held |= {"type": "DENSITY", "values": wire.doubles(wire.inside(given), 1)}
    return held
