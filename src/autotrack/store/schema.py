"""The tables of the store, the same on SQLite and PostgreSQL, and their version. `docs/store.md` describes them.

Times are nanoseconds since the epoch. Columns that hold structure are JSON as text. A value that is not a number is
NULL, because SQLite has no NaN; infinities are kept as they are. What is long lies in tables of its own, so that
listing runs touches short rows only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, TypeVar

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    func,
    insert,
    inspect,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite

from autotrack.errors import StoreError

SCHEMA: Final = 4
"""Version of the tables below. A store of a higher one is refused; of a lower one, brought up to date."""

_CREATION_LOCK: Final = 0x6175746F74726163
"""Key of the PostgreSQL advisory lock under which the tables are made ("autotrac")."""

_REGISTRY_LOCK: Final = 0x6175746F74726764
"""Key of the lock under which the registry's log is appended to ("autotrgd")."""

tables = MetaData()
_id = BigInteger().with_variant(Integer, "sqlite")  # only INTEGER PRIMARY KEY counts up by itself there

meta = Table("meta", tables, Column("key", String, primary_key=True), Column("value", Text, nullable=False))

runs = Table(
    "runs",
    tables,
    Column("id", String, primary_key=True),
    Column("name", Text, nullable=False),
    Column("project", Text, nullable=False),
    Column("status", String, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("parent_id", String),
    Column("integration", String),
    Column("known", String, nullable=False),
    Column("status_at", BigInteger, nullable=False),
    Column("status_writer", String, nullable=False),
    Index("runs_by_start", "started_at"),
    Index("runs_by_project", "project", "started_at"),
    Index("runs_by_name", "name"),
    Index("runs_by_parent", "parent_id"),
)

run_details = Table(
    "run_details",
    tables,
    Column("run_id", String, primary_key=True),
    Column("environment", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("error", Text),
)

params = Table(
    "params",
    tables,
    Column("run_id", String, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Column("time", BigInteger, nullable=False),
)

params_history = Table(
    "params_history",
    tables,
    Column("id", _id, primary_key=True),
    Column("run_id", String, nullable=False),
    Column("key", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("time", BigInteger, nullable=False),
    Index("params_history_by_run", "run_id"),
)

tags = Table(
    "tags",
    tables,
    Column("run_id", String, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Column("time", BigInteger, nullable=False),
)

series = Table(
    "series",
    tables,
    Column("id", _id, primary_key=True),
    Column("run_id", String, nullable=False),
    Column("key", Text, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("nan_count", BigInteger, nullable=False),
    Column("first_step", Text, nullable=False),
    Column("last_step", Text, nullable=False),
    Column("last", Double),
    Column("min", Double),
    Column("max", Double),
    Column("last_time", BigInteger, nullable=False),
    Column("full_chunks", BigInteger, nullable=False),
    Column("chunks", BigInteger, nullable=False),
    Column("tail", Integer, nullable=False),
    UniqueConstraint("run_id", "key", name="series_by_run_and_key"),
)

chunks = Table(
    "chunks",
    tables,
    Column("series_id", BigInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("count", Integer, nullable=False),
    Column("first_step", Text, nullable=False),
    Column("last_step", Text, nullable=False),
    Column("last", Double),
    Column("min", Double),
    Column("max", Double),
    Column("data", LargeBinary, nullable=False),
)

datasets = Table(
    "datasets",
    tables,
    Column("id", _id, primary_key=True),
    Column("run_id", String, nullable=False),
    Column("role", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("digest", String, nullable=False),
    Column("record", Text, nullable=False),
    Column("time", BigInteger, nullable=False),
    UniqueConstraint("run_id", "role", "name", "digest", name="datasets_by_run"),
)

models = Table(
    "models",
    tables,
    Column("id", _id, primary_key=True),
    Column("run_id", String, nullable=False),
    Column("name", Text, nullable=False),
    Column("step", Text),
    Column("format", Text, nullable=False),
    Column("digest", String),
    Column("bytes", BigInteger),
    Column("signature", Text),
    Column("snapshot", Text),
    Column("problem", Text),
    Column("time", BigInteger, nullable=False),
    Index("models_by_run", "run_id"),
    Index("models_by_digest", "digest"),
)

artifacts = Table(
    "artifacts",
    tables,
    Column("id", _id, primary_key=True),
    Column("run_id", String, nullable=False),
    Column("name", Text, nullable=False),
    Column("digest", String, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("time", BigInteger, nullable=False),
    UniqueConstraint("run_id", "name", "digest", name="artifacts_by_run"),
    Index("artifacts_by_digest", "digest"),
)

notes = Table(
    "notes",
    tables,
    Column("id", _id, primary_key=True),
    Column("run_id", String, nullable=False),
    Column("what", Text, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("why", Text, nullable=False),
    Column("time", BigInteger, nullable=False),
    Index("notes_by_run", "run_id"),
)

provenance = Table(
    "provenance",
    tables,
    Column("run_id", String, primary_key=True),
    Column("kind", String, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Column("time", BigInteger, nullable=False),
)

console = Table(
    "console",
    tables,
    Column("id", _id, primary_key=True),
    Column("run_id", String, nullable=False),
    Column("stream", String, nullable=False),
    Column("text", Text, nullable=False),
    Column("time", BigInteger, nullable=False),
    Index("console_by_run", "run_id"),
)

links = Table(
    "links",
    tables,
    Column("run_id", String, primary_key=True),
    Column("relation", String, primary_key=True),
    Column("identity", String, primary_key=True),
    Index("links_by_identity", "identity"),
)
"""What runs were made from, by identity, so that it is found from either end; `autotrack.store.links` reads it."""

registry = Table(
    "registry",
    tables,
    Column("id", _id, primary_key=True),
    Column("event_id", String, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("model", Text, nullable=False),
    Column("action", String, nullable=False),
    Column("digest", String),
    Column("run_id", String, nullable=False),
    Column("who", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("record", Text, nullable=False),
    UniqueConstraint("event_id", name="registry_by_event"),
    Index("registry_by_model", "model", "id"),
    Index("registry_by_digest", "digest"),
)
"""The log of registered models, in the order in which the store took the steps in. What a row says is never changed."""

overviews = Table(
    "overviews",
    tables,
    Column("series_id", BigInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
)
"""Of each full chunk, its points in few: what a chart of a long series is drawn from."""

tokens_of_readers = Table(
    "tokens",
    tables,
    Column("name", String, primary_key=True),
    Column("hash", String, nullable=False),
    Column("role", String, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger),
    Column("revoked", BigInteger),
)
"""Who may look at the dashboard; of a token there is only a salted hash. `autotrack.dashboard.tokens` writes it."""

tombstones = Table(
    "tombstones",
    tables,
    Column("run_id", String, primary_key=True),
    Column("time", BigInteger, nullable=False),
    Column("who", Text, nullable=False),
    Column("why", Text, nullable=False),
)
"""The runs that were removed for good; `autotrack.store.burying` keeps what is told of them out of the store."""

cursors = Table(
    "cursors",
    tables,
    Column("writer", String, primary_key=True),
    Column("position", BigInteger, nullable=False),
)


def create(connection: Connection) -> None:
    """Make the tables, or bring those of an older version up to date; any number of processes may do so at once.

    The connection must hold a transaction that locks SQLite for writing. Raises `StoreError` for a newer store.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_CREATION_LOCK)))
    version = stored_version(connection)
    if version is None:
        tables.create_all(connection)
        upsert(connection, meta, [{"key": "schema", "value": str(SCHEMA)}])
    elif version < SCHEMA:
        from autotrack.store.migrations import upgrade

        upgrade(connection, version)


def stored_version(connection: Connection) -> int | None:
    """The version of the store's tables, or None where there are none. Raises `StoreError` for a newer one."""
    if not inspect(connection).has_table("meta"):
        return None
    value = connection.execute(select(meta.c.value).where(meta.c.key == "schema")).scalar()
    if value is None:
        return None
    version = int(value)
    if version > SCHEMA:
        raise StoreError(
            f"the store is of version {version} and this autotrack reads up to {SCHEMA}: upgrade autotrack "
            "(pip install --upgrade autotrack-ml)"
        )
    return version


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
