"""The points of a series as bytes: chunks that are small, quick to decode and exact. `docs/store.md` has the format.

Steps, times and values enter as arrays in the order of their arrival; a chunk's bytes leave, and the other way round.
A step is an integer or a decimal, kept exactly as `numerator / 10**scale` with one scale for the chunk.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from autotrack.errors import StoreError
from autotrack.events import Step

FULL: Final = 8192
"""Points of a full chunk; it is never written again."""

OPEN: Final = 512
"""A last chunk with fewer points than this is written anew with the points that follow."""

VERSION: Final = 1
HEADER: Final = struct.Struct("<BBHIIIII")
_INTEGERS, _TEXT = 0, 1
_LIMIT = 2**63

Numerators: TypeAlias = NDArray[Any]
"""int64, or Python integers as objects where they do not fit."""


@dataclass(frozen=True)
class Points:
    """Points in order. The step of point `i` is `numerators[i] / 10**scale`."""

    numerators: Numerators
    scale: int
    times: NDArray[np.int64]
    values: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, part: slice | NDArray[Any]) -> Points:
        return Points(self.numerators[part], self.scale, self.times[part], self.values[part])

    @property
    def steps(self) -> NDArray[Any]:
        """The steps as int64, or as the nearest float64 where there are fractions, to compute and plot with."""
        if self.scale == 0:
            return self.numerators
        if self.numerators.dtype != object and self.scale <= 22 and _magnitude(self.numerators) < 2**53:
            return self.numerators / 10.0**self.scale  # both exact, so the quotient is the nearest float
        return np.array([float(self.step(index)) for index in range(len(self))])

    def step(self, index: int) -> int | Decimal:
        """The exact step of one point."""
        return exact(int(self.numerators[index]), self.scale)

    def by_step(self) -> Points:
        """The same points sorted by step; those of one step stay in the order of their arrival."""
        if len(self) < 2 or bool(np.all(self.numerators[1:] >= self.numerators[:-1])):
            return self
        return self[np.argsort(self.numerators, kind="stable")]


@dataclass(frozen=True)
class Summary:
    """What is known of points without decoding them. None stands for NaN, or for no value that is a number."""

    count: int
    nan_count: int
    first_step: int | Decimal
    last_step: int | Decimal
    last: float | None
    min: float | None
    max: float | None
    last_time: int


def summary(points: Points) -> Summary:
    """Lowest and highest step, the value that came last, and the range of what is not NaN (infinities included)."""
    numbers = points.values[~np.isnan(points.values)]
    last = float(points.values[-1])
    return Summary(
        count=len(points),
        nan_count=len(points) - len(numbers),
        first_step=exact(int(points.numerators.min()), points.scale),
        last_step=exact(int(points.numerators.max()), points.scale),
        last=None if math.isnan(last) else last,
        min=float(numbers.min()) if len(numbers) else None,
        max=float(numbers.max()) if len(numbers) else None,
        last_time=int(points.times[-1]),
    )


def from_steps(steps: Sequence[Step]) -> tuple[Numerators, int]:
    """The numerators and the scale of exact steps. Raises `ValueError` for text that is no finite decimal."""
    try:
        return np.array(steps, dtype=np.int64), 0
    except (ValueError, OverflowError, TypeError):
        pass
    parts = [_parts(step) for step in steps]
    scale = max(digits for _, digits in parts)
    return _narrow([number * 10 ** (scale - digits) for number, digits in parts]), scale


def joined(parts: Sequence[Points]) -> Points:
    """The points of all parts, one after the other."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return Points(np.empty(0, np.int64), 0, np.empty(0, np.int64), np.empty(0, np.float64))
    scale = max(part.scale for part in parts)
    return Points(
        np.concatenate([_rescaled(part.numerators, part.scale, scale) for part in parts]),
        scale,
        np.concatenate([part.times for part in parts]),
        np.concatenate([part.values for part in parts]),
    )


def encode(points: Points) -> bytes:
    """The bytes of one chunk."""
    if points.numerators.dtype == object:
        kind, steps = _TEXT, zlib.compress("\n".join(map(str, points.numerators)).encode(), 1)
    else:
        kind, steps = _INTEGERS, _packed(_differences(points.numerators))
    times = _packed(_differences(points.times))
    values = _packed(points.values)
    header = HEADER.pack(VERSION, kind, 0, points.scale, len(points), len(steps), len(times), len(values))
    return b"".join((header, steps, times, values))


