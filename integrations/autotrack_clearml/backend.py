"""The backend: tells each event of a batch to its run's parts, and makes the archive of each run that has ended."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from autotrack.backend import BackendContext, BackendRejected, BackendUnavailable, Limits
from autotrack.events import (
    ArtifactLogged,
    ConsoleLogged,
    DatasetLogged,
    MetricsLogged,
    ModelLogged,
    ParamsLogged,
    ProvenanceLogged,
    Record,
    RunEnded,
    RunStarted,
    TagsSet,
)
from autotrack.gathering import FACTS, LINES, POINTS, Parts
from autotrack_clearml.archive import make_archive
from autotrack_clearml.names import clean, long_enough, param_name, title_and_series
from autotrack_clearml.online import Online, is_online
from autotrack_clearml.story import scalars

LAST: Final = "last"
"""In the state: the last step of each series of a run that is open here."""

CODE: Final = ("commit", "branch", "remote", "entry")


class ClearmlBackend:
    """Sends runs to a server, or writes them as offline sessions."""

    limits = Limits(integer_steps=True)

    def open(self, context: BackendContext) -> None:
        """Log in, where the variables name a server. Raises `UsageError`, `BackendUnavailable`."""
        self._context = context
        self._online = Online(os.environ) if is_online(os.environ) else None
        self._folder = offline_folder(os.environ)
        self._notes: Counter[tuple[str, str, str]] = Counter()
        self._parts: Parts | None = None
        self._last: dict[str, dict[str, int]] = {}
        self._events: dict[str, list[dict[str, Any]]] = {}
        self._changed: set[str] = set()

    def check(self) -> str:
        """See whether the folder can be written. Raises `BackendUnavailable`."""
        if self._online is not None:  # it has logged in
            return f"the ClearML server at {self._online.shown} takes runs"
        folder = self._folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise BackendUnavailable(
                f"{folder} cannot be made ({problem.strerror}): check CLEARML_CACHE_DIR"
            ) from problem
        if not os.access(folder, os.W_OK):
            raise BackendUnavailable(f"{folder} cannot be written: check CLEARML_CACHE_DIR")
        return f"offline sessions of ClearML are written into {folder}"

    def resume(self, writer: str) -> int | None:
        """No cursor of its own."""
        return None

    def deliver(self, batch: Sequence[Record]) -> int:
        """Append a batch; what ClearML cannot carry is noted once all of it is there."""
        self._notes.clear()
        if self._parts is None:
            self._parts = Parts(self._context.home / "clearml", self._context.state)
        parts = self._parts
        parts.begin()
        self._events = {}
        self._changed = set()
        self._last = {run: dict(steps) for run, steps in self._context.state.get(LAST, {}).items()}
        for record in batch:
            self._take(record, parts)
        try:
            for run in {record.event.run: None for record in batch if record.event.run}:
                if self._online is not None and (run in self._events or run in self._changed):
                    self._online.send(parts, run, self._events.get(run, []), changed=run in self._changed)
                elif self._online is None and (parts.root / run).is_dir():
                    make_archive(parts, run, self._folder)
        except OSError as problem:
            raise BackendUnavailable(f"the archive of a run cannot be written: {problem}") from problem
        parts.hold()
        parts.close()
        self._context.state[LAST] = self._last
        for (run, what, why), count in self._notes.items():
            for _ in range(count):
                self._context.note(run, what, why)
        return batch[-1].sequence

    def close(self) -> None:
        """Let go of the files."""
        if self._parts is not None:
            self._parts.close()
        if self._online is not None:
            self._online.close()

    def _take(self, record: Record, parts: Parts) -> None:
        event = record.event
        if not event.run:
            return

        def tell(kind: str, what: str, line: Mapping[str, Any]) -> None:
            parts.append(event.run, record.writer, record.position, kind, {"at": event.time, what: plain(line)})
            self._changed.add(event.run)

        if isinstance(event, MetricsLogged):
            point = self._points(event)
            if point and self._online is not None:
                self._events.setdefault(event.run, []).extend(scalars(event.time, point))
            elif point:
                tell(POINTS, "points", point)
        elif isinstance(event, ConsoleLogged):
            if self._online is None:  # a server would hold lines twice that come again
                tell(LINES, "log", {"text": event.text, "stream": event.stream})
        elif isinstance(event, ParamsLogged):
            self._note_names(event.run, event.params)
            tell(FACTS, "params", event.params)
        elif isinstance(event, TagsSet):
            self._note_names(event.run, event.tags)
            tell(FACTS, "tags", event.tags)
        elif isinstance(event, DatasetLogged):
            wanted = {key: event.record.get(key) for key in ("value", "n_rows")}
            tell(FACTS, "dataset", {"role": event.role, "name": event.name, **wanted})
        elif isinstance(event, ArtifactLogged | ModelLogged):
            if (file := self._file(event, parts)) is not None:
                tell(FACTS, "file", file)
        elif isinstance(event, ProvenanceLogged):
            if event.kind == "code":
                tell(FACTS, "code", {key: event.record[key] for key in CODE if event.record.get(key)})
        elif isinstance(event, RunStarted):
            about = {key: event.environment.get(key) for key in ("python", "user", "host", "command")}
            started = {"name": event.name, "project": event.project, "parent": event.parent, "resumed": event.resumed}
            more = {"integration": event.integration, "code": event.code, "about": about}
            for what, name in (("project", event.project), ("name", event.name)):
                if (there := long_enough(clean(name))) != clean(name):
                    self._notes[event.run, f"{what} {clean(name)}", f"is called {there} there"] += 1
            tell(FACTS, "started", started | more)
        elif isinstance(event, RunEnded):
            tell(FACTS, "ended", {"status": event.status, "error": event.error})
            parts.end(event.run)
            self._last.pop(event.run, None)

    def _note_names(self, run: str, names: Mapping[str, Any]) -> None:
        for name in names:
            if param_name(name) != name:
                self._notes[run, f"name {clean(name)!r}", "blanks around a name are not kept"] += 1

    def _points(self, event: MetricsLogged) -> dict[str, Any] | None:
        step = int(event.step)  # the forwarder has rounded what was fractional
        if not -(2**63) <= step < 2**63:
            raise BackendRejected(f"step {step} is beyond the 64 bits of ClearML's iterations")
        last = self._last.setdefault(event.run, {})
        values = []
        for key, value in event.values.items():
            name = clean(key)
            if not math.isfinite(value):
                what = "NaN" if math.isnan(value) else "infinite values"
                self._notes[event.run, what, "ClearML takes finite numbers alone: the points are left out"] += 1
                continue
            if name in last and step <= last[name]:
                why = "ClearML keeps one value of a series at an iteration: the newest"
                self._notes[event.run, "points at a step that came before", why] += 1
            last[name] = max(step, last.get(name, step))
            values.append([*title_and_series(name), value])
        return {"step": step, "values": values} if values else None

    def _file(self, event: ArtifactLogged | ModelLogged, parts: Parts) -> dict[str, Any] | None:
        if event.digest is None:
            return None  # the record says why nothing was kept
        is_model = isinstance(event, ModelLogged)
        source = self._context.blob(event.digest)
        if not source.is_file():
            what = f"{'model' if is_model else 'artifact'} {clean(event.name)}"
            self._notes[event.run, what, "its file is not on this machine any more"] += 1
            return None
        if self._online is not None and not self._online.takes_files:
            what = f"{'model' if is_model else 'artifact'} {clean(event.name)}"
            self._notes[event.run, what, "CLEARML_FILES_HOST is not set: the server of files"] += 1
        parts.keep(event.run, event.digest, source)
        about = {"name": event.name, "digest": event.digest, "bytes": source.stat().st_size}
        if isinstance(event, ModelLogged):
            return about | {"kind": "model", "format": event.format, "step": event.step}
        return about | {"kind": "file", "media_type": event.media_type}


def offline_folder(environ: Mapping[str, str]) -> Path:
    """Where ClearML keeps offline sessions."""
    cache = os.path.expandvars(environ.get("CLEARML_CACHE_DIR", "").strip() or "~/.clearml/cache")
    return Path(cache).expanduser().absolute() / "offline"


def plain(value: Any) -> Any:
    """A value as JSON in UTF-8; what is not finite as text."""
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {clean(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float) else clean(str(value))
