"""Putting rows into the store's tables, the same on SQLite and PostgreSQL, and asking for many of them at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Table, UniqueConstraint, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from autotrack.store.schema import registry

_REGISTRY_LOCK: Final = 0x6175746F74726764
"""Key of the lock under which the registry's log is appended to ("autotrgd")."""


def upsert(connection: Connection, table: Table, rows: Sequence[dict[str, Any]], *, replace: bool = True) -> None:
    """Insert rows. Where the key (or the one unique constraint) exists, replace the rest, or leave the row as it is."""
    if not rows:
        return
    key = [column.name for column in table.primary_key]
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint):
            key = [column.name for column in constraint.columns]
    statement: Any
    if connection.dialect.name == "postgresql":
        statement = postgresql.insert(table)
    else:
        statement = sqlite.insert(table)
    changed = {name: statement.excluded[name] for name in rows[0] if name not in key}
    if replace and changed:
        statement = statement.on_conflict_do_update(index_elements=key, set_=changed)
    else:
        statement = statement.on_conflict_do_nothing(index_elements=key)
    connection.execute(statement, rows)


def append_steps(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Append to the registry's log what it does not hold yet; its `id` grows in the order of the commits."""
    if rows and connection.dialect.name == "postgresql":  # SQLite has one writer at a time anyway
        connection.execute(select(func.pg_advisory_xact_lock(_REGISTRY_LOCK)))
    upsert(connection, registry, rows, replace=False)


def add(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows that cannot be there yet."""
    if rows:
        connection.execute(insert(table), rows)


Item = TypeVar("Item")


def slices(items: Iterable[Item], size: int = 400) -> Iterator[list[Item]]:
    """Parts small enough for one `IN (…)`: databases bound the number of values in a statement."""
    held = list(items)
    for start in range(0, len(held), size):
        yield held[start : start + size]
