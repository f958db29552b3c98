"""Reading a file of data for a command: a path enters, an object that can be fingerprinted leaves.

Tables are read with pandas or pyarrow where they are installed, which are imported here alone, when a file asks for
them. CSV and lines of JSON are read without them as well. A folder, and a file of another format, is a manifest: paths,
sizes and digests.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from autotrack.errors import UsageError

_PACKED: Final = {".gz": "gzip", ".bz2": "bz2", ".xz": "lzma"}

MISSING: Final = frozenset(
    {"", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
     "NULL", "NaN", "None", "n/a", "nan", "null"}
)  # fmt: skip
"""What stands for a missing value in a CSV file: what pandas takes for it."""


def read(path: Path) -> Any:
    """The data in a file, as its ending says, or the manifest of a folder. Raises `UsageError` where it cannot be."""
    from autotrack.provenance.fingerprint.manifest import of_path

    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = bool(suffixes) and suffixes[-1] in _PACKED
    ending = suffixes[-2] if packed and len(suffixes) > 1 else suffixes[-1] if suffixes else ""
    reader = _READERS.get(ending) if path.is_file() else None
    if reader is not None and not (packed and ending in _UNPACKED):
        try:
            return reader(path)
        except UsageError:
            raise
        except Exception as problem:  # whatever a parser says of a file that is not what it is called
            raise UsageError(f"{path} cannot be read as {ending[1:]}: {type(problem).__name__}: {problem}") from problem
    found = of_path(path)
    if found is None:
        raise UsageError(f"{path} is neither a file nor a folder, nor RUN:role of a recorded run")
    return found


def readings(path: Path) -> Iterator[Any]:
    """`read`, and of a CSV file what else its texts may have meant.

    Before version 3, pandas takes some decimals for a double next to theirs, unless it is asked not to. Whoever wrote
    or read the file may have had either.
    """
    yield read(path)
    if path.suffix.lower() in (".csv", ".tsv") and find_spec("pandas") is not None:
        pandas = import_module("pandas")
        if int(pandas.__version__.partition(".")[0]) < 3:
            separator = "\t" if ".tsv" in path.suffixes else ","
            yield pandas.read_csv(path, sep=separator, float_precision="round_trip")


def _need(module: str, what: str) -> Any:
    if find_spec(module.partition(".")[0]) is None:
        raise UsageError(f"reading {what} needs {module.partition('.')[0]}: pip install {module.partition('.')[0]}")
    return import_module(module)


def _csv(path: Path) -> Any:
    separator = "\t" if ".tsv" in path.suffixes else ","
    if find_spec("pandas") is not None:
        return import_module("pandas").read_csv(path, sep=separator)
    if path.suffix.lower() not in (".csv", ".tsv"):
        raise UsageError(f"reading {path.name} needs pandas: pip install pandas")
    with open(path, newline="", encoding="utf-8-sig") as file:
        rows = csv.reader(file, delimiter=separator)
        names = next(rows, [])
        cells = list(zip(*(row for row in rows if row), strict=True)) or [() for _ in names]
    return _table(names, cells)


def _lines(path: Path) -> Any:
    opener: Any = open
    if path.suffix.lower() in _PACKED:
        opener = import_module(_PACKED[path.suffix.lower()]).open
    with opener(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def _parquet(path: Path) -> Any:
    if find_spec("pyarrow") is None and find_spec("polars") is not None:
        return import_module("polars").read_parquet(path)
    return _need("pyarrow.parquet", "Parquet").read_table(path, memory_map=True)


def _feather(path: Path) -> Any:
    arrow = _need("pyarrow", "Arrow")
    ipc = import_module("pyarrow.ipc")
    mapped = arrow.memory_map(str(path))
    try:
        return ipc.open_file(mapped).read_all()
    except arrow.ArrowInvalid:  # a stream, or Feather of the first version
        mapped.seek(0)
    try:
        return ipc.open_stream(mapped).read_all()
    except arrow.ArrowInvalid:
        return import_module("pyarrow.feather").read_table(path)


def _npy(path: Path) -> Any:
    import numpy as np

    return np.load(path, mmap_mode="r", allow_pickle=False)


def _npz(path: Path) -> Any:
    import numpy as np

    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


_READERS: Final[dict[str, Callable[[Path], Any]]] = {
    ".csv": _csv,
    ".tsv": _csv,
    ".jsonl": _lines,
    ".ndjson": _lines,
    ".parquet": _parquet,
    ".pq": _parquet,
    ".feather": _feather,
    ".arrow": _feather,
    ".ipc": _feather,
    ".npy": _npy,
    ".npz": _npz,
}
_UNPACKED: Final = frozenset(_READERS) - {".csv", ".tsv", ".jsonl", ".ndjson"}
"""What no reader unpacks on its way."""


def _table(names: Sequence[str], columns: Sequence[Sequence[str]]) -> Any:
    """Texts as a table, each column of the narrowest of int64, float64, bool and text, as pandas reads them."""
    from autotrack.provenance.fingerprint.arrays import array_column
    from autotrack.provenance.fingerprint.tables import Table

    read = [_column(cells) for cells in columns]
    made = [array_column(name, values, declared) for name, (values, declared) in zip(names, read, strict=True)]
    return Table(len(columns[0]) if columns else 0, made)


def _column(cells: Sequence[str]) -> tuple[Any, str | None]:
    import numpy as np

    there = [cell for cell in cells if cell not in MISSING]
    try:
        if len(there) == len(cells):
            return np.array([int(cell) for cell in cells], np.int64), None
    except (ValueError, OverflowError):
        pass
    try:
        return np.array([np.nan if cell in MISSING else float(cell) for cell in cells], np.float64), None
    except ValueError:
        pass
    words = {cell.lower() for cell in there}
    if words <= {"true", "false"} and len(there) == len(cells):
        return np.array([cell.lower() == "true" for cell in cells]), None
    values = np.empty(len(cells), object)
    values[:] = [None if cell in MISSING else cell for cell in cells]
    return values, "string"


__all__ = ["read", "readings"]
