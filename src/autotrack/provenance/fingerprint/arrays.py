"""numpy's arrays: columns of one or two dimensions, tensors beyond, structured arrays as tables."""

from __future__ import annotations

from typing import Any

import numpy as np

from autotrack.provenance.fingerprint.chunks import (
    NAN,
    NAT,
    NULL,
    Array,
    Chunk,
    Instants,
    Lists,
    Missing,
    Numbers,
    Structs,
    Tensors,
    Texts,
)
from autotrack.provenance.fingerprint.plain import objects
from autotrack.provenance.fingerprint.tables import MOST_COLUMNS, Block, Column, Table, tensor_rows

NUMERIC = frozenset("biuf")


def read_array(data: Array) -> Table:
    """An array of any dtype and any number of dimensions."""
    data = np.asarray(data)  # a matrix or a memory map as a plain view
    if data.dtype.names is not None and data.ndim == 1:
        return Table(len(data), [array_column(name, data[name]) for name in data.dtype.names])
    return array_table(data)


def array_table(data: Array, convert: Any = None, declared: str | None = None) -> Table:
    """The table of a plain array; `convert` and `declared` as `Block` has them."""
    declared = declared or declared_type(data.dtype)
    if data.ndim < 2:
        column = data.reshape(-1)
        details = {"dims": data.ndim}
        if data.dtype.kind in NUMERIC or convert is not None:
            return Table(len(column), [Block([""], declared, column.reshape(-1, 1), convert)], details)
        return Table(len(column), [array_column("", column)], details)
    n_rows, width = data.shape[0], int(np.prod(data.shape[1:]))
    if data.ndim == 2 and width <= MOST_COLUMNS:
        if data.dtype.kind in NUMERIC or convert is not None:
            return Table(n_rows, [Block([str(index) for index in range(width)], declared, data, convert)])
        return Table(n_rows, [array_column(str(index), data[:, index]) for index in range(width)])
    shape = data.shape[1:]

    def read(start: int, stop: int) -> Chunk:
        stretch = data[start:stop]
        values = np.ascontiguousarray(stretch).reshape(-1)
        return Tensors(len(stretch), None, NAN, shape, array_chunk(values if convert is None else convert(values)))

    details = {"dims": data.ndim} if data.ndim > 2 else {}
    slow = data.dtype.kind in "OUST"
    return Table(n_rows, [Column("", declared, read, data.nbytes, slow)], details, tensor_rows(width))


def read_masked(data: Any) -> Table | Array | None:
    """A masked array: what is masked is missing, whatever lies under the mask."""
    values, mask = np.ma.getdata(data), np.ma.getmaskarray(data)
    if values.dtype.names is not None:
        if not _any_masked(mask):
            return values
        if values.ndim != 1:
            return None
        return Table(len(values), [_masked_column(name, values[name], mask[name]) for name in values.dtype.names])
    if not mask.any():
        return values
    if values.ndim > 2:
        return _masked_tensors(values, mask)
    if values.ndim < 2:
        column = _masked_column("", values.reshape(-1), mask.reshape(-1))
        return Table(values.size, [column], {"dims": values.ndim})
    columns = [_masked_column(str(index), values[:, index], mask[:, index]) for index in range(values.shape[1])]
    return Table(len(values), columns)


def _any_masked(mask: Array) -> bool:
    """Whether anything is masked, in whatever field of a mask of records."""
    return any(_any_masked(mask[name]) for name in mask.dtype.names) if mask.dtype.names else bool(mask.any())


def _masked_column(name: str, values: Array, mask: Array) -> Column:
    def read(start: int, stop: int) -> Chunk:
        return _masked_chunk(values[start:stop], mask[start:stop])

    return Column(name, declared_type(values.dtype), read, values.nbytes, values.dtype.kind in "OUST")


def _masked_tensors(values: Array, mask: Array) -> Table:
    def read(start: int, stop: int) -> Chunk:
        inside = _masked_chunk(values[start:stop].reshape(-1), mask[start:stop].reshape(-1))
        return Tensors(stop - start, None, NULL, values.shape[1:], inside)

    column = Column("", declared_type(values.dtype), read, values.nbytes, values.dtype.kind in "OUST")
    return Table(len(values), [column], {"dims": values.ndim}, tensor_rows(int(np.prod(values.shape[1:]))))


