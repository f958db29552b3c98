"""Results for Python: runs as a list, points as a sequence, and both as a frame of whatever library is installed.

pandas, polars and pyarrow are imported when they are asked for, and by nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, overload

from autotrack.errors import PluginError, StoreError
from autotrack.store.asking.parsing import NEWEST, narrowed
from autotrack.store.records import jsonable

if TYPE_CHECKING:
    from autotrack.store.query import Store
    from autotrack.store.series import Points

_TIMES = ("started_at", "ended_at")


class Convertible:
    """What has columns, and so can become a frame."""

    def columns(self) -> dict[str, Any]:
        """Each column as a list or a numpy array."""
        raise NotImplementedError

    def to_pandas(self) -> Any:
        """A `pandas.DataFrame`. Raises `PluginError` where pandas is not installed."""
        return _library("pandas").DataFrame(self.columns())

    def to_polars(self) -> Any:
        """A `polars.DataFrame`. Raises `PluginError` where polars is not installed."""
        return _library("polars").DataFrame(self.columns(), strict=False)

    def to_arrow(self) -> Any:
        """A `pyarrow.Table`. Raises `PluginError` where pyarrow is not installed."""
        return _library("pyarrow").table(self.columns())


class Runs(list[dict[str, Any]], Convertible):
    """Records of runs. As a frame, one row a run; what was asked for in `columns` has columns of these names.

    A column that holds text and something else becomes text, as JSON.
    """

    def columns(self) -> dict[str, Any]:
        """The fields of the records, `values` spread out; times as `datetime`."""
        names = dict.fromkeys(name for run in self for name in run if name != "values")
        found: dict[str, Any] = {}
        for name in names:
            values = [run.get(name) for run in self]
            found[name] = [one and datetime.fromisoformat(one) for one in values] if name in _TIMES else values
        for name in dict.fromkeys(name for run in self for name in run.get("values", ())):
            shown = f"{name} (asked)" if name in found else name
            found[shown] = alike([run.get("values", {}).get(name) for run in self])
        return found


class Point(NamedTuple):
    """One point of one series. `time` is in UTC, to the microsecond; `step` is exact."""

    run: str
    key: str
    step: int | Decimal
    time: datetime
    value: float


@dataclass(frozen=True)
class Series(Sequence[Point], Convertible):
    """The points of one or several series, one after another, each in the order of its steps."""

    parts: list[tuple[str, str, Points]]
    """Run, key and points of each series."""

    def __len__(self) -> int:
        return sum(len(points) for _, _, points in self.parts)

    def __iter__(self) -> Iterator[Point]:
        for run, key, points in self.parts:
            for place in range(len(points)):
                yield _point(run, key, points, place)

    @overload
    def __getitem__(self, index: int) -> Point: ...
    @overload
    def __getitem__(self, index: slice) -> list[Point]: ...
    def __getitem__(self, index: int | slice) -> Point | list[Point]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        rest = index + len(self) if index < 0 else index
        for run, key, points in self.parts:
            if 0 <= rest < len(points):
                return _point(run, key, points, rest)
            rest -= len(points)
        raise IndexError(f"there are {len(self):,} points, and none at {index}")

    def columns(self) -> dict[str, Any]:
        """`run`, `key`, `step` (int64, or float64 where there are fractions), `time` (UTC, nanoseconds), `value`."""
        import numpy as np

        steps = [points.steps for _, _, points in self.parts]
        if any(one.dtype != np.int64 for one in steps):
            steps = [one.astype(np.float64) for one in steps]
        return {
            "run": [run for run, _, points in self.parts for _ in range(len(points))],
            "key": [key for _, key, points in self.parts for _ in range(len(points))],
            "step": np.concatenate([np.empty(0, np.int64), *steps]) if steps else np.empty(0, np.int64),
            "time": np.concatenate([np.empty(0, np.int64), *(one.times for _, _, one in self.parts)]).view("M8[ns]"),
            "value": np.concatenate([np.empty(0), *(one.values for _, _, one in self.parts)]),
        }


def listed(
    store: Store,
    project: str | None = None,
    status: str | None = None,
    limit: int | None = None,
    where: str = "",
    sort: str | Sequence[str] = NEWEST,
    columns: str | Sequence[str] = (),
) -> Runs:
    """What `autotrack.runs` gives for the same arguments; `values` only where columns are asked for."""
    if not where and not columns and tuple(sort) == NEWEST:
        return Runs(store.runs(project=project, status=status, limit=limit))
    found = store.find(narrowed(where, project=project, status=status), sort=sort, columns=columns, limit=limit)
    return Runs(found.runs if columns else [without_values(run) for run in found.runs])


def without_values(run: dict[str, Any]) -> dict[str, Any]:
    """The header of a run alone."""
    return {name: value for name, value in run.items() if name != "values"}


def points_of(store: Store, run: Any, key: str) -> Series:
    """What `autotrack.series` gives for the same arguments."""
    if isinstance(run, str | Mapping) or hasattr(run, "id"):
        ref = store.resolve(_reference(run))
        return Series([(ref, key, store.points(ref, key))])
    refs = [store.resolve(_reference(one)) for one in run]
    having = {ref for ref in refs if key in store.keys(ref)}
    if refs and not having:
        raise StoreError(f"none of these {len(refs):,} runs has a metric {key!r}")
    return Series([(ref, key, store.points(ref, key)) for ref in refs if ref in having])


def _reference(run: Any) -> str:
    return run if isinstance(run, str) else str(run["id"] if isinstance(run, Mapping) else run.id)


def alike(values: list[Any]) -> list[Any]:
    """Values that one typed column can hold: as they are, or else as text."""
    kinds = {type(one) for one in values if one is not None}
    if kinds == {int, float}:
        return [None if one is None else float(one) for one in values]
    beyond = kinds == {int} and any(one is not None and not -(2**63) <= one < 2**63 for one in values)
    if len(kinds) > 1 or beyond or kinds & {dict, list}:
        return [one if one is None or isinstance(one, str) else json.dumps(jsonable(one)) for one in values]
    return values


def _point(run: str, key: str, points: Points, place: int) -> Point:
    microseconds = int(points.times[place]) // 1000
    time = datetime.fromtimestamp(microseconds // 10**6, UTC).replace(microsecond=microseconds % 10**6)
    return Point(run, key, points.step(place), time, float(points.values[place]))


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as problem:
        method = {"pyarrow": "to_arrow"}.get(name, f"to_{name}")
        raise PluginError(f"{method}() needs {name} ({problem}): pip install {name}") from None
