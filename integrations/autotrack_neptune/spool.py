"""What is gathered of a run until its tables are written, in `.autotrack/` beside them.

`<run>/<writer>.events` holds the events that one journal brought, appended each once (`autotrack.appended`), as frames:
a length of 4 bytes in little-endian and the deflated events, each of them behind its own length. `<run>/written` names
the tables that there are. `blobs/` holds files by their digest.
"""

from __future__ import annotations

import heapq
import json
import os
import shutil
import struct
import threading
import zlib
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

from autotrack.appended import Appended
from autotrack.events import AnyEvent, decode, encode
from autotrack_neptune.places import folder_name

try:
    import fcntl
except ImportError:  # Windows: there one forwarder alone writes a run
    fcntl = None  # type: ignore[assignment]

_LENGTH: Final = struct.Struct("<I")
_FRAME: Final = 2_000
"""Events in a frame, at most."""


class Spool:
    """What was gathered of one run. Everything raises `OSError`, and `append` `BackendUnavailable`."""

    def __init__(self, root: Path, run: str) -> None:
        self._base = root / ".autotrack"
        self._name = folder_name(run)
        self.folder = self._base / self._name
        self.folder.mkdir(parents=True, exist_ok=True)

    def append(self, writer: str, state: MutableMapping[str, Any], events: list[AnyEvent]) -> Appended:
        """Add events of a journal; they count once the file is told to `hold`."""
        with Appended(self._base, f"{self._name}/{folder_name(writer)}.events", state) as file:
            for first in range(0, len(events), _FRAME):
                packed = zlib.compress(b"".join(_framed(encode(event)) for event in events[first : first + _FRAME]), 1)
                file.append(_framed(packed))
        return file

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else writes the tables of this run meanwhile."""
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            if fcntl is not None:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def events(self) -> Iterator[AnyEvent]:
        """All events, in the order of time as far as each journal has them in it."""
        journals = [_read(path) for path in sorted(self.folder.glob("*.events"))]
        return heapq.merge(*journals, key=attrgetter("time"))

    @property
    def written(self) -> list[str]:
        """The tables of the run that there are, as paths below the root, part 0 first; none before it has ended."""
        try:
            held: list[str] = json.loads((self.folder / "written").read_text())
        except (OSError, ValueError):
            return []
        return held

    def remember(self, tables: list[str]) -> None:
        """These are the tables now."""
        draft = self.folder / "written.tmp"
        draft.write_text(json.dumps(tables))
        draft.replace(self.folder / "written")

    def blob(self, digest: str) -> Path:
        """Where a file is that was kept."""
        return self._base / "blobs" / digest[:2] / digest

    def keep(self, digest: str, source: Path) -> None:
        """Keep a file."""
        kept = self.blob(digest)
        if kept.exists():
            return
        kept.parent.mkdir(parents=True, exist_ok=True)
        draft = kept.with_name(f"{digest}-{self._name}-{os.getpid()}-{threading.get_ident()}.tmp")
        shutil.copyfile(source, draft)
        draft.replace(kept)


def _framed(content: bytes) -> bytes:
    return _LENGTH.pack(len(content)) + content


def _frames(content: bytes) -> Iterator[bytes]:
    position = 0
    while position + _LENGTH.size <= len(content):
        (length,) = _LENGTH.unpack_from(content, position)
        position += _LENGTH.size
        if position + length > len(content):
            return  # another journal's, half written: it is written again, and the tables with it
        yield content[position : position + length]
        position += length


def _read(path: Path) -> Iterator[AnyEvent]:
    with open(path, "rb") as file:
        while len(head := file.read(_LENGTH.size)) == _LENGTH.size:
            packed = file.read(_LENGTH.unpack(head)[0])
            try:
                content = zlib.decompress(packed)
            except zlib.error:
                return  # as above
            for event in _frames(content):
                yield decode(event)
