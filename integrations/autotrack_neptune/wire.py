"""What `neptune-scale` wrote as Protocol Buffers: fields that are not repeated, numbers that are packed or not.

What the numbers of fields mean is told by who reads (`scale`).
"""

from __future__ import annotations

import struct

from autotrack.protobuf import Damaged, Value, as_signed, fields
from autotrack.protobuf import integers as one_or_packed


def last(message: bytes) -> dict[int, Value]:
    """The last value of each field, as for fields that are not repeated. Raises `Damaged`."""
    return dict(fields(message))


def integer(value: Value | None) -> int:
    """A signed 64-bit integer; 0 where there is none."""
    return as_signed(value) if isinstance(value, int) else 0


def double(value: Value | None) -> float:
    """A 64-bit float; 0 where there is none. Raises `Damaged`."""
    if value is None:
        return 0.0
    if not isinstance(value, bytes) or len(value) != 8:
        raise Damaged("a number is not 8 bytes long")
    number: float = struct.unpack("<d", value)[0]
    return number


def text(value: Value | None) -> str:
    """Text; empty where there is none. What is not UTF-8 is replaced."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""


def inside(value: Value | None) -> bytes:
    """A message within a message; empty where there is none."""
    return value if isinstance(value, bytes) else b""


def doubles(message: bytes, number: int) -> list[float]:
    """All values of a repeated 64-bit float, packed or not. Raises `Damaged`."""
    found: list[float] = []
    for field, value in fields(message):
        if field == number:
            packed = inside(value)
            if len(packed) % 8:
                raise Damaged("packed numbers are not 8 bytes long each")
            found.extend(struct.unpack(f"<{len(packed) // 8}d", packed))
    return found


def integers(message: bytes, number: int) -> list[int]:
    """All values of a repeated integer, packed or not. Raises `Damaged`."""
    return [as_signed(one) for field, value in fields(message) if field == number for one in one_or_packed(value)]
