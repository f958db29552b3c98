"""What a dataset of torch holds, in memory or as files that it names: never found by asking it for an element.

A dataset enters; its tensors leave under the names of their places, or the table that the library `datasets` has, or
the files of a folder of classes, which are known by their content and never opened as images. Rows of a `Subset` are
gathered when they are read. What holds nothing that can be read gives None.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from autotrack.plugin import is_readable as is_readable_by_core
from autotrack.plugin import register_reader, settings, stretches

TORCH = "torch.utils.data.dataset."
ARRAYS = (("data", "targets"), ("data", "labels"))
"""Attributes in which datasets of torchvision, and those made after them, keep what they hold."""

MOST_FILES = 200_000
TRIED = 100
"""Files that the system is asked about to learn how long asking about all would take."""


class Rows:
    """Rows of something that holds rows: those at `indices`, in that order."""

    def __init__(self, whole: Any, indices: Any) -> None:
        self.whole, self.indices = whole, indices

    def __len__(self) -> int:
        return len(self.indices)

    def pick(self, places: Any) -> Any:
        """A copy of its rows at `places`, a tensor of indices or a slice."""
        import torch

        indices = self.indices
        chosen = torch.as_tensor(indices[places] if isinstance(places, slice) else torch.as_tensor(indices)[places])
        return pick(self.whole, torch.where(chosen < 0, chosen + len(self.whole), chosen))


class Joined:
    """Rows of several things that hold rows of one type, one after the other."""

    def __init__(self, several: Sequence[Any]) -> None:
        self.several = several

    def __len__(self) -> int:
        return sum(map(len, self.several))

    def pick(self, places: Any) -> Any:
        """A copy of its rows at `places`, a tensor of indices or a slice."""
        import torch

        if isinstance(places, slice):
            places = torch.arange(*places.indices(len(self)))
        ends = torch.tensor(list(itertools.accumulate(map(len, self.several))))
        which = torch.searchsorted(ends, places, right=True)
        found = []
        for index, one in enumerate(self.several):
            begin = int(ends[index - 1]) if index else 0
            found.append(pick(one, places[which == index] - begin))
        order = torch.argsort(torch.argsort(which, stable=True), stable=True)
        return pick(_stuck(found), order)


def pick(whole: Any, places: Any) -> Any:
    """A copy of the rows of `whole` at `places`, a tensor of indices or a slice."""
    if isinstance(whole, Rows | Joined):
        return whole.pick(places)
    if isinstance(places, slice):
        return whole[places]
    if isinstance(whole, list | tuple):
        return [whole[index] for index in places.tolist()]
    return whole[places if type(whole).__module__.partition(".")[0] == "torch" else places.numpy()]


def _stuck(found: list[Any]) -> Any:
    if isinstance(found[0], list):
        return [row for one in found for row in one]
    import torch

    if isinstance(found[0], torch.Tensor):
        return torch.cat(found)
    return torch.cat([torch.from_numpy(one) for one in found]).numpy()


def register() -> None:
    """Let the core read these types, and what derives from them."""
    register_reader(TORCH + "Dataset", contents)
    register_reader("torch.utils.data.dataloader.DataLoader", lambda loader: loader.dataset)
    for kind in (Rows, Joined):
        register_reader(f"{__name__}.{kind.__qualname__}", _table)


def _table(rows: Rows | Joined) -> Any:
    if isinstance(rows, Rows) and hasattr(rows.whole, "column_names"):  # of the library `datasets`
        return rows.whole.select(rows.indices)
    if _are_files(rows):  # named below the folder that all of them are in: only together
        return pick(rows, slice(0, len(rows)))
    return stretches(len(rows), lambda start, stop: pick(rows, slice(start, stop)))


def contents(dataset: Any) -> Any:
    """What a dataset holds: a mapping of named parts, or a table of the library `datasets`; None if nobody can tell."""
    name = _kind(dataset)
    if name == "IterableDataset":
        return None
    if name == "TensorDataset":
        return {str(index): tensor for index, tensor in enumerate(dataset.tensors)}
    if name == "StackDataset":
        inside = dataset.datasets
        pairs = inside.items() if isinstance(inside, Mapping) else enumerate(inside)
        return _all({str(key): _inside(one) for key, one in pairs})
    if name == "Subset":
        return _each(_inside(dataset.dataset), lambda part: Rows(part, dataset.indices))
    if name == "ConcatDataset":
        return _concatenated([_inside(one) for one in dataset.datasets])
    for names in ARRAYS:
        held = {key: getattr(dataset, key, None) for key in names}
        if all(_holds(it, dataset) for it in held.values()):
            return held
    return _readable_files(dataset)


def is_readable(dataset: Any) -> bool:
    """Whether a dataset can be fingerprinted as it is, so that nothing of it need be hashed as it passes."""
    return _is_whole(_inside(dataset))


def _inside(dataset: Any) -> Any:
    return contents(dataset) if _kind(dataset) else dataset


def _is_whole(found: Any) -> bool:
    if isinstance(found, Mapping):
        return all(map(_is_whole, found.values()))
    if isinstance(found, Joined):
        return all(map(_is_whole, found.several))
    if isinstance(found, Rows):
        return _is_whole(found.whole)
    return found is not None and is_readable_by_core(found)


def _kind(dataset: Any) -> str:
    """The name of the class of torch that a dataset is, or derives from and leaves as it is; else nothing."""
    for kind in type(dataset).__mro__:
        if kind.__module__ == "torch.utils.data.dataset":
            # A class of the user's that makes something else of what it inherits holds other elements.
            changed = kind.__name__ not in ("Dataset", "IterableDataset") and _is_changed(type(dataset), kind)
            return "Dataset" if changed else kind.__name__
    return ""


def _is_changed(kind: type, base: type) -> bool:
    return any(getattr(kind, name, None) is not getattr(base, name, None) for name in ("__getitem__", "__getitems__"))


def _each(found: Any, make: Any) -> Any:
    if isinstance(found, Mapping):
        return _all({key: _each(one, make) for key, one in found.items()})
    return None if found is None else make(found)


def _all(parts: dict[str, Any]) -> dict[str, Any] | None:
    return None if any(part is None for part in parts.values()) else parts


def _concatenated(several: list[Any]) -> Any:
    if not several or any(one is None for one in several):
        return None
    if all(isinstance(one, Mapping) for one in several):
        if any(one.keys() != several[0].keys() for one in several):
            return None
        return _all({key: _concatenated([one[key] for one in several]) for key in several[0]})
    kinds = {_row_kind(one) for one in several}
    return Joined(several) if len(kinds) == 1 and None not in kinds else None


def _row_kind(one: Any) -> Any:
    """What rows must have in common to be joined; None for what cannot be."""
    while isinstance(one, Rows | Joined):
        one = one.whole if isinstance(one, Rows) else one.several[0]
    if isinstance(one, list):
        return list
    return (type(one), str(one.dtype), tuple(one.shape[1:])) if hasattr(one, "dtype") and len(one.shape) else None


def files_of(dataset: Any) -> dict[str, Any] | None:
    """The files of a folder of classes, such as torchvision's `ImageFolder`, with their classes; None of another."""
    samples, root = getattr(dataset, "samples", None), getattr(dataset, "root", None)
    if not isinstance(root, str | os.PathLike) or not isinstance(samples, list) or not _holds(samples, dataset):
        return None
    if len(samples) > MOST_FILES or not all(isinstance(one, tuple) and len(one) == 2 for one in samples):
        return None
    if not all(isinstance(path, str | os.PathLike) for path, _ in samples):
        return None
    return {"files": [Path(path) for path, _ in samples], "targets": [target for _, target in samples]}


def _readable_files(dataset: Any) -> dict[str, Any] | None:
    """Those that are there, where the system answers fast enough to ask about each."""
    found = files_of(dataset)
    if found is None:
        return None
    files, begun = found["files"], time.monotonic()
    try:
        for file in files[:TRIED]:
            file.stat()
    except OSError:
        return None
    if (time.monotonic() - begun) / min(TRIED, len(files)) * len(files) > settings().dataset_seconds:
        return None
    return found if is_readable_by_core(files) else None


def _are_files(rows: Any) -> bool:
    while isinstance(rows, Rows | Joined):
        rows = rows.whole if isinstance(rows, Rows) else rows.several[0]
    return isinstance(rows, list) and bool(rows) and isinstance(rows[0], Path)


def _holds(value: Any, dataset: Any) -> bool:
    """Whether `value` has an element for each of the dataset's."""
    if not (hasattr(value, "shape") or isinstance(value, list)):
        return False
    try:
        return len(value) == len(dataset) > 0
    except Exception:  # the user's own code
        return False
