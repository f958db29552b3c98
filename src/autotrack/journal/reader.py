"""Reading a journal from any position, while its process writes, after it was killed, and when bytes are damaged.

What is half written is left for the next reading; a torn tail of a dead process is dropped and told; a damaged frame is
skipped, counted, and reading goes on at the next frame that is intact. Reading changes nothing on disk.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from autotrack.events import Record, WriterStarted, decode
from autotrack.journal.frames import (
    CLOSING,
    COMPRESSED_SUFFIX,
    HEADER,
    HEADER_BYTES,
    LARGEST_PAYLOAD,
    SEGMENT_SUFFIX,
    is_intact,
    position,
    segment_and_offset,
    segment_name,
)

WINDOW = 8 << 20
"""Bytes of a segment that are held in memory at a time."""


@dataclass
class Damage:
    """What a reading had to pass over."""

    frames: int = 0
    torn_bytes: int = 0
    places: list[int] = field(default_factory=list)


class Journal:
    """One writer's folder, to read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = folder.name
        self.damage = Damage()

    def segments(self) -> list[int]:
        """The numbers of the segments that exist, in order."""
        found = set()
        for path in self.folder.iterdir():
            for suffix in (SEGMENT_SUFFIX, COMPRESSED_SUFFIX):
                stem = path.name.removesuffix(suffix)
                if stem != path.name and stem.isdigit():
                    found.add(int(stem))
        return sorted(found)

    def header(self) -> WriterStarted | None:
        """The writer's description of itself, or None while there is none."""
        for record in self.records():
            return record.event if isinstance(record.event, WriterStarted) else None
        return None

    def records(self, start: int = 0, *, final: bool = False) -> Iterator[Record]:
        """Yield every intact record from position `start` to the end as it is now.

        `final` says that nobody appends any more: an incomplete tail then counts as torn instead of awaited.
        """
        from_segment, offset = segment_and_offset(start)
        segments = [number for number in self.segments() if number >= from_segment]
        for index, number in enumerate(segments):
            begin = offset if number == from_segment else 0
            yield from self._segment(number, begin, complete=final or index + 1 < len(segments))

    def end(self) -> int:
        """The position behind the last byte that exists now."""
        segments = self.segments()
        if not segments:
            return 0
        path = self.folder / segment_name(segments[-1])
        size = path.stat().st_size if path.exists() else len(self._compressed(segments[-1]))
        return position(segments[-1], size)

    def _compressed(self, number: int) -> bytes:
        return gzip.decompress((self.folder / (segment_name(number) + ".gz")).read_bytes())

    def _segment(self, number: int, offset: int, *, complete: bool) -> Iterator[Record]:
        path = self.folder / segment_name(number)
        try:
            source = path.open("rb", buffering=0)
        except FileNotFoundError:
            yield from self._frames(number, offset, self._compressed(number)[offset:], complete=True)
            return
        with source:
            packed = path.with_name(path.name + ".gz")
            if not os.fstat(source.fileno()).st_size and packed.exists():  # an earlier release made it beside that one
                yield from self._frames(number, offset, self._compressed(number)[offset:], complete=True)
                return
            source.seek(offset)
            held = b""
            while True:
                fresh = source.read(WINDOW)
                held += fresh
                last = len(fresh) < WINDOW
                used = 0
                for record in self._frames(number, offset, held, complete=complete and last):
                    used = segment_and_offset(record.position)[1] - offset
                    yield record
                if last:
                    return
                held, offset = held[used:], offset + used

    def _frames(self, number: int, base: int, data: bytes, *, complete: bool) -> Iterator[Record]:
        view, at, size = memoryview(data), 0, len(data)
        unpack = HEADER.unpack_from
        base_position = position(number, base)
        while at + HEADER_BYTES <= size:
            length, checksum, sequence = unpack(data, at)
            stop = at + HEADER_BYTES + length
            payload = view[at + HEADER_BYTES : stop]
            if stop <= size and length and is_intact(payload, checksum, sequence):
                try:
                    event = decode(payload)
                except msgspec.DecodeError:  # intact but of a newer release: told, and passed over
                    self._damaged(base_position + at)
                else:
                    yield Record(self.name, sequence, base_position + stop, event)
                at = stop
                continue
            found = next_intact(data, at + 1)
            if found < 0:
                if complete:
                    self.damage.torn_bytes = size - at
                elif length > LARGEST_PAYLOAD:
                    self._damaged(base_position + at)
                return
            self._damaged(base_position + at)
            at = found
        if complete and at < size:
            self.damage.torn_bytes = size - at

    def _damaged(self, place: int) -> None:
        if place not in self.damage.places:
            self.damage.frames += 1
            self.damage.places.append(place)


def next_intact(data: bytes | bytearray, at: int) -> int:
    """The offset of the next intact frame at or after `at`, or -1."""
    size, unpack, view = len(data), HEADER.unpack_from, memoryview(data)
    while at + HEADER_BYTES < size:
        length, checksum, sequence = unpack(data, at)
        stop = at + HEADER_BYTES + length
        # Events are MessagePack arrays: a cheap look at the first byte spares most of the checksums.
        likely = 0 < length <= size and stop <= size and 0x90 <= data[at + HEADER_BYTES] <= 0x9F
        if likely and is_intact(view[at + HEADER_BYTES : stop], checksum, sequence):
            return at
        at += 1
    return -1


def journals(home: Path) -> list[Path]:
    """The folders of all journals that are not yet archived, oldest first."""
    folder = home / "journals"
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def archived(home: Path) -> list[Path]:
    """The folders of all journals that every backend has, oldest first."""
    folder = home / "archive"
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


__all__ = ["CLOSING", "Damage", "Journal", "archived", "journals", "next_intact"]
