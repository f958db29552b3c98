"""The backend: sorts a batch by run and sends each run's rows, config and files.

A row is known to trackio by its `log_id`, which is the writer and the sequence of the event: what comes again is there
once. A config is completed under a lock of the home, and files are known by their digests.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from autotrack.backend import BackendContext, BackendRejected, Limits
from autotrack.events import (
    ArtifactLogged,
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
from autotrack.turns import one_at_a_time
from autotrack_trackio.config import clean, completed, moment, plain
from autotrack_trackio.places import File, Place, Row, place_from, quoted

RESERVED: Final = frozenset({"project", "run", "timestamp", "step", "time", "metrics"})
"""Names of metrics that trackio's readers replace; its own client puts `__` before them, as is done here."""

ENDINGS: Final = re.compile(
    "_(system|configs|traces|artifacts|artifact_versions|artifact_aliases|run_artifact_links"
    "|external_run_artifact_links)$"
)
"""Of names that trackio refuses for projects, since other files of a project would be called so."""

_CONFIG_EVENTS = ParamsLogged | TagsSet | DatasetLogged | ProvenanceLogged | RunStarted | RunEnded


@dataclass
class Share:
    """What one batch holds for one run."""

    rows: list[Row] = field(default_factory=list)
    config: list[Record] = field(default_factory=list)
    files: list[ArtifactLogged | ModelLogged] = field(default_factory=list)
    start: RunStarted | None = None
    first: int = 0
    ended: bool = False


@dataclass
class KnownRun:
    """Where a run is, and what it is called there."""

    project: str
    name: str


