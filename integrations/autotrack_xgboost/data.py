"""What a DMatrix was made from: described when it is made, since a `QuantileDMatrix` gives back quantised values.

The source enters and is neither kept nor read through; its description is kept for as long as the DMatrix lives.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any
from weakref import WeakKeyDictionary

from autotrack.plugin import MOST_COLUMNS, Call, Outcome, describe, guarded, is_silent, mask_urls

PARTS = ("label", "weight", "base_margin", "group", "qid", "label_lower_bound", "label_upper_bound")

_sources: WeakKeyDictionary[Any, dict[str, Any]] = WeakKeyDictionary()


def watch_dmatrix(call: Call) -> Generator[None, Outcome, None]:
    """Describe what a `DMatrix` or `QuantileDMatrix` is being made from."""
    if is_silent():  # part of a training whose data is already known, such as the matrices that `fit` makes
        return
    source: dict[str, Any] = {}
    with guarded("xgboost"):
        given = call.named()
        source["data"] = describe_source(given.get("data"))
        for part in PARTS:
            if given.get(part) is not None:
                source[part] = describe(given[part])
    outcome = yield
    if outcome.error is None and source:
        _sources[call.args[0]] = source


def describe_source(data: Any) -> dict[str, Any]:
    """The record of what a DMatrix is made from: data in memory, a file, an iterator, or a part of another DMatrix."""
    if isinstance(data, str | os.PathLike):
        return {"kind": "file", "path": mask_urls(os.fspath(data))}
    if hasattr(type(data), "next") and hasattr(type(data), "reset"):  # a DataIter: reading it would move it on
        return {"kind": f"{type(data).__module__}.{type(data).__qualname__}"}
    if type(data).__module__.partition(".")[0] == "ctypes":  # a handle: a slice of another DMatrix
        return {"kind": "slice"}
    return describe(data)


def describe_dmatrix(matrix: Any) -> dict[str, Any]:
    """The record of a DMatrix: its size, its features, and its source where it was seen."""
    record: dict[str, Any] = {"n_rows": int(matrix.num_row()), "n_columns": int(matrix.num_col())}
    if hasattr(matrix, "num_nonmissing"):
        record["non_missing"] = int(matrix.num_nonmissing())
    names = matrix.feature_names
    if names:
        types = matrix.feature_types or ["q"] * len(names)  # xgboost's word for a number, its default
        record["columns"] = [
            {"name": str(name), "dtype": str(kind)}
            for name, kind in zip(names[:MOST_COLUMNS], types[:MOST_COLUMNS], strict=False)
        ]
    if matrix in _sources:
        record["parts"] = _sources[matrix]
    return record
