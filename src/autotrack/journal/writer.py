"""Appending to this process's journal: the hot path.

`append` returns when the kernel has the bytes (one unbuffered `write(2)`), so that a killed process loses nothing that
was returned from. It never raises into training: where the disk is full or the folder cannot be written, events are
counted as lost, one warning is given, and the count enters the journal as soon as it can be written again.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from threading import RLock
from typing import BinaryIO

from xxhash import xxh32_intdigest

from autotrack import guard
from autotrack.events import Event, NoteLogged, WriterEnded, WriterStarted, encode
from autotrack.journal import liveness
from autotrack.journal.frames import HEADER, position, segment_name

SEGMENT_BYTES = 64 << 20
"""A segment is closed at this size, so that delivered ones can be compressed."""

BALLAST = "ballast"
BALLAST_BYTES = 32 << 10
"""Reserved on disk from the start and given up when it is full, so that runs can still be ended in the journal.

Closing the journal removes it: whoever looks sees so at a glance that the journal has ended.
"""


class Writer:
    """The journal of one process. Thread-safe; a forked child must make its own."""

    def __init__(self, journals: Path, *, version: str, backends: tuple[str, ...], kind: str = "") -> None:
        """Create the journal's folder below `journals`. Raises `OSError` where that cannot be.

        A `kind` ends its name, so that a journal of that kind is told from others without being read.
        """
        now = time.time_ns()
        # To the microsecond: journals are told apart, and taken in, in the order in which they were made.
        made = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime(now // 10**9))}{now // 1000 % 10**6:06d}"
        self.name = f"{made}-{os.getpid()}-{os.urandom(4).hex()}{kind and f'-{kind}'}"
        self.folder = journals / self.name
        self.home: Path | None = journals.parent
        self.pid = os.getpid()
        self.lost = 0
        self._header = WriterStarted(
            run="", time=now, writer=self.name, pid=self.pid, pid_started=liveness.process_started(self.pid),
            host=liveness.host_name(), boot=_boot_id(), version=version, backends=list(backends),
        )  # fmt: skip
        self._lock = RLock()
        self._sequence = 0
        self._segment = 0
        self._size = 0
        self._lost_reported = 0
        self._lost_run = ""
        self._closed = False
        self._open_folder(journals)
        self._pack = HEADER.pack
        self._file = self._next_segment()
        self._write = self._file.write

    def _open_folder(self, journals: Path) -> None:
        # Made under a hidden name and renamed when its lock is held: nobody ever sees it and takes it for dead.
        journals.mkdir(parents=True, exist_ok=True)
        hidden = journals / f".{self.name}"
        hidden.mkdir(mode=0o700)
        liveness.hold(hidden)
        hidden.rename(self.folder)
        liveness._held[str(self.folder)] = liveness._held.pop(str(hidden))
        try:
            (self.folder / BALLAST).write_bytes(os.urandom(BALLAST_BYTES))
        except OSError:
            pass

    def append(self, payload: bytes) -> bool:
        """Append one encoded event; returns whether the kernel took it. Never raises `OSError`."""
        with self._lock:
            self._sequence = sequence = self._sequence + 1
            frame = self._pack(len(payload), xxh32_intdigest(payload, sequence & 0xFFFFFFFF), sequence) + payload
            try:
                written = self._write(frame)
            except (OSError, ValueError) as problem:
                return self._could_not_write(problem)
            if written != len(frame):
                return self._finish_torn(frame, written or 0)
            self._size += written
            if self._size >= SEGMENT_BYTES:
                self._rotate()
            if self._lost_reported != self.lost:
                self._note_losses()
        return True

    def append_event(self, event: Event, *, essential: bool = False) -> bool:
        """Encode and append; an `essential` event (a run's end) may use the room that was reserved for it."""
        payload = encode(event)
        if self.append(payload):
            return True
        if not essential or not self._give_up_ballast():
            return False
        self.lost -= 1
        return self.append(payload)

    def close(self) -> None:
        """Write the journal's end. The lock goes with the process."""
        with self._lock:
            if self._closed:
                return
            if self._lost_reported != self.lost:
                self._give_up_ballast()
                self._note_losses()
            self.append_event(WriterEnded(run="", time=time.time_ns()), essential=True)
            self._closed = True
            (self.folder / BALLAST).unlink(missing_ok=True)
            self._file.close()

    @property
    def closed(self) -> bool:
        """Whether the journal has been ended."""
        return self._closed

    @property
    def position(self) -> int:
        """Where the next frame will begin."""
        return position(self._segment, self._size)

    def _next_segment(self) -> BinaryIO:
        self._segment += 1
        descriptor = os.open(
            self.folder / segment_name(self._segment),
            os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC,
            0o600,
        )
        opened = os.fdopen(descriptor, "ab", buffering=0)
        self._size = 0
        header = encode(self._header)
        self._sequence += 1
        frame = HEADER.pack(len(header), xxh32_intdigest(header, self._sequence & 0xFFFFFFFF), self._sequence) + header
        try:
            self._size = opened.write(frame) or 0
        except OSError:
            opened.close()
            (self.folder / segment_name(self._segment)).unlink(missing_ok=True)
            self._segment -= 1
            raise
        return opened

    def _rotate(self) -> None:
        full, size = self._file, self._size
        try:
            self._file = self._next_segment()
        except OSError:
            self._size = size  # go on in the old one
            return
        self._write = self._file.write
        full.close()

    def _finish_torn(self, frame: bytes, written: int) -> bool:
        try:
            if self._write(frame[written:]) == len(frame) - written:
                self._size += len(frame)
                return True
            problem: Exception = OSError(28, "no space left on device")
        except OSError as error:
            problem = error
        try:
            os.ftruncate(self._file.fileno(), self._size)
        except OSError:
            pass  # the reader skips the torn frame
        return self._could_not_write(problem)

    def _could_not_write(self, problem: Exception) -> bool:
        self.lost += 1
        guard.warn_once(
            "journal:lost",
            f"cannot write to {self.folder} ({problem}); training goes on and what is not recorded is counted. "
            "Free some space, or point AUTOTRACK_HOME at a folder that can be written",
        )
        return False

    def _give_up_ballast(self) -> bool:
        try:
            (self.folder / BALLAST).unlink()
        except OSError:
            return False
        return True

    def _note_losses(self) -> None:
        before, self._lost_reported = self._lost_reported, self.lost
        note = NoteLogged(
            run=self._lost_run, time=time.time_ns(), what="lost events", count=self.lost - before,
            why="the disk was full or the journal could not be written",
        )  # fmt: skip
        if not self.append_event(note):  # for which there is no room yet: it is told later, and is no loss itself
            self.lost, self._lost_reported = self._lost_reported, before

    def note_losses_for(self, run: str) -> None:
        """Losses from now on are told in the record of `run`."""
        self._lost_run = run


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
