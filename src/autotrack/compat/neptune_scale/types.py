"""What files and histograms are given as: the module `neptune_scale.types`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass
class File:
    """A file: a path or content, and what is known of it. `size` is in bytes."""

    source: str | Path | bytes
    mime_type: str | None = None
    size: int | None = None
    destination: str | None = None


@dataclass
class Histogram:
    """A distribution over bins: `bin_edges` has one more entry than `counts` or `densities`, of which one is given."""

    bin_edges: Any
    counts: Any = None
    densities: Any = None

    def bin_edges_as_list(self) -> list[float]:
        """The edges as a plain list. Raises `TypeError` for what is neither a list nor an array."""
        return _as_list("Bin edges", self.bin_edges)

    def counts_as_list(self) -> list[float]:
        """The counts as a plain list. Raises `TypeError` for what is neither a list nor an array."""
        return _as_list("Counts", self.counts)

    def densities_as_list(self) -> list[float]:
        """The densities as a plain list. Raises `TypeError` for what is neither a list nor an array."""
        return _as_list("Densities", self.densities)


def _as_list(what: str, values: Any) -> list[float]:
    if isinstance(values, list):
        return values
    if hasattr(values, "tolist"):
        listed: list[float] = values.tolist()
        return listed
    raise TypeError(f"{what} must be of type list or np.ndarray, got {type(values)}")
