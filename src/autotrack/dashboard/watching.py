"""Keeping the store up to date while somebody looks, and telling browsers when it changed.

A thread takes in what journals hold, as every reader does, and closes the runs of processes that died; it looks at
sizes first, so that a second in which nothing happened costs almost nothing. What changed leaves as `{version, runs}`
to each listener. Listeners live in the server's event loop.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import SQLAlchemyError

from autotrack.errors import AutotrackError
from autotrack.forward.catching_up import deliver
from autotrack.journal.closing import close_dead
from autotrack.journal.reader import Journal, journals
from autotrack.settings import Settings
from autotrack.store.ingest import cursor
from autotrack.store.query import Store
from autotrack.store.schema import cursors, runs

log = logging.getLogger("autotrack.dashboard")

PAUSE: Final = 0.7
"""Seconds between two looks."""

MOST_NAMED: Final = 500
"""Runs that one piece of news names; of more, the page must look itself: `runs` is then null."""

MOST_LISTENERS: Final = 200


class Hub:
    """Who listens. `publish` may be called from any thread, the rest from the event loop."""

    def __init__(self) -> None:
        self.started = secrets.token_hex(4)
        self.version = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queues: set[asyncio.Queue[dict[str, Any] | None]] = set()
        self.closed = False

    @property
    def is_full(self) -> bool:
        """Whether as many listen as may."""
        return len(self._queues) >= MOST_LISTENERS

    def listen(self) -> asyncio.Queue[dict[str, Any] | None]:
        """A queue of news, which ends with None."""
        self._loop = asyncio.get_running_loop()
        queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue(16)
        self._queues.add(queue)
        return queue

    def leave(self, queue: asyncio.Queue[dict[str, Any] | None]) -> None:
        """Listen no more."""
        self._queues.discard(queue)

    def publish(self, changed: set[str] | None) -> None:
        """Tell everybody that these runs changed, or, with None, that any may have."""
        self.version += 1
        told = {"version": self.version, "runs": None if changed is None else sorted(changed)}
        self._call(lambda: self._spread(told))

    def close(self) -> None:
        """Let all listeners go, so that the server can end."""
        self.closed = True
        self._call(lambda: self._spread(None))

    def _call(self, spread: Any) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(spread)

    def _spread(self, told: dict[str, Any] | None) -> None:
        for queue in self._queues:
            if queue.full():  # a browser that does not read: the newest news replace all it has not read
                while not queue.empty():
                    queue.get_nowait()
                if told is not None:
                    told = {**told, "runs": None}
            queue.put_nowait(told)


@dataclass
class _Seen:
    """A journal as it was at the last look."""

    end: int
    position: int
    gone: bool = False


class Watch:
    """Looks at the journals of a home again and again, in a thread of its own, until `stop`."""

    def __init__(self, store: Store, home: Path, settings: Settings, hub: Hub) -> None:
        self._store, self._home, self._settings, self._hub = store, home, settings, hub
        self._seen: dict[str, _Seen] = {}
        self._mark: Any = None
        self._connection: Connection | None = None
        self._running: set[str] = set()
        self._stopped = threading.Event()
        self._told: set[str] = set()
        self._thread = threading.Thread(target=self._watch, name="autotrack dashboard watch", daemon=True)

    def start(self) -> None:
        """Begin. The first look has taken everything in when this returns."""
        self.look()
        self._thread.start()

    def stop(self) -> None:
        """End, after the look that is going on."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(10)
        if self._connection is not None:
            self._connection.close()

    def look(self) -> None:
        """Take in what is new, and tell of it."""
        changed = self._take_in()
        connection = self._opened()
        try:
            mark = self._marked(connection)
            if mark == self._mark:
                return
            first, self._mark = self._mark is None, mark
            running = set(connection.execute(select(runs.c.id).where(runs.c.status == "running")).scalars())
        except SQLAlchemyError:
            self._connection = None
            raise
        finally:
            connection.rollback()  # each look sees the store as it is then
        # Journals of this home say which runs; those of other machines are known by what runs there, or did just now.
        changed |= running ^ self._running
        if not changed or connection.dialect.name != "sqlite":
            changed |= running | self._running
        self._running = running
        if not first:
            self._hub.publish(changed if len(changed) <= MOST_NAMED else None)

    def _watch(self) -> None:
        while not self._stopped.wait(PAUSE):
            try:
                self.look()
            except (AutotrackError, SQLAlchemyError, OSError) as problem:
                self._hub.version += 1  # whether something changed is not known: what is remembered may be old
                self._warn(problem)
            except Exception as problem:  # a page that is not live is better than none
                self._warn(problem)
                log.debug("a look at the journals failed", exc_info=True)

    def _take_in(self) -> set[str]:
        changed: set[str] = set()
        known = self._seen
        self._seen = {}
        for folder in journals(self._home):
            try:
                seen = self._looked_at(folder, known.get(folder.name), changed)
            except FileNotFoundError:  # archived at this moment: everything has it
                continue
            except OSError as problem:  # somebody else's home: what the store holds can be read all the same
                self._warn(problem)
                continue
            self._seen[folder.name] = seen
        return changed

    def _looked_at(self, folder: Path, before: _Seen | None, changed: set[str]) -> _Seen:
        journal = Journal(folder)
        if before is not None and before.gone and journal.end() == before.end:
            return before
        gone = close_dead(folder)
        end = journal.end()
        if before is not None and end == before.end and gone == before.gone:
            return before
        position = before.position if before is not None else cursor(self._store.engine, folder.name) or 0
        for record in journal.records(position):
            position = record.position
            if record.event.run:
                changed.add(record.event.run)
        outcome = deliver(folder, "local", self._home, self._settings)
        if outcome.problem:
            self._warn(outcome.problem)
            return _Seen(-1, position)  # once more at the next look
        return _Seen(end, position, gone)

    def _opened(self) -> Connection:
        if self._connection is None:
            self._connection = self._store.engine.connect()
        return self._connection

    def _marked(self, connection: Connection) -> Any:
        """Something that is another after every change of the store by anybody else."""
        if connection.dialect.name == "sqlite":
            return connection.exec_driver_sql("PRAGMA data_version").scalar()  # of a connection that stays open
        done = connection.exec_driver_sql("SELECT CAST(txid_current_snapshot() AS text)").scalar()
        if self._mark is not None and self._mark[0] == done:
            return self._mark
        moved = tuple(connection.execute(select(func.count(), func.sum(cursors.c.position))).one())
        if self._mark is not None and self._mark[1] == moved:
            return self._mark
        return done, moved

    def _warn(self, problem: object) -> None:
        told = f"newer events are not taken in: {problem}"
        if told not in self._told:
            self._told.add(told)
            log.warning(told)


__all__ = ["Hub", "Watch"]
