"""Version 3: registered models, overviews of long series, and who may look at the dashboard."""

import sqlalchemy as sa
from alembic import op

revision = "3"
down_revision = "2"

_id = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables that version 2 lacks."""
    op.create_table(
        "registry",
        sa.Column("id", _id, primary_key=True),
        sa.Column("event_id", sa.String, nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("action", sa.String, nullable=False),
        sa.Column("digest", sa.String),
        sa.Column("run_id", sa.String, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("record", sa.Text, nullable=False),
        sa.UniqueConstraint("event_id", name="registry_by_event"),
    )
    op.create_index("registry_by_model", "registry", ["model", "id"])
    op.create_index("registry_by_digest", "registry", ["digest"])
    op.create_table(
        "overviews",
        sa.Column("series_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "tokens",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("hash", sa.String, nullable=False),
        sa.Column("role", sa.String, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("expires", sa.BigInteger),
        sa.Column("revoked", sa.BigInteger),
    )
    op.execute("UPDATE meta SET value = '3' WHERE key = 'schema'")
