"""What a reader gives: a `Table` of columns that can be read a stretch at a time, or named `Parts`.

Nothing here is computed when a table is made; reading a chunk may copy that chunk, never the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from autotrack.provenance.fingerprint.chunks import Array, Chunk

if TYPE_CHECKING:
    from autotrack.provenance.fingerprint.identity import Fingerprint

ROWS_PER_LEAF: Final = 65_536
"""Rows of a chunk; of tensors and wide tables, see `Table.rows_per_leaf`."""

MOST_COLUMNS: Final = 4_096
"""A two-dimensional array with more columns than this is one column of fixed-shape tensors."""

TENSOR_ELEMENTS: Final = 1 << 20
"""The most elements in a leaf of tensors, where it has more than one row."""


@dataclass(frozen=True)
class Column:
    """One column. `read(start, stop)` gives the canonical chunk of those rows (counted from 0, `stop` excluded)."""

    name: str
    declared: str
    """The type as the library declares it, in the words of `docs/fingerprint.md`: `int64`, `string`, …"""
    read: Callable[[int, int], Chunk]
    bytes: int
    """About how many bytes have to be looked at, for the budget."""
    slow: bool = False
    """Whether it is read element by element in Python, about a hundred times slower."""


@dataclass(frozen=True)
class Block:
    """Numeric columns that lie in one two-dimensional array of shape (n_rows, columns), with any strides."""

    names: Sequence[str]
    declared: str
    values: Array
    convert: Callable[[Array], Array] | None = None
    """Makes ordinary numbers of a stretch of `values`, where numpy has no dtype for them (bfloat16)."""


@dataclass(frozen=True)
class Table:
    """Columns side by side. `details` enter `schema` alone: category order, index, dimensions (JSON values)."""

    n_rows: int
    columns: Sequence[Column | Block]
    details: Mapping[str, Any] = field(default_factory=dict)
    rows_per_leaf: int = ROWS_PER_LEAF
    """2^k rows with at most `TENSOR_ELEMENTS` elements for tensors and tables wider than `MOST_COLUMNS`."""


def tensor_rows(elements: int) -> int:
    """How many rows of so many elements a leaf has: the largest 2^k within `TENSOR_ELEMENTS`, at least 1."""
    return 1 << max(0, (TENSOR_ELEMENTS // max(1, elements)).bit_length() - 1)


@dataclass(frozen=True)
class Identified:
    """Data whose fingerprint was taken before, or elsewhere: in the memory of a GPU, or when it was still there."""

    fingerprint: Fingerprint


@dataclass(frozen=True)
class Parts:
    """Data that belongs together under names, such as `X` and `y`: whatever can be read itself."""

    parts: Mapping[str, Any]
