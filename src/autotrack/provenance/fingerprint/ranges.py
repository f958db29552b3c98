"""Ranges of rows: `[from, to]`, `to` excluded, in ascending order."""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np

from autotrack.provenance.fingerprint.chunks import Array

Range: TypeAlias = list[int]

MOST_RANGES: Final = 1000
"""Ranges of a column that are listed; beyond, the last one reaches to the end of what changed."""


def ranges_of(places: Array) -> list[Range]:
    """Ascending places as ranges."""
    if not len(places):
        return []
    breaks = np.flatnonzero(np.diff(places) > 1)
    starts = places[np.concatenate(([0], breaks + 1))]
    stops = places[np.concatenate((breaks, [len(places) - 1]))] + 1
    found = np.stack([starts, stops], axis=1)
    if len(found) > MOST_RANGES:
        found = np.concatenate([found[: MOST_RANGES - 1], [[found[MOST_RANGES - 1][0], found[-1][1]]]])
    listed: list[Range] = found.tolist()
    return listed


def merged(ranges: list[Range]) -> list[Range]:
    """The same rows, in as few ranges as they need."""
    joined: list[Range] = []
    for start, stop in sorted(ranges):
        if joined and start <= joined[-1][1]:
            joined[-1][1] = max(stop, joined[-1][1])
        else:
            joined.append([start, stop])
    return joined


__all__ = ["MOST_RANGES", "Range", "merged", "ranges_of"]
