"""Lists, tuples and other plain Python: objects by their types, tables by their shape."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from itertools import chain
from typing import Any, Final

import numpy as np

from autotrack.provenance.fingerprint.chunks import (
    KINDS,
    NAN,
    NAT,
    NONE,
    NULL,
    Array,
    Chunk,
    Decimals,
    Instants,
    Lists,
    Missing,
    Mixed,
    Numbers,
    Opaque,
    Structs,
    Texts,
)
from autotrack.provenance.fingerprint.instants import in_one_unit
from autotrack.provenance.fingerprint.tables import Column, Table

NUMBER, TEXT, BYTES, NAIVE, AWARE, DURATION, DAY, LIST, STRUCT = range(len(KINDS))
_UNKNOWN: Final = -1
_EPOCH: Final = datetime.datetime(1970, 1, 1)
_MICROSECOND: Final = datetime.timedelta(microseconds=1)
_EXACT: Final = 1 << 53


def read_list(data: Sequence[Any]) -> Table | Array | None:
    """A list or tuple: numbers, texts and so on, rows of the same length, or rows with names."""
    types = set(map(type, data))
    if types and all(hasattr(kind, "__fspath__") for kind in types):
        from autotrack.provenance.fingerprint.manifest import read_list as read_files

        return read_files(data)
    if types and types <= {list, tuple}:
        widths = set(map(len, data))
        if len(widths) == 1 and (width := widths.pop()):
            return _rows(data, width)
    if types == {dict} and all(isinstance(name, str) for row in data for name in row):
        names = list(dict.fromkeys(name for row in data for name in row))
        return Table(len(data), [_picked(data, name, _field(name)) for name in names])
    return Table(len(data), [_picked(data, "", None)], {"dims": 1})


def read_buffer(data: Any) -> Any:
    """A range or an `array.array`."""
    return np.arange(data.start, data.stop, data.step) if isinstance(data, range) else np.asarray(data)


def _rows(data: Sequence[Any], width: int) -> Table | Array:
    first = data[0][0]
    if isinstance(first, list | tuple) or hasattr(first, "__array__"):
        try:
            tensor = np.asarray(data)  # nested further: a tensor, if it has a shape at all
        except ValueError:
            tensor = np.empty(0, object)
        if tensor.dtype.kind in "biufc" and tensor.ndim > 2:
            return tensor
    return Table(len(data), [_picked(data, str(index), _place(index)) for index in range(width)])


def _place(index: int) -> Callable[[Any], Any]:
    return lambda row: row[index]


def _field(name: str) -> Callable[[Any], Any]:
    return lambda row: row.get(name)


def _picked(data: Sequence[Any], name: str, pick: Callable[[Any], Any] | None) -> Column:
    def read(start: int, stop: int) -> Chunk:
        return objects(data[start:stop] if pick is None else list(map(pick, data[start:stop])))

    return Column(name, "object", read, 16 * len(data), slow=True)


def objects(items: Sequence[Any]) -> Chunk:
    """The canonical chunk of Python objects: numbers, texts, bytes, times, lists, mappings, and None among them."""
    types = set(map(type, items))
    if not types:
        return Missing(0, None, NONE)
    kinds = {kind: _kind_of(kind) for kind in types}
    if _UNKNOWN in kinds.values():
        strange = next(kind for kind, known in kinds.items() if known == _UNKNOWN)
        if not hasattr(strange, "__array__"):
            return Opaque(len(items), None, NULL, f"{strange.__module__}.{strange.__qualname__}")
        try:
            return objects([_as_plain(item) if type(item) is strange else item for item in items])
        except (TypeError, ValueError, RuntimeError):  # not in this memory, or nothing that numpy knows
            return Opaque(len(items), None, NULL, f"{strange.__module__}.{strange.__qualname__}")
    codes = [_missing_code(item) for item in items] if types & _MAY_BE_MISSING or _has_foreign_missing(types) else None
    if codes is None or not any(code is not None for code in codes):
        return _of_kinds(list(items), kinds, len(items), None, NONE)
    valid = np.array([code is None for code in codes], bool)
    missing = np.array([code for code in codes if code is not None], np.uint8)
    there = [item for item, code in zip(items, codes, strict=True) if code is None]
    if not there:
        return Missing(len(items), None, missing)
    return _of_kinds(there, kinds, len(items), valid, missing)


def _of_kinds(items: list[Any], kinds: Mapping[type, int], n: int, valid: Array | None, missing: int | Array) -> Chunk:
    each = [_element_kind(item, kinds[type(item)]) for item in items] if _need_a_look(kinds) else None
    present = set(each) if each is not None else {kinds[type(item)] for item in items}
    if len(present) == 1:
        return _one_kind(present.pop(), items, n, valid, missing)
    which = np.array(each if each is not None else [kinds[type(item)] for item in items], np.uint8)
    groups = {}
    for kind in sorted(present):
        group = [item for item, one in zip(items, which.tolist(), strict=True) if one == kind]
        groups[kind] = _one_kind(kind, group, len(group), None, NONE)
    return Mixed(n, valid, missing, which, groups)


def _need_a_look(kinds: Mapping[type, int]) -> bool:
    return NAIVE in kinds.values()


def _element_kind(item: Any, kind: int) -> int:
    return AWARE if kind == NAIVE and getattr(item, "tzinfo", None) is not None else kind


def _one_kind(kind: int, items: list[Any], n: int, valid: Array | None, missing: int | Array) -> Chunk:
    if kind == NUMBER:
        return _numbers(items, n, valid, missing)
    if kind == TEXT:
        return Texts(n, valid, missing, *encoded(items), False)
    if kind == BYTES:
        data = [bytes(item) for item in items]
        return Texts(n, valid, missing, _sizes(data), b"".join(data), True)
    if kind in (NAIVE, AWARE, DURATION, DAY):
        try:
            values, unit = _times(items, kind)
        except OverflowError:
            return Opaque(n, valid, missing, "moments")
        return Instants(n, valid, missing, values, unit, KINDS[kind])  # type: ignore[arg-type]
    if kind == LIST:
        return _lists(items, n, valid, missing)
    names = dict.fromkeys(name for item in items for name in item)
    if not all(isinstance(name, str) for name in names):
        return Opaque(n, valid, missing, "builtins.dict")
    return Structs(n, valid, missing, {name: objects([item.get(name) for item in items]) for name in names})


def encoded(items: Sequence[str]) -> tuple[Array, bytes]:
    """Lengths in bytes, and all texts in UTF-8. A lone surrogate is encoded as if it were a character."""
    joined = "".join(items)
    data = joined.encode("utf-8", "surrogatepass")
    if len(data) == len(joined):
        return _sizes(items), data
    return _sizes([item.encode("utf-8", "surrogatepass") for item in items]), data


def _sizes(items: Sequence[Any]) -> Array:
    return np.fromiter(map(len, items), np.int64, len(items))


def _numbers(items: list[Any], n: int, valid: Array | None, missing: int | Array) -> Chunk:
    types = set(map(type, items))
    if not types <= _PLAIN_NUMBERS:
        items = [_plain_number(item) for item in items]
        types = set(map(type, items))
        if not types <= _PLAIN_NUMBERS:
            return Opaque(n, valid, missing, "number")
    values: Any = None
    if float not in types and complex not in types and Decimal not in types:
        values = _as_integers(items)
    elif Decimal not in types and all(-_EXACT <= item <= _EXACT for item in items if type(item) is int):
        values = np.array(items, np.complex128 if complex in types else np.float64)
    if values is None:
        if complex in types:
            return Opaque(n, valid, missing, "complex numbers beside long integers")
        return Decimals(n, valid, missing, [Decimal(item) if type(item) is float else item for item in items])
    return Numbers(n, valid, missing, values)


def _as_integers(items: list[Any]) -> Array | None:
    for dtype in (np.int64, np.uint64):
        try:
            return np.array(items, dtype)
        except OverflowError:
            continue
    return None


def _plain_number(item: Any) -> Any:
    if isinstance(item, np.generic):
        item = item.item()
    plain: tuple[Any, ...] = (bool, int, float, complex, Decimal)
    for kind in plain:  # a subclass, such as a member of an IntEnum
        if isinstance(item, kind):
            return kind(item)
    return item


def _times(items: list[Any], kind: int) -> tuple[Array, str]:
    """Counts of nanoseconds, or of microseconds where none of the objects has any beyond."""
    if any(
        isinstance(item, np.generic) or hasattr(item, "nanosecond") or hasattr(item, "nanoseconds") for item in items
    ):
        each = [_as_numpy(item, kind) for item in items]
        return in_one_unit([(int(one.view(np.int64)), np.datetime_data(one.dtype)[0]) for one in each], KINDS[kind])
    return np.array([_microseconds(item, kind) for item in items], np.int64), "us"


def _as_numpy(item: Any, kind: int) -> Any:
    if isinstance(item, np.datetime64 | np.timedelta64):
        unit, count = np.datetime_data(item.dtype)
        return item if count == 1 else item.astype(item.dtype.str.partition("[")[0] + f"[{unit}]")
    if hasattr(item, "to_numpy"):  # pandas: a time zone is taken off as UTC
        return item.tz_convert(None).to_numpy() if kind == AWARE else item.to_numpy()
    micros = _microseconds(item, kind)
    return np.timedelta64(micros, "us") if kind == DURATION else np.datetime64(micros, "us")


def _microseconds(item: Any, kind: int) -> int:
    if kind == DURATION:
        return int(item // _MICROSECOND)
    if kind == DAY:
        return int(((item.hour * 60 + item.minute) * 60 + item.second) * 1_000_000 + item.microsecond)
    if kind == AWARE:
        item = item.astimezone(datetime.UTC).replace(tzinfo=None)
    if not isinstance(item, datetime.datetime):
        item = datetime.datetime(item.year, item.month, item.day)
    return int((item - _EPOCH) // _MICROSECOND)


def _lists(items: list[Any], n: int, valid: Array | None, missing: int | Array) -> Chunk:
    if all(isinstance(item, np.ndarray) and item.ndim == 1 for item in items):
        from autotrack.provenance.fingerprint.arrays import array_chunk

        if len({item.dtype for item in items}) == 1:
            return Lists(n, valid, missing, _sizes(items), array_chunk(np.concatenate(items)))
    plain = [item.tolist() if isinstance(item, np.ndarray) else item for item in items]
    return Lists(n, valid, missing, _sizes(plain), objects(list(chain.from_iterable(plain))))


def _as_plain(item: Any) -> Any:
    array = np.asarray(item)
    return array if array.ndim else array.item()


_PLAIN_NUMBERS: Final = frozenset((bool, int, float, complex, Decimal))
_MAY_BE_MISSING: Final = frozenset((type(None), float, Decimal, complex))
_FOREIGN_MISSING: Final = {"NAType": NULL, "NaTType": NAT}


def _has_foreign_missing(types: set[type]) -> bool:
    return any(kind.__name__ in _FOREIGN_MISSING or issubclass(kind, np.generic | float) for kind in types)


def _missing_code(item: Any) -> int | None:
    if item is None:
        return NONE
    if isinstance(item, float | complex | Decimal | np.inexact):
        return NAN if item != item else None
    if isinstance(item, np.datetime64 | np.timedelta64):
        return NAT if np.isnat(item) else None
    return _FOREIGN_MISSING.get(type(item).__name__)


_BY_CLASS: Final[tuple[tuple[type, int], ...]] = (
    *((kind, NUMBER) for kind in (bool, int, float, complex, Decimal)),
    (str, TEXT),
    (bytes, BYTES),
    (bytearray, BYTES),
    (datetime.date, NAIVE),  # a datetime is one
    (datetime.timedelta, DURATION),
    (datetime.time, DAY),
    (np.timedelta64, DURATION),
    (np.datetime64, NAIVE),
    (np.bool_, NUMBER),
    (np.number, NUMBER),
    (np.ndarray, LIST),
    (list, LIST),
    (tuple, LIST),
    (Mapping, STRUCT),
)


def _kind_of(kind: type) -> int:
    if kind is type(None) or kind.__name__ in _FOREIGN_MISSING:
        return NUMBER  # never asked: it is missing
    return next((known for base, known in _BY_CLASS if issubclass(kind, base)), _UNKNOWN)
