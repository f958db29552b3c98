"""How long one question may keep the store busy: a connection and seconds enter, and what takes longer is ended.

SQLite is interrupted from a thread, PostgreSQL has a limit of its own for each statement. The connection is as good as
before afterwards. Only questions are bounded so, never what writes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError

from autotrack.errors import QueryTooSlow

AGAIN: Final = 0.05
"""Seconds between two interruptions: one that comes between two statements has no effect."""

_INTERRUPTED: Final = 9
"""SQLITE_INTERRUPT (https://www.sqlite.org/rescode.html)."""
_CANCELED: Final = "57014"
"""PostgreSQL's `query_canceled`."""


@contextmanager
def within(connection: Connection, seconds: float | None) -> Iterator[None]:
    """End what the connection is asked meanwhile when it has taken `seconds` in all; None and 0 are no limit.

    Raises `QueryTooSlow`. One at a time for a connection, which is to be closed or rolled back after that.
    """
    if not seconds:
        yield
        return
    deadline = time.monotonic() + seconds
    in_sqlite = connection.dialect.name == "sqlite"

    def begin(_: Connection, cursor: Any, *more: Any) -> None:
        left = int((deadline - time.monotonic()) * 1000)
        if left <= 0:
            raise _Late
        if not in_sqlite:
            cursor.execute(f"SET LOCAL statement_timeout = {left}")  # until the end of this transaction

    event.listen(connection, "before_cursor_execute", begin)
    driver: Any = connection.connection.driver_connection
    stop = _interrupted(driver.interrupt, deadline) if in_sqlite else lambda: None
    try:
        yield
    except DBAPIError as problem:
        if not _was_ended(problem.orig):
            raise
        raise _slow(seconds) from None
    except _Late:
        raise _slow(seconds) from None
    finally:
        stop()
        event.remove(connection, "before_cursor_execute", begin)


class _Late(Exception):
    """The time was over before the next statement."""


def _interrupted(interrupt: Callable[[], None], deadline: float) -> Callable[[], None]:
    """Interrupt from the deadline on, until what this gives is called; never after that has returned.

    A handler that SQLite calls every so many instructions would wait for Python's lock each time.
    """
    over, turn = threading.Event(), threading.Lock()

    def watch() -> None:
        left = deadline - time.monotonic()
        while not over.wait(max(left, AGAIN)):
            with turn:
                if not over.is_set():
                    interrupt()
            left = AGAIN

    def stop() -> None:
        with turn:
            over.set()

    threading.Thread(target=watch, name="autotrack query limit", daemon=True).start()
    return stop


def _was_ended(problem: Any) -> bool:
    return getattr(problem, "sqlite_errorcode", None) == _INTERRUPTED or getattr(problem, "sqlstate", "") == _CANCELED


def _slow(seconds: float) -> QueryTooSlow:
    return QueryTooSlow(
        f"the query was ended after {seconds:g} seconds: narrow it, by project or time, or use fewer conditions on "
        "text (~), or allow more seconds with AUTOTRACK_QUERY_SECONDS (0: no limit)"
    )


__all__ = ["within"]
