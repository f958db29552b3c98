"""The list of runs straight from SQLite, when nothing waits in the journals: SQLAlchemy alone takes longer to import.

Settings enter; the same records as from `Store.runs` leave, or None where only the store can tell: another database,
another version of the tables, or journals with events that the database lacks. A test holds the two against each other.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from autotrack.settings import Settings

SCHEMA: Final = "4"
"""The version of the tables that the statement below is written for."""

_FIELDS: Final = ("id", "name", "project", "status", "started_at", "ended_at", "parent_id", "integration")
_TIME: Final = (
    "strftime('%Y-%m-%dT%H:%M:%S', {0} / 1000000000, 'unixepoch') || printf('.%06dZ', {0} % 1000000000 / 1000)"
)


def runs(
    settings: Settings, project: str | None, status: str | None, limit: int | None
) -> tuple[list[dict[str, Any]], int] | None:
    """Runs, newest first, and how many there are without `limit`."""
    home = settings.resolved_home
    if settings.store_url is not None or not (home / "store.db").is_file():
        return None
    import sqlite3
    from urllib.parse import quote

    try:
        connection = sqlite3.connect(f"file:{quote(str(home / 'store.db'))}?mode=rw", uri=True)
        try:
            return _read(connection, home, project, status, limit)
        finally:
            connection.close()
    except sqlite3.Error:  # the store says what is wrong with it
        return None


def _read(
    connection: Any, home: Path, project: str | None, status: str | None, limit: int | None
) -> tuple[list[dict[str, Any]], int] | None:
    connection.execute("PRAGMA query_only=1")
    version = connection.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
    if version != (SCHEMA,) or not _has_everything(connection, home):
        return None
    where, values = "", []
    for column, wanted in (("project", project), ("status", status)):
        if wanted is not None:
            where += f" {'AND' if where else 'WHERE'} {column} = ?"
            values.append(wanted)
    columns = ", ".join(_TIME.format(name) if name.endswith("_at") else name for name in _FIELDS)
    rows = connection.execute(
        f"SELECT {columns} FROM runs{where} ORDER BY started_at DESC, id LIMIT ?",
        [*values, -1 if limit is None else limit],
    ).fetchall()
    total = len(rows)
    if limit is not None:
        (total,) = connection.execute(f"SELECT count(*) FROM runs{where}", values).fetchone()
    return [dict(zip(_FIELDS, row, strict=True)) for row in rows], total


def _has_everything(connection: Any, home: Path) -> bool:
    try:
        waiting = [path for path in (home / "journals").iterdir() if not path.name.startswith(".")]
    except OSError:
        return True
    if not waiting:
        return True
    from autotrack.journal.frames import CLOSING, position, segment_and_offset, segment_name
    from autotrack.journal.liveness import is_alive
    from autotrack.journal.reader import Journal

    held = dict(connection.execute("SELECT writer, position FROM cursors"))
    for folder in waiting:
        journal = Journal(folder)
        try:
            segments, end = journal.segments(), journal.end()
            if CLOSING not in segments and not is_alive(folder):
                return False
            if segment_and_offset(end) == (CLOSING, 0):  # nothing had to be closed: the end is the one before
                end = position(segments[-2], (folder / segment_name(segments[-2])).stat().st_size)
            if held.get(folder.name) != end:
                return False
        except (OSError, IndexError):  # it was archived at this moment
            return False
    return True
