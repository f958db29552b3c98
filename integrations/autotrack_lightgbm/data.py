"""What a Dataset was made from: described when it is made, since LightGBM frees the raw data once it has binned them.

The source enters and is neither kept nor read through; its description is kept for as long as the Dataset lives.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from autotrack.plugin import MOST_COLUMNS, Call, Outcome, describe, guarded, is_silent, mask_urls, settings
from autotrack_lightgbm.arguments import items

if TYPE_CHECKING:
    from autotrack.run import Run

PARTS = ("label", "weight", "group", "init_score", "position")

_sources: WeakKeyDictionary[Any, dict[str, Any]] = WeakKeyDictionary()


def watch_dataset(call: Call) -> Generator[None, Outcome, None]:
    """Describe what a `Dataset` is being made from."""
    if is_silent():  # part of a training whose data is already known, such as the Datasets that `fit` makes
        return
    source: dict[str, Any] = {}
    with guarded("lightgbm"):
        if settings().datasets:
            given = call.named()
            source["data"] = _source(given.get("data"))
            source |= {part: describe(given[part]) for part in PARTS if given.get(part) is not None}
    outcome = yield
    if outcome.error is None and source:
        _sources[call.args[0]] = source


def describe_dataset(dataset: Any) -> dict[str, Any]:
    """The record of a Dataset: its size, its features, and its source where it was seen."""
    record: dict[str, Any] = {}
    source = _sources.get(dataset)
    if getattr(dataset, "_handle", None) is not None:  # it has been constructed; asking would do that otherwise
        record["n_rows"], record["n_columns"] = int(dataset.num_data()), int(dataset.num_feature())
    elif dataset.used_indices is not None:  # a subset that is not made yet
        record["n_rows"] = len(dataset.used_indices)
    elif source is not None:
        record |= {name: source["data"][name] for name in ("n_rows", "n_columns") if name in source["data"]}
    names = dataset.feature_name
    if isinstance(names, list):
        record["columns"] = [{"name": str(name)} for name in names[:MOST_COLUMNS]]
    elif source is not None and "columns" in source["data"]:
        record["columns"] = source["data"]["columns"]
    if source is not None:
        record["parts"] = source
    return record


def log_datasets(run: Run, given: Mapping[str, Any]) -> None:
    """Record the data of `train` or `cv`, the sets under the names that lightgbm gives them."""
    train = given.get("train_set")
    run.log_dataset(train, role="train", name="train")
    found, names = given.get("valid_sets"), given.get("valid_names")
    names = [names] if isinstance(names, str) else items(names)
    for index, dataset in enumerate([found] if isinstance(found, type(train)) else items(found)):
        if dataset is not train:  # evaluating on the training data makes no second dataset of it
            name = names[index] if index < len(names) else f"valid_{index}"
            run.log_dataset(dataset, role="validation", name=str(name))


def log_fit_data(run: Run, given: Mapping[str, Any]) -> None:
    """Record the data of `fit`, as they were passed."""
    parts = ("X", "y", "sample_weight", "init_score", "group")
    run.log_dataset({part: given.get(part) for part in parts}, role="train", name="train")
    beside = {
        "sample_weight": items(given.get("eval_sample_weight")),
        "init_score": items(given.get("eval_init_score")),
        "group": items(given.get("eval_group")),
    }
    names = items(given.get("eval_names"))
    for index, (features, target) in enumerate(_pairs(given)):
        if features is given.get("X") and target is given.get("y"):
            continue
        more = {part: values[index] for part, values in beside.items() if index < len(values)}
        name = names[index] if index < len(names) else f"valid_{index}"
        run.log_dataset({"X": features, "y": target, **more}, role="validation", name=str(name))


def _pairs(given: Mapping[str, Any]) -> list[tuple[Any, Any]]:
    """The evaluation sets of `fit`: a list of pairs, one pair, or since 4.7 the features and targets apart."""
    found = given.get("eval_set")
    if found is not None:
        pairs = [found] if isinstance(found, tuple) else items(found)
        return [(pair[0], pair[1]) for pair in pairs if isinstance(pair, list | tuple) and len(pair) == 2]
    features, targets = given.get("eval_X"), given.get("eval_y")
    if features is None or targets is None:
        return []
    if isinstance(features, tuple):
        return list(zip(features, items(targets), strict=False))
    return [(features, targets)]


def _source(data: Any) -> dict[str, Any]:
    """The record of what a Dataset is made from: data in memory, a file, a sequence of batches, or another Dataset."""
    if isinstance(data, str | os.PathLike):
        return {"kind": "file", "path": mask_urls(os.fspath(data))}
    if data is None:
        return {"kind": "subset"}
    batches = data if isinstance(data, list) and data and hasattr(data[0], "batch_size") else [data]
    if hasattr(batches[0], "batch_size") and hasattr(
        batches[0], "__getitem__"
    ):  # a lightgbm.Sequence: it may read files
        kind = type(batches[0])
        return {"kind": f"{kind.__module__}.{kind.__qualname__}", "n_rows": sum(map(len, batches))}
    return describe(data)
