"""What `neptune-exporter` wrote: Parquet tables of attributes, one run in one or more parts, and files beside them.

The format is that of neptune-exporter 0.1.0 (`model.py`, `storage/parquet_writer.py`, `exporters/neptune2.py` and
`neptune3.py`): `data/<project>/<run>_part_<n>.parquet`, for the model registry `model_data/<project>/models` and
`model_versions`; files below `files/<project>` and `model_files/<project>`. A run is complete once it has its part 0.
A point whose value is null is one that was not a number: pandas wrote it so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from autotrack.errors import AutotrackError
from autotrack.importing import ForeignRun
from autotrack_neptune import naming
from autotrack_neptune.attributes import MICRO, Entry, File, Found, Moment, Value, from_micro
from autotrack_neptune.telling import foreign

_PART: Final = re.compile(r"(.+)_part_(\d+)\.parquet")
_KINDS: Final = {"models": "model", "model_versions": "model_version"}
_MISSING: Final = "the exporter's file is not there"
ROWS: Final = 100_000
"""Rows that are read at a time."""


@dataclass
class Parts:
    """The parts of one run."""

    folder: Path
    prefix: str
    parts: dict[int, Path] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """What it is: a run, a model, a version of a model."""
        return _KINDS.get(self.folder.name, "run")


def find(root: Path) -> list[Parts]:
    """The tables in `root`; all parts of a run where it is one of them."""
    by_run: dict[tuple[Path, str], Parts] = {}
    one = _PART.fullmatch(root.name) if root.is_file() else None
    for path in sorted((root if root.is_dir() else root.parent).rglob("*_part_*.parquet")):
        match = _PART.fullmatch(path.name)
        if match is not None and (root.is_dir() or one is not None and match[1] == one[1]):
            parts = by_run.setdefault((path.parent, match[1]), Parts(path.parent, match[1]))
            parts.parts[int(match[2])] = path
    return [parts for _, parts in sorted(by_run.items())]


def runs(tables: list[Parts], project: str | None, files: Path | None, taken: set[str]) -> Iterator[ForeignRun]:
    """The runs of these tables."""
    for parts in tables:
        if 0 not in parts.parts:
            yield _broken(parts, f"the export of {parts.prefix} did not end: its part 0 is missing")
            continue
        try:
            home, run, name = _head(parts)
        except (OSError, ValueError, KeyError) as problem:
            yield _broken(parts, f"{parts.parts[0]} cannot be read: {problem}")
            continue
        origin = f"neptune:{home}/{run}"
        if origin in taken:
            continue
        taken.add(origin)
        reader = _Reader(parts, origin, home, run, project, files)
        yield foreign(reader.read, origin, name)


def _broken(parts: Parts, why: str) -> ForeignRun:
    def read() -> Found:
        raise AutotrackError(why)

    return foreign(read, f"neptune:{parts.folder / parts.prefix}", parts.prefix)


def _head(parts: Parts) -> tuple[str, str, str]:
    """The project, the id and the name of a run."""
    from autotrack_neptune.arrow import pq

    wanted = ["sys/name", "sys/custom_run_id"]
    columns = ["project_id", "run_id", "attribute_path", "string_value"]
    names: dict[str, str] = {}
    ids: tuple[str, str] | None = None
    for number in sorted(parts.parts):
        file = pq.ParquetFile(parts.parts[number])
        for batch in file.iter_batches(ROWS, columns=columns):
            if ids is None and batch.num_rows:
                ids = str(batch["project_id"][0]), str(batch["run_id"][0])
            for row in _where(batch, wanted).to_pylist():
                if row["string_value"]:
                    names.setdefault(row["attribute_path"], row["string_value"])
            if "sys/name" in names:
                break
        if "sys/name" in names:
            break
    if ids is None:
        raise ValueError("it has no rows")
    return *ids, names.get("sys/name") or names.get("sys/custom_run_id") or ids[1]


def _where(batch: Any, paths: list[str]) -> Any:
    from autotrack_neptune.arrow import pa, pc

    return batch.filter(pc.is_in(batch["attribute_path"], pa.array(paths)))


class _Reader:
    def __init__(self, parts: Parts, origin: str, home: str, run: str, project: str | None, files: Path | None) -> None:
        self._parts = parts
        self._make: Callable[[], Found] = lambda: Found(
            origin, project or home, run, "export", parts.kind, tags={"neptune.project": home}
        )
        self._home = home
        self._files = files or _files_of(parts)

    def read(self) -> Found:
        from autotrack_neptune.arrow import pq

        found = self._make()
        numbers = sorted(self._parts.parts)
        for number in sorted(set(range(numbers[-1] + 1)) - set(numbers)):
            found.lost["parts of the export", f"part {number} is missing"] += 1
        for number in numbers:
            for batch in pq.ParquetFile(self._parts.parts[number]).iter_batches(ROWS):
                self._batch(found, batch)
        parent = found.value(naming.FORK_PARENT)
        if self._parts.kind == "model_version":
            parent = found.value("sys/model_id")
        if isinstance(parent, str) and parent:
            found.parent = f"neptune:{self._home}/{parent}"
        return found

    def _batch(self, found: Found, batch: Any) -> None:
        from autotrack_neptune.arrow import pc

        points = pc.equal(batch["attribute_type"], "float_series")
        self._points(found, batch.filter(points))
        for row in batch.filter(pc.invert(points)).to_pylist():
            self._row(found, row)

    def _points(self, found: Found, batch: Any) -> None:
        import numpy as np

        from autotrack_neptune.arrow import pa, pc

        if not batch.num_rows:
            return
        paths = pc.dictionary_encode(batch["attribute_path"])
        steps = batch["step"].cast(pa.decimal128(18, 6))
        micros = _micros(steps)
        values = np.asarray(pc.fill_null(batch["float_value"].cast(pa.float64()), float("nan")))
        stamps = batch["timestamp"].cast(pa.timestamp("ms", tz="UTC")).cast(pa.int64())
        undated = stamps.null_count
        if undated:
            found.lost["dates of points", "there are none: they have the date of the run"] += undated
        created = found.value("sys/creation_time")
        start = created.ns // 1_000_000 if isinstance(created, Moment) else 0
        times = np.asarray(pc.fill_null(stamps, start)) * 1_000_000
        names = [name.removeprefix(naming.METRICS) for name in paths.dictionary.to_pylist()]
        if steps.null_count:
            self._stepless(found, [names[place] for place in paths.indices.to_pylist()], steps, micros, times, values)
            return
        found.points.extend(names, np.asarray(paths.indices), micros, times, values)

    def _stepless(self, found: Found, names: list[str], steps: Any, micros: Any, times: Any, values: Any) -> None:
        known = steps.is_valid().to_pylist()
        for index, name in enumerate(names):
            step = from_micro(int(micros[index])) if known[index] else None
            found.points.add(name, step, int(times[index]), float(values[index]))

    def _row(self, found: Found, row: dict[str, Any]) -> None:
        path, kind = row["attribute_path"], row["attribute_type"]
        step = None if row["step"] is None else from_micro(int(row["step"] * MICRO))
        time = _ns(row["timestamp"])
        read = _VALUES.get(kind)
        if read is not None:
            value = read(row)
            if value is not None:  # the exporter writes a row of nulls where a run lacks what others have
                found.assign(path, value)
        elif kind == "string_series":
            if row["string_value"] is not None:
                found.texts.setdefault(path, []).append(Entry(step, time, row["string_value"]))
        elif kind == "histogram_series":
            if row["histogram_value"] is not None:
                found.histograms.setdefault(path, []).append(Entry(step, time, row["histogram_value"]))
        elif kind in ("file", "file_series", "file_set", "artifact"):
            if row["file_value"] is not None and row["file_value"]["path"]:
                files = list(self._found_files(found, kind, row["file_value"]["path"], step, time))
                if path == naming.RECORD:
                    self._record(found, files)
                else:
                    found.files.setdefault(path, []).extend(files)
        else:
            found.lost[f"attributes of type {kind}", "are not known"] += 1

    def _record(self, found: Found, files: list[File]) -> None:
        for file in files:
            try:
                held = json.loads(Path(str(file.source)).read_text(encoding="utf-8"))
                found.record = held if isinstance(held, dict) else {}
                for place in found.record.get("blobs", {}).values():
                    found.blobs.extend(self._found_files(found, "file", str(place), None, None))
            except (OSError, ValueError, AttributeError):
                found.lost["environment, code, datasets and models", "their record cannot be read"] += 1

    def _found_files(self, found: Found, kind: str, path: str, step: Any, time: int | None) -> Iterator[File]:
        root = (self._files / self._project_folder).resolve()
        place = (root / path).resolve()
        if not place.is_relative_to(root):
            found.lost["files", "their place is outside the export"] += 1
        elif kind == "file_set" and place.is_dir():
            for inner in sorted(path for path in place.rglob("*") if path.is_file()):
                yield File(inner, time=time, inner=inner.relative_to(place).as_posix(), missing=_MISSING)
        elif kind == "artifact":
            yield File(place, time=time, inner=place.name, missing=_MISSING, of="artifact")
        else:
            yield File(place, place.suffix, step if kind == "file_series" else None, time, missing=_MISSING)

    @property
    def _project_folder(self) -> str:
        folder = self._parts.folder
        return folder.parent.name if folder.name in _KINDS else folder.name


def _files_of(parts: Parts) -> Path:
    """Where the files of a table are: `files` beside `data`, `model_files` beside `model_data`."""
    data = parts.folder.parent.parent if parts.folder.name in _KINDS else parts.folder.parent
    if "data" in data.name:
        head, _, tail = data.name.rpartition("data")
        return data.with_name(f"{head}files{tail}")
    return data.with_name("files")


def _micros(steps: Any) -> Any:
    """Millionths out of decimals of 18 digits: the lower half of each 128-bit integer; that of a null means nothing."""
    import numpy as np

    raw = np.frombuffer(steps.buffers()[1], np.int64)
    return raw[2 * steps.offset : 2 * (steps.offset + len(steps)) : 2]


def _ns(when: Any) -> int | None:
    from autotrack_neptune.attributes import from_datetime

    return None if when is None else from_datetime(when)


def _moment(row: dict[str, Any]) -> Value:
    ns = _ns(row["datetime_value"])
    return None if ns is None else Moment(ns)


def _set(row: dict[str, Any]) -> Value:
    held = row["string_set_value"]
    return None if held is None else tuple(sorted({str(one) for one in held}))


_VALUES: Final[dict[str, Callable[[dict[str, Any]], Value]]] = {
    "float": lambda row: row["float_value"],
    "int": lambda row: row["int_value"],
    "string": lambda row: row["string_value"],
    "bool": lambda row: row["bool_value"],
    "datetime": _moment,
    "string_set": _set,
}
