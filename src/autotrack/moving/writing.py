"""One foreign run becomes a journal, whole or not at all; what an earlier import brought is passed over.

Beside the segments of an imported journal lies `imported`: 8 bytes for each event, XXH3-64 of its encoding, by which a
later import of the same run knows what it has already. The journal is made in a hidden folder and gets its name when it
is complete and was read back, so that an import may be interrupted at any point.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from msgspec.structs import replace
from xxhash import xxh3_64_intdigest, xxh32_intdigest

from autotrack import __version__
from autotrack.errors import AutotrackError
from autotrack.events import (
    SCHEMA,
    AnyEvent,
    MetricsLogged,
    NoteLogged,
    RunEnded,
    RunStarted,
    WriterEnded,
    WriterStarted,
    encode,
)
from autotrack.importing import ForeignRun, run_id
from autotrack.journal import liveness
from autotrack.journal.frames import CLOSING, frame, segment_name
from autotrack.journal.reader import Journal, archived, journals
from autotrack.journal.removed import removed_runs
from autotrack.journal.writer import SEGMENT_BYTES
from autotrack.moving.counting import Counts
from autotrack.provenance.blobs import Blobs

KNOWN: Final = "imported"


class Damaged(AutotrackError):
    """What was written is not what can be read back."""


@dataclass
class Brought:
    """What became of one foreign run."""

    origin: str
    run: str
    name: str
    outcome: str = "imported"
    """`imported`, `continued` (there was more than the last time), `known` (there was not, or it was removed here for
    good), or `failed`.
    """
    events: int = 0
    files: int = 0
    file_bytes: int = 0
    problem: str | None = None
    not_carried: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How many times (what, why)."""
    counts: Counts = field(default_factory=Counts)
    """Of the points of the whole run, those that were here before included."""


class Lent:
    """What an importer is lent for one run (`autotrack.importing.Keeping`)."""

    def __init__(self, blobs: Blobs, brought: Brought) -> None:
        self._blobs = blobs
        self._brought = brought

    def keep(self, source: Path | bytes | BinaryIO) -> tuple[str, int]:
        """Keep a file as a blob; gives its digest and size."""
        if isinstance(source, Path):
            kept = self._blobs.put_file(source)
        elif isinstance(source, bytes | bytearray | memoryview):
            kept = self._blobs.put_bytes(source)
        else:
            kept = self._blobs.put_stream(source)
        self._brought.files += 1
        self._brought.file_bytes += kept.bytes
        return kept.digest, kept.bytes

    def not_carried(self, what: str, why: str, count: int = 1) -> None:
        """Count something that has no place here."""
        self._brought.not_carried[what, why] += count


def bring(home: Path, foreign: ForeignRun, backends: tuple[str, ...]) -> Brought:
    """Write what is new of a foreign run into a journal of its own. Raises what its importer raises."""
    brought = Brought(foreign.origin, run_id(foreign.origin), foreign.name)
    if brought.run in removed_runs(home):
        brought.name, brought.outcome = "", "known"
        brought.not_carried["whole runs", "they were removed here for good"] += 1
        return brought
    earlier = _earlier(home, brought.run)
    known = _known(earlier)
    draft: _Draft | None = None
    start: RunStarted | None = None
    last = 0
    try:
        for event in _told(foreign, brought, Lent(Blobs(home), brought)):
            last = max(last, event.time)
            if isinstance(event, MetricsLogged):
                brought.counts.add(event)
            elif start is None and isinstance(event, RunStarted):
                start = event
            mark = xxh3_64_intdigest(encode(event))
            if known[mark]:
                known[mark] -= 1
                continue
            if draft is None:
                draft = _Draft(home, brought, event.time, len(earlier), backends)
                if start is not None and start is not event:
                    draft.add(replace(start, time=event.time, resumed=True), None)
            draft.add(event, mark)
        if draft is None:
            brought.outcome = "known"
            return brought
        brought.outcome = "continued" if earlier else "imported"
        draft.finish(last)
        draft = None
        return brought
    finally:
        if draft is not None:
            draft.discard()


