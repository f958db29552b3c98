"""A copy of the store as it is at one moment, while others write to it; and back into a database.

On either side is a SQLite file or a database that `AUTOTRACK_STORE_URL` names. SQLite is copied by its own backup
interface, everything else row by row through the tables of `autotrack.store.schema`, so that no program of the
database's is needed. What only this installation should know is left out: who may look at the dashboard.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from sqlalchemy import Column, Connection, Integer, create_engine, func, inspect, select, text

from autotrack.errors import StoreError, UsageError
from autotrack.settings import Settings
from autotrack.store import schema
from autotrack.store.engine import FILE, shown, writing
from autotrack.store.query import Store
from autotrack.store.rows import add

SECRET: Final = ("tokens",)
"""Tables that stay where they are."""

_ROWS: Final = 1000


def export(home: Path, settings: Settings, target: Path) -> int:
    """Write a SQLite file with everything that the store holds now; gives the number of its runs.

    Raises `StoreError` where the store cannot be read.
    """
    with Store.open(home, settings) as store:
        if store.engine.dialect.name == "sqlite":
            _backed_up(Path(str(store.engine.url.database)), target)
        else:
            with store.engine.connect().execution_options(isolation_level="REPEATABLE READ") as source:
                _to_file(source, target)
    with closing(sqlite3.connect(target)) as copy:
        (runs,) = copy.execute("SELECT count(*) FROM runs").fetchone()
    return int(runs)


def bring_in(home: Path, settings: Settings) -> None:
    """Copy the SQLite file of `home` into the database that the settings name, and remove it.

    Raises `UsageError` where there are runs in that database already.
    """
    with (
        Store.open(home, Settings()) as source,  # an older version is brought up to date here
        Store.open(home, settings) as target,
        source.engine.connect() as rows,
        writing(target.engine) as into,
    ):
        if into.execute(select(func.count()).select_from(schema.runs)).scalar_one():
            where = shown(target.engine)
            raise UsageError(f"there are runs in {where} already: name an empty database to restore into")
        _copy(rows, into, but=("meta", *SECRET))
        _count_on(into)
    for file in home.glob(f"{FILE}*"):
        file.unlink()


def _backed_up(source: Path, target: Path) -> None:
    try:
        with closing(sqlite3.connect(source)) as held, closing(sqlite3.connect(target)) as copy:
            held.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")
            copy.execute("PRAGMA secure_delete=ON")
            there = {name for (name,) in copy.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            for name in there.intersection(SECRET):
                copy.execute(f"DELETE FROM {name}")
            copy.commit()
    except sqlite3.Error as problem:
        raise StoreError(f"{source} cannot be copied ({problem}); see: autotrack verify") from problem


def _to_file(source: Connection, target: Path) -> None:
    engine = create_engine(f"sqlite:///{target}")
    try:
        with engine.begin() as into:
            schema.tables.create_all(into)
            _copy(source, into, but=SECRET)
    finally:
        engine.dispose()


def _copy(source: Connection, into: Connection, but: tuple[str, ...]) -> None:
    """Every row of every table that both know."""
    known = set(inspect(source).get_table_names())
    for table in schema.tables.sorted_tables:
        if table.name in but or table.name not in known:
            continue
        found = source.execute(select(table).execution_options(yield_per=_ROWS)).mappings()
        for some in found.partitions(_ROWS):
            add(into, table, [dict(row) for row in some])


def _count_on(connection: Connection) -> None:
    """Let ids that the database gives go on after those that were brought in."""
    if connection.dialect.name != "postgresql":
        return
    for table in schema.tables.sorted_tables:
        column = table.autoincrement_column
        if not _counts(column):
            continue
        assert column is not None
        name = connection.execute(
            text("SELECT pg_get_serial_sequence(:table, :column)"), {"table": table.name, "column": column.name}
        ).scalar()
        highest = connection.execute(select(func.max(column))).scalar()
        if name is not None and highest is not None:
            connection.execute(text("SELECT setval(:name, :highest)"), {"name": name, "highest": highest})


def _counts(column: Column[int] | None) -> bool:
    return column is not None and isinstance(column.type, Integer)