def _masked_chunk(values: Array, mask: Array) -> Chunk:
    n = len(values)
    if values.dtype.names is not None:
        return Structs(n, None, NULL, {name: _masked_chunk(values[name], mask[name]) for name in values.dtype.names})
    if values.ndim > 1:  # a field that is an array
        inside = _masked_chunk(values.reshape(-1, *values.shape[2:]), mask.reshape(-1, *mask.shape[2:]))
        return Lists(n, None, NULL, np.full(n, values.shape[1], np.int64), inside)
    return with_missing(array_chunk(values[~mask]), ~mask, NULL)


def array_column(name: str, values: Array, declared: str | None = None) -> Column:
    """A column that lies in an array whose first dimension is the rows."""

    def read(start: int, stop: int) -> Chunk:
        return array_chunk(values[start:stop])

    return Column(name, declared or declared_type(values.dtype), read, values.nbytes, values.dtype.kind in "OUST")


def array_chunk(values: Array) -> Chunk:
    """The canonical chunk of an array's elements; of one with more dimensions, of its rows as lists."""
    if values.ndim > 1:
        lengths = np.full(len(values), values.shape[1], np.int64)
        inside = values.reshape(-1, *values.shape[2:])
        return Lists(len(values), None, NULL, lengths, array_chunk(inside))
    dtype, n = values.dtype, len(values)
    kind = dtype.kind
    if kind in "biufc":
        return Numbers(n, None, NAN, values)
    if kind in "mM":
        return _times(values)
    if kind == "O":
        return objects(values.tolist())
    if kind == "S" or (kind == "V" and dtype.names is None and dtype.itemsize and not _is_number(dtype)):
        items = values.tolist()
        lengths = np.fromiter(map(len, items), np.int64, n)
        return Texts(n, None, NULL, lengths, b"".join(items), True)
    if kind == "V" and dtype.names is not None:
        return Structs(n, None, NULL, {name: array_chunk(values[name]) for name in dtype.names})
    if kind == "V":
        return Numbers(n, None, NAN, values.astype(np.float32))
    return objects(values.tolist())  # texts, of fixed or of any length


def _is_number(dtype: Any) -> bool:
    """Whether it is one of the types of `ml_dtypes`, which widen to float32 without loss."""
    return bool(dtype.type.__module__ == "ml_dtypes")


def _times(values: Array) -> Chunk:
    unit, count = np.datetime_data(values.dtype)
    if count != 1 or not values.dtype.isnative:
        values = values.astype(f"{'timedelta64' if values.dtype.kind == 'm' else 'datetime64'}[{unit}]")
    if unit == "generic":
        return Missing(len(values), None, NAT) if np.isnat(values).all() else objects(values.tolist())
    counts = np.ascontiguousarray(values).view(np.int64)
    absent = np.isnat(values)
    valid = ~absent if absent.any() else None
    kind: Any = "duration" if values.dtype.kind == "m" else "naive"
    return Instants(len(values), valid, NAT, counts if valid is None else counts[valid], unit, kind)


def with_missing(chunk: Chunk, valid: Array | None, missing: int) -> Chunk:
    """The chunk of the valid elements as that of all of them: `valid` tells where they are."""
    if valid is None or valid.all():
        return chunk
    if isinstance(chunk, Missing) or chunk.valid is not None:
        return _both_missing(chunk, valid, missing)
    chunk.n, chunk.valid, chunk.missing = len(valid), valid, missing
    return chunk


def _both_missing(chunk: Chunk, valid: Array, missing: int) -> Chunk:
    inner = np.zeros(chunk.n, bool) if isinstance(chunk, Missing) or chunk.valid is None else chunk.valid
    codes = np.full(len(valid), missing, np.uint8)
    places = np.flatnonzero(valid)
    codes[places[~inner]] = chunk.missing
    whole = valid.copy()
    whole[places] = inner
    if not whole.any():
        return Missing(len(valid), None, codes)
    chunk.n, chunk.valid, chunk.missing = len(valid), whole, codes[~whole]
    return chunk


def declared_type(dtype: Any) -> str:
    """A dtype's name, whatever its byte order: `int64`, `timestamp[ns]`, `U5`."""
    if dtype.kind in "mM":
        word = "duration" if dtype.kind == "m" else "timestamp"
        return f"{word}[{dtype.name.partition('[')[2] or ']'}"
    if dtype.kind in "US":
        return f"{dtype.kind}{dtype.itemsize // (4 if dtype.kind == 'U' else 1)}"
    return "string" if dtype.kind == "T" else str(dtype.name)