class TrackioBackend:
    """Delivers runs to trackio."""

    limits = Limits(integer_steps=True)

    def open(self, context: BackendContext) -> None:
        """Find the server or the folder. Raises `UsageError` or `BackendUnavailable`."""
        self._context = context
        self._place: Place = place_from(os.environ)
        self._notes: Counter[tuple[str, str, str]] = Counter()
        self._projects: set[str] = set()

    def check(self) -> str:
        """Ask who is there: that writing is allowed was seen when it was opened. Raises `BackendUnavailable`."""
        return self._place.answer()

    def resume(self, writer: str) -> int | None:
        """No cursor of trackio's own."""
        return None

    def deliver(self, batch: Sequence[Record]) -> int:
        """Send a batch; what trackio cannot carry is noted once all of it is there."""
        self._notes.clear()
        if self._context.state.get("place") != self._place.shown:
            self._context.state.clear()
            self._context.state["place"] = self._place.shown
        shares: dict[str, Share] = {}
        for record in batch:
            self._take(record, shares)
        for run, share in shares.items():
            self._send(run, share)
        for (run, what, why), count in self._notes.items():
            for _ in range(count):
                self._context.note(run, what, why)
        return batch[-1].sequence

    def close(self) -> None:
        """Let go of the connections."""
        self._place.close()

    def _take(self, record: Record, shares: dict[str, Share]) -> None:
        event = record.event
        if not event.run:
            return
        if isinstance(event, MetricsLogged):
            share = shares.setdefault(event.run, Share(first=event.time))
            share.rows.append(self._row(record, event))
        elif isinstance(event, ArtifactLogged | ModelLogged):
            shares.setdefault(event.run, Share(first=event.time)).files.append(event)
        elif isinstance(event, _CONFIG_EVENTS):
            share = shares.setdefault(event.run, Share(first=event.time))
            share.config.append(record)
            if isinstance(event, RunStarted):
                share.start, share.ended = event, False
            elif isinstance(event, RunEnded):
                share.ended = True

    def _row(self, record: Record, event: MetricsLogged) -> Row:
        step = int(event.step)  # the forwarder has rounded what was fractional
        if not -(2**63) <= step < 2**63:
            raise BackendRejected(f"step {step} is beyond the 64 bits of trackio's steps")
        if not self._place.keeps_times:
            self._notes[event.run, "times of points", "a trackio server dates them when it receives them"] += 1
        metrics: dict[str, Any] = {}
        for key, value in event.values.items():
            name = clean(key)
            if name in RESERVED or name.startswith("__"):
                name = "__" + name
            if name != key:
                self._notes[event.run, f"metric {clean(key)}", f"is called {name} there"] += 1
            metrics[name] = plain(value)
        return Row(f"{record.writer}:{record.sequence}", step, metrics, moment(event.time))

    def _send(self, run: str, share: Share) -> None:
        # A lock, since several journals may hold events of this run: one of them creates it, each completes its config.
        with one_at_a_time(self._context.home, "trackio"):
            known = self._known(run, share.start)
            present = self._config(known.project, run)
            config = completed(present or {}, run, share.config, self._note)
            # trackio has no runs, only rows of them: one without values makes the run exist.
            begin = Row(f"{run}:start", 0, {}, moment(share.start.time if share.start else share.first))
            if config is not None:
                self._place.log(known.project, run, known.name, [begin], config)
        if share.rows:
            self._place.log(known.project, run, known.name, share.rows, None)
        for event in share.files:
            self._file(run, known, event)
        if share.ended:
            self._context.state.pop("run:" + run, None)  # what comes later for it is looked up
        else:
            self._context.state["run:" + run] = [known.project, known.name]

    def _known(self, run: str, start: RunStarted | None) -> KnownRun:
        kept = self._context.state.get("run:" + run)
        known = KnownRun(*kept) if kept else None
        if start is None:
            if known is None:
                default = project_name(self._context.settings.resolved_project)
                known = self._found(run, [default, *self._place.projects()]) or KnownRun(default, run)
            return known
        name, project = clean(start.name).strip() or run, project_name(start.project)
        if known is None:
            default = project_name(self._context.settings.resolved_project)
            known = self._found(run, [project, default]) or KnownRun(project, name)
        if known.project != start.project:
            self._note(run, f"project {clean(start.project)}", f"is called {known.project} there")
        if known.name != name:
            # Events of another process were here first, when nobody knew its name. trackio can rename a run, but its
            # rows then lose their `log_id`, and would be there twice when they came again.
            self._note(run, f"name {name}", f"it is called {known.name} there; the name is in its config")
        return known

    def _found(self, run: str, projects: Sequence[str]) -> KnownRun | None:
        statement = f"SELECT run_name FROM metrics WHERE run_id = {quoted(run)} LIMIT 1"
        for project in dict.fromkeys(projects):
            if self._exists(project):
                for row in self._place.query(project, statement):
                    return KnownRun(project, row["run_name"])
        return None

    def _config(self, project: str, run: str) -> dict[str, Any] | None:
        if self._exists(project):
            for row in self._place.query(project, f"SELECT config FROM configs WHERE run_id = {quoted(run)}"):
                config: dict[str, Any] = json.loads(row["config"])
                return config
        return None

    def _exists(self, project: str) -> bool:
        if project not in self._projects:
            self._projects.update(self._place.projects())
        return project in self._projects

    def _file(self, run: str, known: KnownRun, event: ArtifactLogged | ModelLogged) -> None:
        is_model = isinstance(event, ModelLogged)
        kind = "model" if is_model else "file"
        if event.digest is None:
            return  # the record says why nothing was kept
        source = self._context.blob(event.digest)
        if not source.is_file():
            self._note(run, f"{kind} {event.name}", "its file is not on this machine any more")
            return
        steps = [step for step in clean(event.name).replace("\\", "/").replace("\0", "_").split("/") if step]
        path = "/".join("__" if step in (".", "..") else step for step in steps) or kind
        if re.match("[A-Za-z]:", path):
            path = "_" + path
        name = re.sub("[^A-Za-z0-9._-]", "-", f"{kind}-{path}")
        metadata: dict[str, Any] = {"run_id": run, "name": clean(event.name)}
        if isinstance(event, ModelLogged):
            metadata |= {"format": event.format, "step": plain(event.step), "signature": plain(event.signature)}
        else:
            metadata["media_type"] = event.media_type
        self._place.keep(
            known.project,
            run,
            known.name,
            File(name, kind, path, event.digest, source.stat().st_size, metadata),
            source,
        )

    def _note(self, run: str, what: str, why: str) -> None:
        self._notes[run, what, why] += 1


def project_name(project: str) -> str:
    """What trackio calls a project on its disk, and thus shows."""
    name = "".join(one for one in clean(project) if one.isalnum() or one in "-_") or "default"
    return f"runs_{name}_" if ENDINGS.search(name) or name.startswith("registry-") else name
