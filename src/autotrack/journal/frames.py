"""The bytes of a segment: frame after frame, each `length, checksum, sequence, payload`.

    length    u32  bytes of the payload
    checksum  u32  XXH32 of the payload, seeded with the low 32 bits of the sequence
    sequence  u64  the event's number in its journal, from 1
    payload   an event, as `autotrack.events` encodes it

All little-endian. A position in a journal is `segment << 40 | offset`: it grows along the journal and names one frame.
"""

from __future__ import annotations

import struct
from typing import Final

from xxhash import xxh32_intdigest

HEADER: Final = struct.Struct("<IIQ")
HEADER_BYTES: Final = HEADER.size
LARGEST_PAYLOAD: Final = 1 << 30
"""A length beyond this is damage, not a frame."""

OFFSET_BITS: Final = 40
SEGMENT_SUFFIX: Final = ".atj"
COMPRESSED_SUFFIX: Final = ".atj.gz"
CLOSING: Final = 999_999
"""Segment number of the frames that others wrote for a process that is gone."""


def frame(payload: bytes, sequence: int) -> bytes:
    """The bytes of one frame."""
    return HEADER.pack(len(payload), xxh32_intdigest(payload, sequence & 0xFFFFFFFF), sequence) + payload


def is_intact(payload: bytes | memoryview, checksum: int, sequence: int) -> bool:
    """Whether the payload is the one that was framed."""
    return xxh32_intdigest(payload, sequence & 0xFFFFFFFF) == checksum


def position(segment: int, offset: int) -> int:
    """The position of byte `offset` in segment number `segment`."""
    return segment << OFFSET_BITS | offset


def segment_and_offset(place: int) -> tuple[int, int]:
    """The inverse of `position`."""
    return place >> OFFSET_BITS, place & ((1 << OFFSET_BITS) - 1)


def segment_name(segment: int) -> str:
    """The file name of a segment."""
    return f"{segment:06d}{SEGMENT_SUFFIX}"
