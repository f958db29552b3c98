"""What a model was trained, validated or tested with, without taking a single element of it.

Arrays in nested lists and mappings become named parts; pipelines and generators are described by what they say of
themselves.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from autotrack.plugin import describe, describe_with

if TYPE_CHECKING:
    from autotrack.run import Run

TENSORFLOW = "tensorflow.python."


@dataclass(frozen=True)
class Split:
    """The part that `validation_split` takes from the end of the training data."""

    fraction: float
    n_rows: int | None


def register() -> None:
    """Tell the core how to describe what Keras trains on; a `DataLoader` is torch's."""
    describe_with("keras.src.trainers.data_adapters.py_dataset_adapter.PyDataset", describe_py_dataset)
    describe_with(TENSORFLOW + "data.ops.dataset_ops.DatasetV2", describe_tf_dataset)
    describe_with(TENSORFLOW + "distribute.input_lib.DistributedDataset", describe_tf_dataset)
    describe_with(TENSORFLOW + "ops.ragged.ragged_tensor.RaggedTensor", describe_uneven)
    describe_with(TENSORFLOW + "framework.sparse_tensor.SparseTensor", describe_uneven)
    describe_with("autotrack_keras.data.Split", describe_split)


def log_fit(run: Run, given: Mapping[str, Any]) -> None:
    """Record the data of a `fit`."""
    x = given.get("x")
    log(run, "train", "train", x, given.get("y"), given.get("sample_weight"))
    validation, fraction = given.get("validation_data"), given.get("validation_split")
    if validation is not None:
        if isinstance(validation, list | tuple) and 1 <= len(validation) <= 3:
            log(run, "validation", "validation", *validation)
        else:
            log(run, "validation", "validation", validation)
    elif fraction:
        rows = describe(named_parts(x)).get("n_rows")
        taken = rows - math.floor(rows * (1.0 - fraction)) if isinstance(rows, int) else None
        run.log_dataset(Split(float(fraction), taken), role="validation", name="validation")


def log(run: Run, role: str, name: str, x: Any, y: Any = None, sample_weight: Any = None) -> None:
    """Record data in one role."""
    run.log_dataset(whole(x, y, sample_weight), role=role, name=name)


def whole(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """One object that the core can describe, of the three that belong together."""
    features = named_parts(x)
    if y is None and sample_weight is None and not isinstance(features, Mapping):
        return x
    return {"x": features, "y": named_parts(y), "sample_weight": named_parts(sample_weight)}


def named_parts(value: Any) -> Any:
    """Several inputs in a list or tuple, or under names, as a mapping of parts; anything else as it is."""
    if isinstance(value, Mapping):
        return {str(key): named_parts(one) for key, one in value.items()}
    if isinstance(value, list | tuple) and value and all(_is_input(one) for one in value):
        return {str(index): named_parts(one) for index, one in enumerate(value)}
    return value


def is_arrays(x: Any) -> bool:
    """Whether Keras cuts the batches out of `x` itself."""
    if isinstance(x, Mapping):
        return any(map(is_arrays, x.values()))
    if isinstance(x, list | tuple):
        return any(map(is_arrays, x))
    return hasattr(x, "shape")


def describe_py_dataset(dataset: Any) -> dict[str, Any]:
    """How many batches a `PyDataset` says it has, and how it is read."""
    record: dict[str, Any] = {}
    for name in ("workers", "use_multiprocessing"):
        # Not the properties of these names: they warn, and set what a class of the user's has not set.
        if hasattr(dataset, "_" + name):
            record[name] = getattr(dataset, "_" + name)
    try:
        batches = dataset.num_batches
    except Exception:  # the user's own: Keras will tell
        batches = None
    record["n_batches"] = int(batches) if batches is not None else None
    return record


def describe_tf_dataset(dataset: Any) -> dict[str, Any]:
    """The specification of its elements, and how many there are where that is known."""
    record: dict[str, Any] = {"element_spec": str(dataset.element_spec)}
    spec = dataset.element_spec
    if isinstance(spec, tuple) and len(spec) <= 3:
        names = ("x", "y", "sample_weight")
        record["parts"] = {name: _specified(part) for name, part in zip(names, spec, strict=False)}
    elif isinstance(spec, Mapping):
        record["parts"] = _specified(spec)["parts"]
    if hasattr(dataset, "cardinality"):
        count = int(dataset.cardinality())
        record["cardinality"] = {-1: "infinite", -2: "unknown"}.get(count, count)
    return record


def describe_uneven(tensor: Any) -> dict[str, Any]:
    """A sparse or ragged tensor, whose sizes may be unknown."""
    shape = [None if size is None else int(size) for size in tensor.shape]
    return {"shape": shape, "n_rows": shape[0] if shape else 1, "dtype": tensor.dtype.name}


def describe_split(split: Split) -> dict[str, Any]:
    """The rows that Keras takes from the end of the training data."""
    return {"kind": "validation_split", "of": "train", "fraction": split.fraction, "n_rows": split.n_rows}


def _specified(spec: Any) -> dict[str, Any]:
    if isinstance(spec, Mapping):
        return {"parts": {str(key): _specified(one) for key, one in spec.items()}}
    if isinstance(spec, list | tuple):
        return {"parts": {str(index): _specified(one) for index, one in enumerate(spec)}}
    shape = getattr(spec, "shape", None)
    sizes = list(shape) if shape is not None and getattr(shape, "rank", None) is not None else None
    return {"shape": sizes, "dtype": getattr(getattr(spec, "dtype", None), "name", None)}


def _is_input(value: Any) -> bool:
    return hasattr(value, "shape") or isinstance(value, list | tuple | Mapping)
