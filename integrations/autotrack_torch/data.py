"""Datasets and loaders of torch, and those of the library `datasets`, as records. No element is asked for.

What is fingerprinted of them is found by `tables`. Types are told by name when plugins are loaded, so that a run of any
integration knows them; torch is not imported for that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from autotrack.plugin import MOST_COLUMNS, describe, describe_with
from autotrack_torch import passing, tables

MOST_PARTS = 32
"""Parts of a dataset beyond this are counted in its rows, but not described."""


def register() -> None:
    """Let `run.log_dataset` know these types, and what derives from them."""
    torch = "torch.utils.data.dataset."
    describe_with(torch + "Dataset", map_style)
    describe_with(torch + "IterableDataset", nothing_more)
    describe_with(torch + "TensorDataset", tensors)
    describe_with(torch + "StackDataset", stacked)
    describe_with(torch + "ConcatDataset", concatenated)
    describe_with(torch + "ChainDataset", chained)
    describe_with(torch + "Subset", subset)
    describe_with("torch.utils.data.dataloader.DataLoader", loader)
    describe_with("datasets.arrow_dataset.Dataset", table)
    describe_with("datasets.iterable_dataset.IterableDataset", features)
    tables.register()
    passing.register()


def map_style(dataset: Any) -> dict[str, Any]:
    """A dataset of the user's own: its length, where it tells one, and the files and classes of a folder of images."""
    try:
        record: dict[str, Any] = {"n_rows": len(dataset)}
    except Exception:  # it has none, or its own code raises
        return {}
    files = tables.files_of(dataset)
    return record if files is None else {**record, "parts": {name: {"n_rows": len(files["files"])} for name in files}}


def nothing_more(dataset: Any) -> dict[str, Any]:
    """A stream: reading it would consume it."""
    return {}


def tensors(dataset: Any) -> dict[str, Any]:
    """A `TensorDataset`, with its tensors as parts."""
    described = _parts((str(index), tensor) for index, tensor in enumerate(dataset.tensors))
    sizes = [part["bytes"] for part in described.values() if "bytes" in part]
    return {**map_style(dataset), "bytes": sum(sizes), "parts": described}


def stacked(dataset: Any) -> dict[str, Any]:
    """A `StackDataset`: datasets side by side, a tuple or a mapping of them."""
    inside = dataset.datasets
    pairs = inside.items() if isinstance(inside, Mapping) else enumerate(inside)
    return {**map_style(dataset), "parts": _parts((str(name), part) for name, part in pairs)}


def concatenated(dataset: Any) -> dict[str, Any]:
    """A `ConcatDataset`: datasets one after the other."""
    return {**map_style(dataset), **chained(dataset)}


def chained(dataset: Any) -> dict[str, Any]:
    """A `ChainDataset`: streams one after the other."""
    inside = dataset.datasets
    if not isinstance(inside, list | tuple):  # a generator of streams: reading it would consume it
        return {}
    return {"parts": _parts((str(index), part) for index, part in enumerate(inside))}


def subset(dataset: Any) -> dict[str, Any]:
    """A `Subset`, as `random_split` makes them: its size, and the whole."""
    return {**map_style(dataset), "parts": {"of": describe(dataset.dataset, identify=False)}}


def loader(loader: Any) -> dict[str, Any]:
    """A `DataLoader`: its dataset, and how it goes through it."""
    inside = describe(loader.dataset, identify=False)
    record: dict[str, Any] = {key: inside[key] for key in ("n_rows", "n_columns", "columns") if key in inside}
    batches: Any = getattr(loader, "batch_sampler", None)
    sampler: Any = getattr(batches, "sampler", None) or getattr(loader, "sampler", None)
    record["batch_size"] = getattr(loader, "batch_size", None) or getattr(batches, "batch_size", None)
    record["sampler"] = type(sampler).__name__
    if isinstance(getattr(sampler, "shuffle", None), bool):  # a DistributedSampler
        record["shuffle"] = sampler.shuffle
    elif type(sampler).__name__ in ("RandomSampler", "SequentialSampler"):
        record["shuffle"] = type(sampler).__name__ == "RandomSampler"
    record["drop_last"] = bool(getattr(loader, "drop_last", False))
    return {**record, "parts": {"dataset": inside}}


def table(dataset: Any) -> dict[str, Any]:
    """A `datasets.Dataset`: its rows and columns, and the fingerprint that the library itself keeps."""
    record: dict[str, Any] = {"n_rows": len(dataset), **features(dataset)}
    if getattr(dataset, "_indices", None) is None:  # else the table below holds more rows than the dataset
        record["bytes"] = int(dataset.data.nbytes)
    fingerprint = getattr(dataset, "_fingerprint", None)
    if fingerprint:
        record["hf_fingerprint"] = str(fingerprint)
    return record


def features(dataset: Any) -> dict[str, Any]:
    """What any dataset of the library `datasets` tells of its columns, a stream too."""
    record: dict[str, Any] = {}
    if getattr(dataset, "split", None) is not None:
        record["split"] = str(dataset.split)
    found = getattr(dataset, "features", None)
    if found:
        record["n_columns"] = len(found)
        record["columns"] = [
            {"name": str(name), "dtype": str(getattr(feature, "dtype", None) or type(feature).__name__)}
            for name, feature in list(found.items())[:MOST_COLUMNS]
        ]
    return record


def _parts(named: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    return {name: describe(part, identify=False) for _, (name, part) in zip(range(MOST_PARTS), named, strict=False)}
