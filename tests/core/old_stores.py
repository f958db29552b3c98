"""Stores as older versions of autotrack made them, and what tables a store has, to compare."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, inspect, text

from autotrack.settings import Settings
from autotrack.store.engine import writing
from autotrack.store.migrations import upgrade

ROWS = (
    "INSERT INTO runs (id, name, project, status, started_at, known, status_at, status_writer) "
    "VALUES ('r', 'kept', 'p', 'running', 1, 'started', 1, 'w')",
    "INSERT INTO run_details (run_id, environment, code) VALUES ('r', '{}', '{}')",
    "INSERT INTO params (run_id, key, value, time) VALUES ('r', 'lr', '0.5', 2)",
    "INSERT INTO cursors (writer, position) VALUES ('w', 10)",
)


def old_store(home: Path, settings: Settings, version: int, *, rows: bool = False) -> None:
    """Make a store of `version` where the settings say, with a run in it if `rows`."""
    home.mkdir(parents=True, exist_ok=True)
    engine = create_engine(settings.store_url or f"sqlite:///{home / 'store.db'}")
    if settings.store_url is None:  # transactions as `autotrack.store.engine` begins them
        event.listen(engine, "connect", lambda connection, record: setattr(connection, "isolation_level", None))
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    with writing(engine) as connection:
        upgrade(connection, 0, version)
        for statement in ROWS if rows else ():
            connection.execute(text(statement))
    engine.dispose()


OPENER = """
import sys
from pathlib import Path
from autotrack.settings import Settings
from autotrack.store.engine import open_engine
print("ready", flush=True)
sys.stdin.readline()
open_engine(Path(sys.argv[1]), Settings(store_url=sys.argv[2] or None)).dispose()
print("alembic" in sys.modules)
"""


def opened_at_once(home: Path, url: str | None, processes: int = 3) -> list[str]:
    """Let so many processes open one store at the same time; for each, whether it imported Alembic."""
    children = [
        subprocess.Popen(
            [sys.executable, "-c", OPENER, str(home), url or ""],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(processes)
    ]  # fmt: skip
    for child in children:
        assert child.stdout is not None and child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    told = [child.communicate(timeout=60) for child in children]
    assert all(child.returncode == 0 for child in children), told
    return [out.strip() for out, _ in told]


def described(engine: Engine) -> dict[str, Any]:
    """Every table with its columns, keys, unique constraints and indexes, as the database itself tells them."""
    look = inspect(engine)
    found: dict[str, Any] = {}
    for table in look.get_table_names():
        columns = {
            one["name"]: (str(one["type"]), one["nullable"], one["default"], bool(one.get("autoincrement")))
            for one in look.get_columns(table)
        }
        found[table] = {
            "columns": columns,
            "key": look.get_pk_constraint(table)["constrained_columns"],
            "unique": sorted((str(one["name"]), one["column_names"]) for one in look.get_unique_constraints(table)),
            "indexes": sorted(
                (str(one["name"]), one["column_names"], bool(one["unique"])) for one in look.get_indexes(table)
            ),
        }
    return found
