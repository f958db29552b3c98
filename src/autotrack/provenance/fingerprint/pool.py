"""Small batches gathered, to be hashed together: taken one by one, most of the time would go into the steps in between.

What is gathered is a copy: a loader may fill the same memory again. Only batches of plain arrays of numbers are taken,
alone, in a tuple, a list or a mapping; the hash of a row does not depend on what other rows it is hashed with.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import numpy as np

SMALL: Final = 1 << 17
"""Bytes of a batch up to which it is gathered."""
FULL: Final = 1 << 20
"""Bytes that are hashed together."""

Shape: TypeAlias = tuple[Any, ...]


class Pool:
    """Batches of one shape that wait to be hashed."""

    def __init__(self) -> None:
        self.batches = 0
        self._shape: Shape | None = None
        self._parts: list[list[Any]] = []
        self._bytes = 0

    def takes(self, batch: Any) -> bool:
        """Keep a copy of the batch, if it is one of those that are gathered, and like the others."""
        found = _arrays(batch)
        if found is None:
            return False
        kind, arrays = found
        size = sum(array.nbytes for array in arrays)
        if not 0 < size <= SMALL:
            return False
        shape = (kind, *((array.dtype, array.shape[1:]) for array in arrays))
        if self.batches and shape != self._shape:
            return False
        if not self.batches:
            self._shape, self._parts = shape, [[] for _ in arrays]
        for gathered, array in zip(self._parts, arrays, strict=True):
            gathered.append(array.copy())
        self.batches += 1
        self._bytes += size
        return True

    @property
    def is_full(self) -> bool:
        """Whether it is time to take them."""
        return self._bytes >= FULL

    def taken(self) -> Any:
        """All of them as one batch; the pool is empty then."""
        assert self._shape is not None
        whole = [np.concatenate(parts) for parts in self._parts]
        kind = self._shape[0]
        self.batches, self._bytes, self._parts = 0, 0, []
        if kind is None:
            return whole[0]
        return dict(zip(kind, whole, strict=True)) if isinstance(kind, tuple) else whole


def _arrays(batch: Any) -> tuple[Any, list[Any]] | None:
    """The arrays of a batch, and what holds them: None, the number of a sequence's, or the names of a mapping's."""
    kind: Any = None
    if isinstance(batch, Mapping):
        kind, parts = tuple(batch), list(batch.values())
    elif isinstance(batch, list | tuple):
        kind, parts = len(batch), list(batch)
    else:
        parts = [batch]
    torch = sys.modules.get("torch")
    arrays = []
    for part in parts:
        if torch is not None and type(part) is torch.Tensor and part.device.type == "cpu":
            try:
                part = part.detach().numpy()
            except (TypeError, RuntimeError):  # a type that numpy has not, a layout of its own
                return None
        if type(part) is not np.ndarray or part.ndim == 0 or part.dtype.kind not in "biuf":
            return None
        arrays.append(part)
    if not arrays or any(len(array) != len(arrays[0]) for array in arrays):
        return None
    return kind, arrays
