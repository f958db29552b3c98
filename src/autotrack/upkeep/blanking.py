"""Taking what is told of removed runs out of journals that are put away, where they are.

An archived journal and ids of runs enter. Each frame of such a run becomes one of the same length, number and place
that says nothing (an empty `TagsSet`, filled up with fields that no release knows), under a checksum of its own:
positions and counts stay what they were, so that every cursor, and whoever reads it at this moment, goes on. A segment
is replaced in one step. What is still written, or waits for a backend, is left alone, since it moves.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from autotrack.events import RegistryLogged, TagsSet, encode
from autotrack.forward.archive import LEVEL
from autotrack.journal.frames import COMPRESSED_SUFFIX, HEADER, HEADER_BYTES, SEGMENT_SUFFIX, frame, is_intact
from autotrack.journal.reader import next_intact

_EMPTY: Final = encode(TagsSet("", 0, {}))
_REGISTRY: Final = RegistryLogged.__struct_config__.tag
"""The log of a registered model is not the run's alone, and a run that is in it is not removed."""


def nothing(length: int) -> bytes:
    """A payload of so many bytes, at least 5, that says nothing."""
    rest = length - len(_EMPTY)
    if rest == 0:
        return _EMPTY
    head = bytes((_EMPTY[0] + 1,))  # one element more than the event has
    if rest == 1:
        filling = b"\xc0"
    elif rest - 2 <= 0xFF:
        filling = b"\xc4" + (rest - 2).to_bytes(1, "big")
    elif rest - 3 <= 0xFFFF:
        filling = b"\xc5" + (rest - 3).to_bytes(2, "big")
    else:
        filling = b"\xc6" + (rest - 5).to_bytes(4, "big")
    return (head + _EMPTY[1:] + filling).ljust(length, b"\0")


def speaks_of(folder: Path, runs: Iterable[str]) -> set[str]:
    """Those of the runs whose ids stand in a journal. One that is damaged, or moves at this moment, may say less."""
    found: set[str] = set()
    wanted = {run: run.encode() for run in runs}
    for segment in _segments(folder):
        try:
            data = _content(segment)
        except (OSError, EOFError, zlib.error):
            continue
        found.update(run for run, name in wanted.items() if name in data)
    return found


def blank(folder: Path, runs: Collection[str]) -> tuple[int, bool]:
    """Take these runs out of an archived journal.

    Gives how many frames said something of them, and whether none is left: of a damaged part it cannot be told. Raises
    `OSError` where the journal cannot be written.
    """
    count, clean = 0, True
    names = [run.encode() for run in runs]
    before = folder.stat()
    for segment in _segments(folder):
        try:
            data = bytearray(_content(segment))
        except (EOFError, zlib.error, gzip.BadGzipFile):
            clean = False
            continue
        if not any(name in data for name in names):
            continue
        found, damaged = _blanked(data, frozenset(runs))
        count += found
        clean = clean and not (damaged and any(name in data for name in names))
        if found:
            _replace(segment, bytes(data))
    os.utime(folder, ns=(before.st_atime_ns, before.st_mtime_ns))  # it is as old as it was
    return count, clean


def _blanked(data: bytearray, runs: frozenset[str]) -> tuple[int, bool]:
    """Change a segment's bytes: how many frames were, and whether there were bytes that are no frame."""
    at, count, damaged = 0, 0, False
    while at + HEADER_BYTES <= len(data):
        length, checksum, sequence = HEADER.unpack_from(data, at)
        stop = at + HEADER_BYTES + length
        payload = bytes(data[at + HEADER_BYTES : stop])
        if stop > len(data) or not length or not is_intact(payload, checksum, sequence):
            damaged = True
            at = next_intact(data, at + 1)
            if at < 0:
                return count, True
            continue
        if _belongs_to(payload, runs):
            data[at:stop] = frame(nothing(length), sequence)
            count += 1
        at = stop
    return count, damaged or at < len(data)


def _belongs_to(payload: bytes, runs: frozenset[str]) -> bool:
    try:
        told = msgspec.msgpack.decode(payload)  # also an event of a newer release
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return isinstance(told, list) and len(told) > 1 and told[1] in runs and told[0] != _REGISTRY


def _segments(folder: Path) -> Iterator[Path]:
    try:
        found = sorted(folder.iterdir())
    except OSError:  # archived, or removed
        return
    yield from (one for one in found if one.name[0] != "." and one.name.endswith((SEGMENT_SUFFIX, COMPRESSED_SUFFIX)))


def _content(segment: Path) -> bytes:
    data = segment.read_bytes()
    return gzip.decompress(data) if segment.name.endswith(COMPRESSED_SUFFIX) else data


def _replace(segment: Path, data: bytes) -> None:
    times = segment.stat()
    draft = segment.with_name(f".{segment.name}-{os.getpid()}")
    with draft.open("wb") as opened:
        packed = segment.name.endswith(COMPRESSED_SUFFIX)
        opened.write(gzip.compress(data, LEVEL) if packed else data)
        opened.flush()
        os.fsync(opened.fileno())
    os.utime(draft, ns=(times.st_atime_ns, times.st_mtime_ns))
    draft.replace(segment)
