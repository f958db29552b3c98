"""Points in time and durations in the coarsest exact unit: `D < s < ms < us < ns < ps < fs < as`."""

from __future__ import annotations

from typing import Final

import numpy as np

from autotrack.provenance.fingerprint.chunks import Array

UNITS: Final = ("D", "s", "ms", "us", "ns", "ps", "fs", "as")
"""What a chunk may be counted in, coarsest first. (Durations of months have the unit `M`: their days are unknown.)"""

_IN_ATTOSECONDS: Final = {
    "D": 86_400 * 10**18,
    "s": 10**18,
    "ms": 10**15,
    "us": 10**12,
    "ns": 10**9,
    "ps": 10**6,
    "fs": 10**3,
    "as": 1,
}

_MULTIPLES: Final = {"W": (7, "D"), "h": (3600, "s"), "m": (60, "s")}

_PEEK: Final = 32


def in_known_unit(values: Array, unit: str, kind: str) -> tuple[str, Array]:
    """The same int64 counts in one of `UNITS`, or months in `M`."""
    if unit in ("Y", "M") and kind == "duration":
        return "M", values * np.int64(12 if unit == "Y" else 1)
    if unit in ("Y", "M"):
        return "D", values.astype(f"datetime64[{unit}]").astype("datetime64[D]").view(np.int64)
    if unit in _MULTIPLES:
        factor, finer = _MULTIPLES[unit]
        return finer, values * np.int64(factor)
    return unit, values


def in_one_unit(counts: list[tuple[int, str]], kind: str) -> tuple[Array, str]:
    """Counts of several units in the finest of them. Raises `OverflowError` where 64 bits do not hold one of them."""
    known = []
    for count, unit in counts:
        found, values = in_known_unit(np.array([count], np.int64), unit, kind)
        known.append((int(values[0]), found))
    units = {unit for _, unit in known}
    if len(units) == 1:
        return np.array([count for count, _ in known], np.int64), units.pop()
    if "M" in units:
        raise OverflowError("months have no number of days")
    finest = max(units, key=UNITS.index)
    return np.array(
        [count * (_IN_ATTOSECONDS[unit] // _IN_ATTOSECONDS[finest]) for count, unit in known], np.int64
    ), finest


def coarsest(values: Array, unit: str, kind: str) -> tuple[str, Array]:
    """Unit and int64 counts in the coarsest unit that is exact for all of `values`."""
    values = values.astype(np.int64, copy=False)
    unit, values = in_known_unit(values, unit, kind)
    if unit == "M":
        return unit, values
    for coarser in UNITS[: UNITS.index(unit)]:
        factor = _IN_ATTOSECONDS[coarser] // _IN_ATTOSECONDS[unit]
        if factor >= 1 << 63:
            if not values.any():
                return coarser, values
            continue
        if not (values[:_PEEK] % factor).any():
            counts = values // factor
            if (counts * factor == values).all():
                return coarser, counts
    return unit, values


def seconds_and_rest(values: Array, unit: str, kind: str) -> tuple[Array, Array | None]:
    """Whole seconds and the attoseconds beyond them, each int64; None where there are no fractions. Of `M`, months."""
    values = values.astype(np.int64, copy=False)
    unit, values = in_known_unit(values, unit, kind)
    if unit == "D":
        return values * np.int64(86_400), None
    if unit in ("s", "M"):
        return values, None
    per_second = 10**18 // _IN_ATTOSECONDS[unit]
    seconds = values // per_second
    rest = values - seconds * per_second
    return seconds, rest * np.int64(_IN_ATTOSECONDS[unit]) if rest.any() else None
