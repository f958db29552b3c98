"""Version 1: runs with params, tags, series, datasets, models, artifacts and notes."""

import sqlalchemy as sa
from alembic import op

revision = "1"
down_revision = None

_id = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _run(primary: bool = False) -> "sa.Column[str]":
    return sa.Column("run_id", sa.String, nullable=False, primary_key=primary)


def _time() -> "sa.Column[int]":
    return sa.Column("time", sa.BigInteger, nullable=False)


def upgrade() -> None:
    """Make the tables."""
    op.create_table("meta", sa.Column("key", sa.String, primary_key=True), sa.Column("value", sa.Text, nullable=False))
    op.create_table(
        "runs",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("parent_id", sa.String),
        sa.Column("integration", sa.String),
        sa.Column("known", sa.String, nullable=False),
        sa.Column("status_at", sa.BigInteger, nullable=False),
        sa.Column("status_writer", sa.String, nullable=False),
    )
    op.create_index("runs_by_start", "runs", ["started_at"])
    op.create_index("runs_by_project", "runs", ["project", "started_at"])
    op.create_index("runs_by_name", "runs", ["name"])
    op.create_index("runs_by_parent", "runs", ["parent_id"])
    op.create_table(
        "run_details",
        _run(primary=True),
        sa.Column("environment", sa.Text, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("error", sa.Text),
    )
    for name in ("params", "tags"):
        key = sa.Column("key", sa.Text, primary_key=True)
        op.create_table(name, _run(primary=True), key, sa.Column("value", sa.Text, nullable=False), _time())
    op.create_table(
        "params_history",
        sa.Column("id", _id, primary_key=True),
        _run(),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        _time(),
    )
    op.create_index("params_history_by_run", "params_history", ["run_id"])
    _series()
    _files()


def _series() -> None:
    op.create_table(
        "series",
        sa.Column("id", _id, primary_key=True),
        _run(),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("nan_count", sa.BigInteger, nullable=False),
        sa.Column("first_step", sa.Text, nullable=False),
        sa.Column("last_step", sa.Text, nullable=False),
        sa.Column("last", sa.Double),
        sa.Column("min", sa.Double),
        sa.Column("max", sa.Double),
        sa.Column("last_time", sa.BigInteger, nullable=False),
        sa.Column("full_chunks", sa.BigInteger, nullable=False),
        sa.Column("chunks", sa.BigInteger, nullable=False),
        sa.Column("tail", sa.Integer, nullable=False),
        sa.UniqueConstraint("run_id", "key", name="series_by_run_and_key"),
    )
    op.create_table(
        "chunks",
        sa.Column("series_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("first_step", sa.Text, nullable=False),
        sa.Column("last_step", sa.Text, nullable=False),
        sa.Column("last", sa.Double),
        sa.Column("min", sa.Double),
        sa.Column("max", sa.Double),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )


def _files() -> None:
    op.create_table(
        "datasets",
        sa.Column("id", _id, primary_key=True),
        _run(),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("record", sa.Text, nullable=False),
        _time(),
        sa.UniqueConstraint("run_id", "role", "name", "digest", name="datasets_by_run"),
    )
    op.create_table(
        "models",
        sa.Column("id", _id, primary_key=True),
        _run(),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("step", sa.Text),
        sa.Column("format", sa.Text, nullable=False),
        sa.Column("digest", sa.String),
        sa.Column("bytes", sa.BigInteger),
        sa.Column("signature", sa.Text),
        sa.Column("snapshot", sa.Text),
        sa.Column("problem", sa.Text),
        _time(),
    )
    op.create_index("models_by_run", "models", ["run_id"])
    op.create_index("models_by_digest", "models", ["digest"])
    op.create_table(
        "artifacts",
        sa.Column("id", _id, primary_key=True),
        _run(),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("media_type", sa.Text, nullable=False),
        _time(),
        sa.UniqueConstraint("run_id", "name", "digest", name="artifacts_by_run"),
    )
    op.create_index("artifacts_by_digest", "artifacts", ["digest"])
    op.create_table(
        "notes",
        sa.Column("id", _id, primary_key=True),
        _run(),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        _time(),
    )
    op.create_index("notes_by_run", "notes", ["run_id"])
    op.create_table(
        "cursors",
        sa.Column("writer", sa.String, primary_key=True),
        sa.Column("position", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(sa.table("meta", sa.column("key"), sa.column("value")), [{"key": "schema", "value": "1"}])
