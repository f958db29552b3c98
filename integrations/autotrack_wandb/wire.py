"""Protocol buffers, as much of them as W&B's records need: messages described by tables, to bytes and back.

The wire format is that of protobuf 3 (its language-neutral encoding specification): varints, 64-bit and 32-bit words,
and bytes with their length in front. A field that is not in the table is skipped, as a newer SDK may write some.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeAlias

VARINT, DOUBLE, TEXT = "varint", "double", "text"
"""Kinds of fields, beside a message's table: integers and booleans, 64-bit floats, text."""

_WIRE_VARINT, _WIRE_64, _WIRE_BYTES, _WIRE_32 = 0, 1, 2, 5
_MASK: Final = (1 << 64) - 1


class Field(NamedTuple):
    """One field of a message."""

    number: int
    kind: Any = TEXT
    """A kind, or the table of a message."""
    repeated: bool = False


Message: TypeAlias = Mapping[str, Field]


class Damaged(ValueError):
    """The bytes are no message."""


def encode(message: Message, values: Mapping[str, Any]) -> bytes:
    """The bytes of `values`; what has its default (0, False, empty text) is left out, as protobuf 3 wants it."""
    out = bytearray()
    for name, value in values.items():
        number, kind, repeated = message[name]
        for one in value if repeated else (value,):
            if kind is VARINT:
                if one or repeated:
                    out += _varint(number << 3 | _WIRE_VARINT) + _varint(int(one))
            elif kind is DOUBLE:
                out += _varint(number << 3 | _WIRE_64) + struct.pack("<d", one)
            elif repeated or one not in (None, ""):
                data = one.encode("utf-8", "replace") if isinstance(kind, str) else encode(kind, one)
                out += as_field(number, data)
    return bytes(out)


def decode(message: Message, data: bytes | memoryview) -> dict[str, Any]:
    """The fields of a message that are there; repeated ones as lists. Raises `Damaged`."""
    names = _names(message)
    view = memoryview(data)
    found: dict[str, Any] = {}
    at = 0
    while at < len(view):
        tag, at = _read_varint(view, at)
        wire = tag & 7
        value: Any
        if wire == _WIRE_VARINT:
            value, at = _read_varint(view, at)
        elif wire == _WIRE_BYTES:
            length, at = _read_varint(view, at)
            value, at = view[at : at + length], at + length
        elif wire in (_WIRE_64, _WIRE_32):
            size = 8 if wire == _WIRE_64 else 4
            value, at = view[at : at + size], at + size
        else:
            raise Damaged(f"a field of wire type {wire}")
        if at > len(view):
            raise Damaged("a message that ends too early")
        known = names.get(tag >> 3)
        if known is None:
            continue
        name, (_, kind, repeated) = known
        if repeated and kind is VARINT and wire == _WIRE_BYTES:  # packed
            place = 0
            while place < len(value):
                one, place = _read_varint(value, place)
                found.setdefault(name, []).append(_plain(kind, one))
        elif repeated:
            found.setdefault(name, []).append(_plain(kind, value))
        else:
            found[name] = _plain(kind, value)
    return found


def _plain(kind: Any, value: Any) -> Any:
    if kind is VARINT:
        if not isinstance(value, int):
            raise Damaged("text where a number should be")
        return value - (1 << 64) if value >> 63 else value
    if isinstance(value, int):
        raise Damaged("a number where text should be")
    if kind is DOUBLE:
        return struct.unpack("<d", value)[0]
    if kind is TEXT:
        return str(value, "utf-8", "replace")
    return decode(kind, value)


def as_field(number: int, data: bytes) -> bytes:
    """A field of text, or of a message that is encoded already."""
    return _varint(number << 3 | _WIRE_BYTES) + _varint(len(data)) + data


_tables: dict[int, tuple[Message, dict[int, tuple[str, Field]]]] = {}


def _names(message: Message) -> dict[int, tuple[str, Field]]:
    kept = _tables.get(id(message))
    if kept is None:  # the table itself is kept as well, so that its id stays its own
        kept = _tables[id(message)] = message, {field.number: (name, field) for name, field in message.items()}
    return kept[1]


def _varint(number: int) -> bytes:
    number &= _MASK  # a negative one is written as its two's complement
    if number < 0x80:
        return bytes((number,))
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _read_varint(view: memoryview, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        if at >= len(view) or shift > 63:
            raise Damaged("a number that ends too early")
        byte = view[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number & _MASK, at
        shift += 7
