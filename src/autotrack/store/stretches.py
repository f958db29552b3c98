"""Stretches of a chart: buckets of a series enter; in the order of an axis and bounded, they leave as what is drawn.

Arrays alone: what is read of the store for them, `autotrack.store.curves` tells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autotrack.store import overview
from autotrack.store.overview import Buckets

SPECIAL: Final = (("NaN", "nan"), ("Infinity", "above"), ("-Infinity", "below"))


@dataclass(frozen=True)
class Curve:
    """What is drawn of a series: one entry of each array a point, or a stretch of points.

    `y` is the mean of a stretch, `low` and `high` its bounds; NaN where it has no finite value. `exact` says that each
    entry is one point.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    special: list[tuple[float, str]]
    counts: dict[str, int]
    exact: bool


def chunks_between(of_chunk: Buckets, axis: str, low: float | None, high: float | None) -> NDArray[np.int64]:
    """The numbers of the chunks that have something between the bounds."""
    first, last = edges(of_chunk, axis)
    wanted = np.ones(len(of_chunk), bool)
    if low is not None:
        wanted &= last.max(axis=1) >= low
    if high is not None:
        wanted &= first.min(axis=1) <= high
    return np.flatnonzero(wanted)


def beside(of_chunk: Buckets, axis: str, low: float | None, high: float | None) -> Buckets:
    """The last bucket before the bounds and the first one after, to which the line goes on."""
    found = of_chunk.reshape(-1)
    first, last = edges(found, axis)
    parts = []
    if low is not None and len(before := np.flatnonzero(last < low)):
        nearest = before[np.argmax(last[before])]
        parts.append(found[nearest : nearest + 1])
    if high is not None and len(after := np.flatnonzero(first > high)):
        nearest = after[np.argmin(first[after])]
        parts.append(found[nearest : nearest + 1])
    return overview.joined(parts)


def edges(found: Buckets, axis: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where each bucket begins and ends."""
    if axis == "time":
        return found["first_time"] / 1e9, found["last_time"] / 1e9
    return found["first_step"], found["last_step"]


def overlaps(found: Buckets, axis: str, most: int) -> bool:
    """Whether the buckets are wider than what one stretch of the chart shows."""
    first, last = edges(found, axis)
    whole = float(last.max() - first.min())
    return whole > 0 and float(np.median(last - first)) > 2 * whole / most and len(found) > most


def on_axis(found: Buckets, axis: str, epochs: tuple[NDArray[Any], NDArray[Any]] | None) -> NDArray[np.float64]:
    """Where each bucket stands: at its end. Without the series of epochs those are steps."""
    if axis == "time":
        return np.asarray(found["last_time"] / 1e9)
    steps = np.ascontiguousarray(found["last_step"])
    if axis == "epoch" and epochs is not None:
        return np.asarray(np.interp(steps, *epochs))
    return np.asarray(steps)


def ordered(x: NDArray[np.float64], found: Buckets) -> tuple[NDArray[np.float64], Buckets]:
    """Both, by the order of `x`."""
    if len(x) < 2 or bool(np.all(x[1:] >= x[:-1])):
        return x, found
    order = np.argsort(x, kind="stable")
    return x[order], found[order]


def steps_around(
    epochs: tuple[NDArray[np.float64], NDArray[np.float64]] | None, low: float | None, high: float | None
) -> tuple[float | None, float | None]:
    """The steps at which the epochs between `low` and `high` were reported, with a neighbour on each side."""
    if epochs is None or (low is None and high is None):
        return None, None
    steps, values = epochs
    within = np.ones(len(values), bool)
    if low is not None:
        within &= values >= low
    if high is not None:
        within &= values <= high
    found = np.flatnonzero(within)
    if not len(found):
        return None, None
    return float(steps[max(0, found[0] - 1)]), float(steps[min(len(steps) - 1, found[-1] + 1)])


def drawn(x: NDArray[np.float64], found: Buckets, exact: bool) -> Curve:
    """What is drawn of the buckets at `x`; `exact` says that each is one point."""
    counts = {name: int(found[field].sum()) for name, field in SPECIAL}
    special: list[tuple[float, str]] = []
    for name, field in SPECIAL:
        if counts[name]:
            special += [(float(at), name) for at in x[found[field] > 0]]
    with np.errstate(invalid="ignore", divide="ignore"):
        middle = found["min"] / 2 + found["max"] / 2
        mean = np.where(np.isfinite(found["sum"]), found["sum"] / found["finite"], middle)
        mean = np.clip(mean, found["min"], found["max"])  # rounding may have carried it out of its bounds
    return Curve(
        x=x,
        y=mean,
        low=found["min"],
        high=found["max"],
        special=sorted(special),
        counts={name: count for name, count in counts.items() if count},
        exact=exact,
    )
