"""The backend `neptune-export`: runs as the files of `neptune-exporter`, which the loaders of eight trackers read.

    AUTOTRACK_NEPTUNE_EXPORT=exports        # gets data/ and files/, as `neptune-exporter export` leaves them

A table in Parquet cannot be added to. So the events of a run are gathered, each once, in `.autotrack/` beside the
tables, and its parts are written when it has ended: all anew, by names that never change, part 0 last. A run that goes
on after that is written again when it has ended again.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from autotrack.backend import BackendContext, BackendUnavailable, Limits, Record
from autotrack.errors import UsageError
from autotrack.events import (
    AnyEvent,
    ArtifactLogged,
    DatasetLogged,
    MetricsLogged,
    ModelLogged,
    NoteLogged,
    ParamsLogged,
    ProvenanceLogged,
    RunEnded,
    RunStarted,
    WriterEnded,
    WriterStarted,
)
from autotrack_neptune.attributes import LAST_STEP, rounded
from autotrack_neptune.columns import digests
from autotrack_neptune.spool import Spool

VARIABLE: Final = "AUTOTRACK_NEPTUNE_EXPORT"
OPEN: Final = "open"
"""In the state: the runs that this journal has begun and not ended."""


class NeptuneExport:
    """Writes runs as the exporter's tables."""

    limits = Limits()

    def open(self, context: BackendContext) -> None:
        """Find the folder. Raises `UsageError` where none is named, or where pyarrow is not installed."""
        place = os.environ.get(VARIABLE, "").strip()
        if not place:
            raise UsageError(f"{VARIABLE} is not set: it names the folder that gets the exporter's data/ and files/")
        try:
            from autotrack_neptune import parts
        except ImportError:
            raise UsageError("neptune-export writes Parquet: pip install 'autotrack-ml[neptune]'") from None
        self._write = parts.write
        self._context = context
        self._root = Path(place).expanduser().absolute()
        self._notes: Counter[tuple[str, str, str]] = Counter()
        try:
            self._root.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise BackendUnavailable(f"{self._root} cannot be made: {problem.strerror}; see {VARIABLE}") from problem

    def resume(self, writer: str) -> int | None:
        """The cursor is kept for it, together with the lengths of what it gathered."""
        return None

    def deliver(self, batch: Sequence[Record]) -> int:
        """Gather a batch, and write the runs that have ended."""
        self._notes.clear()
        by_run: dict[str, list[AnyEvent]] = {}
        for record in batch:
            event = record.event
            if isinstance(event, WriterEnded):
                # Nothing comes any more: what this journal took up and left to others to end.
                for run in self._context.state.get(OPEN, []):
                    by_run.setdefault(run, [])
            elif not isinstance(event, WriterStarted | NoteLogged):
                by_run.setdefault(event.run, []).append(event)
        try:
            self._gather(batch[0].writer, by_run, isinstance(batch[-1].event, WriterEnded))
        except OSError as problem:
            raise BackendUnavailable(f"{self._root} cannot be written: {problem.strerror or problem}") from problem
        for (run, what, why), count in self._notes.items():
            for _ in range(count):
                self._context.note(run, what, why)
        return batch[-1].sequence

    def close(self) -> None:
        """Nothing stays open between batches."""

    def _gather(self, writer: str, by_run: dict[str, list[AnyEvent]], closed: bool) -> None:
        state = self._context.state
        running: set[str] = set(state.get(OPEN, []))
        spools = {run: Spool(self._root, run) for run in by_run}
        for run, events in by_run.items():
            for event in events:
                self._check(event)
                if isinstance(event, ArtifactLogged | ModelLogged):
                    self._keep(spools[run], event)
                for digest in digests(_records(event)):
                    self._keep_blob(spools[run], digest)
        gathered = []
        for run, events in by_run.items():
            ended = False
            for event in events:
                if isinstance(event, RunStarted):
                    running.add(run)
                elif isinstance(event, RunEnded):
                    running.discard(run)
                    ended = True
            if events:
                gathered.append(spools[run].append(writer, state, events))
            with spools[run].locked():
                # Whoever began the run and goes on with it will write it; whoever comes late does it himself.
                if (closed or run not in running) and (ended or spools[run].written):
                    self._write(self._root, run, spools[run])
        for file in gathered:
            file.hold()  # all or none: the batch comes again whole
        state[OPEN] = [] if closed else sorted(running)

    def _keep(self, spool: Spool, event: ArtifactLogged | ModelLogged) -> None:
        if event.digest and not self._keep_blob(spool, event.digest):
            self._notes[event.run, f"file {event.name!r}", "it is no longer kept here"] += 1

    def _keep_blob(self, spool: Spool, digest: str) -> bool:
        source = self._context.blob(digest)
        if source.exists():
            spool.keep(digest, source)
        return spool.blob(digest).exists()

    def _check(self, event: AnyEvent) -> None:
        if isinstance(event, MetricsLogged):
            step = rounded(event.step)
            if step is None:
                why = f"Neptune's steps end before {LAST_STEP:.0e}: left out"
                self._notes[event.run, "points", why] += len(event.values)
            elif step != Decimal(event.step):
                self._notes[event.run, "steps", "Neptune's have six decimals: rounded"] += 1
        elif isinstance(event, ParamsLogged):
            for key, value in event.params.items():
                if value is None:
                    self._notes[event.run, f"param {key!r}", "Neptune has no None: it is the text 'None'"] += 1
                elif isinstance(value, int) and not -(2**63) <= value < 2**63:
                    self._notes[event.run, f"param {key!r}", "does not fit 64 bits: it is a text"] += 1


def _records(event: AnyEvent) -> list[Any]:
    if isinstance(event, RunStarted):
        return [event.environment, event.code]
    return [event.record] if isinstance(event, DatasetLogged | ProvenanceLogged) else []
