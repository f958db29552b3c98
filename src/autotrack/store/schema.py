"""The tables of the store, the same on SQLite and PostgreSQL, and their version. `docs/store.md` describes them.

Times are nanoseconds since the epoch. Columns that hold structure are JSON as text. A value that is not a number is
NULL, because SQLite has no NaN; infinities are kept as they are. What is long lies in tables of its own, so that
listing runs touches short rows only.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

SCHEMA: Final = 4
"""Version of the tables below. A store of a higher one is refused; of a lower one, brought up to date."""

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
