"""Protocol buffers, as much of them as W&B's records need: messages described by tables, to bytes and back.

The wire format is that of protobuf 3 (its language-neutral encoding specification): varints, 64-bit and 32-bit words,
and bytes with their length in front. A field that is not in the table is skipped, as a newer SDK may write some.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

from autotrack.protobuf import (
    Damaged,
    Value,
    as_bytes,
    as_double,
    as_signed,
    as_text,
    double,
    fields,
    integer,
    integers,
    sized,
)

VARINT, DOUBLE, TEXT = "varint", "double", "text"
"""Kinds of fields, beside a message's table: integers and booleans, 64-bit floats, text."""


class Field(NamedTuple):
    """One field of a message."""

    number: int
    kind: Any = TEXT
    """A kind, or the table of a message."""
    repeated: bool = False


Message: TypeAlias = Mapping[str, Field]


def encode(message: Message, values: Mapping[str, Any]) -> bytes:
    """The bytes of `values`; what has its default (0, False, empty text) is left out, as protobuf 3 wants it."""
    out = bytearray()
    for name, value in values.items():
        number, kind, repeated = message[name]
        for one in value if repeated else (value,):
            if kind is VARINT:
                if one or repeated:
                    out += integer(number, int(one))
            elif kind is DOUBLE:
                out += double(number, one)
            elif repeated or one not in (None, ""):
                data = one.encode("utf-8", "replace") if isinstance(kind, str) else encode(kind, one)
                out += sized(number, data)
    return bytes(out)


def decode(message: Message, data: bytes | memoryview) -> dict[str, Any]:
    """The fields of a message that are there; repeated ones as lists. Raises `Damaged`."""
    names = _names(message)
    found: dict[str, Any] = {}
    for number, value in fields(bytes(data)):
        known = names.get(number)
        if known is None:
            continue
        name, (_, kind, repeated) = known
        if not repeated:
            found[name] = _plain(kind, value)
        elif kind is VARINT:  # packed or not
            found.setdefault(name, []).extend(_plain(kind, one) for one in integers(value))
        else:
            found.setdefault(name, []).append(_plain(kind, value))
    return found


def _plain(kind: Any, value: Value) -> Any:
    if isinstance(value, int) is not (kind is VARINT):
        raise Damaged("text where a number should be, or a number where text should be")
    if kind is VARINT:
        return as_signed(value)
    if kind is DOUBLE:
        return as_double(value)
    return as_text(value) if kind is TEXT else decode(kind, as_bytes(value))


_tables: dict[int, tuple[Message, dict[int, tuple[str, Field]]]] = {}


def _names(message: Message) -> dict[int, tuple[str, Field]]:
    kept = _tables.get(id(message))
    if kept is None:  # the table itself is kept as well, so that its id stays its own
        kept = _tables[id(message)] = message, {field.number: (name, field) for name, field in message.items()}
    return kept[1]
