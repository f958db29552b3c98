"""What is known of each run, once from its journals and once from the store, in a form in which both can be compared.

Records or rows enter; for each run leave its status, its points (as a number and a checksum for each series, which do
not depend on their order), and what else was logged. Where the latest of several values counts, the last of each
journal is kept: which of them came last is known to the store alone.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Table, select
from xxhash import xxh3_64_intdigest

from autotrack.errors import StoreError
from autotrack.events import ModelLogged, Record
from autotrack.store import schema
from autotrack.store.gather import gather
from autotrack.store.series import Points, decode, joined, step_text, summary

BATCH: Final = 5_000
_WHOLE: Final = 0xFFFF_FFFF_FFFF_FFFF
_OWN_NOTES: Final = ("long names", "NUL characters")
"""Notes that the store makes itself, how often depends on how events came."""

Place = tuple[str, ...]


@dataclass
class Facts:
    """What is known of one run. A value is kept as a hash of it."""

    statuses: dict[str, str] = field(default_factory=dict)
    """The last word of each journal; of the store, its own."""
    points: dict[str, tuple[int, int]] = field(default_factory=dict)
    values: dict[Place, set[int]] = field(default_factory=dict)
    """Of params, tags and provenance: what the latest value may be."""
    items: Counter[Place] = field(default_factory=Counter)
    """Datasets, models, artifacts and steps of registered models; of notes and the console, how much."""
    unsure: bool = False
    """Whether it has a model of which only the store knows what it became."""

    def add_points(self, key: str, points: Points) -> None:
        """Count points of one series."""
        count, total = self.points.get(key, (0, 0))
        self.points[key] = count + len(points), (total + checksum(points)) & _WHOLE


@dataclass
class Held:
    """What the store holds."""

    runs: dict[str, Facts] = field(default_factory=dict)
    cursors: dict[str, int] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    """Runs that were removed for good, of which nothing is to be there."""
    problems: list[dict[str, str]] = field(default_factory=list)
    """`{run, problem}` of what contradicts itself."""
    dangling: list[dict[str, str]] = field(default_factory=list)
    """`{run, problem}` of what names something that is not here."""
    points: int = 0


def of_journal(records: Iterable[Record], writer: str, outcomes: Path, into: dict[str, Facts]) -> int:
    """Add what a journal says; gives the number of its events. `outcomes` is the folder of converted snapshots."""
    count = 0
    for batch in _batches(records):
        count += len(batch)
        found = gather([_with_outcome(record, outcomes) for record in batch])
        for run in found.runs:
            into.setdefault(run, Facts())
        for run, words in found.lifecycle.items():
            into[run].statuses[writer] = getattr(words[-1], "status", "running")
        for (run, key), points in found.points.items():
            into[run].add_points(key, points)
        for table, rows in (("params", found.params), ("tags", found.tags.values())):
            for row in rows:
                _value(into, row, table, row["key"])
        for row in found.provenance.values():
            _value(into, row, row["kind"], row["key"])
        for row in found.datasets.values():
            into[row["run_id"]].items["dataset", row["role"], row["name"], row["digest"]] = 1
        for row in found.artifacts.values():
            into[row["run_id"]].items["artifact", row["name"], row["digest"]] = 1
        for row in found.models:
            into[row["run_id"]].items["model", row["name"], row["step"] or "", row["digest"] or ""] += 1
            into[row["run_id"]].unsure |= row["snapshot"] is not None
        for row in found.notes:
            if row["run_id"] and row["what"] not in _OWN_NOTES:
                into[row["run_id"]].items["note", row["what"], row["why"]] += row["count"]
        for row in found.console:
            into[row["run_id"]].items["console", row["stream"]] += len(row["text"])
        for row in found.registry.values():
            into.setdefault(row["run_id"], Facts()).items[_step_of_model(row)] = 1
    return count


def of_store(connection: Connection) -> Held:
    """Everything that the store holds."""
    held = Held()
    held.cursors = {row.writer: int(row.position) for row in connection.execute(select(schema.cursors))}
    held.removed = set(connection.execute(select(schema.tombstones.c.run_id)).scalars())
    parents: dict[str, str] = {}
    for row in _rows(connection, schema.runs):
        held.runs[row.id] = Facts(statuses={"": row.status})
        if row.id in held.removed:
            held.problems.append({"run": row.id, "problem": "it was removed for good and is in the store"})
        if row.parent_id:
            parents[row.id] = row.parent_id
    for run, parent in parents.items():
        if parent not in held.runs:
            what = "was removed for good" if parent in held.removed else "is not in the store"
            held.dangling.append({"run": run, "problem": f"its parent {parent} {what}"})
    into = held.runs
    for name, table in (("params", schema.params), ("tags", schema.tags)):
        for row in _of_runs(connection, table, held):
            _value(into, row._mapping, name, row.key)
    for row in _of_runs(connection, schema.provenance, held):
        _value(into, row._mapping, row.kind, row.key)
    for row in _of_runs(connection, schema.datasets, held):
        into[row.run_id].items["dataset", row.role, row.name, row.digest] = 1
    for row in _of_runs(connection, schema.artifacts, held):
        into[row.run_id].items["artifact", row.name, row.digest] = 1
    for row in _of_runs(connection, schema.models, held):
        into[row.run_id].items["model", row.name, row.step or "", row.digest or ""] += 1
    for row in _of_runs(connection, schema.notes, held):
        if row.run_id and row.what not in _OWN_NOTES:
            into[row.run_id].items["note", row.what, row.why] += row.count
    for row in _of_runs(connection, schema.console, held):
        into[row.run_id].items["console", row.stream] += len(row.text)
    for row in _rows(connection, schema.registry):
        into.setdefault(row.run_id, Facts()).items[_step_of_model(row._mapping)] = 1
    _series(connection, held)
    return held


def _series(connection: Connection, held: Held) -> None:
    series, chunks = schema.series, schema.chunks
    wanted = (
        select(series, chunks.c.number, chunks.c.data)
        .select_from(series.outerjoin(chunks, chunks.c.series_id == series.c.id))
        .order_by(series.c.id, chunks.c.number)
    )
    for row, data in _grouped(connection.execute(wanted.execution_options(yield_per=100))):
        if row.run_id not in held.runs:
            held.problems.append({"run": row.run_id, "problem": f"the series {row.key!r} belongs to no run"})
            continue
        try:
            points = joined([decode(one) for one in data])
        except StoreError as problem:
            held.problems.append({"run": row.run_id, "problem": f"the series {row.key!r}: {problem}"})
            continue
        held.points += len(points)
        if len(points):
            held.runs[row.run_id].add_points(row.key, points)
        if len(data) != row.chunks or not _fits(row, points):
            held.problems.append(
                {"run": row.run_id, "problem": f"the summary of the series {row.key!r} is not that of its points"}
            )


def _grouped(rows: Iterable[Any]) -> Iterator[tuple[Any, list[bytes]]]:
    last, data = None, []
    for row in rows:
        if last is not None and row.id != last.id:
            yield last, data
            data = []
        last = row
        if row.data is not None:
            data.append(row.data)
    if last is not None:
        yield last, data


def _fits(row: Any, points: Points) -> bool:
    if not len(points):
        return bool(row.count == 0)
    told = summary(points)
    steps = step_text(told.first_step), step_text(told.last_step)
    return (row.count, row.nan_count, row.first_step, row.last_step, row.last, row.min, row.max) == (
        told.count, told.nan_count, *steps, told.last, told.min, told.max,
    )  # fmt: skip


def checksum(points: Points) -> int:
    """A sum over the points that does not depend on their order, nor on how a step was written."""
    numerators, scales = _plain(points)
    values = np.ascontiguousarray(points.values, np.float64).view(np.uint64).copy()
    values[np.isnan(points.values)] = 0x7FF8_0000_0000_0000
    with np.errstate(over="ignore"):
        mixed = numerators * np.uint64(0x9E3779B97F4A7C15) ^ scales * np.uint64(0xC2B2AE3D27D4EB4F)
        mixed = _stirred(mixed) ^ points.times.view(np.uint64) * np.uint64(0x165667B19E3779F9)
        mixed = _stirred(mixed) ^ values * np.uint64(0xD6E8FEB86659FD93)
        return int(_stirred(mixed).sum(dtype=np.uint64))


def _stirred(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Each word mixed: the last step of MurmurHash3 for 64 bits (Austin Appleby, public domain)."""
    words = words ^ (words >> np.uint64(33))
    words = words * np.uint64(0xFF51AFD7ED558CCD)
    words = words ^ (words >> np.uint64(33))
    words = words * np.uint64(0xC4CEB9FE1A85EC53)
    return words ^ (words >> np.uint64(33))


