"""The way from one journal to one backend: cursor, batches, dead letters. Nothing here waits or sleeps."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path

from autotrack.backend import Backend, BackendContext, BackendRejected, BackendUnavailable
from autotrack.events import AnyEvent, MetricsLogged, Record, RegistryLogged, RunStarted, TagsSet, WriterEnded
from autotrack.forward.adapt import Adapter
from autotrack.forward.prepare import prepare
from autotrack.forward.progress import Progress
from autotrack.forward.registered import registered_model
from autotrack.journal.frames import CLOSING
from autotrack.journal.reader import Journal
from autotrack.journal.removed import is_tombstone, removed_runs, without
from autotrack.settings import Settings

BATCH = 5_000
"""Most records that a backend is handed at a time."""


class Delivery:
    """Delivers one journal to one backend, a batch a `step`."""

    def __init__(self, name: str, make: Callable[[], Backend], folder: Path, home: Path, settings: Settings) -> None:
        self.name = name
        self.home = home
        self.folder = folder
        self._settings = settings
        self._make = make
        self._backend: Backend | None = None
        self._context: BackendContext | None = None
        self._journal = Journal(folder)
        self.progress = Progress(home, folder.name, name)
        self._own_cursor = False
        self._ended_in_order = False

    def open(self) -> bool:
        """Open the backend and find the cursor; False where another process delivers this journal to it.

        Raises what the backend's `open` raises.
        """
        if self._backend is not None:
            return True
        backend = self._make()
        registered = partial(registered_model, self.home, self._settings)
        context = BackendContext(self.home, self._settings, self.progress.state, self.progress.note, registered)
        backend.open(context)
        position = backend.resume(self.folder.name)
        self._own_cursor = position is not None
        if not self._own_cursor:
            if not self.progress.claim():
                backend.close()
                return False
            context.state = self.progress.state  # claiming has read it anew
        else:
            self.progress.position = position or 0
        self._backend, self._context = backend, context
        self._adapter = Adapter(backend.limits, self.progress)
        self._has_registry = backend.limits.registry
        return True

    def step(self) -> int:
        """Deliver the next batch and return how many records it had; 0 where there is nothing new.

        Raises `BackendUnavailable` (or what a faulty backend raises): the same batch comes again at the next step.
        """
        if self._backend is None and not self.open():
            return 0
        batch = list(islice(self._journal.records(self.progress.position), BATCH))
        if not batch:
            return 0
        batch = self._without_removed(batch)
        wanted = [prepare(self.home, self._adapter.adapt(record)) for record in batch if self._is_wanted(record)]
        if wanted:
            self._send(wanted)
        if not wanted or wanted[-1].position < batch[-1].position:
            self.progress.position = batch[-1].position
            self.progress.save()
        if isinstance(batch[-1].event, WriterEnded):
            self._ended_in_order = True
        return len(batch)

    def is_complete(self) -> bool:
        """Whether the journal has ended and the backend has all of it."""
        segments = self._journal.segments()
        ended = self._ended_in_order or (bool(segments) and segments[-1] == CLOSING)
        if not ended:
            return False
        for _ in self._journal.records(self.progress.position, final=True):
            return False
        return True

    def finish(self) -> None:
        """Remember that nothing is left to deliver."""
        if not self.progress.done or self.progress.problem:
            self.progress.done, self.progress.problem = True, None
            self.progress.save()

    def failed(self, problem: str) -> None:
        """Remember why delivery stands still."""
        if self.progress.problem != problem:
            self.progress.problem = problem
            self.progress.save()

    def close(self) -> None:
        """Close the backend and let others deliver."""
        if self._backend is not None:
            self._backend.close()
            self._backend = None
        self.progress.release()

    def _without_removed(self, batch: list[Record]) -> list[Record]:
        """The batch, in which nothing is told any more of runs that were removed for good."""
        gone = removed_runs(self.home)
        if not gone:
            return batch
        kept = []
        for record in batch:
            run = record.event.run
            if run in gone and not isinstance(record.event, RegistryLogged):  # that log is of a model, and is whole
                if self.name != "local":
                    self.progress.note(run, "events withheld", "the run was removed for good")
                record = without(record)
            kept.append(record)
        return kept

    def _is_wanted(self, record: Record) -> bool:
        event = record.event
        if self.name != "local" and (is_tombstone(event) or _says_nothing(event)):
            return False
        if isinstance(event, RunStarted) and self.name in event.not_to and event.run not in self.progress.not_to:
            self.progress.not_to.append(event.run)
            self.progress.note(event.run, "the whole run", f"the framework's own logger sends it to {self.name}")
        if event.run in self.progress.not_to:
            return False
        if isinstance(event, RegistryLogged) and not self._has_registry:
            why = f"{self.name} has no registry that autotrack writes; the step is in the log of the store"
            self.progress.note(event.run, f"{event.action} of the registered model {event.model}", why)
            return False
        if isinstance(event, MetricsLogged) and self.name in event.not_to:
            why = f"the framework's own logger feeds {self.name}"
            self.progress.note(event.run, "points", why, len(event.values))
            return False
        return True

    def _send(self, batch: list[Record]) -> None:
        assert self._backend is not None and self._context is not None
        try:
            acknowledged = self._backend.deliver(batch)
        except BackendRejected as refusal:
            if len(batch) == 1:
                self.progress.bury(batch[0], str(refusal))
                self._advance(batch)
                return
            middle = len(batch) // 2
            self._send(batch[:middle])
            self._send(batch[middle:])
            return
        finally:
            self._context.take_back()
        held = next((index for index, record in enumerate(batch) if record.sequence == acknowledged), -1)
        self._advance(batch[: held + 1])
        if held + 1 < len(batch):
            raise BackendUnavailable(f"{self.name} took {held + 1} of {len(batch)} events")

    def _advance(self, batch: list[Record]) -> None:
        if not batch:
            return
        self.progress.position = batch[-1].position
        self.progress.delivered += len(batch)
        self.progress.problem = None
        if not self._own_cursor or self.progress.notes:
            self.progress.save()


def _says_nothing(event: AnyEvent) -> bool:
    """Whether it stands in the place of an event of a run that was removed for good."""
    return isinstance(event, TagsSet) and not event.run and not event.tags


def undelivered(folder: Path, progress: Progress) -> int:
    """How many records of a journal a backend does not have."""
    return sum(1 for _ in Journal(folder).records(progress.position))


__all__ = ["BATCH", "Delivery", "undelivered"]
