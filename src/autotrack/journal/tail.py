"""The last of a text that has no end, kept in two files that are written in turn: for what may not fill a journal.

Events enter, as the journal's frames; when a file is full the older one is begun anew, so that at any time, and after
`kill -9` too, the last `HALF` to `2 * HALF` bytes are there. The run's process takes them into its journal when the run
ends; whoever closes the run for a process that is gone takes them from the files (`left_behind`).
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from autotrack.events import ConsoleLogged, NoteLogged, decode, encode
from autotrack.journal.frames import HEADER, HEADER_BYTES, frame, is_intact

HALF: Final = 256 << 10
"""Bytes of one of the two files."""

JOINED: Final = 32 << 10
"""Pieces of one stream are joined to events of about this size."""

LEFT_OUT: Final = "console bytes"
WHY: Final = "the run wrote more than is kept; the first of it is there, and the last"


class Tail:
    """The end of one run's text, while its process writes it. Raises `OSError` where it cannot be kept."""

    def __init__(self, home: Path, run: str) -> None:
        self._paths = _paths(home, run)
        self._paths[0].parent.mkdir(mode=0o700, exist_ok=True)
        self._run = run
        self._which = 1
        self._sizes = [0, 0]
        self._left_out = 0
        self._file: BinaryIO | None = None
        self._turn()

    def append(self, event: ConsoleLogged) -> None:
        """Add one piece of the text."""
        assert self._file is not None
        if self._sizes[self._which] >= HALF:
            self._turn()
        self._file.write(frame(encode(event), self._sizes[self._which]))
        self._sizes[self._which] += len(event.text.encode(errors="replace"))

    def take(self) -> list[ConsoleLogged | NoteLogged]:
        """What is to enter the journal; the files are gone then."""
        assert self._file is not None
        self._file.close()
        found = _read(self._paths)
        for path in self._paths:
            path.unlink(missing_ok=True)
        return found

    def abandon(self) -> None:
        """Close the files and leave them to the process that writes them: this one is a forked child."""
        if self._file is not None:
            self._file.close()

    def _turn(self) -> None:
        self._which = 1 - self._which
        self._left_out += self._sizes[self._which]
        self._sizes[self._which] = 0
        if self._file is not None:
            self._file.close()
        self._file = open(self._paths[self._which], "wb", buffering=0, opener=_private)  # noqa: SIM115  until the next
        note = NoteLogged(self._run, time.time_ns(), LEFT_OUT, self._left_out, WHY)
        self._file.write(frame(encode(note), 0))


def left_behind(home: Path, run: str) -> list[ConsoleLogged | NoteLogged]:
    """What a process that is gone has left of a run's text, to enter the journal with the run's end."""
    return _read(_paths(home, run))


def forget(home: Path, run: str) -> None:
    """Remove what `left_behind` gave, once it is in the journal."""
    for path in _paths(home, run):
        path.unlink(missing_ok=True)


def _paths(home: Path, run: str) -> tuple[Path, Path]:
    name = "".join(sign if sign.isalnum() or sign in "-_" else "_" for sign in run)
    return home / "console" / f"{name}.0", home / "console" / f"{name}.1"


def _read(paths: tuple[Path, Path]) -> list[ConsoleLogged | NoteLogged]:
    parts = sorted((events for events in map(_events, paths) if events), key=lambda events: events[0].time)
    left_out = max((event.count for part in parts for event in part if isinstance(event, NoteLogged)), default=0)
    joined: list[ConsoleLogged | NoteLogged] = []
    for event in (event for part in parts for event in part if isinstance(event, ConsoleLogged)):
        last = joined[-1] if joined else None
        if isinstance(last, ConsoleLogged) and last.stream == event.stream and len(last.text) < JOINED:
            joined[-1] = ConsoleLogged(last.run, event.time, last.stream, last.text + event.text)
        else:
            joined.append(event)
    if left_out:
        first = joined[0]
        marker = f"\n[{left_out} bytes are left out here]\n"
        joined.insert(0, ConsoleLogged(first.run, parts[0][0].time, "stdout", marker))
        joined.append(NoteLogged(joined[0].run, time.time_ns(), LEFT_OUT, left_out, WHY))
    return joined


def _events(path: Path) -> list[ConsoleLogged | NoteLogged]:
    try:
        data = path.read_bytes()
    except OSError:
        return []
    found: list[ConsoleLogged | NoteLogged] = []
    at = 0
    while at + HEADER_BYTES <= len(data):
        length, checksum, sequence = HEADER.unpack_from(data, at)
        at += HEADER_BYTES
        payload = data[at : at + length]
        if len(payload) < length or not is_intact(payload, checksum, sequence):
            break
        try:
            event = decode(payload)
        except msgspec.DecodeError:
            break
        if isinstance(event, ConsoleLogged | NoteLogged):
            found.append(event)
        at += length
    return found


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


__all__ = ["Tail", "forget", "left_behind"]
