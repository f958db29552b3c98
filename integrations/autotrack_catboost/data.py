"""What a Pool was made from: fingerprinted when it is made, since a Pool keeps no source.

The source enters and is not kept; its description is, for as long as the Pool lives. Its parts have the names that
`fit` gives them, so that equal data have equal fingerprints.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from autotrack.run import Run

POOL_PARTS = (
    "label", "weight", "group_id", "group_weight", "subgroup_id", "pairs", "pairs_weight", "graph", "baseline",
    "timestamp",
)  # fmt: skip
NAMES = {"label": "y", "weight": "sample_weight"}
"""What a Pool calls parts that have another name in `fit`."""
FIT_PARTS = (
    "y", "sample_weight", "group_id", "group_weight", "subgroup_id", "pairs", "pairs_weight", "graph", "baseline",
)  # fmt: skip

_sources: dict[int, tuple[weakref.ref[Any], Told]] = {}
"""By identity: a Pool has no hash."""


def register() -> None:
    """Let `run.log_dataset` know a Pool."""
    describe_with("catboost.core.Pool", describe_pool)
    register_reader("catboost.core.Pool", read_pool)


def watch_pool(call: Call) -> Generator[None, Outcome, None]:
    """Describe what a `Pool` is being made from."""
    if is_silent() or rank() > 0 or not settings().datasets:
        return  # silent: part of a training whose data is already known, such as the Pools that `fit` makes
    source: Told | None = None
    with guarded("catboost"):
        given = call.named()
        if given.get("data") is not None:  # else it is a slice, filled by catboost itself
            beside = {NAMES.get(part, part): _file_or(given.get(part)) for part in POOL_PARTS}
            source = tell({"X": _file_or(given["data"]), **beside})
    outcome = yield
    if outcome.error is None and source is not None:
        _remember(call.args[0], source)


def describe_pool(pool: Any) -> dict[str, Any]:
    """The record of a Pool: its size, its features, and its source where it was seen."""
    source = _source_of(pool)
    record: dict[str, Any] = {} if source is None else source.described()
    record.pop("kind", None)
    record |= {"n_rows": int(pool.num_row()), "n_columns": int(pool.num_col())}
    names = pool.get_feature_names()
    if any(name not in ("", str(index)) for index, name in enumerate(names or ())):
        categorical = set(pool.get_cat_feature_indices())
        record["columns"] = [
            {"name": str(name), "dtype": "categorical" if index in categorical else "numeric"}
            for index, name in enumerate(names[:MOST_COLUMNS])
        ]
    return record


def read_pool(pool: Any) -> Any:
    """The fingerprint of what a Pool was made from, where that was seen."""
    source = _source_of(pool)
    return None if source is None else source.data


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


def _file_or(data: Any) -> Any:
    """`data`, or where it is the path of a file that catboost reads, what is known of that."""
    if isinstance(data, str | os.PathLike):
        path = os.fspath(data)
        return Told({"kind": "file", "path": mask_urls(path)}, Path(path.rpartition("://")[2]))
    return data


def _source_of(pool: Any) -> Told | None:
    found = _sources.get(id(pool))
    return found[1] if found is not None and found[0]() is pool else None


def _remember(pool: Any, source: Told) -> None:
    key = id(pool)

    def forget(gone: weakref.ref[Any]) -> None:
        entry = _sources.get(key)
        if entry is not None and entry[0] is gone:
            del _sources[key]

    _sources[key] = (weakref.ref(pool, forget), source)
