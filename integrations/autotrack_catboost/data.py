"""What a Pool was made from: described when it is made, since a Pool keeps no source.

The source enters and is neither kept nor read through; its description is kept for as long as the Pool lives.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any

from autotrack.plugin import MOST_COLUMNS, Call, Outcome, describe, guarded, is_silent, mask_urls, settings

if TYPE_CHECKING:
    from autotrack.run import Run

POOL_PARTS = (
    "label", "weight", "group_id", "group_weight", "subgroup_id", "pairs", "pairs_weight", "graph", "baseline",
    "timestamp",
)  # fmt: skip
FIT_PARTS = (
    "y", "sample_weight", "group_id", "group_weight", "subgroup_id", "pairs", "pairs_weight", "graph", "baseline",
)  # fmt: skip

_sources: dict[int, tuple[weakref.ref[Any], dict[str, Any]]] = {}
"""By identity: a Pool has no hash."""


def watch_pool(call: Call) -> Generator[None, Outcome, None]:
    """Describe what a `Pool` is being made from."""
    if is_silent():  # part of a training whose data is already known, such as the Pools that `fit` makes
        return
    source: dict[str, Any] = {}
    with guarded("catboost"):
        if settings().datasets:
            given = call.named()
            if given.get("data") is not None:  # else it is a slice, filled by catboost itself
                source["data"] = _source(given["data"])
            source |= {part: _source(given[part]) for part in POOL_PARTS if given.get(part) is not None}
    outcome = yield
    if outcome.error is None and source:
        _remember(call.args[0], source)


def describe_pool(pool: Any) -> dict[str, Any]:
    """The record of a Pool: its size, its features, and its source where it was seen."""
    record: dict[str, Any] = {"n_rows": int(pool.num_row()), "n_columns": int(pool.num_col())}
    names = pool.get_feature_names()
    if any(name not in ("", str(index)) for index, name in enumerate(names or ())):
        categorical = set(pool.get_cat_feature_indices())
        record["columns"] = [
            {"name": str(name), "dtype": "categorical" if index in categorical else "numeric"}
            for index, name in enumerate(names[:MOST_COLUMNS])
        ]
    found = _sources.get(id(pool))
    if found is not None and found[0]() is pool:
        record["parts"] = found[1]
    return record


def log_datasets(run: Run, given: Mapping[str, Any]) -> None:
    """Record the data of `fit`, as they were passed, the evaluation sets by the names that catboost gives them."""
    data = given.get("X")
    beside = {part: _file_or(given[part]) for part in FIT_PARTS if given.get(part) is not None}
    run.log_dataset({"X": _file_or(data), **beside} if beside else _file_or(data), role="train", name="train")
    found = given.get("eval_set")
    several = found if isinstance(found, list) else [found]
    for index, one in enumerate(several):
        if one is None or one is data:  # evaluating on the training data makes no second dataset of it
            continue
        name = "validation" if len(several) == 1 else f"validation_{index}"
        described = dict(zip(("X", "y"), one, strict=False)) if isinstance(one, tuple) else _file_or(one)
        run.log_dataset(described, role="validation", name=name)


def log_pool(run: Run, pool: Any) -> None:
    """Record the one Pool of `train` or `cv`."""
    if pool is not None:
        run.log_dataset(pool, role="train", name="train")


class File:
    """The path of a file that catboost reads, apart from any other text."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = mask_urls(os.fspath(path))


def describe_file(file: File) -> dict[str, Any]:
    """The record of a file that catboost reads."""
    return {"kind": "file", "path": file.path}


def _file_or(data: Any) -> Any:
    return File(data) if isinstance(data, str | os.PathLike) else data


def _source(data: Any) -> dict[str, Any]:
    return describe_file(File(data)) if isinstance(data, str | os.PathLike) else describe(data)


def _remember(pool: Any, source: dict[str, Any]) -> None:
    key = id(pool)

    def forget(gone: weakref.ref[Any]) -> None:
        entry = _sources.get(key)
        if entry is not None and entry[0] is gone:
            del _sources[key]

    _sources[key] = (weakref.ref(pool, forget), source)
