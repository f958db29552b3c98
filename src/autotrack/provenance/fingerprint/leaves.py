"""From a canonical chunk to its leaf: 16 bytes that are equal for equal values, whatever held them.

A leaf is XXH3-128 over the tag of the chunk's narrowest type, the number of elements, the number of missing ones, the
validity bits where some are missing, and the valid values in little-endian order. Beside the digest it carries *marks*:
what stood for the missing elements, which only `strict` takes in.
"""

from __future__ import annotations

import struct
from functools import singledispatch
from typing import Any, Final, NamedTuple

import numpy as np

from autotrack.provenance.fingerprint.chunks import (
    NAN,
    Array,
    Chunk,
    Decimals,
    Instants,
    Lists,
    Missing,
    Mixed,
    Numbers,
    Opaque,
    SparseRows,
    Structs,
    Tensors,
    Texts,
)
from autotrack.provenance.fingerprint.decimals import as_numbers, decimal_text
from autotrack.provenance.fingerprint.hasher import digest, hasher
from autotrack.provenance.fingerprint.instants import coarsest
from autotrack.provenance.fingerprint.numbers import has_nan, lengths_as_bytes, narrowed, native

MISSING: Final = 0
COMPLEX: Final = 11
TEXT: Final = 12
BINARY: Final = 13
INSTANTS: Final = {"naive": 14, "aware": 15, "duration": 16, "day": 17}
DECIMAL: Final = 18
LIST: Final = 19
STRUCT: Final = 20
MIXED: Final = 21
TENSOR: Final = 22
SPARSE: Final = 23
OPAQUE: Final = 255

_COLUMN: Final = b"x1 column\0"
_PARTIAL_COLUMN: Final = b"x1 partial column\0"
_head: Final = struct.Struct("<BQQ").pack


class Leaf(NamedTuple):
    """A chunk's digest; what stood for its missing elements, empty where none is missing; whether all was canonical."""

    digest: bytes
    marks: bytes = b""
    canonical: bool = True


def matrix_leaves(matrix: Array) -> list[Leaf]:
    """The leaves of the rows of a C-contiguous matrix (k, n) of real numbers, n >= 1, as `native` gives them."""
    n = matrix.shape[1]
    if matrix.dtype.kind == "f":
        nans = has_nan(matrix)
        if nans.any():
            plain = iter(_plain(matrix[~nans], n))
            return [_some_nan(row, n) if nan else next(plain) for row, nan in zip(matrix, nans.tolist(), strict=True)]
    return _plain(matrix, n)


def _plain(matrix: Array, n: int) -> list[Leaf]:
    leaves = []
    for tag, row in narrowed(matrix):
        state = hasher(_head(tag, n, 0))
        state.update(row)
        leaves.append(Leaf(state.digest()))
    return leaves


def _some_nan(row: Array, n: int) -> Leaf:
    return leaf(Numbers(n, None, NAN, row))


def leaf(chunk: Chunk) -> Leaf:
    """The leaf of any chunk."""
    return _leaf(chunk)


@singledispatch
def _leaf(chunk: Chunk) -> Leaf:
    raise TypeError(f"{type(chunk).__name__} is no chunk")


@_leaf.register
def _missing(chunk: Missing) -> Leaf:
    return Leaf(digest(_head(MISSING, chunk.n, chunk.n)), _marks(chunk.missing, chunk.n))


@_leaf.register
def _numbers(chunk: Numbers) -> Leaf:
    try:
        values = native(chunk.values)
    except TypeError:
        return _opaque(Opaque(chunk.n, None, chunk.missing, str(chunk.values.dtype)))
    valid, missing = chunk.valid, chunk.missing
    if values.dtype.kind in "fc" and len(values):
        nan = np.isnan(values)
        if nan.any():
            valid, missing = _without_nan(valid, missing, nan)
            values = values[~nan]
    if not len(values):
        return _missing(Missing(chunk.n, None, missing))
    if values.dtype.kind == "c":
        if values.imag.any():
            real, imaginary = (
                leaf(Numbers(len(values), None, NAN, part)).digest for part in (values.real, values.imag)
            )
            return _finished(chunk.n, valid, missing, COMPLEX, real, imaginary)
        values = values.real
    tag, row = next(narrowed(np.ascontiguousarray(values).reshape(1, -1)))
    return _finished(chunk.n, valid, missing, tag, row)


def _without_nan(valid: Array | None, missing: int | Array, nan: Array) -> tuple[Array, int | Array]:
    """Validity and codes of missing elements, once the NaNs among the valid ones count as missing too."""
    if valid is None:
        return ~nan, NAN
    codes = np.empty(len(valid), np.uint8)
    codes[~valid] = missing
    whole = valid.copy()
    places = np.flatnonzero(valid)[nan]
    whole[places] = False
    codes[places] = NAN
    return whole, codes[~whole]


@_leaf.register
def _texts(chunk: Texts) -> Leaf:
    if not len(chunk.lengths):
        return _missing(Missing(chunk.n, None, chunk.missing))
    width, lengths = lengths_as_bytes(chunk.lengths)
    tag = BINARY if chunk.binary else TEXT
    return _finished(chunk.n, chunk.valid, chunk.missing, tag, bytes((width,)), lengths, chunk.data)


