"""Pipelines of `tf.data`: they run outside Python, where nobody can look at what passes.

One that only orders and batches arrays is those arrays, and has their fingerprint. Of any other the record says its
steps and, as `begins_with`, which arrays or files it begins with: with the code of the steps, that settles what comes
out.
No element is ever taken.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autotrack.plugin import describe, describe_with, register_reader
from autotrack_keras.nested import named_parts

TENSORFLOW = "tensorflow.python."
BLOBS = ("grid", "manifest")
MOST_FILES = 10_000
ORDERING = (
    "CacheDataset", "_BatchDataset", "_OptionsDataset", "_ParallelBatchDataset", "_PrefetchDataset", "_RepeatDataset",
    "_ShuffleDataset",
)  # fmt: skip
"""What a pipeline may do with its elements without changing any."""


def register() -> None:
    """Tell the core how to describe and to read pipelines."""
    describe_with(TENSORFLOW + "data.ops.dataset_ops.DatasetV2", describe_tf_dataset)
    describe_with(TENSORFLOW + "distribute.input_lib.DistributedDataset", describe_tf_dataset)
    register_reader(TENSORFLOW + "data.ops.dataset_ops.DatasetV2", read_tf_dataset)


def describe_tf_dataset(dataset: Any) -> dict[str, Any]:
    """The specification of its elements, how many there are where that is known, and what they are made from."""
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
    if read_tf_dataset(dataset) is None:
        record["pipeline"], begins_with = _traced(dataset)
        if begins_with is not None:
            # Blobs are those of the data of a run: here it is told whether it is the same, not where it differs.
            found = describe(begins_with)
            record["begins_with"] = {key: value for key, value in found.items() if key not in BLOBS}
    return record


def read_tf_dataset(dataset: Any) -> Any:
    """The arrays that a pipeline begins with, if nothing but order and batches comes after them; else None."""
    while type(dataset).__name__ in ORDERING:
        dataset = dataset._input_dataset
    tensors = getattr(dataset, "_tensors", ())
    if type(dataset).__name__ != "_TensorSliceDataset" or not all(hasattr(it, "numpy") for it in tensors):
        return None
    nest = sys.modules["tensorflow"].nest
    arrays = nest.pack_sequence_as(dataset._structure, [it.numpy() for it in tensors])  # views: nothing is copied
    if isinstance(arrays, tuple) and len(arrays) <= 3:
        return dict(zip(("x", "y", "sample_weight"), map(named_parts, arrays), strict=False))
    return named_parts(arrays)


def _traced(dataset: Any) -> tuple[list[str], Any]:
    """The steps of a pipeline from its beginning on, and the arrays or files that it begins with; None if unknown.

    Where pipelines are put together, as by `zip`, the steps are those after that.
    """
    steps: list[str] = []
    while True:
        steps.insert(0, type(dataset).__name__.strip("_").removesuffix("V2").removesuffix("Dataset"))
        if not hasattr(dataset, "_input_dataset"):
            break
        dataset = dataset._input_dataset
    found = _arrays(getattr(dataset, "_filenames", dataset))
    return steps, _files(found) or found


def _arrays(dataset: Any) -> Any:
    """The arrays in the program that `from_tensor_slices` or `from_tensors` was given."""
    tensors = getattr(dataset, "_tensors", ())
    if not tensors or not all(hasattr(it, "numpy") for it in tensors):
        return None
    arrays = [it.numpy() for it in tensors]  # views: nothing is copied
    if not any(getattr(array, "ndim", 0) for array in arrays):  # the one number that `from_generator` begins with
        return None
    return arrays[0] if len(arrays) == 1 else {str(index): array for index, array in enumerate(arrays)}


def _files(names: Any) -> list[Path] | None:
    """The files that an array of texts names, if that is what it does."""
    if getattr(getattr(names, "dtype", None), "kind", "") != "O" or names.size > MOST_FILES:
        return None
    paths = [Path(os.fsdecode(name)) for name in names.ravel().tolist() if isinstance(name, bytes | str)]
    return paths if len(paths) == names.size and all(path.is_file() for path in paths) else None


def _specified(spec: Any) -> dict[str, Any]:
    if isinstance(spec, Mapping):
        return {"parts": {str(key): _specified(one) for key, one in spec.items()}}
    if isinstance(spec, list | tuple):
        return {"parts": {str(index): _specified(one) for index, one in enumerate(spec)}}
    shape = getattr(spec, "shape", None)
    sizes = list(shape) if shape is not None and getattr(shape, "rank", None) is not None else None
    return {"shape": sizes, "dtype": getattr(getattr(spec, "dtype", None), "name", None)}