def _told(foreign: ForeignRun, brought: Brought, lent: Lent) -> Iterable[AnyEvent]:
    """The events of a run, with a note for what was not carried before its end."""
    end: RunEnded | None = None
    first = True
    last = 0
    for event in foreign.events(lent):
        if first and not (isinstance(event, RunStarted) and event.run == brought.run):
            raise AutotrackError(f"the importer does not begin {foreign.origin} with its start")
        first = False
        last = event.time
        if end is not None:
            yield end
            end = None
        if isinstance(event, RunEnded):
            end = event  # held back: notes belong before the end
            continue
        yield event
    if first:
        raise AutotrackError(f"the importer tells nothing of {foreign.origin}")
    for (what, why), count in sorted(brought.not_carried.items()):
        yield NoteLogged(brought.run, last, what, count, why)
    if end is not None:
        yield end


def _earlier(home: Path, run: str) -> list[Path]:
    return [folder for folder in [*archived(home), *journals(home)] if folder.name.endswith(f"-import-{run}")]


def _known(folders: Iterable[Path]) -> Counter[int]:
    known: Counter[int] = Counter()
    for folder in folders:
        marks = memoryview((folder / KNOWN).read_bytes()).cast("Q")
        known.update(marks.tolist())
    return known


class _Draft:
    """A journal that is being made."""

    def __init__(self, home: Path, brought: Brought, time_ns: int, part: int, backends: tuple[str, ...]) -> None:
        self._brought = brought
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(max(0, time_ns) // 10**9))
        self._name = f"{stamp}-{part}-import-{brought.run}"
        self._final = home / "journals" / self._name
        self._folder = home / "journals" / f".{self._name}"
        shutil.rmtree(self._folder, ignore_errors=True)  # what an interrupted import left
        self._folder.mkdir(parents=True, mode=0o700)
        self._header = encode(
            WriterStarted(
                "", time_ns, self._name, 0, 0.0, liveness.host_name(), "", __version__, list(backends), SCHEMA
            )
        )
        self._marks = bytearray()
        self._sequence = self._segment = self._size = 0
        self._written = 0
        self._check = 0
        self._next_segment()

    def add(self, event: AnyEvent, mark: int | None) -> None:
        """Append an event; one without a mark is not of the source itself."""
        payload = encode(event)
        if self._size >= SEGMENT_BYTES:
            self._file.close()
            self._next_segment()
        self._write(payload)
        self._brought.events += 1
        if mark is not None:
            self._marks += mark.to_bytes(8, "little")

    def finish(self, last: int) -> None:
        """End the journal, read it back, and give it its name."""
        self._write(encode(WriterEnded("", last)))
        self._file.close()
        (self._folder / KNOWN).write_bytes(self._marks)
        read = check = 0
        journal = Journal(self._folder)
        for record in journal.records(final=True):
            read += 1
            check ^= xxh32_intdigest(encode(record.event), record.sequence & 0xFFFFFFFF) << (record.sequence % 32)
        if (read, check, journal.damage.frames) != (self._written, self._check, 0):
            self.discard()
            raise Damaged(f"{self._written} events were written and {read} read back: is the disk in order?")
        # No process speaks for these runs: one that its product calls running stays so, and is not closed as killed.
        (self._folder / segment_name(CLOSING)).touch()
        self._folder.rename(self._final)

    def discard(self) -> None:
        """Leave nothing behind."""
        self._file.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _next_segment(self) -> None:
        self._segment += 1
        self._size = 0
        self._file = open(self._folder / segment_name(self._segment), "xb")  # noqa: SIM115 (closed at the next one)
        self._write(self._header)

    def _write(self, payload: bytes) -> None:
        self._sequence += 1
        self._size += self._file.write(frame(payload, self._sequence))
        self._written += 1
        self._check ^= xxh32_intdigest(payload, self._sequence & 0xFFFFFFFF) << (self._sequence % 32)