@_leaf.register
def _instants(chunk: Instants) -> Leaf:
    if not len(chunk.values):
        return _missing(Missing(chunk.n, None, chunk.missing))
    unit, values = coarsest(chunk.values, chunk.unit, chunk.kind)
    tag = INSTANTS[chunk.kind]
    return _finished(chunk.n, chunk.valid, chunk.missing, tag, unit.ljust(2).encode(), values.astype("<i8", copy=False))


@_leaf.register
def _decimals(chunk: Decimals) -> Leaf:
    numbers = as_numbers(chunk)
    if numbers is not None:
        return _numbers(numbers)
    return _finished(chunk.n, chunk.valid, chunk.missing, DECIMAL, "\n".join(map(decimal_text, chunk.values)).encode())


@_leaf.register
def _lists(chunk: Lists) -> Leaf:
    if not len(chunk.lengths):
        return _missing(Missing(chunk.n, None, chunk.missing))
    width, lengths = lengths_as_bytes(chunk.lengths)
    inside = leaf(chunk.elements)
    found = _finished(chunk.n, chunk.valid, chunk.missing, LIST, bytes((width,)), lengths, inside.digest)
    return _around(found, [inside])


@_leaf.register
def _structs(chunk: Structs) -> Leaf:
    valid = chunk.n if chunk.valid is None else int(np.count_nonzero(chunk.valid))
    if not valid:
        return _missing(Missing(chunk.n, None, chunk.missing))
    # A field that is missing everywhere is the same as no field: rows of dicts and an Arrow struct agree.
    nothing = leaf(Missing(valid, None, NAN)).digest
    inside = {name: leaf(field) for name, field in sorted(chunk.fields.items())}
    payload = [part for name, one in inside.items() if one.digest != nothing for part in (_named(name), one.digest)]
    return _around(_finished(chunk.n, chunk.valid, chunk.missing, STRUCT, *payload), list(inside.values()))


@_leaf.register
def _mixed(chunk: Mixed) -> Leaf:
    if len(chunk.groups) == 1:  # one kind alone is not mixed
        raise ValueError("a mixed chunk has at least two kinds")
    inside = [leaf(group) for _, group in sorted(chunk.groups.items())]
    which = chunk.which.astype("<u1", copy=False)
    found = _finished(chunk.n, chunk.valid, chunk.missing, MIXED, which, *(one.digest for one in inside))
    return _around(found, inside)


@_leaf.register
def _tensors(chunk: Tensors) -> Leaf:
    inside = leaf(chunk.elements)
    shape = struct.pack(f"<{len(chunk.shape) + 1}Q", len(chunk.shape), *chunk.shape)
    return _around(_finished(chunk.n, None, NAN, TENSOR, shape, inside.digest), [inside])


@_leaf.register
def _sparse(chunk: SparseRows) -> Leaf:
    inside = [leaf(Numbers(len(part), None, NAN, part)) for part in (chunk.lengths, chunk.columns, chunk.values)]
    payload = (struct.pack("<Q", chunk.width), *(one.digest for one in inside))
    return _around(_finished(chunk.n, None, NAN, SPARSE, *payload), inside)


@_leaf.register
def _opaque(chunk: Opaque) -> Leaf:
    return Leaf(digest(_head(OPAQUE, chunk.n, 0) + chunk.kind.encode()), canonical=False)


def _finished(n: int, valid: Array | None, missing: int | Array, tag: int, *payload: Any) -> Leaf:
    absent = 0 if valid is None else n - int(np.count_nonzero(valid))
    state = hasher(_head(tag, n, absent))
    if valid is not None and absent:
        bits: Any = np.packbits(valid, bitorder="little")
        state.update(bits)
    for part in payload:
        state.update(part)
    return Leaf(state.digest(), _marks(missing, absent))


def _around(found: Leaf, inside: list[Leaf]) -> Leaf:
    """The leaf of what contains others: their marks are its own."""
    marks = found.marks
    if any(one.marks for one in inside):
        marks = digest(b"".join(_sized(part) for part in (marks, *(one.marks for one in inside))))
    return Leaf(found.digest, marks, all(one.canonical for one in inside))


def _marks(missing: int | Array, count: int) -> bytes:
    if not count:
        return b""
    if isinstance(missing, int):
        return bytes((missing,))
    if (missing == missing[0]).all():
        return bytes((int(missing[0]),))
    return digest(missing.astype(np.uint8, copy=False))


def _named(name: str) -> bytes:
    return _sized(name.encode("utf-8", "surrogatepass"))


def _sized(data: bytes) -> bytes:
    return struct.pack("<Q", len(data)) + data


def column_digest(leaves: bytes, *, partial: bool = False) -> bytes:
    """The digest of a column: XXH3-128 over a word and its leaves, which follow each other."""
    return digest((_PARTIAL_COLUMN if partial else _COLUMN) + leaves)


def table_digest(n_rows: int, rows_per_leaf: int, columns: list[bytes], *, partial: bool = False) -> bytes:
    """The digest of a table, over its size and the digests of its columns in their order."""
    size = struct.pack("<QQQ", n_rows, rows_per_leaf, len(columns))
    return digest(_word("table", partial) + size + b"".join(columns))


def parts_digest(parts: dict[str, bytes], *, partial: bool = False) -> bytes:
    """The digest of named parts, which have no order."""
    inside = b"".join(_named(name) + part for name, part in sorted(parts.items()))
    return digest(_word("parts", partial) + inside)


def _word(word: str, partial: bool) -> bytes:
    return f"x1 {'partial ' if partial else ''}{word}\0".encode()
