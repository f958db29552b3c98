"""The backend: sorts a batch by run, opens each run once and tells it what is new.

What comes again changes nothing: Aim keeps a point by its series and step, an attribute and a file by their names.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from autotrack.backend import BackendContext, BackendRejected, BackendUnavailable, Limits
from autotrack.errors import UsageError
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
from autotrack_aim.repository import Repository

VARIABLE: Final = "AUTOTRACK_AIM_REPO"
LAST: Final = "last"
"""In the state: the last step of each series of a run that is open here."""

CODE: Final = ("commit", "branch", "remote", "entry")
_LARGEST: Final = 2**63 - 1


class AimBackend:
    """Writes runs into a local repository of Aim's."""

    limits = Limits(integer_steps=True)

    def open(self, context: BackendContext) -> None:
        """Import Aim. Raises `UsageError` where that cannot be, or the repository is no local folder."""
        self._context = context
        given = os.environ.get(VARIABLE, "").strip()
        if "://" in given:
            raise UsageError(f"{VARIABLE}={given!r} is no folder: runs are written into local repositories alone")
        self._repository = Repository(Path(given).expanduser() if given else context.home.absolute().parent)
        self._notes: Counter[tuple[str, str, str]] = Counter()
        self._last: dict[str, dict[str, int]] = {}

    def check(self) -> str:
        """Open the repository, or make it. Raises `BackendUnavailable`."""
        with self._repository.turn():
            return f"Aim {self._repository.version} writes into {self._repository.folder}"

    def resume(self, writer: str) -> int | None:
        """No cursor of its own."""
        return None

    def deliver(self, batch: Sequence[Record]) -> int:
        """Write a batch; what Aim cannot carry is noted once all of it is there."""
        self._notes.clear()
        self._last = {run: dict(steps) for run, steps in self._context.state.get(LAST, {}).items()}
        shares: dict[str, list[Any]] = {}
        for record in batch:
            if record.event.run:
                shares.setdefault(record.event.run, []).append(record.event)
        try:
            with self._repository.turn():
                for run, events in shares.items():
                    with self._repository.run(run, events[0].time) as opened:
                        for event in events:
                            self._take(opened, event)
        except OSError as problem:
            raise BackendUnavailable(f"Aim's repository cannot be written: {problem}") from problem
        self._context.state[LAST] = self._last
        for (run, what, why), count in self._notes.items():
            for _ in range(count):
                self._context.note(run, what, why)
        return batch[-1].sequence

    def close(self) -> None:
        """Nothing is held between batches."""

    def _take(self, run: Any, event: Any) -> None:
        tell = self._repository.set
        if isinstance(event, MetricsLogged):
            self._points(run, event)
        elif isinstance(event, ParamsLogged):
            for key, value in event.params.items():
                tell(run, ("hparams", clean(key)), plain(value))
                if isinstance(value, int) and abs(value) > _LARGEST:
                    self._note(event.run, f"param {key}", "an integer of over 64 bits is text there")
        elif isinstance(event, TagsSet):
            self._tags(run, event)
        elif isinstance(event, DatasetLogged):
            tell(run, ("datasets", f"{clean(event.role)}/{clean(event.name)}"), plain(event.record.get("value") or ""))
        elif isinstance(event, ArtifactLogged | ModelLogged):
            self._file(run, event)
        elif isinstance(event, ProvenanceLogged):
            if event.kind == "code":
                for key in CODE:
                    if event.record.get(key):
                        tell(run, ("code", key), plain(event.record[key]))
        elif isinstance(event, RunStarted):
            self._begin(run, event)
        elif isinstance(event, RunEnded):
            self._end(run, event)

    def _begin(self, run: Any, event: RunStarted) -> None:
        tell, ours = self._repository.set, run.get("autotrack", {}) or {}
        if not event.resumed or "started_at" not in ours:
            run.name, run.experiment = clean(event.name), clean(event.project)
            about = {"run_id": event.run, "started_at": event.time / 1e9, "parent_id": event.parent}
            for key, value in (about | {"integration": event.integration}).items():
                if value is not None:
                    tell(run, ("autotrack", key), plain(value))
            for key, record in (("environment", event.environment), ("code", event.code)):
                for name, value in record.items():
                    tell(run, (key, clean(name)), plain(value))
        if event.time / 1e9 >= ours.get("ended_at", 0.0):
            # A start that is replayed comes before the end that is there.
            tell(run, ("autotrack", "status"), "running")
            run.meta_run_tree["end_time"] = None

    def _end(self, run: Any, event: RunEnded) -> None:
        tell = self._repository.set
        tell(run, ("autotrack", "status"), event.status)
        tell(run, ("autotrack", "ended_at"), event.time / 1e9)
        run.meta_run_tree["end_time"] = event.time / 1e9
        tell(run, ("autotrack", "error"), plain(event.error or {}))
        self._last.pop(event.run, None)

    def _points(self, run: Any, event: MetricsLogged) -> None:
        step = int(event.step)  # the forwarder has rounded what was fractional
        if not -(2**63) <= step < 2**63:
            raise BackendRejected(f"step {step} is beyond the 64 bits of Aim's steps")
        last = self._last.setdefault(event.run, {})
        for key, value in event.values.items():
            name = clean(key)
            if name in last and step <= last[name]:
                why = "Aim keeps one value of a series at a step: the newest"
                self._note(event.run, "points at a step that came before", why)
            last[name] = max(step, last.get(name, step))
            self._repository.track(run, name, step, event.time, value)

    def _tags(self, run: Any, event: TagsSet) -> None:
        for key, value in event.tags.items():
            name, text = clean(key), clean(value)
            before = run.get(("tags", name), None)
            if before is not None and before != text:
                run.remove_tag(_label(name, before))
            self._repository.set(run, ("tags", name), text)
            run.add_tag(_label(name, text))

    def _file(self, run: Any, event: ArtifactLogged | ModelLogged) -> None:
        kind = "model" if isinstance(event, ModelLogged) else "artifact"
        if event.digest is None:
            return  # the record says why nothing was kept
        source = self._context.blob(event.digest)
        if not source.is_file():
            self._note(event.run, f"{kind} {event.name}", "its file is not on this machine any more")
            return
        given = clean(event.name)
        name = path_of(f"models/{given}.{event.format}" if isinstance(event, ModelLogged) else given)
        try:
            self._repository.keep(run, name, source)
        except (NotADirectoryError, IsADirectoryError, FileExistsError):  # `a` is a file, and here comes `a/b`
            name = path_of(name, other=True)
            self._repository.keep(run, name, source)
        self._repository.set(run, ("autotrack", f"{kind}s", given), name)

    def _note(self, run: str, what: str, why: str) -> None:
        self._notes[run, clean(what), why] += 1


def path_of(name: str, *, other: bool = False) -> str:
    """The file's name below the artifacts of its run: `name` where that is a plain path, else one made of it."""
    steps = [step for step in re.split(r"[/\\]", name.replace("\0", "_")) if step not in ("", ".")]
    safe = "/".join("__" if step == ".." else step for step in steps) or "file"
    longest = max(len(step.encode()) for step in safe.split("/"))
    if safe == name and longest < 200 and not other:
        return name
    start, dot, end = safe.rpartition("/")[2].rpartition(".")
    return f"{(start or end)[:60]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}{dot}{end[:20] if start else ''}"


def _label(key: str, value: str) -> str:
    return f"{key}: {value}" if value else key


def plain(value: Any) -> Any:
    """A value that Aim's trees hold."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _LARGEST:
        return str(value)
    if isinstance(value, Mapping):
        return {clean(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float) else clean(str(value))


def clean(text: str) -> str:
    """Text without halves of characters, which no UTF-8 holds."""
    return text.encode(errors="backslashreplace").decode()
