"""The local store as a backend: what the forwarder feeds like any other.

Batches of records enter; they are in the database when `deliver` returns, and what they name is in the team's object
store, if there is one: rows are committed after the files, never before. Its limits are none, its cursor is its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import Engine
from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, InternalError, OperationalError

from autotrack.backend import BackendContext, Limits
from autotrack.errors import AutotrackError, BackendRejected, BackendUnavailable
from autotrack.events import Record
from autotrack.store.engine import open_engine
from autotrack.store.ingest import cursor, ingest

if TYPE_CHECKING:
    from autotrack.store.remote_blobs import Sender


class LocalBackend:
    """The embedded store of a home."""

    name = "local"
    limits = Limits(registry=True)

    def __init__(self) -> None:
        self._engine: Engine | None = None
        self._sender: Sender | None = None

    def open(self, context: BackendContext) -> None:
        """Open the database, making it where there is none.

        Raises `BackendUnavailable` when it cannot be reached now, `UsageError` or `StoreError` when it never can.
        """
        with _answering():
            self._engine = open_engine(context.home, context.settings)
        if context.settings.blobs_url is not None:
            from autotrack.store.remote_blobs import Sender

            self._sender = Sender(context.home, context.settings.blobs_url, context.note)

    def resume(self, writer: str) -> int | None:
        """The position up to which the database holds the writer's journal.

        0, not None, where it holds nothing of it: the forwarder's own cursor would pass over what a new database lacks.
        """
        with _answering():
            return cursor(self._opened(), writer) or 0

    def deliver(self, batch: Sequence[Record]) -> int:
        """Commit the batch, passing over what is already held; return the sequence of the last record."""
        with _answering():
            ahead, rest = self._without_files(batch)
            ingest(self._opened(), ahead)
            if rest and self._sender is not None:
                ingest(self._opened(), self._sender.sent(rest))
        return max(batch, key=lambda record: record.position).sequence if batch else 0

    def close(self) -> None:
        """Let go of the database."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def _without_files(self, batch: Sequence[Record]) -> tuple[Sequence[Record], Sequence[Record]]:
        """What need not wait for files to be sent, and the rest."""
        if self._sender is not None:
            ordered = sorted(batch, key=lambda record: record.position)
            for index, record in enumerate(ordered):
                if self._sender.has_work(record):
                    return ordered[:index], ordered[index:]
        return batch, ()

    def _opened(self) -> Engine:
        if self._engine is None:
            raise BackendUnavailable("the local store is not open")
        return self._engine


@contextmanager
def _answering() -> Iterator[None]:
    """Tell the forwarder in its own words what the database says."""
    try:
        yield
    except AutotrackError:
        raise
    except (OperationalError, InterfaceError, InternalError) as problem:
        if str(getattr(problem.orig, "sqlstate", "")).startswith("54"):  # beyond a limit of PostgreSQL: never will be
            raise BackendRejected(f"the local store cannot hold this: {problem.orig}") from problem
        raise BackendUnavailable(f"the local store cannot be written now: {problem.orig}") from problem
    except OSError as problem:
        raise BackendUnavailable(f"the local store cannot be opened now: {problem}") from problem
    except (DataError, OverflowError, ValueError) as problem:
        raise BackendRejected(f"the local store cannot hold this: {problem}") from problem
    except DBAPIError as problem:
        if problem.connection_invalidated:
            raise BackendUnavailable(f"the connection to the local store was lost: {problem.orig}") from problem
        raise
