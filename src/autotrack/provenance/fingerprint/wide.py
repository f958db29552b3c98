"""Frames with more columns than `MOST_COLUMNS`: one column of fixed-shape tensors, as a wide array is."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from autotrack.provenance.fingerprint.chunks import (
    NAN,
    NONE,
    Array,
    Chunk,
    Instants,
    Missing,
    Numbers,
    Opaque,
    Tensors,
    Texts,
)
from autotrack.provenance.fingerprint.plain import objects
from autotrack.provenance.fingerprint.tables import MOST_COLUMNS, Block, Column, Table, tensor_rows

_EXACT: Final = 1 << 53


def widened(table: Table) -> Table:
    """The same table, with all its columns in one where there are too many to hash each."""
    width = sum(len(column.names) if isinstance(column, Block) else 1 for column in table.columns)
    if width <= MOST_COLUMNS:
        return table
    columns = [one for column in table.columns for one in ([column] if isinstance(column, Column) else _single(column))]

    def read(start: int, stop: int) -> Chunk:
        chunks = [column.read(start, stop) for column in columns]
        n = stop - start
        numbers = _numbers(chunks, n)
        inside: Chunk
        if numbers is not None:
            inside = Numbers(numbers.size, None, NAN, numbers.reshape(-1))
        else:
            each = [_elements(chunk) for chunk in chunks]
            strange = next((chunk.kind for chunk in chunks if isinstance(chunk, Opaque)), "nested")
            if any(one is None for one in each):
                inside = Opaque(n * width, None, NONE, strange)
            else:
                inside = objects([item for row in zip(*each, strict=True) for item in row])
        return Tensors(n, None, NAN, (width,), inside)

    details = {**table.details, "names": [column.name for column in columns], "types": [c.declared for c in columns]}
    slow = any(column.slow for column in columns)
    one = Column("", "table", read, sum(column.bytes for column in columns), slow)
    return Table(table.n_rows, [one], details, tensor_rows(width))


def _single(block: Block) -> list[Column]:
    def column(place: int, name: str) -> Column:
        def read(start: int, stop: int) -> Chunk:
            values = block.values[start:stop, place]
            return Numbers(len(values), None, NAN, values if block.convert is None else block.convert(values))

        return Column(name, block.declared, read, block.values.nbytes // len(block.names))

    return [column(place, name) for place, name in enumerate(block.names)]


def _numbers(chunks: list[Chunk], n: int) -> Array | None:
    """All cells as one matrix of a type that holds each exactly; None where there is none."""
    if not all(isinstance(chunk, Numbers | Missing) for chunk in chunks):
        return None
    held = [chunk for chunk in chunks if isinstance(chunk, Numbers)]
    missing = len(held) < len(chunks) or any(chunk.valid is not None for chunk in held)
    dtype: Any = np.result_type(*(chunk.values.dtype for chunk in held), *([np.float32] if missing else []))
    if dtype.kind == "f":
        long = [chunk.values for chunk in held if chunk.values.dtype.kind in "iu" and chunk.values.dtype.itemsize == 8]
        if any(len(values) and (int(values.max()) > _EXACT or int(values.min()) < -_EXACT) for values in long):
            return None
    elif dtype.kind not in "biu":
        return None
    matrix = np.empty((n, len(chunks)), dtype)
    for index, chunk in enumerate(chunks):
        if isinstance(chunk, Numbers) and chunk.valid is None:
            matrix[:, index] = chunk.values
        else:
            matrix[:, index] = np.nan
            if isinstance(chunk, Numbers):
                matrix[chunk.valid, index] = chunk.values
    return matrix


def _elements(chunk: Chunk) -> list[Any] | None:
    """A column's elements as Python objects; None for what has none that a list could hold."""
    if isinstance(chunk, Missing):
        return [None] * chunk.n
    if isinstance(chunk, Numbers):
        items: list[Any] = chunk.values.tolist()
    elif isinstance(chunk, Texts):
        ends = np.cumsum(chunk.lengths).tolist()
        data = bytes(chunk.data)
        cut = [data[end - size : end] for end, size in zip(ends, chunk.lengths.tolist(), strict=True)]
        items = cut if chunk.binary else [one.decode("utf-8", "surrogatepass") for one in cut]
    elif isinstance(chunk, Instants) and chunk.kind == "naive":
        items = list(chunk.values.astype(np.int64).view(f"datetime64[{chunk.unit}]"))
    else:
        return None
    if chunk.valid is None:
        return items
    there = iter(items)
    return [next(there) if valid else None for valid in chunk.valid.tolist()]
