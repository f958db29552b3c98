"""What a Dataset was made from: fingerprinted when it is made, since LightGBM frees the raw data when it has binned it.

The source enters and is not kept; its description is, for as long as the Dataset lives. Its parts have the names that
`fit` of scikit-learn gives them, so that equal data have equal fingerprints.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from autotrack.plugin import (
    MOST_COLUMNS,
    Call,
    Outcome,
    Told,
    describe_with,
    elements,
    guarded,
    is_silent,
    mask_urls,
    rank,
    register_reader,
    settings,
    tell,
)
from autotrack_lightgbm import sequences

if TYPE_CHECKING:
    from autotrack.run import Run

PARTS = {
    "label": "y",
    "weight": "sample_weight",
    **{name: name for name in ("group", "init_score", "position")},
}
"""What a Dataset calls its parts, and what `fit` does."""

_sources: WeakKeyDictionary[Any, Told] = WeakKeyDictionary()


def register() -> None:
    """Let `run.log_dataset` know a Dataset."""
    describe_with("lightgbm.basic.Dataset", describe_dataset)
    register_reader("lightgbm.basic.Dataset", read_dataset)
    sequences.register()


def watch_dataset(call: Call) -> Generator[None, Outcome, None]:
    """Describe what a `Dataset` is being made from."""
    if is_silent() or rank() > 0 or not settings().datasets:
        return  # silent: part of a training whose data is already known, such as the Datasets that `fit` makes
    source: Told | None = None
    with guarded("lightgbm"):
        given = call.named()
        beside = {name: given.get(part) for part, name in PARTS.items()}
        source = tell({"X": _readable(given.get("data")), **beside})
    outcome = yield
    if outcome.error is None and source is not None:
        _sources[call.args[0]] = source


def describe_dataset(dataset: Any) -> dict[str, Any]:
    """The record of a Dataset: its size, its features, and its source where it was seen."""
    source = _sources.get(dataset)
    record: dict[str, Any] = {} if source is None else source.described()
    record.pop("kind", None)
    features = record.get("parts", {}).get("X", {})
    if getattr(dataset, "_handle", None) is not None:  # it has been constructed; asking would do that otherwise
        record["n_rows"], record["n_columns"] = int(dataset.num_data()), int(dataset.num_feature())
    elif dataset.used_indices is not None:  # a subset that is not made yet
        record["n_rows"] = len(dataset.used_indices)
    names = dataset.feature_name
    if isinstance(names, list):
        record["columns"] = [{"name": str(name)} for name in names[:MOST_COLUMNS]]
    elif "columns" in features:
        record["columns"] = features["columns"]
    return {name: value for name, value in record.items() if value is not None}


def read_dataset(dataset: Any) -> Any:
    """The fingerprint of what a Dataset was made from, where that was seen."""
    source = _sources.get(dataset)
    return None if source is None else source.data


def log_datasets(run: Run, given: Mapping[str, Any]) -> None:
    """Record the data of `train` or `cv`, the sets under the names that lightgbm gives them."""
    train = given.get("train_set")
    run.log_dataset(train, role="train", name="train")
    found, names = given.get("valid_sets"), given.get("valid_names")
    names = [names] if isinstance(names, str) else elements(names)
    for index, dataset in enumerate([found] if isinstance(found, type(train)) else elements(found)):
        if dataset is not train:  # evaluating on the training data makes no second dataset of it
            name = names[index] if index < len(names) else f"valid_{index}"
            run.log_dataset(dataset, role="validation", name=str(name))


def log_fit_data(run: Run, given: Mapping[str, Any]) -> None:
    """Record the data of `fit`, as they were passed."""
    parts = ("X", "y", "sample_weight", "init_score", "group")
    run.log_dataset({part: given.get(part) for part in parts}, role="train", name="train")
    beside = {
        "sample_weight": elements(given.get("eval_sample_weight")),
        "init_score": elements(given.get("eval_init_score")),
        "group": elements(given.get("eval_group")),
    }
    names = elements(given.get("eval_names"))
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
        pairs = [found] if isinstance(found, tuple) else elements(found)
        return [(pair[0], pair[1]) for pair in pairs if isinstance(pair, list | tuple) and len(pair) == 2]
    features, targets = given.get("eval_X"), given.get("eval_y")
    if features is None or targets is None:
        return []
    if isinstance(features, tuple):
        return list(zip(features, elements(targets), strict=False))
    return [(features, targets)]


def _readable(data: Any) -> Any:
    """What a Dataset is made from, as the core can describe it: a file or another Dataset it cannot."""
    if isinstance(data, str | os.PathLike):
        return Told({"kind": "file", "path": mask_urls(os.fspath(data))}, Path(data))
    if data is None:
        return Told({"kind": "subset"})
    batches = sequences.batches_of(data)
    return data if batches is None else batches
