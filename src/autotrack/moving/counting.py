"""Counts and checksums of points, of a foreign run and of what the store holds of it: equal, or something is missing.

A checksum is the sum of the points' hashes modulo 2**64, so that it does not depend on their order; the hash of a point
is XXH3-64 of its step as decimal text, a zero byte, its time in nanoseconds as text, a zero byte, and its value as 8
bytes in little-endian, all that are not a number as one.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from xxhash import xxh3_64_intdigest

from autotrack.errors import StoreError
from autotrack.events import MetricsLogged, Step
from autotrack.store.query import Store
from autotrack.store.series import step_from_text, step_text

_float: Callable[[float], bytes] = struct.Struct("<d").pack
_NAN = _float(float("nan"))
_WHOLE = 0xFFFF_FFFF_FFFF_FFFF


@dataclass
class Counts:
    """The points of one run: for each series its number of points and their checksum."""

    series: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def points(self) -> int:
        """All points of all series."""
        return sum(count for count, _ in self.series.values())

    def add(self, event: MetricsLogged) -> None:
        """Count the points of one event."""
        step = _text(event.step)
        for key, value in event.values.items():
            self.add_point(key, step, event.time, value)

    def add_point(self, key: str, step: str, time_ns: int, value: float) -> None:
        """Count one point."""
        count, total = self.series.get(key, (0, 0))
        packed = _float(value) if value == value else _NAN
        self.series[key] = count + 1, (total + xxh3_64_intdigest(f"{step}\0{time_ns}\0".encode() + packed)) & _WHOLE

    def differences(self, store: Store, run: str) -> Iterator[str]:
        """What the store holds otherwise, in words; nothing where it holds just these points."""
        for key, (count, total) in sorted(self.series.items()):
            held = Counts()
            try:
                points = store.points(run, key)
            except StoreError:
                yield f"the series {key!r} of {count} points is not in the store"
                continue
            steps = (step_text(points.step(index)) for index in range(len(points)))
            for step, time_ns, value in zip(steps, points.times.tolist(), points.values.tolist(), strict=True):
                held.add_point(key, step, time_ns, value)
            if held.series.get(key, (0, 0))[0] != count:
                yield f"the series {key!r} has {count} points, and {len(points)} in the store"
            elif held.series[key][1] != total:
                yield f"the series {key!r} has other values, steps or times in the store"


def _text(step: Step) -> str:
    return str(step) if isinstance(step, int) else step_text(step_from_text(step))
