"""A found run told as the events that autotrack would have recorded: with its own dates, steps, names and ids."""

from __future__ import annotations

import heapq
import json
import math
from collections.abc import Callable, Iterator
from operator import attrgetter
from pathlib import PurePosixPath
from typing import Any, Final

from autotrack.events import (
    AnyEvent,
    ArtifactLogged,
    ConsoleLogged,
    DatasetLogged,
    ModelLogged,
    ParamsLogged,
    ProvenanceLogged,
    RunEnded,
    RunStarted,
    Scalar,
    Status,
    TagsSet,
)
from autotrack.importing import ForeignRun, Keeping, run_id
from autotrack_neptune import naming
from autotrack_neptune.attributes import Entry, File, Found, Moment, Value, from_iso
from autotrack_neptune.kept_series import as_lines

_STREAMS: Final = ("stdout", "stderr")
_STATUSES: Final[tuple[Status, ...]] = ("finished", "failed", "killed", "pruned")


def foreign(found: Callable[[], Found], origin: str, name: str) -> ForeignRun:
    """The run as the importer hands it on; `found` reads it when it is told."""
    return ForeignRun(origin, name, lambda keeping: _Teller(found(), name, keeping).events())


class _Teller:
    def __init__(self, found: Found, name: str, keeping: Keeping) -> None:
        self._found = found
        self._name = name
        self._keeping = keeping
        self._run = run_id(found.origin)
        self._events: list[AnyEvent] = []
        self._artifacts: set[str] = set()
        self._theirs: dict[str, dict[str, Any]] = {"types": {}, "files": {}}
        """What `neptune.json` says."""
        start = found.value("sys/creation_time")
        created = start.ns if isinstance(start, Moment) else found.created
        self._start = self._earliest() if created is None else created

    def events(self) -> Iterator[AnyEvent]:
        found = self._found
        for (what, why), count in sorted(found.lost.items()):
            self._keeping.not_carried(what, why, count)
        self._values()
        self._texts()
        self._histograms()
        self._files()
        self._datasets()
        self._provenance()
        self._attributes()
        self._events.sort(key=attrgetter("time"))
        yield RunStarted(
            self._run,
            self._start,
            self._name,
            found.project,
            parent=run_id(found.parent) if found.parent else None,
            integration=str(found.record.get("integration") or "neptune"),
            environment=_object(found.record.get("environment")) or found.environment,
            code=_object(found.record.get("code")) or self._code(),
        )
        yield TagsSet(self._run, self._start, self._tags())
        yield from heapq.merge(self._events, found.points.events(self._run), key=attrgetter("time"))
        yield RunEnded(self._run, self._end(), self._status(), self._error())

    # Values

    def _values(self) -> None:
        params: dict[tuple[int, int], dict[str, Scalar]] = {}
        for path, assigned in self._found.values.items():
            if path.startswith((naming.SYSTEM, naming.OURS)) and not path.startswith(naming.PARAMS):
                continue
            if isinstance(assigned[-1][1], tuple):
                assigned = assigned[-1:]  # a set that was filled bit by bit
            for turn, (time, value) in enumerate(assigned):
                if value is not None:
                    if isinstance(value, Moment | tuple):
                        kind = "datetime" if isinstance(value, Moment) else "string_set"
                        self._theirs["types"][path.removeprefix(naming.PARAMS)] = kind
                    held = params.setdefault((self._at(time), turn), {})
                    held[path.removeprefix(naming.PARAMS)] = _scalar(value)
        self._events += [ParamsLogged(self._run, time, held) for (time, _), held in params.items()]

    def _tags(self) -> dict[str, str]:
        found = self._found
        tags = {"neptune.id": found.id, "neptune.project": found.project, "neptune.type": found.kind}
        tags |= {"neptune.source": found.format, **found.tags}
        if found.parent:
            tags["neptune.parent"] = found.parent.partition(":")[2]
        for path in found.values:
            value = found.value(path)
            if value is None:
                continue
            if path == naming.FORK_STEP:
                tags["neptune.fork_step"] = f"{value:g}" if isinstance(value, float) else str(_scalar(value))
            elif path == naming.RUN_ID:
                tags["autotrack.run_id"] = str(value)
            elif path.startswith(naming.TAGS):
                tags[path.removeprefix(naming.TAGS)] = str(value)
            elif path.startswith(naming.SYSTEM) and path != naming.FORK_PARENT:
                tags[path] = _tag(value)
        return tags

    def _code(self) -> dict[str, Any]:
        known = {
            "commit": self._found.value("source_code/commit/commit_id"),
            "branch": self._found.value("source_code/branch"),
            "dirty": self._found.value("source_code/dirty"),
        }
        return {key: value for key, value in known.items() if isinstance(value, str | bool)}

    # Series

    def _texts(self) -> None:
        for path, entries in self._found.texts.items():
            self._series(path, entries, naming.STRING_SERIES, "string series")
            stream = path.rpartition("/")[2]
            if stream not in _STREAMS or not path.startswith(("monitoring/", "runtime/")):
                continue
            # `neptune-scale` keeps lines, `neptune` what was written.
            ending = "\n" if path.startswith("runtime/") else ""
            for entry in entries:
                text = entry.value + ending
                if text:
                    self._events.append(ConsoleLogged(self._run, self._at(entry.time), stream, text))

    def _histograms(self) -> None:
        for path, entries in self._found.histograms.items():
            self._series(path, entries, naming.HISTOGRAM_SERIES, "histogram series")

    def _series(self, path: str, entries: list[Entry], kind: str, what: str) -> None:
        digest, size = self._keeping.keep(as_lines(entries))
        time = max((entry.time for entry in entries if entry.time is not None), default=None)
        name = self._unused(path + naming.SERIES_ENDING)
        self._events.append(ArtifactLogged(self._run, self._at(time), name, digest, size, kind))
        self._keeping.not_carried(what, "they are no metrics: kept whole as artifacts of JSON lines")

    # Files

    def _files(self) -> None:
        models = dict(enumerate(_objects(self._found.record.get("models"))))
        numbers = {record["path"]: number for number, record in models.items() if record.get("path")}
        for path, files in self._found.files.items():
            for file in files:
                try:
                    digest, size = self._keeping.keep(file.source)
                except OSError:
                    self._keeping.not_carried("files", file.missing)
                    continue
                if path in numbers:
                    self._model(models.pop(numbers[path]), digest, size)
                    continue
                ours = path.removeprefix(naming.FILES)
                name = self._unused(_name(ours, file))
                if name != ours or file.kind != "file":
                    told = {"path": ours, "type": file.kind, "step": file.step, "inner": file.inner}
                    self._theirs["files"][name] = {key: value for key, value in told.items() if value is not None}
                kind = naming.media_type(name)
                self._events.append(ArtifactLogged(self._run, self._at(file.time), name, digest, size, kind))
        for record in models.values():
            self._model(record, None, None)

    def _attributes(self) -> None:
        if any(self._theirs.values()):
            content = json.dumps(self._theirs, ensure_ascii=False, sort_keys=True).encode("utf-8", "surrogatepass")
            digest, size = self._keeping.keep(content)
            name = self._unused(naming.ATTRIBUTES_NAME)
            self._events.append(ArtifactLogged(self._run, self._start, name, digest, size, naming.ATTRIBUTES))

    def _model(self, record: dict[str, Any], digest: str | None, size: int | None) -> None:
        wanted = ("name", "format", "step", "signature", "problem", "register", "aliases")
        given: dict[str, Any] = {key: record[key] for key in wanted if record.get(key) is not None}
        given = {"name": "model", "format": "unknown", **given}
        time = from_iso(str(record.get("time")))
        self._events.append(ModelLogged(self._run, self._at(time), digest=digest, bytes=size, **given))

    def _provenance(self) -> None:
        for blob in self._found.blobs:
            try:
                self._keeping.keep(blob.source)
            except OSError:
                self._keeping.not_carried("files", blob.missing)
        for kind, record in _object(self._found.record.get("provenance")).items():
            self._events.append(ProvenanceLogged(self._run, self._start, kind, _object(record)))

    def _datasets(self) -> None:
        for held in _objects(self._found.record.get("datasets")):
            time, record = from_iso(str(held.get("time"))), _object(held.get("record"))
            role, name = str(held.get("role")), str(held.get("name"))
            self._events.append(DatasetLogged(self._run, self._at(time), role, name, record))

    def _unused(self, name: str) -> str:
        number, unique = 1, name
        while unique in self._artifacts:
            number += 1
            step = PurePosixPath(name)
            unique = f"{name.removesuffix(step.suffix)}-{number}{step.suffix}"
        self._artifacts.add(unique)
        return unique

    # The outcome

    def _status(self) -> Status:
        told = self._found.value(naming.STATUS)
        for status in _STATUSES:
            if told == status:
                return status
        if self._found.value("sys/failed") is True:
            return "failed"
        return "killed" if self._found.torn else "finished"

    def _error(self) -> dict[str, str] | None:
        told = _object(self._found.record.get("error"))
        if told:
            return {key: str(value) for key, value in told.items()}
        for path, entries in self._found.texts.items():
            if path.startswith("monitoring/") and path.endswith("/traceback"):
                lines = "\n".join(entry.value.rstrip("\n") for entry in entries)
                kind, colon, message = lines.rpartition("\n")[2].partition(": ")
                if not colon or not kind.replace(".", "").isidentifier():
                    kind, message = "Exception", lines.rpartition("\n")[2]  # `neptune` leaves the type out
                return {"type": kind.rpartition(".")[2], "message": message, "traceback": lines}
        return None

    def _end(self) -> int:
        latest = max([self._start, *(event.time for event in self._events)])
        latest = max(latest, self._found.points.last_time() or latest, self._found.ended or latest)
        ping, running = self._found.value("sys/ping_time"), self._found.value("sys/running_time")
        if isinstance(ping, Moment):
            return max(latest, ping.ns)
        if isinstance(running, float | int) and math.isfinite(running) and 0 <= running < 1e9:
            return max(latest, self._start + round(running * 1e9))
        return latest

    def _earliest(self) -> int:
        found = self._found
        times = [time for assigned in found.values.values() for time, _ in assigned if time is not None]
        times += [entry.time for held in (found.texts, found.histograms) for entries in held.values()
                  for entry in entries if entry.time is not None]  # fmt: skip
        first = next(iter(found.points.events(self._run)), None)
        if first is not None:
            times.append(first.time)
        if not times:
            self._keeping.not_carried("dates", "there are none: the run is dated 1970-01-01")
        return min(times, default=0)

    def _at(self, time: int | None) -> int:
        return self._start if time is None else time


def _name(path: str, file: File) -> str:
    name = path
    if file.inner is not None:
        return f"{path}/{file.inner}"
    if file.step is not None:
        return f"{path}/{file.step}{file.suffix}"
    if file.suffix and not PurePosixPath(path).suffix:
        name += file.suffix
    return name


def _scalar(value: Value) -> Scalar:
    if isinstance(value, Moment):
        return value.text
    if isinstance(value, tuple):
        return json.dumps(list(value), ensure_ascii=False)
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return str(value)
    return value


def _tag(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(_scalar(value))


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[dict[str, Any]]:
    return [_object(one) for one in value] if isinstance(value, list) else []