def _plain(points: Points) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Numerators and scales without trailing zeros."""
    if points.numerators.dtype == object:
        texts = [step_text(points.step(index)) for index in range(len(points))]
        hashes = np.fromiter((xxh3_64_intdigest(text.encode()) for text in texts), np.uint64, len(texts))
        return _small(texts, hashes)
    numerators = points.numerators.astype(np.int64)
    scales = np.full(len(numerators), points.scale, np.uint64)
    for _ in range(points.scale):
        whole = (scales > 0) & (numerators % 10 == 0)
        if not whole.any():
            break
        numerators = np.where(whole, numerators // 10, numerators)
        scales = scales - whole.astype(np.uint64)
    return numerators.view(np.uint64), scales


def _small(texts: list[str], hashes: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """As of numerators of 64 bits where they fit, since the same step may come with such ones; else of the text."""
    scales = np.zeros(len(texts), np.uint64)
    for index, text in enumerate(texts):
        digits, _, after = text.partition(".")
        number = int(digits + after)
        if -(2**63) <= number < 2**63:
            hashes[index], scales[index] = number & _WHOLE, len(after)
        else:
            scales[index] = 1 << 32
    return hashes, scales


def _value(into: dict[str, Facts], row: Any, kind: str, key: str) -> None:
    hashed = xxh3_64_intdigest(str(row["value"]).encode(errors="replace"))
    into[row["run_id"]].values.setdefault((kind, key), set()).add(hashed)


def _step_of_model(row: Any) -> Place:
    told = [row["model"], row["action"], row["digest"], row["who"], row["why"], row["record"]]
    digest = hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]
    return "step", str(row["model"]), str(row["action"]), str(row["event_id"]), digest


def _with_outcome(record: Record, outcomes: Path) -> Record:
    """The record as backends got it, where it tells of a model that was converted later."""
    event = record.event
    if not isinstance(event, ModelLogged) or event.snapshot is None or not event.snapshot.isalnum():
        return record
    try:
        told = json.loads((outcomes / f"{event.snapshot}.json").read_bytes())
        known = {name: told.get(name) for name in ("digest", "bytes", "problem")}
    except (OSError, ValueError, AttributeError):
        return record
    return msgspec.structs.replace(record, event=msgspec.structs.replace(event, snapshot=None, **known))


def _rows(connection: Connection, table: Table) -> Iterable[Any]:
    return connection.execute(select(table).execution_options(yield_per=1000))


def _of_runs(connection: Connection, table: Table, held: Held) -> Iterator[Any]:
    for row in _rows(connection, table):
        if row.run_id in held.runs:
            yield row
        elif row.run_id:
            told = {"run": row.run_id, "problem": f"a row of {table.name} belongs to no run"}
            if told not in held.problems[-100:]:
                held.problems.append(told)


def _batches(records: Iterable[Record]) -> Iterator[list[Record]]:
    batch: list[Record] = []
    for record in records:
        batch.append(record)
        if len(batch) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
