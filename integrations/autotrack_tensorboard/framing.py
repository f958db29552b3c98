"""TFRecord: how an event file frames its records, without TensorFlow.

A record is its length (8 bytes), a checksum of those, the data, and a checksum of the data, all little-endian
(TensorFlow, `tensorflow/core/lib/io/record_writer.h`). A checksum is CRC-32C (Castagnoli, RFC 3720 B.4), rotated right
by 15 bits with 0xA282EAD8 added, since files may hold records that hold checksums.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import BinaryIO, Final

import numpy

_POLYNOMIAL: Final = 0x82F63B78
_FOOTER: Final = struct.Struct("<I")
_LENGTH: Final = struct.Struct("<Q")
HEADER_BYTES: Final = 12
MOST_BYTES: Final = 1 << 31
"""Longest record that is believed: protobuf's own limit of a message."""

_LANES: Final = 512
_MANY: Final = 16_384
"""From so many bytes on, `_LANES` stretches are worked on side by side."""


def _table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return tuple(table)


_TABLE: Final = _table()


def crc32c(data: bytes | memoryview) -> int:
    """The CRC-32C of `data`."""
    if len(data) >= _MANY:
        return _of_many(memoryview(data))
    return _plain(data, 0xFFFFFFFF) ^ 0xFFFFFFFF


def _plain(data: bytes | memoryview, state: int) -> int:
    table = _TABLE
    for byte in data:
        state = table[(state ^ byte) & 255] ^ (state >> 8)
    return state


def _of_many(data: memoryview) -> int:
    # The checksum is linear: each lane is taken for itself from 0, then all are joined, each moved on by the length
    # of a lane. Moving on is linear too: a table for each of the state's four bytes says where it leads.
    width = len(data) // _LANES
    table = numpy.array(_TABLE, dtype=numpy.uint32)
    columns = numpy.frombuffer(data[: width * _LANES], dtype=numpy.uint8).reshape(_LANES, width).T.astype(numpy.uint32)
    lanes = numpy.zeros(_LANES, dtype=numpy.uint32)
    for column in columns:
        lanes = table[(lanes ^ column) & 255] ^ (lanes >> 8)
    a, b, c, d = _moving(width)
    state = 0xFFFFFFFF
    for lane in lanes.tolist():
        state = a[state & 255] ^ b[state >> 8 & 255] ^ c[state >> 16 & 255] ^ d[state >> 24] ^ lane
    return _plain(data[width * _LANES :], state) ^ 0xFFFFFFFF


@lru_cache(maxsize=8)
def _moving(zeros: int) -> tuple[list[int], ...]:
    table = numpy.array(_TABLE, dtype=numpy.uint32)
    states = numpy.arange(256, dtype=numpy.uint32)
    every = numpy.concatenate([states << shift for shift in (0, 8, 16, 24)]).astype(numpy.uint32)
    for _ in range(zeros):
        every = table[every & 255] ^ (every >> 8)
    return tuple(part.tolist() for part in every.reshape(4, 256))


def masked(checksum: int) -> int:
    """A checksum as it stands in a record."""
    return ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF


@lru_cache(maxsize=1024)
def _header(length: int) -> bytes:
    head = _LENGTH.pack(length)
    return head + _FOOTER.pack(masked(crc32c(head)))


def framed(data: bytes) -> bytes:
    """`data` as one record."""
    return _header(len(data)) + data + _FOOTER.pack(masked(crc32c(data)))


class Damage:
    """What was wrong in a file that was read."""

    def __init__(self) -> None:
        self.torn = 0
        """Bytes at the end that are no whole record: whoever wrote was stopped, or writes still."""
        self.bad = 0
        """Records whose checksum does not fit; they are passed over."""
        self.unread = 0
        """Bytes behind a length that cannot be believed."""


def records(file: BinaryIO, damage: Damage) -> Iterator[bytes]:
    """The records of a file that is open at its first; what is wrong with it is told in `damage`."""
    while True:
        head = file.read(HEADER_BYTES)
        if not head:
            return
        if len(head) < HEADER_BYTES:
            damage.torn += len(head)
            return
        length = _LENGTH.unpack_from(head)[0]
        if length > MOST_BYTES or head != _header(length):
            start = file.tell()
            damage.unread += HEADER_BYTES + file.seek(0, 2) - start
            return
        data = file.read(length + 4)
        if len(data) < length + 4:
            damage.torn += HEADER_BYTES + len(data)
            return
        body, found = data[:length], _FOOTER.unpack_from(data, length)[0]
        if masked(crc32c(body)) != found:
            damage.bad += 1
            continue
        yield body


__all__ = ["Damage", "crc32c", "framed", "masked", "records"]
