"""Event files of any writer, read back: events as they were written, without TensorFlow.

A file enters; its events leave, each with its time, step and what it says (TensorBoard 2.21, `event.proto`,
`summary.proto`, `tensor.proto`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import numpy

from autotrack import protobuf
from autotrack_tensorboard.framing import Damage, records

_DTYPES: Final = {
    1: ("<f4", 5),
    2: ("<f8", 6),
    3: ("<i4", 7),
    4: ("<u1", 7),
    5: ("<i2", 7),
    6: ("<i1", 7),
    9: ("<i8", 10),
    10: ("?", 11),
    14: ("bfloat16", 13),
    17: ("<u2", 7),
    19: ("<f2", 13),
    22: ("<u4", 16),
    23: ("<u8", 17),
}
"""For each type of numbers: how numpy calls it, and the field that holds its values one by one."""
STRING: Final = 7


class Value(NamedTuple):
    """One value of a summary."""

    tag: str
    kind: str
    """`simple_value`, `image`, `histo`, `audio`, `tensor`, or empty."""
    data: protobuf.Value
    plugin: str
    """The plugin that the metadata name, where this value has any."""
    content: bytes
    """What the metadata hold for that plugin."""


@dataclass
class Event:
    """One event."""

    time: float = 0.0
    step: int = 0
    version: str = ""
    restart: bool = False
    """Whether a process starts (again) at this step: what was told from there on no longer counts for TensorBoard."""
    graph: bytes = b""
    other: str = ""
    """What else it holds, by the field's name."""
    values: Sequence[bytes] = ()


@dataclass(order=True)
class File:
    """One event file, at its place in its folder."""

    name: str
    path: Path = field(compare=False)

    def events(self, damage: Damage) -> Iterator[Event]:
        """Its events, in the order of writing. Raises `OSError`."""
        with self.path.open("rb") as opened:
            for record in records(opened, damage):
                try:
                    yield _event(record)
                except (ValueError, struct.error):
                    damage.bad += 1


_OTHERS: Final = {6: "log_message", 8: "tagged_run_metadata", 9: "meta_graph_def"}


def _event(record: bytes) -> Event:
    event = Event()
    for number, value in protobuf.fields(record):
        if number == 1:
            event.time = protobuf.as_double(value)
        elif number == 2:
            event.step = protobuf.as_signed(value)
        elif number == 5:
            event.values = [protobuf.as_bytes(one) for at, one in protobuf.fields(protobuf.as_bytes(value)) if at == 1]
        elif number == 3:
            event.version = protobuf.as_text(value)
        elif number == 4:
            event.graph = protobuf.as_bytes(value)
        elif number == 7:
            event.restart = any(at == 1 and status == 1 for at, status in protobuf.fields(protobuf.as_bytes(value)))
        elif number in _OTHERS:
            event.other = _OTHERS[number]
    return event


_KINDS: Final = {2: "simple_value", 4: "image", 5: "histo", 6: "audio", 8: "tensor"}


def value(message: bytes) -> Value:
    """One value of a summary, its data still encoded. Raises `ValueError`."""
    tag = kind = plugin = ""
    data: protobuf.Value = b""
    content = b""
    for number, found in protobuf.fields(message):
        if number == 1:
            tag = protobuf.as_text(found)
        elif number in _KINDS:
            kind, data = _KINDS[number], found
        elif number == 9:
            for at, inner in protobuf.fields(protobuf.as_bytes(found)):
                if at == 1:
                    for place, item in protobuf.fields(protobuf.as_bytes(inner)):
                        if place == 1:
                            plugin = protobuf.as_text(item)
                        elif place == 2:
                            content = protobuf.as_bytes(item)
    return Value(tag, kind, data, plugin, content)


def number(tensor: bytes) -> float | None:
    """The one number that a tensor holds; None where it holds none, or more. Raises `ValueError`."""
    kind, size, content, listed = _tensor(tensor)
    known = _DTYPES.get(kind)
    if known is None or size != 1:
        return None
    dtype, at = known
    if not content:
        parts = listed.get(at, [])
        if not parts:
            return 0.0 if listed == {} else None  # a zero need not be written
        content = _packed(dtype, parts)
    if dtype == "bfloat16":
        return float(numpy.frombuffer(b"\0\0" + content[:2], dtype="<f4")[0])
    return float(numpy.frombuffer(content, dtype=dtype)[0])


def strings(tensor: bytes) -> list[bytes]:
    """The strings that a tensor holds; none for one of numbers. Raises `ValueError`."""
    kind, _, _, listed = _tensor(tensor)
    return [protobuf.as_bytes(one) for one in listed.get(8, [])] if kind == STRING else []


def _tensor(tensor: bytes) -> tuple[int, int, bytes, dict[int, list[protobuf.Value]]]:
    kind, size, content = 0, 1, b""
    listed: dict[int, list[protobuf.Value]] = {}
    for at, found in protobuf.fields(tensor):
        if at == 1 and isinstance(found, int):
            kind = found
        elif at == 2:
            for place, dimension in protobuf.fields(protobuf.as_bytes(found)):
                if place == 2:
                    sizes = [
                        protobuf.as_signed(one)
                        for key, one in protobuf.fields(protobuf.as_bytes(dimension))
                        if key == 1
                    ]
                    size *= sizes[0] if sizes else 0
        elif at == 4:
            content = protobuf.as_bytes(found)
        elif at > 4:
            listed.setdefault(at, []).append(found)
    return kind, size, content, listed


def _packed(dtype: str, parts: Sequence[protobuf.Value]) -> bytes:
    first = parts[0]
    if dtype in ("<f4", "<f8"):
        return protobuf.as_bytes(first)
    whole = protobuf.integers(first)[0] if first != b"" else 0
    if dtype in ("<f2", "bfloat16"):  # its bits, as an integer
        return whole.to_bytes(8, "little")[:2]
    size = 1 if dtype == "?" else int(dtype[-1])
    return whole.to_bytes(8, "little")[:size]


def event_files(folder: Path) -> list[File]:
    """The event files of one folder, in the order in which TensorBoard reads them."""
    return sorted(File(path.name, path) for path in folder.iterdir() if "tfevents" in path.name and path.is_file())


__all__ = ["Event", "File", "Value", "event_files", "number", "strings", "value"]
