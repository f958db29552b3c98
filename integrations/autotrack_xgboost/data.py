"""What a DMatrix was made from: fingerprinted when it is made, since a `QuantileDMatrix` gives back quantised values.

The source enters and is not kept; its description is, for as long as the DMatrix lives. Its parts have the names that
`fit` of scikit-learn gives them, so that equal data have equal fingerprints. What a `DataIter` gives is hashed as it
passes to xgboost.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from autotrack.plugin import (
    MOST_COLUMNS,
    Call,
    Outcome,
    Told,
    describe_with,
    guarded,
    is_silent,
    mask_urls,
    rank,
    register_reader,
    settings,
    tell,
)
from autotrack_xgboost import batches

_sources: WeakKeyDictionary[Any, Told] = WeakKeyDictionary()


def register() -> None:
    """Let `run.log_dataset` know a DMatrix."""
    describe_with("xgboost.core.DMatrix", describe_dmatrix)
    register_reader("xgboost.core.DMatrix", read_dmatrix)


def watch_dmatrix(call: Call) -> Generator[None, Outcome, None]:
    """Describe what a `DMatrix` or `QuantileDMatrix` is being made from."""
    if is_silent() or rank() > 0 or not settings().datasets:
        return  # silent: part of a training whose data is already known, such as the matrices that `fit` makes
    source: Told | None = None
    passes: batches.Passes | None = None
    with guarded("xgboost"):
        given = call.named()
        data = given.get("data")
        if batches.is_iterator(data):
            passes = batches.Passes()
        beside = {name: given.get(part) for part, name in batches.PARTS.items()}
        source = tell({"X": _readable(data), **beside})
    with batches.watched_in(passes):
        outcome = yield
    if outcome.error is None and source is not None:
        if passes is not None and passes.passing.found is not None:
            source = Told({**source.record, **passes.passing.found})
        _sources[call.args[0]] = source


def _readable(data: Any) -> Any:
    """What a DMatrix is made from, as the core can describe it: an iterator or a part of another DMatrix it cannot."""
    if isinstance(data, str | os.PathLike):
        path = os.fspath(data)
        return Told({"kind": "file", "path": mask_urls(path)}, Path(path.removeprefix("file://").partition("?")[0]))
    if batches.is_iterator(data):
        return Told({"kind": f"{type(data).__module__}.{type(data).__qualname__}"})
    if type(data).__module__.partition(".")[0] == "ctypes":  # a handle: a slice of another DMatrix
        return Told({"kind": "slice"})
    return data


def describe_dmatrix(matrix: Any) -> dict[str, Any]:
    """The record of a DMatrix: its size, its features, and its source where it was seen."""
    source = _sources.get(matrix)
    record: dict[str, Any] = {} if source is None else source.described()
    record.pop("kind", None)
    record |= {"n_rows": int(matrix.num_row()), "n_columns": int(matrix.num_col())}
    if hasattr(matrix, "num_nonmissing"):
        record["non_missing"] = int(matrix.num_nonmissing())
    names = matrix.feature_names
    if names:
        types = matrix.feature_types or ["q"] * len(names)  # xgboost's word for a number, its default
        record["columns"] = [
            {"name": str(name), "dtype": str(kind)}
            for name, kind in zip(names[:MOST_COLUMNS], types[:MOST_COLUMNS], strict=False)
        ]
    return record


def read_dmatrix(matrix: Any) -> Any:
    """The fingerprint of what a DMatrix was made from, where that was seen."""
    source = _sources.get(matrix)
    return None if source is None else source.data
