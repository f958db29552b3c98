"""Numbers in their canonical form: the narrowest type that holds all values of a chunk exactly.

The order is `u1 u2 u4 u8` where none is negative, else `i1 i2 i4 i8`, then `f4`, then `f8`: an integer in a float
column is the same number, and so is True. Everything here works on matrices of shape (k, n), one chunk a row, so that
twenty short columns cost hardly more than one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from autotrack.provenance.fingerprint.chunks import Array

UNSIGNED: Final = ((1, 0xFF, "<u1"), (2, 0xFFFF, "<u2"), (3, 0xFFFFFFFF, "<u4"), (4, 0xFFFFFFFFFFFFFFFF, "<u8"))
SIGNED: Final = ((5, 0x7F, "<i1"), (6, 0x7FFF, "<i2"), (7, 0x7FFFFFFF, "<i4"), (8, 0x7FFFFFFFFFFFFFFF, "<i8"))
F4: Final = 9
F8: Final = 10

PEEK: Final = 32
"""Values that are looked at before all of them are: most floats are told from integers by the first."""

_TOO_BIG: Final = 2.0**64
_LOWEST: Final = -(2.0**63)


def native(values: Array) -> Array:
    """The same numbers in a dtype that the rest of this module knows: bool, native integers, f4, f8, c8, c16.

    Raises `TypeError` for what is no number, and for long doubles that do not fit.
    """
    dtype = values.dtype
    kind = dtype.kind
    if kind == "b":
        return values.view(np.uint8)
    if kind in "iu":
        return values if dtype.isnative else values.astype(dtype.newbyteorder("="))
    if kind == "f":
        if dtype.itemsize < 4:  # float16; those of `ml_dtypes` with a byte
            return values.astype(np.float32)
        if dtype.itemsize > 8:
            narrowed = values.astype(np.float64)
            if not np.array_equal(narrowed.astype(dtype), values, equal_nan=True):
                raise TypeError("long doubles that do not fit a double")
            return narrowed
        return values if dtype.isnative else values.astype(dtype.newbyteorder("="))
    if kind == "c" and dtype.itemsize <= 16:
        return values if dtype.isnative else values.astype(dtype.newbyteorder("="))
    raise TypeError(f"{dtype} is no number")


def narrowed(matrix: Array) -> Iterator[tuple[int, Array]]:
    """Tag and values of each row of a matrix of integers, or of floats without NaN, in the narrowest exact type.

    The rows must be contiguous. -0.0 comes out as 0.0.
    """
    kind = matrix.dtype.kind
    if kind == "u" and matrix.dtype.itemsize == 1:
        for row in matrix:
            yield 1, row
    elif kind in "iu":
        lows = matrix.min(axis=1).tolist() if kind == "i" else [0] * len(matrix)
        highs = matrix.max(axis=1).tolist()
        for row, low, high in zip(matrix, lows, highs, strict=True):
            yield _integers(row, low, high)
    else:
        yield from _floats(matrix)


def _integers(row: Array, low: int, high: int) -> tuple[int, Array]:
    tag, dtype = _narrowest(low, high)
    return tag, row.astype(dtype, copy=False)


def _narrowest(low: int, high: int) -> tuple[int, str]:
    reach = high if low >= 0 else max(high, -1 - low)
    return next((tag, dtype) for tag, limit, dtype in (UNSIGNED if low >= 0 else SIGNED) if reach <= limit)


def _floats(matrix: Array) -> Iterator[tuple[int, Array]]:
    wide = matrix.dtype.itemsize == 8
    start = matrix[:, :PEEK]
    whole = (np.rint(start) == start).all(axis=1).tolist()
    short = (start.astype(np.float32) == start).all(axis=1).tolist() if wide else [True] * len(matrix)
    # Values are compared by their bits: a library may have told the processor to take the smallest numbers for zero.
    bits = matrix.view(np.int64 if wide else np.int32)
    lowest = np.iinfo(bits.dtype).min  # the bits of -0.0
    zeros = (bits.min(axis=1) == lowest).tolist()
    for row, own, may_be_whole, may_be_short, negative_zero in zip(matrix, bits, whole, short, zeros, strict=True):
        if negative_zero:
            own = np.where(own == lowest, bits.dtype.type(0), own)
            row = own.view(row.dtype)
        if may_be_whole and (found := _as_integers(row, own)) is not None:
            yield found
        elif not wide:
            yield F4, row.astype("<f4", copy=False)
        elif may_be_short and ((narrow := row.astype("<f4")).astype(np.float64).view(np.int64) == own).all():
            yield F4, narrow
        else:
            yield F8, row.astype("<f8", copy=False)


def _as_integers(row: Array, bits: Array) -> tuple[int, Array] | None:
    low, high = float(row.min()), float(row.max())
    # The range comes first: a cast out of range wraps on one processor and saturates on another.
    if not (low >= _LOWEST and high < (_TOO_BIG if low >= 0 else -_LOWEST)):
        return None
    tag, dtype = _narrowest(int(low), int(high))
    integers = row.astype(dtype)
    return (tag, integers) if (integers.astype(row.dtype).view(bits.dtype) == bits).all() else None


def lengths_as_bytes(lengths: Array) -> tuple[int, Array]:
    """Lengths of texts and lists in the narrowest unsigned type, with its tag."""
    if not len(lengths):
        return 1, np.empty(0, np.uint8)
    return _integers(lengths, 0, int(lengths.max()))


def has_nan(matrix: Array) -> Any:
    """For each row of a matrix, whether a NaN is in it."""
    return np.isnan(matrix.min(axis=1))
