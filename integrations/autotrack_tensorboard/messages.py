"""The messages of an event file that runs are written as, field by field (TensorBoard 2.21, `event.proto`,
`summary.proto`, `tensor.proto`, and `plugin_data.proto` of the plugins hparams and text).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

from autotrack.events import Scalar
from autotrack.protobuf import double, integer, sized, varint

VERSION: Final = "brain.Event:2"
SESSION_START: Final = "_hparams_/session_start_info"
SESSION_END: Final = "_hparams_/session_end_info"
EXPERIMENT: Final = "_hparams_/experiment"
SUCCESS, FAILURE, RUNNING = 1, 2, 3
"""States of a session, as the plugin hparams has them."""

FLOAT32_LARGEST: Final = 3.4028234663852886e38

_STRING, _FLOAT = 7, 1
_TENSOR_CLASS = 2
_NO_TENSOR = integer(1, _FLOAT) + sized(2, sized(2, integer(1, 0)))
"""An empty vector: what stands beside metadata that are all there is to tell."""

_WALL_TIME: Final = struct.Struct("<Bd")
_SIMPLE_VALUE: Final = struct.Struct("<Bf")


def version(time: int) -> bytes:
    """The first event of a file."""
    return double(1, time / 1e9) + sized(3, VERSION) + sized(10, sized(1, "autotrack"))


def event(time: int, step: int, values: bytes) -> bytes:
    """An event at `time`, in nanoseconds, that holds a summary of `values`."""
    return _WALL_TIME.pack(9, time / 1e9) + (b"\x10" + varint(step) if step else b"") + sized(5, values)


def scalar(tag: bytes, value: float) -> bytes:
    """One point of a series, whose tag is encoded already. Finite values beyond a float32 become infinite."""
    try:
        packed = _SIMPLE_VALUE.pack(21, value)
    except OverflowError:
        packed = _SIMPLE_VALUE.pack(21, float("inf") if value > 0 else float("-inf"))
    return sized(1, tag + packed)


def tag_field(tag: str) -> bytes:
    """A value's tag, encoded."""
    return sized(1, tag)


def text(tag: str, content: str) -> bytes:
    """A text, which is shown as Markdown."""
    tensor = integer(1, _STRING) + sized(2, b"") + sized(8, content)
    return sized(1, sized(1, tag) + sized(9, _metadata("text", b"", _TENSOR_CLASS)) + sized(8, tensor))


def image(tag: str, png: bytes, width: int, height: int) -> bytes:
    """A PNG image."""
    # The number of channels is not looked at by whoever shows it.
    picture = integer(1, height) + integer(2, width) + integer(3, 4) + sized(4, png)
    return sized(1, sized(1, tag) + sized(4, picture))


def session_start(group: str, started: int, params: Mapping[str, Scalar]) -> bytes:
    """The hyperparameters of a session, as the plugin hparams shows them."""
    entries = b"".join(sized(1, sized(1, key) + sized(2, _hparam(value))) for key, value in sorted(params.items()))
    return _hparams(SESSION_START, 3, entries + sized(4, group) + double(5, started / 1e9))


def session_end(status: int, ended: int) -> bytes:
    """How and when a session ended."""
    return _hparams(SESSION_END, 4, integer(1, status) + double(2, ended / 1e9))


def as_shown(value: Scalar) -> str | float | bool:
    """A param as the plugin hparams can hold it: text where a double would be another number, or none that it shows."""
    if isinstance(value, bool | str):
        return value
    if isinstance(value, int) and abs(value) <= 1 << 53 or isinstance(value, float) and abs(value) < float("inf"):
        return float(value)
    return str(value)


def _hparam(value: Scalar) -> bytes:
    shown = as_shown(value)
    if isinstance(shown, bool):
        return integer(4, shown)
    return sized(3, shown) if isinstance(shown, str) else double(2, shown)


def _hparams(tag: str, number: int, content: bytes) -> bytes:
    return sized(1, sized(1, tag) + sized(9, _metadata("hparams", sized(number, content), 0)) + sized(8, _NO_TENSOR))


def _metadata(plugin: str, content: bytes, data_class: int) -> bytes:
    return sized(1, sized(1, plugin) + sized(2, content)) + (integer(4, data_class) if data_class else b"")


def png_size(data: bytes) -> tuple[int, int] | None:
    """Width and height of a PNG (its first chunk, by the PNG specification); None for anything else."""
    if data[:8] != b"\x89PNG\r\n\x1a\n" or data[12:16] != b"IHDR" or len(data) < 33:
        return None
    width, height = struct.unpack(">II", data[16:24])
    return width, height


def point(time: int, step: int, values: Mapping[str, float], tags: dict[str, bytes]) -> bytes:
    """The event of one point of each series in `values`; `tags` keeps what was encoded before."""
    parts = []
    for key, value in values.items():
        tag = tags.get(key)
        if tag is None:
            tag = tags[key] = tag_field(key)
        parts.append(scalar(tag, value))
    return event(time, step, b"".join(parts))


def is_float32(value: float) -> bool:
    """Whether a value is the same as a 32-bit float."""
    if value != value or value in (float("inf"), float("-inf")):
        return True
    if abs(value) > FLOAT32_LARGEST:
        return False
    packed: float = struct.unpack("<f", struct.pack("<f", value))[0]
    return packed == value


__all__ = [
    "EXPERIMENT",
    "FAILURE",
    "RUNNING",
    "SESSION_END",
    "SESSION_START",
    "SUCCESS",
    "VERSION",
    "as_shown",
    "event",
    "image",
    "is_float32",
    "png_size",
    "point",
    "scalar",
    "session_end",
    "session_start",
    "text",
    "version",
]
