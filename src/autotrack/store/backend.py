"""The local store as a backend: what the forwarder feeds like any other.

Batches of records enter; they are in the database when `deliver` returns. Its limits are none, its cursor is its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Engine
from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, InternalError, OperationalError

from autotrack.backend import BackendContext, Limits
from autotrack.errors import AutotrackError, BackendRejected, BackendUnavailable
from autotrack.events import Record
from autotrack.store.engine import open_engine
from autotrack.store.ingest import cursor, ingest


class LocalBackend:
    """The embedded store of a home."""

    name = "local"
    limits = Limits()

    def __init__(self) -> None:
        self._engine: Engine | None = None

    def open(self, context: BackendContext) -> None:
        """Open the database, making it where there is none.

        Raises `BackendUnavailable` when it cannot be reached now, `UsageError` or `StoreError` when it never can.
        """
        with _answering():
            self._engine = open_engine(context.home, context.settings)

    def resume(self, writer: str) -> int | None:
        """The position up to which the database holds the writer's journal.

        0, not None, where it holds nothing of it: the forwarder's own cursor would pass over what a new database lacks.
        """
        with _answering():
            return cursor(self._opened(), writer) or 0

    def deliver(self, batch: Sequence[Record]) -> int:
        """Commit the batch, passing over what is already held; return the sequence of the last record."""
        with _answering():
            ingest(self._opened(), batch)
        return max(batch, key=lambda record: record.position).sequence if batch else 0

    def close(self) -> None:
        """Let go of the database."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

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
