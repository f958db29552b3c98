"""Runs that were removed for good: the part of an ingest that lets their rows go and takes in none of them again.

What a batch says enters, inside the ingest's transaction and with the rows of its runs locked; what is said of removed
runs is taken out of it, in whatever order journals arrive. Bytes that SQLite has freed are written over, and `compact`
leaves no others behind.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Engine, delete, func, select

from autotrack.errors import RunRemoved, StoreError
from autotrack.store import schema
from autotrack.store.engine import BUSY_SECONDS, shown
from autotrack.store.records import iso
from autotrack.store.rows import slices, upsert
from autotrack.store.schema import tombstones

if TYPE_CHECKING:
    from autotrack.store.gather import Gathered

_OF_SERIES: Final = (schema.chunks, schema.overviews)
_OF_RUNS: Final = tuple(
    table
    for table in schema.tables.sorted_tables
    if "run_id" in table.c and table.name not in ("tombstones", "registry")  # a model's log is its own
)
_PATIENCE: Final = 10.0
"""Seconds that `compact` waits for readers of what was there before."""


def bury(connection: Connection, found: Gathered) -> None:
    """Let go of the runs that the batch says were removed, and of what it says of any run that was.

    The rows of all runs of the batch must be locked: who comes later to one of them sees the tombstone.
    """
    upsert(connection, tombstones, list(found.tombstones.values()), replace=False)
    gone: set[str] = set()
    for some in slices(found.runs):
        gone.update(connection.execute(select(tombstones.c.run_id).where(tombstones.c.run_id.in_(some))).scalars())
    if not gone:
        return
    _leave_out(found, gone)
    with _written_over(connection):
        for some in slices(sorted(gone)):
            numbers = select(schema.series.c.id).where(schema.series.c.run_id.in_(some))
            for table in _OF_SERIES:
                connection.execute(delete(table).where(table.c.series_id.in_(numbers)))
            for table in _OF_RUNS:
                connection.execute(delete(table).where(table.c.run_id.in_(some)))
            connection.execute(delete(schema.runs).where(schema.runs.c.id.in_(some)))


def _leave_out(found: Gathered, gone: set[str]) -> None:
    """Forget what the batch says of these runs, but for the steps of registered models."""
    for run in gone:
        found.runs.pop(run, None)
        found.lifecycle.pop(run, None)
    for rows in (found.params, found.models, found.notes, found.console):
        rows[:] = [row for row in rows if row["run_id"] not in gone]
    by_run: list[dict[Any, Any]] = [found.tags, found.datasets, found.artifacts]
    by_run += [found.provenance, found.links, found.points]
    for table in by_run:
        for place in [place for place in table if place[0] in gone]:
            del table[place]


def buried(connection: Connection, runs: Iterable[str]) -> set[str]:
    """Which of these runs the store knows to be removed."""
    found: set[str] = set()
    for some in slices(runs):
        found.update(connection.execute(select(tombstones.c.run_id).where(tombstones.c.run_id.in_(some))).scalars())
    return found


def removed_run(connection: Connection, ref: str) -> RunRemoved | None:
    """What to say of a reference that fits no run, where it is the id, or begins that, of one that was removed."""
    beginning = func.substr(tombstones.c.run_id, 1, len(ref)) == ref
    wanted = select(tombstones).where(beginning).order_by(tombstones.c.run_id).limit(2)
    rows = connection.execute(wanted).all() if ref else []
    if not rows or len(rows) > 1 and rows[0].run_id != ref:
        return None
    told = f"run {rows[0].run_id} was removed for good on {iso(rows[0].time)[:10]} by {rows[0].who}"
    because = f" because: {rows[0].why}" if rows[0].why else ""
    return RunRemoved(told + because, rows[0].run_id)


def compact(engine: Engine) -> None:
    """Leave no byte of a removed row in SQLite's file. PostgreSQL's own vacuum does so in time.

    Raises `StoreError` where that cannot be done now: there is no room, or somebody reads what was there before.
    """
    if engine.dialect.name != "sqlite":
        return
    engine.dispose()
    path = Path(str(engine.url.database))
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)) as plain:
            plain.execute("PRAGMA secure_delete=ON")
            plain.execute("VACUUM")
            deadline = time.monotonic() + _PATIENCE
            while plain.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                if time.monotonic() > deadline:
                    raise StoreError(f"{path.name}-wal still holds what was there before, until its readers have ended")
                time.sleep(0.1)
    except sqlite3.Error as problem:
        told = f"{shown(engine)} cannot be compacted ({problem}): freed bytes may still be in it"
        raise StoreError(told) from problem


@contextmanager
def _written_over(connection: Connection) -> Iterator[None]:
    """Freed bytes are overwritten with zeros meanwhile."""
    if connection.dialect.name != "sqlite":
        yield
        return
    before = connection.exec_driver_sql("PRAGMA secure_delete").scalar()
    connection.exec_driver_sql("PRAGMA secure_delete=ON").close()
    try:
        yield
    finally:
        connection.exec_driver_sql(f"PRAGMA secure_delete={before}").close()
