"""Version 4: which runs were removed for good."""

import sqlalchemy as sa
from alembic import op

revision = "4"
down_revision = "3"


def upgrade() -> None:
    """Make the table that version 3 lacks."""
    op.create_table(
        "tombstones",
        sa.Column("run_id", sa.String, primary_key=True),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
    )
    op.execute("UPDATE meta SET value = '4' WHERE key = 'schema'")
