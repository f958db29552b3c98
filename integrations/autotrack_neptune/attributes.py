"""What Neptune knows of one run, whichever of its formats it was found in: values, series and files below their paths.

The readers (`exported`, `offline`, `scale`) fill a `Found`, `telling` makes autotrack's events of it. Times are
nanoseconds since the epoch, steps are exact.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np

from autotrack.events import MetricsLogged, Step

MICRO: Final = 1_000_000
"""Micro-steps of a step: Neptune keeps six decimals."""
MILLISECOND: Final = 1_000_000
"""Nanoseconds of a millisecond: the exporter's dates are as fine."""
LAST_STEP: Final = Decimal(10) ** 12
"""Steps are below it: decimals of 18 digits, six of them behind the point."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Moment:
    """A value that is a date."""

    ns: int

    @property
    def text(self) -> str:
        """ISO 8601 in UTC, as fine as it is."""
        return iso(self.ns)


Value: TypeAlias = str | int | float | bool | Moment | tuple[str, ...] | None
"""A set of texts is a sorted tuple."""


@dataclass(frozen=True)
class Entry:
    """One entry of a series of texts or histograms."""

    step: Step | None
    time: int | None
    value: Any


@dataclass(frozen=True)
class File:
    """One file: where it lies, or its content."""

    source: Path | bytes
    suffix: str = ""
    """With its dot, for the artifact's name where the path has none."""
    step: Step | None = None
    time: int | None = None
    inner: str | None = None
    """Its path within a set of files."""
    missing: str = "the file is not where it was"
    """Why it is not carried where it is not there."""
    of: str | None = None
    """The exporter's type of the attribute, where it is not plain from the rest."""

    @property
    def kind(self) -> str:
        """The exporter's type of the attribute that it belongs to."""
        if self.of is not None:
            return self.of
        return "file_set" if self.inner is not None else "file_series" if self.step is not None else "file"


