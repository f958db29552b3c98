"""Version 2: what a run was made of, what it wrote to the console, and what it has in common with others."""

import sqlalchemy as sa
from alembic import op

revision = "2"
down_revision = "1"

_id = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables that version 1 lacks."""
    op.create_table(
        "provenance",
        sa.Column("run_id", sa.String, primary_key=True),
        sa.Column("kind", sa.String, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "console",
        sa.Column("id", _id, primary_key=True),
        sa.Column("run_id", sa.String, nullable=False),
        sa.Column("stream", sa.String, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
    )
    op.create_index("console_by_run", "console", ["run_id"])
    op.create_table(
        "links",
        sa.Column("run_id", sa.String, primary_key=True),
        sa.Column("relation", sa.String, primary_key=True),
        sa.Column("identity", sa.String, primary_key=True),
    )
    op.create_index("links_by_identity", "links", ["identity"])
    op.execute("UPDATE meta SET value = '2' WHERE key = 'schema'")