def decode(data: bytes) -> Points:
    """The points of one chunk. Raises `StoreError` for bytes that are no chunk of a version that is known."""
    view = memoryview(data)
    try:
        version, kind, _, scale, count, *lengths = HEADER.unpack_from(view)
        if version != VERSION or kind not in (_INTEGERS, _TEXT):
            raise StoreError(f"a chunk is of version {version}, kind {kind}: upgrade autotrack to read it")
        at, sections = HEADER.size, []
        for length in lengths:
            sections.append(view[at : at + length])
            at += length
        if kind == _TEXT:
            lines = zlib.decompress(sections[0]).split(b"\n") if count else []
            numerators: Numerators = _objects([int(line) for line in lines])
        else:
            numerators = _summed(_unpacked(sections[0], count, np.int64))
        times = _summed(_unpacked(sections[1], count, np.int64))
        return Points(numerators, scale, times, _unpacked(sections[2], count, np.float64))
    except (struct.error, zlib.error, ValueError) as problem:
        raise StoreError(f"a chunk of the store is damaged ({problem}); the journals still hold its points") from None


def decode_all(chunks: Sequence[bytes]) -> Points:
    """The points of chunks, one after the other; each chunk is decoded in its place, without a second copy."""
    try:
        headers = [HEADER.unpack_from(data) for data in chunks]
    except struct.error:
        headers = []
    if len(headers) < 2 or any(header[1] != _INTEGERS or header[3] != headers[0][3] for header in headers):
        return joined([decode(data) for data in chunks])
    total = sum(header[4] for header in headers)
    numerators, times = np.empty(total, np.int64), np.empty(total, np.int64)
    values, at = np.empty(total, np.float64), 0
    for data in chunks:
        part = decode(data)
        place = slice(at, at := at + len(part))
        numerators[place], times[place], values[place] = part.numerators, part.times, part.values
    return Points(numerators, headers[0][3], times, values)


def exact(numerator: int, scale: int) -> int | Decimal:
    """`numerator / 10**scale`: an int where it is one, else a decimal without trailing zeros."""
    while scale and numerator % 10 == 0:
        numerator //= 10
        scale -= 1
    if scale == 0:
        return numerator
    return Decimal((int(numerator < 0), tuple(map(int, str(abs(numerator)))), -scale))


def step_text(step: int | Decimal) -> str:
    """A step as the tables hold it: decimal digits, without exponent."""
    return str(step) if isinstance(step, int) else format(step, "f")


def step_from_text(text: str) -> int | Decimal:
    """The inverse of `step_text`."""
    return exact(*_parts(text))


def _parts(step: Step) -> tuple[int, int]:
    if isinstance(step, int):
        return int(step), 0
    try:
        sign, digits, exponent = Decimal(step).as_tuple()
    except InvalidOperation:
        raise ValueError(f"step {step!r} is not a number") from None
    if not isinstance(exponent, int):
        raise ValueError(f"step {step!r} is not finite")
    number = int("".join(map(str, digits)) or "0") * (-1 if sign else 1)
    if exponent >= 0:
        return number * 10**exponent, 0
    while exponent and number % 10 == 0:
        number //= 10
        exponent += 1
    return number, -exponent


def _narrow(numbers: list[int]) -> Numerators:
    try:
        return np.array(numbers, dtype=np.int64)
    except OverflowError:
        return _objects(numbers)


def _objects(numbers: list[int]) -> Numerators:
    array = np.empty(len(numbers), dtype=object)
    array[:] = numbers
    return array


def _rescaled(numerators: Numerators, scale: int, wanted: int) -> Numerators:
    if scale == wanted or not len(numerators):
        return numerators
    factor = 10 ** (wanted - scale)
    if numerators.dtype != object and _magnitude(numerators) * factor < _LIMIT:
        return numerators * np.int64(factor)
    return _objects([int(number) * factor for number in numerators])


def _magnitude(numbers: Numerators) -> int:
    return max(abs(int(numbers.min())), abs(int(numbers.max()))) if len(numbers) else 0


def _differences(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    # Unsigned, so that a difference beyond 64 bits wraps around, and wraps back when summed.
    wrapped = numbers.astype(np.uint64)
    wrapped[1:] -= wrapped[:-1].copy()
    return wrapped.view(np.int64)


def _summed(differences: NDArray[np.int64]) -> NDArray[np.int64]:
    unsigned = differences.view(np.uint64)
    np.cumsum(unsigned, out=unsigned)
    return differences


def _packed(numbers: NDArray[Any]) -> bytes:
    wide = np.ascontiguousarray(numbers, dtype=numbers.dtype.newbyteorder("<"))
    return zlib.compress(wide.view(np.uint8).reshape(-1, 8).T.tobytes(), 1)


def _unpacked(data: memoryview, count: int, kind: type[Any]) -> NDArray[Any]:
    planes = np.frombuffer(zlib.decompress(data, bufsize=8 * count + 1), np.uint8).reshape(8, count)
    wide = planes.T.copy(order="C").reshape(-1)  # a copy even of a single point, since frombuffer is read-only
    return wide.view(np.dtype(kind).newbyteorder("<")).astype(kind, copy=False)
