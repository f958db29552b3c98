"""Protocol Buffers as bytes: just enough of the wire format to read what `neptune-scale` wrote, with no generated code.

The format is that of the Protocol Buffers encoding guide: a message is fields, a field is a number and one of four wire
types. What the numbers mean is told by who reads (`scale`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, TypeAlias

Value: TypeAlias = int | bytes
"""An integer for a varint, bytes for everything else: 8 or 4 of a fixed number, or text, bytes or a message inside."""

_VARINT: Final = 0
_FIXED64: Final = 1
_LENGTH: Final = 2
_FIXED32: Final = 5


class Damaged(ValueError):
    """Bytes that are no message."""


def fields(message: bytes) -> Iterator[tuple[int, Value]]:
    """The fields of a message in their order, each with its number. Raises `Damaged`."""
    position, end = 0, len(message)
    while position < end:
        key, position = _varint(message, position)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, position = _varint(message, position)
            yield number, value
            continue
        if kind == _LENGTH:
            length, position = _varint(message, position)
        elif kind in (_FIXED64, _FIXED32):
            length = 8 if kind == _FIXED64 else 4
        else:
            raise Damaged(f"wire type {kind} is none of those that are in use")
        if position + length > end:
            raise Damaged("a message ends within a field")
        yield number, message[position : position + length]
        position += length


def last(message: bytes) -> dict[int, Value]:
    """The last value of each field, as for fields that are not repeated. Raises `Damaged`."""
    return dict(fields(message))


def integer(value: Value | None) -> int:
    """A signed 64-bit integer; 0 where there is none."""
    if not isinstance(value, int):
        return 0
    return value - (1 << 64) if value >> 63 else value


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
    found: list[int] = []
    for field, value in fields(message):
        if field != number:
            continue
        if isinstance(value, int):
            found.append(integer(value))
            continue
        position = 0
        while position < len(value):
            one, position = _varint(value, position)
            found.append(integer(one))
    return found


def _varint(message: bytes, position: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        if position >= len(message) or shift > 63:
            raise Damaged("a number does not end")
        byte = message[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return number & 0xFFFF_FFFF_FFFF_FFFF, position
        shift += 7
