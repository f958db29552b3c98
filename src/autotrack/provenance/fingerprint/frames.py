"""pandas: frames, series, indexes and extension arrays, through their own methods; pandas is not imported here."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from autotrack.provenance.fingerprint.arrays import array_chunk, array_column, declared_type, with_missing
from autotrack.provenance.fingerprint.chunks import NAN, NULL, Array, Chunk, Instants, Texts
from autotrack.provenance.fingerprint.leaves import column_digest, leaf
from autotrack.provenance.fingerprint.plain import objects
from autotrack.provenance.fingerprint.tables import MOST_COLUMNS, ROWS_PER_LEAF, Block, Column, Table
from autotrack.provenance.fingerprint.words import words

MOST_PADDED = 64
"""Bytes of a level up to which all are padded to one width, so that numpy can gather them."""

_SMALL = 1 << 17
"""Cells up to which a frame of one dtype is read as one matrix, even if pandas has to copy it for that."""


def read_frame(frame: Any) -> Table:
    """A `DataFrame`."""
    names = [str(name) for name in frame.columns]
    details = _index_details(frame.index)
    kinds = set(frame.dtypes)
    if len(kinds) == 1 and len(names) <= MOST_COLUMNS and len(frame):
        kind = kinds.pop()
        if isinstance(kind, np.dtype) and kind.kind in "biuf" and (frame.size <= _SMALL or _is_matrix(frame)):
            return Table(len(frame), [Block(names, declared_type(kind), frame.to_numpy())], details)
    columns = []
    categories = {}
    for index, (name, (_, series)) in enumerate(zip(names, frame.items(), strict=True)):
        columns.append(series_column(name, series))
        if (told := _categories(series)) is not None:
            categories[str(index)] = told
    if categories:
        details["categories"] = categories
    return Table(len(frame), columns, details)


def read_series(series: Any) -> Table:
    """A `Series`: one column."""
    name = "" if series.name is None else str(series.name)
    details = {**_index_details(series.index), "dims": 1}
    if (told := _categories(series)) is not None:
        details["categories"] = {"0": told}
    return Table(len(series), [series_column(name, series)], details)


def read_index(index: Any) -> Any:
    """An `Index`, as the values that it holds."""
    return index.to_frame(index=False) if hasattr(index, "levels") else index.to_series().reset_index(drop=True)


def read_extension(array: Any) -> Any:
    """An extension array, such as a `Categorical`: a series around it."""
    pandas = sys.modules.get("pandas")
    return None if pandas is None else pandas.Series(array, copy=False)


def _is_matrix(frame: Any) -> bool:
    """Whether the columns lie in one matrix in row-major order, which pandas gives as it is."""
    first, last = (frame.iloc[:, place].to_numpy() for place in (0, -1))
    far = (frame.shape[1] - 1) * first.itemsize
    return bool(not first.flags.c_contiguous and last.ctypes.data - first.ctypes.data == far)


def _index_details(index: Any) -> dict[str, Any]:
    """An index that says something: one with a name, or of other values than whole numbers, which only count rows."""
    names = list(index.names)
    if names == [None] and not hasattr(index, "levels") and getattr(index.dtype, "kind", "O") in "iu":
        return {}
    table = read_frame(index.to_frame(index=False)) if hasattr(index, "levels") else None
    columns = table.columns if table is not None else [series_column("", index.to_series())]
    told: list[list[str | None]] = []
    for name, column in zip(names, columns, strict=True):
        if isinstance(column, Block):
            column = array_column("", column.values[:, len(told)], column.declared)
        n = len(index)
        leaves = [leaf(column.read(at, min(n, at + ROWS_PER_LEAF))).digest for at in range(0, n, ROWS_PER_LEAF)]
        told.append([None if name is None else str(name), column.declared, column_digest(b"".join(leaves)).hex()])
    return {"index": told}


def _categories(series: Any) -> list[Any] | None:
    """Digest of the levels in their order, and whether that order means something."""
    kind = series.dtype
    if type(kind).__name__ != "CategoricalDtype":
        return None
    levels = array_chunk(np.asarray(kind.categories))
    return [column_digest(leaf(levels).digest).hex(), bool(kind.ordered)]


def series_column(name: str, series: Any) -> Column:
    """One column of a frame, by its dtype."""
    kind = series.dtype
    if isinstance(kind, np.dtype):
        return array_column(name, series.to_numpy())
    word = type(kind).__name__
    if word == "CategoricalDtype":
        return _categorical(name, series)
    array = series.array
    if word == "DatetimeTZDtype":
        return _aware(name, series)
    if hasattr(array, "__arrow_array__") and (word == "ArrowDtype" or "pyarrow" in str(getattr(kind, "storage", ""))):
        from autotrack.provenance.fingerprint.arrow import arrow_column

        absent = NAN if getattr(kind, "na_value", None) is np.nan else NULL
        return arrow_column(name, array.__arrow_array__(), str(kind), absent)
    if word == "StringDtype":
        return array_column(name, series.to_numpy(dtype=object), str(kind))
    if word == "SparseDtype":
        return Column(name, str(kind), lambda a, b: array_chunk(np.asarray(array[a:b])), 8 * len(series))
    numpy_type = getattr(kind, "numpy_dtype", None)
    if isinstance(numpy_type, np.dtype) and numpy_type.kind in "biuf":
        return _masked(name, array, str(kind), numpy_type)
    if word == "PeriodDtype":
        starts = series.dt.to_timestamp().to_numpy()
        return array_column(name, starts, str(kind))
    return Column(name, str(kind), lambda a, b: objects(list(array[a:b])), 64 * len(series), slow=True)


def _categorical(name: str, series: Any) -> Column:
    codes: Array = series.cat.codes.to_numpy()
    levels = np.asarray(series.cat.categories)
    aware = getattr(series.cat.categories.dtype, "tz", None) is not None
    texts = _Texts.of(levels)

    def read(start: int, stop: int) -> Chunk:
        stretch = codes[start:stop]
        valid = stretch >= 0
        whole = bool(valid.all())
        used = stretch if whole else stretch[valid]
        if texts is not None and len(used):
            chunk: Chunk = texts.chunk(used)
        else:
            found = levels.take(used)
            chunk = objects(found.tolist()) if aware else array_chunk(found)
        return chunk if whole else with_missing(chunk, valid, NAN)

    inside = "string" if levels.dtype.kind in "OUT" else declared_type(levels.dtype)
    return Column(name, f"category<{inside}>", read, 8 * len(codes), levels.dtype.kind == "O" and texts is None)


class _Texts:
    """Levels that are all texts, each encoded and hashed once."""

    def __init__(self, levels: list[str]) -> None:
        encoded = [level.encode("utf-8", "surrogatepass") for level in levels]
        self._lengths = np.array([len(level) for level in encoded])
        self._encoded = encoded
        self._width = int(self._lengths.max())
        self._words: Array | None = None

    @classmethod
    def of(cls, levels: Array) -> _Texts | None:
        plain = levels.tolist()
        return cls(plain) if plain and set(map(type, plain)) == {str} else None

    def chunk(self, codes: Array) -> Texts:
        lengths = self._lengths.take(codes)
        if self._words is None:
            whole = Texts(len(self._encoded), None, NAN, self._lengths, b"".join(self._encoded), False)
            self._words = words(whole)
        known = None if self._words is None else self._words.take(codes)
        return Texts(len(codes), None, NAN, lengths, self._data(codes, lengths), False, known)

    def _data(self, codes: Array, lengths: Array) -> Any:
        if self._width > MOST_PADDED or self._width * len(self._encoded) > 1 << 20:
            return b"".join(map(self._encoded.__getitem__, codes.tolist()))
        padded = np.frombuffer(b"".join(level.ljust(self._width, b"\0") for level in self._encoded), np.uint8)
        rows: Any = padded.reshape(len(self._encoded), self._width).take(codes, axis=0)
        if int(lengths.min()) == self._width:
            return rows.reshape(-1)
        return rows[np.arange(self._width) < lengths[:, None]]


def _aware(name: str, series: Any) -> Column:
    kind = series.dtype

    def read(start: int, stop: int) -> Chunk:
        chunk = array_chunk(series.iloc[start:stop].dt.tz_convert(None).to_numpy())
        if isinstance(chunk, Instants):
            chunk.kind = "aware"
        return chunk

    return Column(name, f"timestamp[{kind.unit}, tz={kind.tz}]", read, 8 * len(series))


def _masked(name: str, array: Any, declared: str, numpy_type: Any) -> Column:
    def read(start: int, stop: int) -> Chunk:
        stretch = array[start:stop]
        absent = np.asarray(stretch.isna())
        if not absent.any():
            return array_chunk(stretch.to_numpy(dtype=numpy_type))
        values = stretch.to_numpy(dtype=numpy_type, na_value=numpy_type.type(0))
        return with_missing(array_chunk(values[~absent]), ~absent, NULL)

    return Column(name, declared, read, (numpy_type.itemsize + 1) * len(array))
