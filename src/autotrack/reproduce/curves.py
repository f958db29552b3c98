"""Comparing the metric series of two runs, step by step: equal to the last bit, near, or different from which step on.

Points enter as the store gives them; a `Difference` for each series leaves. Values that tell how long something took
are not compared: no two runs have the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from autotrack.store.records import plain_step

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from autotrack.store.query import Store
    from autotrack.store.series import Points

_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_CLOCK: Final = frozenset(
    {"time", "runtime", "seconds", "secs", "sec", "duration", "elapsed", "eta", "throughput", "latency", "fps", "ms"}
)
SYSTEM: Final = "system/"
"""What samples of the machine are called."""


@dataclass(frozen=True)
class Tolerance:
    """How far a value may be from the recorded one: `absolute`, or `relative` to it, whichever allows more."""

    relative: float = 1e-6
    absolute: float = 1e-9

    def allows(self, was: NDArray[Any], now: NDArray[Any], more: float = 0.0) -> NDArray[np.bool_]:
        """For each pair whether it is near enough; `more` is allowed beside, absolutely."""
        with np.errstate(invalid="ignore", over="ignore"):
            bound = np.maximum(self.absolute, self.relative * np.abs(was)) + more
            near: NDArray[np.bool_] = (np.abs(now - was) <= bound) & np.isfinite(was)
        return near | equal(was, now)


@dataclass(frozen=True)
class Difference:
    """How a series of a rerun compares with the recorded one."""

    key: str
    exact: bool
    within: bool
    step: Any = None
    """The first step that is not within tolerance or, where all are, not exact."""
    was: float | None = None
    """The recorded value there; None where it has no point."""
    now: float | None = None
    largest: float = 0.0
    """The largest absolute difference at any step that both have."""

    def told(self) -> dict[str, Any]:
        """As the record of a verdict has it."""
        fields = {"step": self.step, "was": self.was, "now": self.now, "largest": self.largest}
        return {"key": self.key, "exact": self.exact, "within_tolerance": self.within, **fields}


def is_clock(key: str) -> bool:
    """Whether a metric's name says that it is a time, a rate or a sample of the machine."""
    if key.startswith(SYSTEM):
        return True
    words = [word.lower() for word in _WORDS.findall(key.rpartition("/")[2])]
    return bool(_CLOCK.intersection(words)) or ("per" in words and words[-1:] in (["second"], ["sec"], ["s"]))


def compare(
    store: Store, was: str, now: Sequence[str], keys: Sequence[str], tolerance: Tolerance, spread: Mapping[str, float]
) -> list[Difference]:
    """Compare the series `keys` of the run `was` with the first of `now`; `spread` is what repeats have taught."""
    have = set(store.keys(now[0]))
    found = []
    for key in keys:
        recorded = store.points(was, key)
        if key not in have:
            step, value = plain_step(recorded.step(0)), float(recorded.values[0])
            found.append(Difference(key, False, False, step, value, None))
        else:
            found.append(_compared(key, recorded, store.points(now[0], key), tolerance, spread.get(key, 0.0)))
    return found


def learned(store: Store, runs: Sequence[str], keys: Sequence[str]) -> dict[str, float]:
    """How far apart repeats of one run are: of each key the largest distance at any step that all of them have."""
    spread: dict[str, float] = {}
    for key in keys:
        series = [_by_step(store.points(run, key)) for run in runs if key in store.keys(run)]
        if len(series) < 2:
            continue
        shared = set(series[0]).intersection(*series[1:])
        widths = [max(one[step] for one in series) - min(one[step] for one in series) for step in shared]
        spread[key] = max((width for width in widths if np.isfinite(width)), default=0.0)
    return spread


def equal(was: NDArray[Any], now: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether values are the same number; NaN is the same as NaN."""
    same: NDArray[np.bool_] = (was == now) | (np.isnan(was) & np.isnan(now))
    return same


def _compared(key: str, was: Points, now: Points, tolerance: Tolerance, spread: float) -> Difference:
    count = min(len(was), len(now))
    steps = [was.step(at) == now.step(at) for at in range(count)] if not _same_steps(was, now) else [True] * count
    first = steps.index(False) if False in steps else count
    a, b = was.values[:first], now.values[:first]
    same, near = equal(a, b), tolerance.allows(a, b, spread)
    with np.errstate(invalid="ignore"):
        gaps = np.abs(b - a)
    largest = float(np.max(gaps[np.isfinite(gaps)], initial=0.0))
    far = np.flatnonzero(~near)
    if far.size:
        return _at(key, was, now, int(far[0]), exact=False, within=False, largest=largest)
    if first < max(len(was), len(now)):
        return _parted(key, was, now, first, largest)
    unlike = np.flatnonzero(~same)
    if unlike.size:
        return _at(key, was, now, int(unlike[0]), exact=False, within=True, largest=largest)
    return Difference(key, True, True)


def _at(key: str, was: Points, now: Points, place: int, *, exact: bool, within: bool, largest: float) -> Difference:
    values = float(was.values[place]), float(now.values[place])
    return Difference(key, exact, within, plain_step(was.step(place)), *values, largest)


def _parted(key: str, was: Points, now: Points, place: int, largest: float) -> Difference:
    """Where the steps themselves part: one of the two has no point there."""
    a = was.step(place) if place < len(was) else None
    b = now.step(place) if place < len(now) else None
    if b is None or (a is not None and Decimal(a) <= Decimal(b)):
        assert a is not None
        return Difference(key, False, False, plain_step(a), float(was.values[place]), None, largest)
    return Difference(key, False, False, plain_step(b), None, float(now.values[place]), largest)


def _same_steps(was: Points, now: Points) -> bool:
    return was.scale == now.scale and len(was) == len(now) and bool(np.array_equal(was.numerators, now.numerators))


def _by_step(points: Points) -> dict[Any, float]:
    return {points.step(at): float(points.values[at]) for at in range(len(points))}


__all__ = ["Difference", "Tolerance", "compare", "is_clock", "learned"]
