"""Long series in few numbers: what a chart is drawn from without reading every point.

The points of a full chunk enter; 64 buckets of 128 neighbours leave, as bytes for the table `overviews` or as an array.
Buckets are exact about what a band shows: the lowest and the highest value, how many, and what was no number. Other
functions join buckets into as many as a chart has room for. `docs/store.md` has the bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autotrack.errors import StoreError
from autotrack.store.series import FULL, Points

VERSION: Final = 1
BUCKET: Final = 128
"""Points of one bucket."""

HEADER: Final = struct.Struct("<BBHI")
_PER_CHUNK: Final = FULL // BUCKET

BUCKETS: Final = np.dtype(
    [
        ("first_step", "<f8"),
        ("last_step", "<f8"),
        ("first_time", "<i8"),
        ("last_time", "<i8"),
        ("min", "<f8"),
        ("max", "<f8"),
        ("sum", "<f8"),
        ("finite", "<u4"),
        ("nan", "<u4"),
        ("above", "<u4"),
        ("below", "<u4"),
    ]
)
"""One bucket. `min`, `max` and `sum` are over the `finite` values, and NaN, NaN and 0 where there are none."""

Buckets = NDArray[Any]


def buckets(points: Points, size: int = BUCKET) -> Buckets:
    """Points, in the order of their steps, as buckets of `size` neighbours; the last may have fewer."""
    count = len(points)
    if not count:
        return np.empty(0, BUCKETS)
    points = points.by_step()
    starts = np.arange(0, count, size)
    ends = np.append(starts[1:], count) - 1
    made = np.zeros(len(starts), BUCKETS)
    steps, times, values = floats(points), points.times, points.values
    made["first_step"], made["last_step"] = steps[starts], steps[ends]
    made["first_time"] = np.minimum.reduceat(times, starts)
    made["last_time"] = np.maximum.reduceat(times, starts)
    finite = np.isfinite(values)
    made["finite"] = np.add.reduceat(finite.astype(np.uint32), starts)
    known = values
    if not finite.all():
        for name, which in (("nan", np.isnan(values)), ("above", values == np.inf), ("below", values == -np.inf)):
            made[name] = np.add.reduceat(which.astype(np.uint32), starts)
        known = np.where(finite, values, np.nan)
    made["min"], made["max"] = np.fmin.reduceat(known, starts), np.fmax.reduceat(known, starts)
    with np.errstate(over="ignore", invalid="ignore"):  # a sum beyond all floats is an infinity
        made["sum"] = np.add.reduceat(np.where(finite, values, 0.0), starts)
    return made


def floats(points: Points) -> NDArray[np.float64]:
    """The steps as the nearest floats; what is beyond them is an infinity."""
    if points.numerators.dtype != object:
        return points.steps.astype(np.float64, copy=False)
    return np.array([_nearest(points.step(index)) for index in range(len(points))])


def _nearest(step: int | Decimal) -> float:
    try:
        return float(step)
    except OverflowError:
        return np.inf if step > 0 else -np.inf


def encode(points: Points) -> bytes:
    """The bytes of the overview of one full chunk."""
    made = buckets(points)
    return HEADER.pack(VERSION, 0, len(made), 0) + made.tobytes()


def decode(rows: Iterable[bytes]) -> Buckets:
    """The buckets of overviews, one after another. Raises `StoreError` for bytes of a version that is not known."""
    parts = []
    for data in rows:
        if len(data) < HEADER.size or data[0] != VERSION:
            raise StoreError("an overview is of a version that this release cannot read: upgrade autotrack")
        parts.append(memoryview(data)[HEADER.size :])
    try:
        return np.frombuffer(b"".join(parts), BUCKETS)
    except ValueError:
        raise StoreError(
            "an overview of the store is damaged: autotrack sync fills a new store from the journals"
        ) from None


def joined(parts: Sequence[Buckets]) -> Buckets:
    """Buckets by their first step."""
    held = [part for part in parts if len(part)]
    found = held[0] if len(held) == 1 else np.concatenate(held) if held else np.empty(0, BUCKETS)
    first = found["first_step"]
    if len(found) > 1 and not bool(np.all(first[1:] >= first[:-1])):
        found = found[np.argsort(first, kind="stable")]
    return found


def merged(found: Buckets, x: NDArray[np.float64], most: int) -> tuple[NDArray[np.float64], Buckets]:
    """At most `most` buckets, each of those whose `x` lies in one of as many equal stretches; with the last x of each.

    `x` must not fall. Stretches without a bucket are left out.
    """
    if len(found) <= most:
        return x, found
    low, high = float(x[0]), float(x[-1])
    width = (high - low) / most
    if not width > 0 or not np.isfinite(width):
        place = np.zeros(len(x), np.int64)
    else:
        place = np.minimum((x - low) / width, most - 1).astype(np.int64)
    starts = np.concatenate(([0], np.flatnonzero(np.diff(place)) + 1))
    ends = np.append(starts[1:], len(found)) - 1
    made = np.zeros(len(starts), BUCKETS)
    made["first_step"] = found["first_step"][starts]
    for name, join in (
        ("last_step", np.maximum),
        ("first_time", np.minimum),
        ("last_time", np.maximum),
        ("min", np.fmin),
        ("max", np.fmax),
    ):
        made[name] = join.reduceat(found[name], starts)
    with np.errstate(over="ignore", invalid="ignore"):
        for name in ("sum", "finite", "nan", "above", "below"):
            made[name] = np.add.reduceat(found[name], starts)
    return x[ends], made


__all__ = ["BUCKET", "BUCKETS", "buckets", "decode", "encode", "floats", "joined", "merged"]
