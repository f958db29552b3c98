"""Arrow's arrays and tables, read through their own methods and buffers; pyarrow is not imported here.

Buffers are never hashed as they lie: padding, what stands under nulls, offsets of slices and chunking differ between
equal arrays.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from autotrack.provenance.fingerprint.arrays import with_missing
from autotrack.provenance.fingerprint.chunks import (
    NULL,
    Array,
    Chunk,
    Instants,
    Lists,
    Missing,
    Numbers,
    Structs,
    Texts,
)
from autotrack.provenance.fingerprint.leaves import column_digest, leaf
from autotrack.provenance.fingerprint.plain import objects
from autotrack.provenance.fingerprint.tables import Column, Table

_NUMBERS: Final = {
    "int8": "<i1",
    "int16": "<i2",
    "int32": "<i4",
    "int64": "<i8",
    "uint8": "<u1",
    "uint16": "<u2",
    "uint32": "<u4",
    "uint64": "<u8",
    "halffloat": "<f2",
    "float": "<f4",
    "double": "<f8",
}
_DECLARED: Final = {
    "halffloat": "float16",
    "float": "float32",
    "double": "float64",
    "large_string": "string",
    "string_view": "string",
    "large_binary": "binary",
    "binary_view": "binary",
    "date32[day]": "date",
    "date64[ms]": "date",
}
_TIMES: Final = re.compile(r"(timestamp|duration|time32|time64)\[(s|ms|us|ns)(?:, tz=(.*))?\]")
_SLOW: Final = ("decimal", "dictionary", "run_end_encoded", "month_day_nano")


def read_table(table: Any) -> Table:
    """A `pyarrow.Table` or a `RecordBatch`."""
    names = [str(name) for name in table.schema.names]
    return _table([(name, table.column(index)) for index, name in enumerate(names)], table.num_rows)


def read_array(array: Any) -> Table:
    """A `pyarrow.Array` or `ChunkedArray`: one column."""
    found = _table([("", array)], len(array))
    return Table(found.n_rows, found.columns, {**found.details, "dims": 1})


def read_relation(relation: Any) -> Any:
    """A relation of DuckDB, which is a query: it is run again, so that a result that is being fetched goes on."""
    again = relation.project("*")
    return again.to_arrow_table() if hasattr(type(again), "to_arrow_table") else again.fetch_arrow_table()


def read_dataset(dataset: Any) -> Table:
    """A `datasets.Dataset`: its Arrow table, through its indices where rows were selected or shuffled."""
    classes = {name: list(kind.names) for name, kind in (dataset.features or {}).items() if hasattr(kind, "names")}
    details = {"classes": classes} if classes else {}
    if getattr(dataset, "_indices", None) is None:
        found = read_table(dataset.data.table)
        return Table(found.n_rows, found.columns, {**found.details, **details})
    whole, names = dataset.with_format("arrow"), list(dataset.column_names)
    last: list[Any] = [None, None]

    def column(name: str) -> Column:
        def read(start: int, stop: int) -> Chunk:
            if last[0] != (start, stop):
                last[:] = [(start, stop), whole[start:stop]]
            return arrow_chunk(last[1].column(name))

        declared = declared_type(dataset.data.table.schema.field(name).type)
        return Column(name, declared, read, 8 * len(dataset), slow=True)

    return Table(len(dataset), [column(name) for name in names], details)


def _table(columns: list[tuple[str, Any]], n_rows: int) -> Table:
    categories = {
        str(place): told for place, (_, array) in enumerate(columns) if (told := _categories(array)) is not None
    }
    details = {"categories": categories} if categories else {}
    return Table(n_rows, [arrow_column(name, array) for name, array in columns], details)


def arrow_column(name: str, array: Any, declared: str | None = None, missing: int = NULL) -> Column:
    """One column of an Arrow array, whole or chunked."""
    read = _reading(array, missing)
    slow = str(array.type).startswith(_SLOW)
    return Column(name, declared or declared_type(array.type), read, int(array.nbytes), slow)


def _reading(array: Any, missing: int) -> Callable[[int, int], Chunk]:
    def read(start: int, stop: int) -> Chunk:
        return arrow_chunk(array.slice(start, stop - start), missing)

    return read


def declared_type(kind: Any) -> str:
    """An Arrow type's name in the words that numpy's types have too."""
    name = str(kind)
    if name.startswith("dictionary<"):
        return f"category<{declared_type(kind.value_type)}>"
    return _DECLARED.get(name, name)


def _categories(array: Any) -> list[Any] | None:
    """Digest of a dictionary, which has an order and perhaps unused levels, and whether the order means something."""
    if not str(array.type).startswith("dictionary<"):
        return None
    if hasattr(array, "unify_dictionaries"):
        if not array.num_chunks:
            return [None, bool(array.type.ordered)]
        array = array.unify_dictionaries().chunk(0)
    return [column_digest(leaf(arrow_chunk(array.dictionary)).digest).hex(), bool(array.type.ordered)]


def arrow_chunk(array: Any, missing: int = NULL) -> Chunk:
    """The canonical chunk of an Arrow array, of which only this stretch is looked at."""
    if hasattr(array, "combine_chunks"):
        array = array.chunk(0) if array.num_chunks == 1 else array.combine_chunks()
        if hasattr(array, "combine_chunks"):  # too long for one array, or without any
            if not len(array):
                return Missing(0, None, missing)
            return objects(array.to_pylist())
    if not len(array) or array.null_count == len(array):
        return Missing(len(array), None, missing)
    valid = _bits(array, 0) if array.null_count else None
    found = _valid_chunk(array, str(array.type), valid, missing)
    return with_missing(found, valid, missing)


def _valid_chunk(array: Any, name: str, valid: Array | None, missing: int) -> Chunk:
    """The chunk of the valid elements alone."""
    n = len(array) if valid is None else int(np.count_nonzero(valid))
    if name in _NUMBERS:
        return Numbers(n, None, missing, _values(array, _NUMBERS[name], valid))
    if name == "bool":
        bits = _bits(array, 1)
        return Numbers(n, None, missing, bits if valid is None else bits[valid])
    if name in ("string", "large_string", "binary", "large_binary", "string_view", "binary_view"):
        return _texts(array, name, n, valid, missing)
    if name.startswith("fixed_size_binary"):
        width = int(array.type.byte_width)
        values = _values(array, f"V{width}", valid) if width else np.empty(n, "V1")
        return Texts(n, None, missing, np.full(n, width, np.int64), values.tobytes() if width else b"", True)
    if name.startswith("date"):
        days = name == "date32[day]"
        return Instants(
            n, None, missing, _values(array, "<i4" if days else "<i8", valid), "D" if days else "ms", "naive"
        )
    if (time := _TIMES.fullmatch(name)) is not None:
        values = _values(array, "<i4" if time[1] == "time32" else "<i8", valid)
        kind: Any = {"duration": "duration", "timestamp": "aware" if time[3] else "naive"}.get(time[1], "day")
        return Instants(n, None, missing, values, time[2], kind)
    return _nested(array, name, n, valid, missing)


def _nested(array: Any, name: str, n: int, valid: Array | None, missing: int) -> Chunk:
    if name.startswith("map<"):
        array = _entries(array)
    if name.startswith(("list<", "large_list<", "map<")):
        offsets = _values(array, "<i8" if name.startswith("large") else "<i4", None, more=1)
        lengths = np.diff(offsets)
        inside = array.flatten()  # without what stands under nulls
        return Lists(n, None, missing, lengths if valid is None else lengths[valid], arrow_chunk(inside, missing))
    if name.startswith("fixed_size_list<"):
        width = int(array.type.list_size)
        inside = (array if valid is None else array.drop_null()).flatten()
        return Lists(n, None, missing, np.full(n, width, np.int64), arrow_chunk(inside, missing))
    if name.startswith("struct<"):
        fields = (array if valid is None else array.drop_null()).flatten()
        names = [str(array.type.field(index).name) for index in range(array.type.num_fields)]
        return Structs(n, None, missing, {name: arrow_chunk(one) for name, one in zip(names, fields, strict=True)})
    if name.startswith("dictionary<"):
        return arrow_chunk((array if valid is None else array.drop_null()).dictionary_decode(), missing)
    if hasattr(array, "storage"):  # an extension type
        return arrow_chunk((array if valid is None else array.drop_null()).storage, missing)
    return objects([item for item in array.to_pylist() if item is not None])


def _entries(array: Any) -> Any:
    """A map as the list of its entries, which is what polars makes of it: records of a `key` and a `value`."""
    arrow = sys.modules["pyarrow"]
    entry = arrow.struct([("key", array.type.key_type), ("value", array.type.item_type)])
    return array.cast(arrow.list_(entry))


def _texts(array: Any, name: str, n: int, valid: Array | None, missing: int) -> Chunk:
    binary = "binary" in name
    if name.endswith("_view"):
        array, name = array.cast("large_binary" if binary else "large_string"), "large"
    dense = array
    if valid is not None:
        offsets = _values(array, "<i8" if name.startswith("large") else "<i4", None, more=1)
        lengths = np.diff(offsets)
        if lengths[~valid].any():  # bytes under nulls
            dense = array.drop_null()
            valid = None
    offsets = _values(dense, "<i8" if name.startswith("large") else "<i4", None, more=1)
    lengths = np.diff(offsets)
    data = dense.buffers()[2]
    stretch = memoryview(data)[int(offsets[0]) : int(offsets[-1])] if data is not None else b""
    return Texts(n, None, missing, lengths if valid is None else lengths[valid], stretch, binary)


def _values(array: Any, dtype: str, valid: Array | None, more: int = 0) -> Array:
    """What the second buffer holds for this stretch; `more` elements beyond its end."""
    buffer = array.buffers()[1]
    count = len(array) + more
    if buffer is None:
        return np.zeros(count, dtype)
    kind = np.dtype(dtype)
    found = np.frombuffer(buffer, kind, count, array.offset * kind.itemsize)
    return found if valid is None else found[valid]


def _bits(array: Any, which: int) -> Array:
    """One of the buffers of bits, as booleans for this stretch."""
    start, n = array.offset, len(array)
    first = start // 8
    packed = np.frombuffer(array.buffers()[which], np.uint8, (start + n + 7) // 8 - first, first)
    return np.unpackbits(packed, bitorder="little")[start - 8 * first : start - 8 * first + n].view(bool)
