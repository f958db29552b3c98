"""Protocol Buffers' wire format, for backends and importers of products that use it, without generated classes.

The format is that of the guide "Encoding" of Protocol Buffers. Writing: one function a kind of field, which gives its
bytes. Reading: `fields` gives what a message holds, by number; what a number means is told by who reads.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, TypeAlias

_DOUBLE: Final = struct.Struct("<d")
_FLOAT: Final = struct.Struct("<f")
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

Value: TypeAlias = int | bytes
"""An unsigned integer for a varint; bytes for all else: 8 or 4 of a fixed number, or text, bytes or a message."""


class Damaged(ValueError):
    """Bytes that are no message."""


def varint(value: int) -> bytes:
    """An integer; a negative one as 64 bits in two's complement."""
    value &= 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def integer(number: int, value: int) -> bytes:
    """An int32, int64, bool or enum field."""
    return varint(number << 3 | VARINT) + varint(value)


def double(number: int, value: float) -> bytes:
    """A double field."""
    return varint(number << 3 | FIXED64) + _DOUBLE.pack(value)


def float32(number: int, value: float) -> bytes:
    """A float field. Raises `OverflowError` for what is beyond its range."""
    return varint(number << 3 | FIXED32) + _FLOAT.pack(value)


def sized(number: int, value: bytes | str) -> bytes:
    """A bytes, string or message field."""
    data = value.encode("utf-8", "replace") if isinstance(value, str) else value
    return varint(number << 3 | BYTES) + varint(len(data)) + data


def fields(message: bytes) -> Iterator[tuple[int, Value]]:
    """The fields of a message in its order: integers as unsigned, all others as their bytes.

    Raises `Damaged`.
    """
    at, end = 0, len(message)
    while at < end:
        tag, at = read_varint(message, at)
        number, kind = tag >> 3, tag & 7
        value: Value
        if kind == VARINT:
            value, at = read_varint(message, at)
        else:
            if kind == BYTES:
                size, at = read_varint(message, at)
            elif kind == FIXED64:
                size = 8
            elif kind == FIXED32:
                size = 4
            else:
                raise Damaged(f"wire type {kind} is none that is used")
            if at + size > end:
                raise Damaged("a field ends behind its message")
            value = message[at : at + size]
            at += size
        yield number, value


def as_double(value: Value) -> float:
    """What a double field holds."""
    number: float = _DOUBLE.unpack(value)[0] if isinstance(value, bytes) else float(value)
    return number


def as_float(value: Value) -> float:
    """What a float field holds."""
    number: float = _FLOAT.unpack(value)[0] if isinstance(value, bytes) else float(value)
    return number


def as_signed(value: Value) -> int:
    """What an int64 field holds."""
    number = value if isinstance(value, int) else int.from_bytes(value, "little")
    return number - (1 << 64) if number >= 1 << 63 else number


def as_bytes(value: Value) -> bytes:
    """What a bytes or message field holds."""
    return value if isinstance(value, bytes) else b""


def as_text(value: Value) -> str:
    """What a string field holds."""
    return as_bytes(value).decode("utf-8", "replace")


def integers(value: Value) -> list[int]:
    """What one occurrence of a repeated integer field holds, packed or not."""
    if isinstance(value, int):
        return [value]
    found, at = [], 0
    while at < len(value):
        number, at = read_varint(value, at)
        found.append(number)
    return found


def read_varint(message: bytes | memoryview, at: int) -> tuple[int, int]:
    """The unsigned integer at `at`, and where it ends. Raises `Damaged`."""
    result = shift = 0
    try:
        while True:
            byte = message[at]
            at += 1
            result |= (byte & 127) << shift
            if byte < 128:
                return result & 0xFFFFFFFFFFFFFFFF, at
            shift += 7
            if shift > 63:
                raise Damaged("a number has more than 64 bits")
    except IndexError:
        raise Damaged("a number ends behind its message") from None


__all__ = [
    "Damaged",
    "Value",
    "as_bytes",
    "as_double",
    "as_float",
    "as_signed",
    "as_text",
    "double",
    "fields",
    "float32",
    "integer",
    "integers",
    "read_varint",
    "sized",
    "varint",
]
