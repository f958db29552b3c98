"""The datasets behind a trainer's dataloaders. Nothing is iterated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def datasets(loaders: Any, role: str) -> Iterator[tuple[str, Any, Any]]:
    """Name, data and dataloader of each in what a trainer has: one, or lists and mappings of them."""
    for name, loader in _flat(loaders, role):
        dataset = getattr(loader, "dataset", None)
        yield name, loader if dataset is None else dataset, loader


MOST_LOADERS = 64
"""A list that is longer is data itself."""


def _flat(loaders: Any, name: str) -> Iterator[tuple[str, Any]]:
    if loaders is None:
        return
    if hasattr(loaders, "iterables"):  # a CombinedLoader of the user's inside another
        loaders = loaders.iterables
    if isinstance(loaders, Mapping):
        for key, one in loaders.items():
            yield from _flat(one, f"{name}_{key}")
    elif isinstance(loaders, list | tuple) and len(loaders) == 1:
        yield from _flat(loaders[0], name)
    elif isinstance(loaders, list | tuple) and len(loaders) <= MOST_LOADERS:
        for index, one in enumerate(loaders):
            yield from _flat(one, f"{name}_{index}")
    else:
        yield name, loaders
