"""The canonical chunks: what a reader makes of a stretch of a column, in numpy's terms.

A chunk has `n` elements. `valid` is None where none is missing, else a boolean array of length n, True where there is
an element; **values hold the valid elements alone**, in their order. (NaNs in the values of `Numbers` count as missing;
the hashing finds them.) Arrays may have any byte order, strides and width: the hashing narrows and orders them.
`missing` says what stands for a missing element; `value` ignores it, `strict` does not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

NULL: Final = 0
"""A missing element of Arrow, polars or a pandas extension type (`pandas.NA`)."""
NAN: Final = 1
"""A NaN."""
NONE: Final = 2
"""Python's `None` among objects."""
NAT: Final = 3
"""A `NaT`."""

KINDS: Final = ("number", "text", "binary", "naive", "aware", "duration", "day", "list", "struct")
"""The kinds of elements that `Mixed` tells apart, by their places here."""

Array: TypeAlias = Any
"""A numpy array."""


@dataclass(slots=True)
class Chunk:
    """Elements of one column. `missing` is one of the codes above, or an array of them, one a missing element."""

    n: int
    valid: Array | None
    missing: int | Array


@dataclass(slots=True)
class Missing(Chunk):
    """Elements that are all missing; `valid` is None."""


@dataclass(slots=True)
class Numbers(Chunk):
    """Booleans, integers, floats or complex numbers: `values` is a one-dimensional array of such a dtype."""

    values: Array


@dataclass(slots=True)
class Texts(Chunk):
    """Texts in UTF-8 (`binary` False) or bytes: the length of each in bytes, and all of them without separators."""

    lengths: Array
    data: Any
    """Bytes, or anything with a contiguous buffer."""
    binary: bool
    words: Array | None = None
    """The word of each (`rows.words`), where the reader has them cheaper than by hashing each."""


@dataclass(slots=True)
class Instants(Chunk):
    """Points in time (`naive`, or `aware` as UTC), a `duration`, or a time of `day`: int64 counts of `unit`.

    Points in time count from 1970-01-01. A date is its midnight, naive. `unit` is one of numpy's: Y M W D h m s ms us
    ns ps fs as.
    """

    values: Array
    unit: str
    kind: Literal["naive", "aware", "duration", "day"]


@dataclass(slots=True)
class Decimals(Chunk):
    """Exact decimal numbers that need not fit a float: `decimal.Decimal` or `int`, finite."""

    values: Sequence[Any]


@dataclass(slots=True)
class Lists(Chunk):
    """Lists: the length of each valid one, and all their elements as one chunk."""

    lengths: Array
    elements: Chunk


@dataclass(slots=True)
class Structs(Chunk):
    """Records with named fields: each field's chunk has one element for each *valid* record."""

    fields: Mapping[str, Chunk]


@dataclass(slots=True)
class Mixed(Chunk):
    """Elements of several kinds: `which` gives for each valid element the number of its kind (`KINDS`).

    A kind's group holds its elements, none of which is missing; no group is empty.
    """

    which: Array
    groups: Mapping[int, Chunk]


@dataclass(slots=True)
class Tensors(Chunk):
    """Arrays of one shape: `elements` are those of all of them in row-major order. `valid` is None."""

    shape: tuple[int, ...]
    elements: Chunk


@dataclass(slots=True)
class SparseRows(Chunk):
    """Rows of a sparse matrix with `width` columns, canonical: sorted columns, no duplicates, explicit zeros kept."""

    width: int
    lengths: Array
    columns: Array
    values: Array


@dataclass(slots=True)
class Opaque(Chunk):
    """Elements that have no canonical form; only their number and the name of their type are known."""

    kind: str
