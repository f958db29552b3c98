"""What a model was trained, validated or tested with, without taking a single element of it.

Arrays in nested lists and mappings become named parts, which are fingerprinted, as are the arrays that a pipeline of
`tf.data` begins with; what comes batch by batch is described by what it says of itself, and hashed as it passes
(`streams`).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from autotrack.plugin import Told, describe, describe_with, follow_stream, register_reader
from autotrack_keras import streams

if TYPE_CHECKING:
    from autotrack.run import Run

TENSORFLOW = "tensorflow.python."
ORDERING = (
    "CacheDataset", "_BatchDataset", "_OptionsDataset", "_ParallelBatchDataset", "_PrefetchDataset", "_RepeatDataset",
    "_ShuffleDataset",
)  # fmt: skip
"""What a pipeline may do with its elements without changing any."""


def register() -> None:
    """Tell the core how to describe what Keras trains on; a `DataLoader` is torch's."""
    describe_with("keras.src.trainers.data_adapters.py_dataset_adapter.PyDataset", describe_py_dataset)
    describe_with(TENSORFLOW + "data.ops.dataset_ops.DatasetV2", describe_tf_dataset)
    describe_with(TENSORFLOW + "distribute.input_lib.DistributedDataset", describe_tf_dataset)
    describe_with(TENSORFLOW + "ops.ragged.ragged_tensor.RaggedTensor", describe_uneven)
    describe_with(TENSORFLOW + "framework.sparse_tensor.SparseTensor", describe_uneven)
    register_reader(TENSORFLOW + "data.ops.dataset_ops.DatasetV2", read_tf_dataset)
    streams.register()


def log_fit(run: Run, given: Mapping[str, Any]) -> None:
    """Record the data of a `fit`."""
    train = given.get("x"), given.get("y"), given.get("sample_weight")
    validation, fraction = given.get("validation_data"), given.get("validation_split")
    if validation is None and fraction:
        log_split(run, train, float(fraction))
        return
    log(run, "train", "train", *train, steps=given.get("steps_per_epoch"))
    if validation is not None:
        parts = validation if isinstance(validation, list | tuple) and 1 <= len(validation) <= 3 else (validation,)
        log(run, "validation", "validation", *parts, steps=given.get("validation_steps"))


def log(run: Run, role: str, name: str, x: Any, y: Any = None, sample_weight: Any = None, *, steps: Any = None) -> None:
    """Record data in one role, of which `steps` batches are an epoch if that was said."""
    run.log_dataset(whole(x, y, sample_weight), role=role, name=name)
    if y is None and follow_stream(run, x, role=role, name=name):
        streams.limit(x, steps)


def log_split(run: Run, train: tuple[Any, Any, Any], fraction: float) -> None:
    """Record the two parts that Keras makes of the training data: the last `fraction` of the rows is held out."""
    rows = _rows(train[0])
    if rows is None:
        log(run, "train", "train", *train)
        return
    at = math.floor(rows * (1.0 - fraction))
    for role, begin, end in (("train", 0, at), ("validation", at, rows)):
        data = whole(*(_stretch(part, begin, end) for part in train))
        record = {**describe(data, identify=False), "validation_split": fraction, "n_rows": end - begin}
        if role == "validation":
            record |= {"kind": "validation_split", "of": "train"}
        run.log_dataset(Told(record, data), role=role, name=role)


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


def _rows(x: Any) -> int | None:
    """How many rows there are, as Keras counts them: those of the first array."""
    if isinstance(x, Mapping):
        x = list(x.values())
    if isinstance(x, list | tuple):
        return next((found for one in x if (found := _rows(one)) is not None), None)
    shape = getattr(x, "shape", None)
    return int(shape[0]) if shape is not None and len(shape) else None


def _stretch(value: Any, begin: int, end: int) -> Any:
    """Those rows of every array, without copying them where the library can do that."""
    if isinstance(value, Mapping):
        return {key: _stretch(one, begin, end) for key, one in value.items()}
    if isinstance(value, list | tuple) and value and all(_is_input(one) for one in value):
        return [_stretch(one, begin, end) for one in value]
    if not hasattr(value, "shape"):
        return value
    by_place: Any = getattr(value, "iloc", value)  # of a frame, its rows
    return by_place[begin:end]


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
