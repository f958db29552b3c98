"""Bringing the tables of an older store up to date, with Alembic: `versions/` has one file for each version of it.

A connection inside a transaction that holds the lock of `open_engine` enters; when it leaves, the tables are those of
`schema`. A new store is not made here, so that Alembic is imported where there is something to bring up to date alone.
What counts is the row `schema` of `meta`: Alembic's own table is there while it works and not after.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, text

from autotrack.errors import StoreError

WORKING: Final = "autotrack_migration"
"""Alembic's table of versions: not `alembic_version`, which another product may keep in the same database."""


def upgrade(connection: Connection, version: int, to: int | None = None) -> None:
    """Bring tables of `version` (0: none) up to date, or to version `to`.

    Raises `StoreError` where Alembic is not installed.
    """
    try:
        from alembic import command
        from alembic.config import Config
    except ImportError:
        raise StoreError(
            f"the store is of version {version}, and bringing it up to date needs alembic: pip install alembic"
        ) from None
    config = Config(attributes={"connection": connection, "table": WORKING})
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    command.stamp(config, str(version or "base"))
    command.upgrade(config, str(to or "head"))
    connection.execute(text(f"DROP TABLE {WORKING}"))


__all__ = ["upgrade"]
