"""polars: frames and series, through their own methods. polars is not imported here; pyarrow is used if at hand."""

from __future__ import annotations

import re
import sys
from typing import Any, Final

import numpy as np

from autotrack.provenance.fingerprint.arrays import array_chunk, with_missing
from autotrack.provenance.fingerprint.chunks import NULL, Chunk, Instants, Missing
from autotrack.provenance.fingerprint.leaves import column_digest, leaf
from autotrack.provenance.fingerprint.plain import objects
from autotrack.provenance.fingerprint.tables import Column, Table

_NUMBERS: Final = re.compile(r"U?Int(8|16|32|64)|Float(16|32|64)|Boolean")
_PLAIN: Final = re.compile(r"\b(U?Int128|Object)\b")
"""What Arrow has no type for: of an object it would get the address."""
_TIMES: Final = {"Datetime": "timestamp", "Duration": "duration", "Date": "date", "Time": "time64"}
_DECLARED: Final = {"Boolean": "bool", "String": "string", "Binary": "binary", "Date": "date", "Time": "time64[ns]"}


def read_frame(frame: Any) -> Table:
    """A `polars.DataFrame`."""
    columns = frame.get_columns()
    return Table(frame.height, [_column(series.name, series) for series in columns], _details(columns))


def read_series(series: Any) -> Table:
    """A `polars.Series`: one column."""
    return Table(len(series), [_column(series.name, series)], {**_details([series]), "dims": 1})


def _details(columns: list[Any]) -> dict[str, Any]:
    # Only an Enum fixes its levels: those of a Categorical are shared with every other column of the process.
    told = {
        str(index): [column_digest(leaf(objects(series.dtype.categories.to_list())).digest).hex(), True]
        for index, series in enumerate(columns)
        if type(series.dtype).__name__ == "Enum"
    }
    return {"categories": told} if told else {}


def _column(name: str, series: Any) -> Column:
    word = type(series.dtype).__name__ if not isinstance(series.dtype, type) else series.dtype.__name__
    size = int(series.estimated_size())
    if _NUMBERS.fullmatch(word):
        return Column(name, _DECLARED.get(word, word.lower()), lambda a, b: _numbers(series.slice(a, b - a)), size)
    if word in _TIMES:
        return _times(name, series, word, size)
    declared = _DECLARED.get(word, str(series.dtype))
    if _PLAIN.search(declared):
        return Column(name, declared, lambda a, b: objects(series.slice(a, b - a).to_list()), size, slow=True)
    if word in ("Categorical", "Enum"):
        declared = "category<string>" if word == "Categorical" else "enum"
        text = getattr(sys.modules.get("polars"), "String", None)
        return Column(name, declared, lambda a, b: _others(series.slice(a, b - a).cast(text)), size, slow=True)
    return Column(name, declared, lambda a, b: _others(series.slice(a, b - a)), size, "pyarrow" not in sys.modules)


def _numbers(series: Any) -> Chunk:
    if not series.null_count():
        return array_chunk(series.to_numpy())
    if series.null_count() == len(series):
        return Missing(len(series), None, NULL)
    return with_missing(array_chunk(series.drop_nulls().to_numpy()), ~series.is_null().to_numpy(), NULL)


def _times(name: str, series: Any, word: str, size: int) -> Column:
    unit = getattr(series.dtype, "time_unit", None) or ("D" if word == "Date" else "ns")
    zone = getattr(series.dtype, "time_zone", None)
    kind: Any = {"Duration": "duration", "Time": "day"}.get(word, "aware" if zone else "naive")

    def read(start: int, stop: int) -> Chunk:
        stretch = series.slice(start, stop - start)
        valid = ~stretch.is_null().to_numpy() if stretch.null_count() else None
        if valid is not None and not valid.any():
            return Missing(len(stretch), None, NULL)
        counts = (stretch if valid is None else stretch.drop_nulls()).to_physical().to_numpy()
        return Instants(len(stretch), valid, NULL, counts.astype(np.int64, copy=False), unit, kind)

    zoned = f"{unit}, tz={zone}" if zone else unit
    declared = _DECLARED.get(word) or f"{_TIMES[word]}[{zoned}]"
    return Column(name, declared, read, size)


def _others(series: Any) -> Chunk:
    if sys.modules.get("pyarrow") is not None:
        from autotrack.provenance.fingerprint.arrow import arrow_chunk

        return arrow_chunk(series.to_arrow())
    return objects(series.to_list())