@dataclass
class Found:
    """One run, model, model version or project of Neptune."""

    origin: str
    project: str
    id: str
    format: str
    """`export`, `offline`, `async` or `scale`."""
    kind: str = "run"
    name: str = ""
    created: int | None = None
    ended: int | None = None
    parent: str | None = None
    """The origin of the run that it was forked from, or of the model that it is a version of."""
    torn: bool = False
    """Whether the process that wrote it was cut off within a record."""
    environment: dict[str, Any] = field(default_factory=dict)
    values: dict[str, list[tuple[int | None, Value]]] = field(default_factory=dict)
    """For each path what was assigned, and when where that is known."""
    points: Points = field(default_factory=lambda: Points())
    texts: dict[str, list[Entry]] = field(default_factory=dict)
    histograms: dict[str, list[Entry]] = field(default_factory=dict)
    files: dict[str, list[File]] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    last_steps: dict[str, Step] = field(default_factory=dict)
    """Of series of texts and images."""
    record: dict[str, Any] = field(default_factory=dict)
    """What autotrack had put beside, where it was autotrack that exported the run."""
    blobs: list[File] = field(default_factory=list)
    """Files that such a record names."""
    lost: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How many times (what, why) something could not be read."""

    def assign(self, path: str, value: Value, time: int | None = None) -> None:
        """A value replaces the one before."""
        self.values.setdefault(path, []).append((time, value))

    def value(self, path: str) -> Value:
        """The newest value of a path, None where it has none."""
        held = self.values.get(path)
        return held[-1][1] if held else None

    def change_set(self, path: str, add: set[str], remove: set[str], time: int | None = None) -> None:
        """Add texts to a set and take others away."""
        held = self.value(path)
        before = set(held) if isinstance(held, tuple) else set()
        self.assign(path, tuple(sorted((before | add) - remove)), time)

    def next_step(self, path: str) -> Step:
        """The step of an entry that was given none: the one after the last of its series, from 0."""
        before = self.last_steps.get(path)
        return 0 if before is None else exact(Decimal(before) + 1)

    def forget(self, path: str) -> None:
        """Whatever has this path is gone."""
        for held in (self.values, self.texts, self.histograms, self.files):
            held.pop(path, None)
        self.points.clear(path)


class Points:
    """The points of all series of a run, compact: some 30 bytes each."""

    def __init__(self) -> None:
        self._keys: dict[str, int] = {}
        self._steps: dict[Step, int] = {}
        self._key, self._step = array("q"), array("q")
        self._time, self._value = array("q"), array("d")
        self._cleared: dict[int, int] = {}
        self._last: dict[str, Step] = {}

    def __len__(self) -> int:
        return len(self._key)

    def add(self, path: str, step: Step | None, time: int, value: float) -> None:
        """One point. Without a step it is the one after the last of its series, from 0, as Neptune counts."""
        if step is None:
            step = self.next_step(path)
        self._last[path] = step
        self._key.append(self._keys.setdefault(path, len(self._keys)))
        self._step.append(self._steps.setdefault(step, len(self._steps)))
        self._time.append(time)
        self._value.append(value)

    def extend(self, paths: list[str], key: Any, micros: Any, times: Any, values: Any) -> None:
        """Many points: arrays of indices into `paths`, steps in micro-steps, times and values."""
        known = np.array([self._keys.setdefault(path, len(self._keys)) for path in paths], np.int64)
        distinct, place = np.unique(micros, return_inverse=True)
        steps = np.array([self._steps.setdefault(from_micro(int(one)), len(self._steps)) for one in distinct], np.int64)
        self._key.frombytes(known[key].astype(np.int64).tobytes())
        self._step.frombytes(steps[place].astype(np.int64).tobytes())
        self._time.frombytes(times.astype(np.int64).tobytes())
        self._value.frombytes(values.astype(np.float64).tobytes())

    def next_step(self, path: str) -> Step:
        """The step after the last one of a series."""
        before = self._last.get(path)
        return 0 if before is None else exact(Decimal(before) + 1)

    def clear(self, path: str) -> None:
        """The series has no points any more; its next one is its first."""
        if path in self._keys:
            self._cleared[self._keys[path]] = len(self._key)
        self._last.pop(path, None)

    def last_time(self) -> int | None:
        """The time of the newest point."""
        return max(self._time) if self._time else None

    def events(self, run: str) -> Iterator[MetricsLogged]:
        """The points in the order of time; those of one step and time share an event."""
        names, steps = list(self._keys), list(self._steps)
        key, time = np.frombuffer(self._key, np.int64), np.frombuffer(self._time, np.int64)
        order = np.argsort(time, kind="stable") if len(time) else np.zeros(0, np.int64)
        for index, before in self._cleared.items():
            order = order[(key[order] != index) | (order >= before)]
        values: dict[str, float] = {}
        at: tuple[int, int] | None = None
        for number in order.tolist():
            name, here = names[self._key[number]], (self._time[number], self._step[number])
            if here != at or name in values:
                if at is not None:
                    yield MetricsLogged(run, at[0], steps[at[1]], values)
                at, values = here, {}
            values[name] = self._value[number]
        if at is not None:
            yield MetricsLogged(run, at[0], steps[at[1]], values)


def exact(number: Decimal) -> Step:
    """A step as autotrack keeps it: an integer, or a decimal as text."""
    if number == number.to_integral_value():
        return int(number)
    return format(number.normalize(), "f")


def rounded(step: Step) -> Decimal | None:
    """A step as Neptune keeps it, None where it cannot."""
    number = Decimal(step)
    if abs(number) >= LAST_STEP:
        return None
    number = number.quantize(Decimal("0.000001"))
    return number if abs(number) < LAST_STEP else None


def from_micro(micro: int) -> Step:
    """A step out of millionths."""
    return micro // MICRO if micro % MICRO == 0 else exact(Decimal(micro).scaleb(-6))


def from_number(number: float | int | None) -> Step | None:
    """A step out of a number as JSON has it: the decimal that the user wrote."""
    return None if number is None else exact(Decimal(repr(number)))


def from_seconds(seconds: float) -> int:
    """Nanoseconds out of seconds since the epoch, whose floats are exact to the microsecond."""
    return round(seconds * 1_000_000) * 1_000


def from_datetime(when: datetime) -> int:
    """Nanoseconds since the epoch; without a zone it is UTC."""
    passed = (when if when.tzinfo else when.replace(tzinfo=UTC)) - _EPOCH
    return (passed.days * 86_400 + passed.seconds) * 1_000_000_000 + passed.microseconds * 1_000


def from_iso(text: str) -> int | None:
    """Nanoseconds out of ISO 8601; None for what is none."""
    try:
        return from_datetime(datetime.fromisoformat(text))
    except ValueError:
        return None


def iso(ns: int) -> str:
    """ISO 8601 in UTC, with as many decimals as there are."""
    seconds, rest = divmod(ns, 1_000_000_000)
    whole = (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    decimals = f"{rest:09d}".rstrip("0")
    return f"{whole}.{decimals.ljust(3, '0')}Z" if decimals else f"{whole}Z"
