"""The series of a training: which iteration each value that catboost tells belongs to.

`get_evals_result()` gives lists of values without their iterations. With `metric_period` only some were evaluated:
every so many and the last. While an overfitting detector is at work its own metric is evaluated each time.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

Evals: TypeAlias = Mapping[str, Mapping[str, list[float]]]
"""By data set, by metric, one value for each iteration that was evaluated."""

Points: TypeAlias = dict[int, dict[str, float]]
"""By iteration, by series."""

FILES = {"learn": "learn_error.tsv", "validation": "test_error.tsv"}

_NUMBERED = re.compile(r"(.+):(\d+)")
_OF_CV = re.compile(r"(train|test)-(.+)-(mean|std)")


def of_training(evals: Evals, told: Mapping[str, Any], period: int) -> Iterator[tuple[str, int, float]]:
    """Each value with its series and iteration; `told` are all params of the trained model."""
    last = int(told.get("iterations") or 0) - 1
    for data, metrics in evals.items():
        for metric, values in metrics.items():
            detected = "od_wait" in told and data != "learn" and metric == told.get("eval_metric")
            every = 1 if detected else period
            for index, value in enumerate(values):
                yield f"{data}/{metric}", min(index * every, last) if last >= 0 else index * every, value


def of_cv(table: Any) -> Points:
    """The table of `cv`, a DataFrame or a dictionary: `test/RMSE` is the mean, `test/RMSE-std` the deviation."""
    points: Points = {}
    for column in table:
        found = _OF_CV.fullmatch(str(column))
        if found is None:
            continue
        key = f"{found[1]}/{found[2]}" + ("-std" if found[3] == "std" else "")
        for at, value in zip(table["iterations"], table[column], strict=False):
            points.setdefault(int(at), {})[key] = float(value)
    return points


def looks(folder: str) -> dict[str, tuple[int, int, int] | None]:
    """What tells whether the files of a training were written anew."""
    return {data: _look(os.path.join(folder, name)) for data, name in FILES.items()}


def of_files(folder: str, before: Mapping[str, tuple[int, int, int] | None]) -> Points:
    """What a training that did not end well has written to its files, if it has written any."""
    points: Points = {}
    for data, name in FILES.items():
        path = os.path.join(folder, name)
        if _look(path) in (None, before.get(data)):
            continue
        with open(path, encoding="utf-8", errors="replace") as file:
            header = _keys(data, file.readline().rstrip("\n").split("\t")[1:])
            for line in file:
                at, *values = line.rstrip("\n").split("\t")
                if not line.endswith("\n") or len(values) != len(header):
                    break  # the line that was being written
                points.setdefault(int(at), {}).update(zip(header, map(float, values), strict=True))
    return points


def _keys(data: str, columns: list[str]) -> list[str]:
    """The series of the columns. Of several evaluation sets all but the last have a number."""
    numbered = [found for column in columns if (found := _NUMBERED.fullmatch(column)) is not None]
    if data == "learn" or not numbered:
        return [f"{data}/{column}" for column in columns]
    last = 1 + max(int(found[2]) for found in numbered)
    keys = []
    for column in columns:
        found = _NUMBERED.fullmatch(column)
        metric, index = (found[1], int(found[2])) if found is not None else (column, last)
        keys.append(f"{data}_{index}/{metric}")
    return keys


def _look(path: str) -> tuple[int, int, int] | None:
    try:
        seen = os.stat(path)
    except OSError:
        return None
    return seen.st_ino, seen.st_mtime_ns, seen.st_size
