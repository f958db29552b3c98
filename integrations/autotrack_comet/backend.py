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
from autotrack_comet.archive import TAKEN, Target, make_archive

COUNTS: Final = "counts"
"""In the state: how many points each metric has, of the runs that are open here."""

SAMPLED: Final = 15_000
"""Points of one metric that `comet upload` sends, unless COMET_OFFLINE_SAMPLING_SIZE says otherwise."""

ONE_LINE: Final = r"[\x00-\x09\x0b-\U0010ffff]"
"""Comet's schemas take any character in a name but a line's end."""

CODE: Final = ("commit", "branch", "remote", "entry")


class CometBackend:
    """Writes runs as offline experiments."""

    limits = Limits(integer_steps=True, key_characters=ONE_LINE)

    def open(self, context: BackendContext) -> None:
        """Get ready: folders are made when something is to be written."""
        self._context = context
        given = os.environ.get("COMET_OFFLINE_DIRECTORY", "").strip()
        folder = Path(given).expanduser().absolute() if given else context.home / "comet" / "archives"
        workspace = os.environ.get("COMET_WORKSPACE", "").strip() or None
        self._target = Target(folder, workspace, os.environ.get("COMET_PROJECT_NAME", "").strip() or None)
        self._notes: Counter[tuple[str, str, str]] = Counter()
        self._parts: Parts | None = None
        self._counts: dict[str, dict[str, int]] = {}

    def check(self) -> str:
        """See whether the folder can be written. Raises `BackendUnavailable`."""
        folder = self._target.folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise BackendUnavailable(
                f"{folder} cannot be made ({problem.strerror}): check COMET_OFFLINE_DIRECTORY"
            ) from problem
        if not os.access(folder, os.W_OK):
            raise BackendUnavailable(f"{folder} cannot be written: check COMET_OFFLINE_DIRECTORY")
        return f"offline experiments of Comet are written into {folder}"

    def resume(self, writer: str) -> int | None:
        """No cursor of its own."""
        return None

    def deliver(self, batch: Sequence[Record]) -> int:
        """Append a batch; what Comet cannot carry is noted once all of it is there."""
        self._notes.clear()
        if self._parts is None:
            self._parts = Parts(self._context.home / "comet" / "runs", self._context.state)
        parts = self._parts
        parts.begin()
        self._counts = {run: dict(counts) for run, counts in self._context.state.get(COUNTS, {}).items()}
        for record in batch:
            self._take(record, parts)
        try:
            for run in {record.event.run: None for record in batch if record.event.run}:
                if (parts.root / run).is_dir():
                    make_archive(parts, run, self._target)
        except OSError as problem:
            raise BackendUnavailable(f"the archive of a run cannot be written: {problem}") from problem
        parts.hold()
        parts.close()
        self._context.state[COUNTS] = self._counts
        for (run, what, why), count in self._notes.items():
            for _ in range(count):
                self._context.note(run, what, why)
        return batch[-1].sequence

    def close(self) -> None:
        """Let go of the files."""
        if self._parts is not None:
            self._parts.close()

    def _take(self, record: Record, parts: Parts) -> None:
        event = record.event
        if not event.run:
            return

        def tell(kind: str, what: str, line: Mapping[str, Any]) -> None:
            parts.append(event.run, record.writer, record.position, kind, {"at": event.time, what: plain(line)})

        if isinstance(event, MetricsLogged):
            tell(POINTS, "points", self._points(event))
        elif isinstance(event, ConsoleLogged):
            tell(LINES, "log", {"text": event.text, "stream": event.stream})
        elif isinstance(event, ParamsLogged):
            tell(FACTS, "params", event.params)
        elif isinstance(event, TagsSet):
            for key in event.tags:
                if key in TAKEN:
                    self._notes[event.run, f"tag {key}", f"is called {key}_ there"] += 1
            tell(FACTS, "tags", event.tags)
        elif isinstance(event, DatasetLogged):
            tell(FACTS, "dataset", {"role": event.role, "name": event.name, "value": event.record.get("value")})
        elif isinstance(event, ArtifactLogged | ModelLogged):
            if (file := self._file(event, parts)) is not None:
                tell(FACTS, "file", file)
        elif isinstance(event, ProvenanceLogged):
            if event.kind == "code":
                tell(FACTS, "code", {key: event.record[key] for key in CODE if event.record.get(key)})
        elif isinstance(event, RunStarted):
            started = {"name": event.name, "project": event.project, "parent": event.parent, "resumed": event.resumed}
            tell(FACTS, "started", started | {"integration": event.integration, "code": event.code})
        elif isinstance(event, RunEnded):
            tell(FACTS, "ended", {"status": event.status, "error": event.error})
            parts.end(event.run)
            self._counts.pop(event.run, None)

    def _points(self, event: MetricsLogged) -> dict[str, Any]:
        step = int(event.step)  # the forwarder has rounded what was fractional
        if not -(2**63) <= step < 2**63:
            raise BackendRejected(f"step {step} is beyond the 64 bits of Comet's steps")
        counts = self._counts.setdefault(event.run, {})
        for key in event.values:
            name = clean(key)
            counts[name] = counts.get(name, 0) + 1
            if counts[name] > SAMPLED:
                why = f"`comet upload` sends {SAMPLED} of each metric, unless COMET_OFFLINE_SAMPLING_SIZE is larger"
                self._notes[event.run, f"points over {SAMPLED}", why] += 1
        return {"step": step, "values": event.values}

    def _file(self, event: ArtifactLogged | ModelLogged, parts: Parts) -> dict[str, Any] | None:
        if event.digest is None:
            return None  # the record says why nothing was kept
        is_model = isinstance(event, ModelLogged)
        source = self._context.blob(event.digest)
        if not source.is_file():
            what = f"{'model' if is_model else 'artifact'} {clean(event.name)}"
            self._notes[event.run, what, "its file is not on this machine any more"] += 1
            return None
        parts.keep(event.run, event.digest, source)
        about = {"name": event.name, "digest": event.digest}
        if isinstance(event, ModelLogged):
            return about | {"kind": "model", "format": event.format, "step": event.step}
        return about | {"kind": "file"}


def plain(value: Any) -> Any:
    """A value as JSON in UTF-8; what is not finite as Comet spells it."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {clean(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float) else clean(str(value))


def clean(text: str) -> str:
    """Text without halves of characters, which no JSON in UTF-8 holds."""
    return text.encode(errors="backslashreplace").decode()
