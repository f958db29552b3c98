"""What a model was trained, validated or tested with, without taking a single element of it.

Arrays in nested lists and mappings become named parts, which are fingerprinted; for pipelines of `tf.data` see
`pipelines`; what comes batch by batch is described by what it says of itself, and hashed as it passes (`streams`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from autotrack.plugin import Told, describe, describe_with, follow_stream
from autotrack_keras import pipelines, streams
from autotrack_keras.nested import is_input, named_parts

if TYPE_CHECKING:
    from autotrack.run import Run

TENSORFLOW = "tensorflow.python."


def register() -> None:
    """Tell the core how to describe what Keras trains on; a `DataLoader` is torch's."""
    describe_with("keras.src.trainers.data_adapters.py_dataset_adapter.PyDataset", describe_py_dataset)
    describe_with(TENSORFLOW + "ops.ragged.ragged_tensor.RaggedTensor", describe_uneven)
    describe_with(TENSORFLOW + "framework.sparse_tensor.SparseTensor", describe_uneven)
    pipelines.register()
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


def describe_uneven(tensor: Any) -> dict[str, Any]:
    """A sparse or ragged tensor, whose sizes may be unknown."""
    shape = [None if size is None else int(size) for size in tensor.shape]
    return {"shape": shape, "n_rows": shape[0] if shape else 1, "dtype": tensor.dtype.name}


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
    if isinstance(value, list | tuple) and value and all(is_input(one) for one in value):
        return [_stretch(one, begin, end) for one in value]
    if not hasattr(value, "shape"):
        return value
    by_place: Any = getattr(value, "iloc", value)  # of a frame, its rows
    return by_place[begin:end]
