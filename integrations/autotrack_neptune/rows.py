"""The rows of a run's tables: one for each attribute and each entry of a series, as the exporter has them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from autotrack.events import (
    AnyEvent,
    ArtifactLogged,
    ConsoleLogged,
    DatasetLogged,
    MetricsLogged,
    ModelLogged,
    ParamsLogged,
    ProvenanceLogged,
    RunEnded,
    RunStarted,
    Scalar,
    TagsSet,
)
from autotrack_neptune import naming
from autotrack_neptune.attributes import MILLISECOND, iso, rounded
from autotrack_neptune.columns import as_type, digests, histogram, number_of, row, typed
from autotrack_neptune.filed import Files
from autotrack_neptune.kept_series import from_lines

BATCH: Final = 100_000
_SHORT: Final = 500
_OF_A_MODEL: Final = ("name", "format", "step", "signature", "problem", "register", "aliases", "digest", "bytes")


@dataclass
class Batch:
    """Rows as columns; a column that is not there is null in every row."""

    rows: int
    columns: dict[str, list[Any]]


class Rows:
    """What the tables of one run hold. `events` gives its events in the order of time, as often as it is called."""

    def __init__(self, run: str, events: Callable[[], Iterator[AnyEvent]], blob: Callable[[str], Path]) -> None:
        self._run = run
        self._events = events
        self._blob = blob
        self._start: RunStarted | None = None
        self._end: RunEnded | None = None
        self._running = False
        self._params: dict[str, Scalar] = {}
        self._tags: dict[str, str] = {}
        self._records: dict[str, dict[str, Any]] = {"environment": {}, "code": {}}
        """By the kind of provenance."""
        self._datasets: list[DatasetLogged] = []
        self._models: list[ModelLogged] = []
        self._artifacts: dict[str, ArtifactLogged] = {}
        self._streams: set[str] = set()
        for event in events():
            self._see(event)
        self.files = Files(run, self._artifacts.values(), blob)
        """Where its files are to lie; known with the last row."""
        self.record_place = f"{self.files.folder}/run.json"
        """The place of the record, below the same folder."""

    @property
    def ended(self) -> bool:
        """Whether the run has begun, and ended since."""
        return self._start is not None and self._end is not None and not self._running

    @property
    def project(self) -> str:
        """The run's project."""
        return self._start.project if self._start is not None else ""

    def batches(self) -> Iterator[Batch]:
        """All rows."""
        yield self._batch(list(self._attributes()))
        yield from self._points()
        yield from self._entries()

    def record(self) -> dict[str, Any]:
        """What `autotrack/run.json` holds; whole with the last row."""
        held = self._record()
        return {**held, "blobs": self.files.blobs(digests(held))}

    def _record(self) -> dict[str, Any]:
        start, end = self._start, self._end
        return {
            "integration": start.integration if start else None,
            "environment": self._records["environment"],
            "code": self._records["code"],
            "provenance": {kind: one for kind, one in self._records.items() if kind not in ("environment", "code")},
            "error": end.error if end else None,
            "datasets": [
                {"role": one.role, "name": one.name, "time": iso(one.time), "record": one.record}
                for one in self._datasets
            ],
            "models": [self._model(number, model) for number, model in enumerate(self._models)],
        }

    def _model(self, number: int, model: ModelLogged) -> dict[str, Any]:
        held = {key: getattr(model, key) for key in _OF_A_MODEL if getattr(model, key) not in (None, [])}
        return {**held, "time": iso(model.time), "path": self.files.models.get(number)}

    # What there is

    def _see(self, event: AnyEvent) -> None:
        if isinstance(event, MetricsLogged):
            return  # they are many, and pass by when they are written
        if isinstance(event, RunStarted):
            if self._start is None or self._start.resumed and not event.resumed:
                self._start = event
            self._running = True
            self._records["environment"] |= event.environment
            self._records["code"] |= event.code
        elif isinstance(event, RunEnded):
            self._end, self._running = event, False
        elif isinstance(event, ParamsLogged):
            self._params |= event.params
        elif isinstance(event, TagsSet):
            self._tags |= event.tags
        elif isinstance(event, ProvenanceLogged):
            self._records[event.kind] = self._records.get(event.kind, {}) | event.record
        elif isinstance(event, DatasetLogged):
            self._datasets.append(event)
        elif isinstance(event, ModelLogged):
            self._models.append(event)
        elif isinstance(event, ArtifactLogged):
            self._artifacts[event.name] = event
        elif isinstance(event, ConsoleLogged):
            self._streams.add(event.stream)

    # One value each

    def _attributes(self) -> Iterator[dict[str, Any]]:
        for path, (kind, value) in self._system().items():
            yield row(path, kind, value)
        types = self.files.types()
        for key, param in self._params.items():
            kind, value = typed(param)
            if key in types and isinstance(param, str):
                kind, value = as_type(types[key], param)
            yield row(f"{naming.PARAMS}{key}" if naming.reserved(key) else key, kind, value)
        for key, tag in self._tags.items():
            if not key.startswith(naming.SYSTEM):
                yield row(naming.TAGS + key, "string", tag)
        yield from self.files.rows(self._models)
        yield row(naming.RECORD, "file", {"path": self.record_place})

    def _system(self) -> dict[str, tuple[str, Any]]:
        assert self._start is not None and self._end is not None
        start, end = self._start, self._end
        found: dict[str, tuple[str, Any]] = {
            "sys/id": ("string", self._run),
            "sys/name": ("string", start.name or self._run),
            "sys/custom_run_id": ("string", self._tags.get("sys/custom_run_id", self._run)),
            "sys/creation_time": ("datetime", start.time // MILLISECOND),
            "sys/ping_time": ("datetime", end.time // MILLISECOND),
            "sys/running_time": ("float", (end.time - start.time) / 1e9),
            "sys/failed": ("bool", end.status == "failed"),
        }
        if start.parent:
            found[naming.FORK_PARENT] = ("string", start.parent)
            step = self._tags.get("neptune.fork_step")
            if step is not None and number_of(step) is not None:
                found[naming.FORK_STEP] = ("float", number_of(step))
        for key, tag in self._tags.items():
            if key.startswith(naming.SYSTEM) and key not in found:
                found[key] = as_type(naming.SYSTEM_TYPES.get(key.removeprefix(naming.SYSTEM), "string"), tag)
        ours = {naming.RUN_ID: self._run, naming.STATUS: end.status}
        if end.error:
            ours[naming.ERROR] = f"{end.error.get('type')}: {end.error.get('message')}"[:_SHORT]
        return found | {path: ("string", text) for path, text in ours.items()}

    # Series

    def _points(self) -> Iterator[Batch]:
        paths: list[str] = []
        steps: list[Any] = []
        times: list[int] = []
        values: list[float] = []
        for event in self._events():
            if not isinstance(event, MetricsLogged):
                continue
            step = rounded(event.step)
            if step is None:
                continue
            for key, value in event.values.items():
                paths.append(naming.METRICS + key if naming.reserved(key) else key)
                steps.append(step)
                times.append(event.time // MILLISECOND)
                values.append(value)
            if len(paths) >= BATCH:
                yield self._series("float_series", paths, steps, times, float_value=values)
                paths, steps, times, values = [], [], [], []
        if paths:
            yield self._series("float_series", paths, steps, times, float_value=values)

    def _entries(self) -> Iterator[Batch]:
        kept: set[str] = set()
        for artifact in self._artifacts.values():
            kind = naming.SERIES.get(artifact.media_type)
            if kind is None or not self._blob(artifact.digest).exists():
                continue
            path = artifact.name.removesuffix(naming.SERIES_ENDING)
            kept.add(path.rpartition("/")[2])
            yield from self._kept_series(kind, path, self._blob(artifact.digest))
        for stream in sorted(self._streams - kept):  # an imported run has the same lines as a series
            told = [one for one in self._events() if isinstance(one, ConsoleLogged) and one.stream == stream]
            times, texts = [one.time // MILLISECOND for one in told], [one.text for one in told]
            paths = [f"runtime/{stream}"] * len(told)
            yield self._series("string_series", paths, list(range(len(told))), times, string_value=texts)

    def _kept_series(self, kind: str, path: str, content: Path) -> Iterator[Batch]:
        steps: list[Any] = []
        times: list[int | None] = []
        values: list[Any] = []
        for entry in from_lines(content):
            steps.append(None if entry.step is None else rounded(entry.step))
            times.append(None if entry.time is None else entry.time // MILLISECOND)
            values.append(entry.value if kind == "string_series" else histogram(entry.value))
        column = "string_value" if kind == "string_series" else "histogram_value"
        for first in range(0, len(values), BATCH):
            part = slice(first, first + BATCH)
            yield self._series(kind, [path] * len(values[part]), steps[part], times[part], **{column: values[part]})

    def _series(self, kind: str, paths: list[str], steps: list[Any], times: Any, **values: list[Any]) -> Batch:
        columns: dict[str, list[Any]] = {"attribute_path": paths, "step": steps, "timestamp": times, **values}
        return self._whole(len(paths), {"attribute_type": [kind] * len(paths), **columns})

    def _batch(self, rows: list[dict[str, Any]]) -> Batch:
        names = {name for row in rows for name in row}
        return self._whole(len(rows), {name: [row.get(name) for row in rows] for name in names})

    def _whole(self, rows: int, columns: dict[str, list[Any]]) -> Batch:
        return Batch(rows, {"project_id": [self.project] * rows, "run_id": [self._run] * rows, **columns})
