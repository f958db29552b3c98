"""Opening the store's database: SQLite in the home, or the one that `AUTOTRACK_STORE_URL` names.

Settings enter; an engine leaves whose tables exist and are of a version that this release reads. Transactions of
`writing` lock SQLite at their beginning, so that two ingesters wait for each other instead of failing half-way.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, insert, inspect, make_url, select
from sqlalchemy.exc import ArgumentError, DatabaseError, InterfaceError, NoSuchModuleError, OperationalError

from autotrack.errors import StoreError, UsageError
from autotrack.settings import Settings
from autotrack.store import schema
from autotrack.store.filesystem import is_network

FILE: Final = "store.db"
BUSY_SECONDS: Final = 30.0
"""How long a statement waits for another process that writes."""

_CREATION_LOCK: Final = 0x6175746F74726163
"""Key of the PostgreSQL advisory lock under which the tables are made ("autotrac")."""
_BEGIN = "autotrack_begin"
_NOT_ALLOWED = "42501"
"""PostgreSQL's state for a privilege that a user lacks."""


def open_engine(home: Path, settings: Settings) -> Engine:
    """The engine of the store of `home`, its tables made.

    Raises `UsageError` for a URL that cannot be used, `StoreError` for what is no store or a newer one, and
    SQLAlchemy's `OperationalError` when the database cannot be reached now.
    """
    url = _url(home, settings)
    if url.get_backend_name() == "sqlite":
        engine = _sqlite(url)
    else:
        try:
            engine = create_engine(url, pool_pre_ping=True, connect_args=_patience(url))
        except (ImportError, NoSuchModuleError) as problem:
            raise UsageError(
                f"AUTOTRACK_STORE_URL needs a driver that is not installed ({problem}): "
                "pip install 'autotrack-ml[postgresql]'"
            ) from None
    try:
        with engine.connect() as connection:
            current = stored_version(connection) == schema.SCHEMA
        if not current:
            with writing(engine) as connection:
                _make_tables(connection)
    except StoreError as problem:
        engine.dispose()
        raise StoreError(f"{shown(engine)}: {problem}") from None
    except (OperationalError, InterfaceError):
        engine.dispose()
        raise
    except DatabaseError as problem:
        engine.dispose()
        if getattr(problem.orig, "sqlstate", None) == _NOT_ALLOWED:
            said = str(problem.orig).partition("\n")[0]
            raise StoreError(
                f"{shown(engine)}: its user may not make or read the tables ({said}): grant it CREATE on the schema, "
                "or let somebody who may open the store once"
            ) from problem
        raise StoreError(
            f"{shown(engine)} is not a store of autotrack ({problem.orig}): move it away, then "
            "`autotrack sync` fills a new one from the journals"
        ) from problem
    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that may write: committed at the end, rolled back on any exception."""
    with engine.connect() as plain:
        connection = plain.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})
        with connection.begin():
            yield connection


def shown(engine: Engine) -> str:
    """The database's place as it may be shown: without its password."""
    return engine.url.render_as_string(hide_password=True)


def _make_tables(connection: Connection) -> None:
    """Make the tables, or bring those of an older version up to date; any number of processes may do so at once.

    The connection must hold a transaction that locks SQLite for writing. Raises `StoreError` for a newer store.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_CREATION_LOCK)))
    version = stored_version(connection)
    if version is None:
        schema.tables.create_all(connection)
        connection.execute(insert(schema.meta), {"key": "schema", "value": str(schema.SCHEMA)})
    elif version < schema.SCHEMA:
        from autotrack.store.migrations import upgrade

        upgrade(connection, version)


def stored_version(connection: Connection) -> int | None:
    """The version of the store's tables, or None where there are none. Raises `StoreError` for a newer one."""
    if not inspect(connection).has_table("meta"):
        return None
    value = connection.execute(select(schema.meta.c.value).where(schema.meta.c.key == "schema")).scalar()
    if value is None:
        return None
    version = int(value)
    if version > schema.SCHEMA:
        raise StoreError(
            f"the store is of version {version} and this autotrack reads up to {schema.SCHEMA}: upgrade autotrack "
            "(pip install --upgrade autotrack-ml)"
        )
    return version


def _url(home: Path, settings: Settings) -> URL:
    if settings.store_url is None:
        return URL.create("sqlite", database=str(home / FILE))
    try:
        url = make_url(settings.store_url)
    except ArgumentError:
        raise UsageError(
            "AUTOTRACK_STORE_URL is not a SQLAlchemy URL; use postgresql+psycopg://user:password@host/database"
        ) from None
    if url.drivername in ("postgresql", "postgres"):  # ours is psycopg 3; SQLAlchemy's default may not be installed
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise UsageError(f"AUTOTRACK_STORE_URL names {url.get_backend_name()}; the store runs on sqlite or postgresql")
    return url


def _patience(url: URL) -> dict[str, Any]:
    """How long PostgreSQL's client waits for a server or a network that gives no answer, unless the URL says it."""
    seconds = {"connect_timeout": 10, "keepalives_idle": 15, "keepalives_interval": 5, "keepalives_count": 3}
    wanted = {**seconds, "tcp_user_timeout": 30_000, "application_name": "autotrack"}
    return {name: value for name, value in wanted.items() if name not in url.query}


def _sqlite(url: URL) -> Engine:
    if not url.database or url.database == ":memory:":
        raise UsageError("AUTOTRACK_STORE_URL needs a file: several processes share the store")
    path = Path(url.database).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError:  # it exists, or SQLite will say what is wrong
        pass
    mode = "delete" if is_network(path.parent) else "wal"
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, record: Any) -> None:
        # The driver must not begin transactions by itself: `begin` below decides which lock they take.
        connection.isolation_level = None
        cursor = connection.cursor()
        _set_journal_mode(cursor, mode)
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN"))

    return engine


def _set_journal_mode(cursor: sqlite3.Cursor, mode: str) -> None:
    # Changing the mode needs the file for itself and does not wait by itself, so two first processes could collide.
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            if cursor.execute("PRAGMA journal_mode").fetchone()[0] != mode:
                cursor.execute(f"PRAGMA journal_mode={mode}")
            return
        except sqlite3.OperationalError as problem:
            if "readonly" in str(problem):
                return
            if "locked" not in str(problem) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
