"""The backend: writes W&B's own offline files, and has those uploaded where W&B is online.

A run's folder is `wandb/offline-run-<date>_<time>-<run>-<writer>` below `WANDB_DIR`, as `wandb sync` expects it: a run
that several processes write to has a folder for each. Files are cut back to what the delivery's state holds before
anything is added, so that each record is there once. Steps of registered models are followed once the runs that end in
the same batch are uploaded: only then is there something to link.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from autotrack.appended import LENGTHS, Appended
from autotrack.backend import BackendContext, Limits
from autotrack.events import (
    ArtifactLogged,
    ConsoleLogged,
    DatasetLogged,
    MetricsLogged,
    ModelLogged,
    NoteLogged,
    ParamsLogged,
    ProvenanceLogged,
    Record,
    RegistryLogged,
    RunEnded,
    RunStarted,
    TagsSet,
    WriterEnded,
    WriterStarted,
)
from autotrack_wandb.files import model_artifact, path_of, put
from autotrack_wandb.names import run_id
from autotrack_wandb.online import Uploader
from autotrack_wandb.part import Known, Part, known_from, to_keep
from autotrack_wandb.place import place_from
from autotrack_wandb.registered import ONLY_HERE, Registered
from autotrack_wandb.waiting import Models

RUNS: Final = "runs"
"""Where in the state the runs are."""
MODELS: Final = "models"
"""Where the registered models are that wait."""
LONGEST_PARAM: Final = 250_000
"""Characters: W&B takes values of up to 1 MB, and a character may have four bytes."""


class WandbBackend:
    """Delivers runs to W&B."""

    limits = Limits(param_length=LONGEST_PARAM, tag_length=LONGEST_PARAM, registry=True)

    def open(self, context: BackendContext) -> None:
        """Read the variables. Raises `UsageError` for what never can work."""
        self._context = context
        self._place = place_from(os.environ, context.home)
        self._uploader = Uploader(self._place) if self._place.online else None

    def resume(self, writer: str) -> int | None:
        """W&B keeps no cursor of ours."""
        return None

    def deliver(self, batch: Sequence[Record]) -> int:
        """Write a batch, and upload the runs that end in it; what W&B cannot carry is noted once that is done."""
        state = self._context.state
        work = _Work(self, state.setdefault(RUNS, {}), batch[0].writer)
        lengths = dict(state.get(LENGTHS, {}))
        try:
            for record in batch:
                work.take(record)
            work.finish(ended=isinstance(batch[-1].event, WriterEnded))
            for part in work.parts.values():
                part.flush()
            if self._uploader is not None:
                for part in work.closed:
                    self._uploader.upload(part.file.path)
                registered = Registered(self._place, self._context, work.note)
                work.models.follow(registered, work.still_open(), has_ended=bool(work.closed))
        except BaseException:
            state[LENGTHS] = lengths
            raise
        finally:
            for part in (*work.closed, *work.parts.values()):
                part.file.close()
        for part in work.parts.values():
            part.file.hold()
        for part in work.closed:  # nothing is added to it any more
            state[LENGTHS].pop(part.file.path.relative_to(self._place.folder).as_posix(), None)
        state[RUNS] |= {run: to_keep(known) for run, known in work.touched.items()}
        state[MODELS] = work.models.to_keep()
        for (run, what, why), count in work.notes.items():
            for _ in range(count):
                self._context.note(run, what, why)
        return batch[-1].sequence

    def close(self) -> None:
        """Nothing is open between batches."""


class _Work:
    """One batch: the files that it adds to, and what is known of their runs when it is done."""

    def __init__(self, backend: WandbBackend, before: Mapping[str, Any], writer: str) -> None:
        self._context = backend._context
        self._place = backend._place
        self._state = backend._context.state
        self._writer = writer
        self._before = before
        self.touched: dict[str, Known] = {}
        self.parts: dict[str, Part] = {}
        self.closed: list[Part] = []
        self.notes: Counter[tuple[str, str, str]] = Counter()
        self.models = Models(self._state.get(MODELS, {}), self.notes)

    def note(self, run: str, what: str, why: str) -> None:
        self.notes[run, what, why] += 1

    def take(self, record: Record) -> None:
        event = record.event
        if isinstance(event, WriterStarted | WriterEnded | NoteLogged):  # notes stay in the local record
            return
        if isinstance(event, RegistryLogged):
            self._step(event)
            return
        known = self._known(event.run)
        if isinstance(event, RunStarted):
            self._start(known, event)
        elif isinstance(event, ProvenanceLogged | ConsoleLogged) and not known.folder and known.parts:
            return  # of a run whose file has its end already: this stays in the local record
        elif isinstance(event, RunEnded) and not known.folder and known.parts:
            return
        else:
            self._add(self._part(known, event), event)

    def finish(self, *, ended: bool) -> None:
        """With the journal's end, runs that are not this journal's to end are left to the others."""
        if not ended:
            return
        left = {run for run, kept in self._before.items() if kept.get("folder")} | self.parts.keys()
        for run in sorted(left):
            known = self._known(run)
            if known.folder:
                part = self._opened(run, known)
                part.leave()
                self._close(part)

    def still_open(self) -> set[str]:
        """Runs whose files have no end yet."""
        before = {run for run, kept in self._before.items() if kept.get("folder")}
        return before - self.touched.keys() | {run for run, known in self.touched.items() if known.folder}

    def _step(self, event: RegistryLogged) -> None:
        what = f"{event.action} of the registered model {event.model}"
        if not self._place.online:
            self.note(event.run, what, "W&B is offline, and its files have no record of a link")
        elif event.action in ONLY_HERE:
            self.note(event.run, what, "W&B has nothing that a program can set for it: it is in the log of the store")
        else:
            self.models.concerns(event.model, event)

    def _known(self, run: str) -> Known:
        if run not in self.touched:
            self.touched[run] = known_from(self._before.get(run))
        return self.touched[run]

    def _start(self, known: Known, event: RunStarted) -> None:
        known.name, known.project, known.parent = event.name, event.project, event.parent or known.parent
        if known.folder:  # points came before it; or it says once more that the run goes on
            part = self._opened(event.run, known)
            part.begin_again(event)
        else:
            self._part(known, event)

    def _add(self, part: Part, event: Any) -> None:
        run, known = event.run, part.known
        if isinstance(event, MetricsLogged):
            part.points(event)
        elif isinstance(event, ParamsLogged):
            for key, name in part.params(event.params):
                self.notes[run, f"param {key!r}", f"is called {name!r} there: its name is a group of others"] += 1
        elif isinstance(event, TagsSet):
            part.tags(event.tags)
        elif isinstance(event, DatasetLogged):
            part.tell(["datasets", event.role, event.name], _described(event))
        elif isinstance(event, ArtifactLogged):
            path = path_of(event.name)
            if put(self._context, event, part.file.path.parent / "files" / path):
                part.tell(["artifacts", event.name], {"path": path, "sha256": event.digest, "bytes": event.bytes})
                part.uploads(path)
            else:
                self.notes[run, f"artifact {event.name}", "its file is not on this machine any more"] += 1
        elif isinstance(event, ModelLogged):
            self._model(part, event)
        elif isinstance(event, ConsoleLogged):
            part.console(event)
        elif isinstance(event, ProvenanceLogged) and event.kind == "code":
            part.git(str(event.record.get("commit") or known.commit), str(event.record.get("remote") or known.remote))
        elif isinstance(event, RunEnded):
            part.end(event)
            self._close(part)

    def _model(self, part: Part, event: ModelLogged) -> None:
        if event.digest is None:
            if event.problem:
                part.tell(["models", event.name], {"problem": event.problem})
            return
        kept = part.file.path.parent / "artifacts" / event.digest
        if not put(self._context, event, kept, link=True):
            self.notes[event.run, f"model {event.name}", "its file is not on this machine any more"] += 1
            return
        project = self._place.project_of(part.known.project)
        part.artifact(model_artifact(part.run, project, self._place.entity, event, kept))
        if event.register and self._place.online:
            self.models.concerns(event.register, event)

    def _part(self, known: Known, event: Any) -> Part:
        run = event.run
        if known.folder:
            return self._opened(run, known)
        if not known.project:
            known.project = self._context.settings.resolved_project
        known.parts += 1
        known.began, known.step, known.number, known.defined = event.time, 0, 0, []
        known.folder = self._folder(run, event.time, known.parts)
        self._state.setdefault(LENGTHS, {}).pop(self._name(run, known), None)
        part = self._opened(run, known)
        part.begin(self._producer, event if isinstance(event, RunStarted) else None)
        return part

    def _opened(self, run: str, known: Known) -> Part:
        part = self.parts.get(run)
        if part is None:
            file = Appended(self._place.folder, self._name(run, known), self._state)
            part = self.parts[run] = Part(file, run_id(run), known, self._place)
        return part

    def _close(self, part: Part) -> None:
        part.flush()
        run = next(run for run, one in self.parts.items() if one is part)
        self.closed.append(self.parts.pop(run))
        known = part.known
        # What a later part needs again, and no more: a journal may have very many runs.
        self.touched[run] = Known(
            parts=known.parts, name=known.name, project=known.project, parent=known.parent, tags=known.tags
        )

    @property
    def _producer(self) -> str:
        return f"autotrack {self._version}"

    @property
    def _version(self) -> str:
        from autotrack import __version__

        return __version__

    def _name(self, run: str, known: Known) -> str:
        return f"{known.folder}/run-{run_id(run)}.wandb"

    def _folder(self, run: str, time: int, part: int) -> str:
        when = datetime.fromtimestamp(time // 1_000_000_000, UTC).strftime("%Y%m%d_%H%M%S")
        writer = hashlib.sha256(self._writer.encode()).hexdigest()[:8]
        more = f"-{part}" if part > 1 else ""
        return f"offline-run-{when}-{run_id(run)}-{writer}{more}"


def _described(event: DatasetLogged) -> dict[str, Any]:
    """What is small of a dataset's record: the whole stays in the local one."""
    fingerprint = event.record.get("fingerprint")
    found: dict[str, Any] = {key: value for key, value in event.record.items() if isinstance(value, str | int | float)}
    if isinstance(fingerprint, dict):
        found["fingerprint"] = {key: one for key, one in fingerprint.items() if isinstance(one, str | int | float)}
    return found
