"""A store that is filled from journals again: steps of registered models get the order in which they were taken.

Journals come one after another, and a training that has begun before others may have taken its step after theirs. What
the store had before keeps its place. Only a home's own store is put in order so: in one that people share, a step has
its place by when it was accepted, and others may have built on that.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.exc import DBAPIError

from autotrack.errors import AutotrackError, StoreError
from autotrack.settings import Settings
from autotrack.store.engine import open_engine, writing
from autotrack.store.schema import registry


def last_step(home: Path, settings: Settings) -> int | None:
    """The place of the last step in the log, 0 where there is none; None where no order can be made."""
    if settings.store_url is not None:
        return None
    try:
        engine = open_engine(home, settings)
    except (AutotrackError, DBAPIError, OSError):  # who delivers says so
        return None
    try:
        with engine.connect() as connection:
            return connection.execute(select(func.max(registry.c.id))).scalar() or 0
    finally:
        engine.dispose()


def order_steps(home: Path, settings: Settings, after: int) -> None:
    """Give the steps whose place is `after` that the order of their times. Raises `StoreError` where that fails."""
    engine = open_engine(home, settings)
    try:
        with writing(engine) as connection:
            table = registry.c
            found = connection.execute(select(table.id, table.time).where(table.id > after).order_by(table.id)).all()
            places = [row.id for row in found]
            wanted = [row.id for row in sorted(found, key=lambda row: (row.time, row.id))]
            moved = [{"old": old, "new": -new} for old, new in zip(wanted, places, strict=True) if old != new]
            if moved:
                move = update(registry).where(table.id == bindparam("old")).values(id=bindparam("new"))
                connection.execute(move, moved)
                connection.execute(update(registry).where(table.id < 0).values(id=-table.id))
    except DBAPIError as problem:
        raise StoreError(
            f"the steps of registered models are not in the order in which they were taken ({problem.orig}): move "
            "the store away and `autotrack sync` again"
        ) from problem
    finally:
        engine.dispose()
