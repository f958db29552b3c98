"""One run that the user's own calls of W&B make, as it is written into a run of ours.

It is a container: what trains while it is open is recorded in it. Rows are written as they come; a value whose x-axis
(`define_metric`) comes later in the same row waits for it. Backend `wandb` does not get what W&B gets from the user.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autotrack.plugin import begin_leaf, current, enter_container, guarded, leave, resume, settings

if TYPE_CHECKING:
    from autotrack.run import Run

NAME = "wandb"
MOST_FILES = 1_000
MOST_BYTES = 1 << 30
"""Most that is copied of one artifact: its call has to wait for that."""


class Recording:
    """What is known of one run of W&B's while it is open."""

    def __init__(self, run: Run, *, owns: bool, not_to: Sequence[str]) -> None:
        self.run = run
        self.owns = owns
        self.not_to = not_to
        self.summary: dict[str, Any] = {}
        """What the user has put into the summary."""
        self._scope = enter_container(run) if owns else None
        self._step = 0
        self._config: dict[str, str] = {}
        self._steps_of: dict[str, str | None] = {}
        self._rules: list[tuple[str, str]] = []
        self._columns: set[str] = set()
        self._newest: dict[str, Any] = {}
        self._waiting: dict[str, Any] = {}
        self._logged: set[str] = set()
        """Names that rows have had: their newest value is in the summary by itself."""
        run.when_ended.append(self._left)

    @property
    def is_open(self) -> bool:
        """Whether the run goes on."""
        return self.run.status == "running"

    def configure(self, config: Mapping[str, Any]) -> None:
        """Record what is new in the config, or has changed."""
        changed = {}
        for key, value in config.items():
            text = repr(value)
            if self._config.get(key) != text:
                self._config[key] = text
                changed[str(key)] = value
        if changed:
            self.run.log_params(changed)

    def define(self, name: Any, step_metric: Any) -> None:
        """`define_metric`: series whose name matches have this other series as x-axis."""
        step = getattr(step_metric, "name", step_metric)
        if step:
            self._rules.append((str(name).replace("\\.", "."), str(step).replace("\\.", ".")))
            self._columns.add(self._rules[-1][1])
            self._steps_of.clear()

    def log(self, data: Mapping[str, Any], step: Any, commit: bool | None, *, write: bool = True) -> None:
        """`run.log`: a row, or a part of one. With `write=False` one that a framework's integration records."""
        values = flat(data)
        self._logged |= values.keys()
        if step is not None and step != self._step:
            self._flush()
            self._step = max(self._step, step)
        commits = commit if commit is not None else step is None
        self._newest |= {name: value for name, value in values.items() if name in self._columns}
        at_once: dict[Any, dict[str, Any]] = {}
        for name, value in values.items() if write else ():
            column = self._step_of(name)
            if column is not None and column not in values and not commits:
                self._waiting[name] = value
            else:
                at_once.setdefault(self._at(column, step), {})[name] = value
        for at, row in at_once.items():
            self._write(row, at)
        if commits:
            self._flush()
            self._step = max(self._step, step if step is not None else self._step) + 1

    def file(self, path: Any, name: str) -> None:
        """A file of the user's."""
        self.run.log_artifact(path, name)

    def folder(self, files: Sequence[tuple[Path, str]], name: str) -> None:
        """The files of an artifact, where they are not too many or too large."""
        size = sum(path.stat().st_size for path, _ in files)
        if len(files) > MOST_FILES or size > MOST_BYTES:
            self.run.note(f"artifact {name}", f"{len(files)} files of {size} bytes are too much to copy")
            return
        for path, within in files:
            self.file(path, f"{name}/{within}")

    def end(self, exit_code: int | None = None, error: BaseException | None = None) -> None:
        """End the run, or what W&B adds to it."""
        if not self.is_open:
            return
        with guarded(NAME):
            self._flush()
            self._summarize()
        if self.owns:
            failed = error is not None or bool(exit_code)
            killed = exit_code == 255 or error is not None and not isinstance(error, Exception)
            self.run.end("killed" if killed else "failed" if failed else "finished", error)
        else:
            self._left()

    def _at(self, column: str | None, step: Any) -> Any:
        newest: Any = self._newest.get(column) if column is not None else None
        newest = newest.item() if hasattr(newest, "item") else newest
        if isinstance(newest, int | float) and math.isfinite(newest):
            return newest
        return step if step is not None else self._step

    def _step_of(self, name: str) -> str | None:
        if name not in self._steps_of:
            # As W&B looks them up: one that is defined by its name comes before patterns.
            exact = [step for rule, step in self._rules if rule == name]
            found = exact or [step for rule, step in self._rules if fnmatchcase(name, rule)]
            self._steps_of[name] = found[-1] if found and found[-1] != name else None
        return self._steps_of[name]

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, {}
        rows: dict[Any, dict[str, Any]] = {}
        for name, value in waiting.items():
            rows.setdefault(self._at(self._step_of(name), None), {})[name] = value
        for at, row in rows.items():
            self._write(row, at)

    def _write(self, row: dict[str, Any], step: Any) -> None:
        numbers = {name: value for name, value in row.items() if not self._media(name, value, step)}
        if numbers:
            self.run.log_metrics(numbers, step, not_to=self.not_to)

    def _media(self, name: str, value: Any, step: Any) -> bool:
        """Record what is no number; whether it is none."""
        path = getattr(value, "_path", None)
        if isinstance(path, str) and Path(path).is_file():
            self.file(path, f"media/{name}_{step}{Path(path).suffix}")
        elif callable(getattr(value, "savefig", None)):
            self.run.log_figure(value, f"media/{name}_{step}.png")
        elif type(value).__module__.partition(".")[0] == "wandb" or isinstance(value, str | list | tuple):
            self.run.note(f"values of {name}", f"a {type(value).__name__} is not a number")
        else:
            return value is None
        return True

    def _summarize(self) -> None:
        """What the user has put into the summary; the newest point of a series is there anyway."""
        own = {key: value for key, value in flat(self.summary).items() if key not in self._logged}
        texts = {f"summary.{key}": value for key, value in own.items() if isinstance(value, str)}
        numbers = {key: value for key, value in own.items() if _is_number(value)}
        if texts:
            self.run.set_tags(texts)
        if numbers:
            self.run.log_metrics(numbers, max(0, self._step - 1), not_to=self.not_to)

    def _left(self) -> None:
        scope, self._scope = self._scope, None
        if scope is not None:
            leave(scope)


def begin(theirs: Any, before: Recording | None) -> Recording | None:
    """Begin to record a run of W&B's: in the run that is open around it, else in one of its own.

    `before` is the recording of another run of W&B's that may be open: what comes is no part of that.
    """
    around = current()
    scopes: Any = None
    if around is not None and before is not None and around.run is before.run:
        scopes = ()
    details = {
        "not_to": [NAME],
        "project": None if settings().project else theirs.project,
    }
    name = theirs.name or theirs.id
    if scopes is None:
        leaf = begin_leaf(NAME, name=name, **details)
        if leaf is not None:
            leaf.leave()  # trainings while it is open are recorded too: it is a container
    else:
        with resume(scopes):
            leaf = begin_leaf(NAME, name=name, **details)
            if leaf is not None:
                leaf.leave()
    if leaf is None:
        return None
    recording = Recording(leaf.run, owns=leaf.owns, not_to=leaf.not_to)
    tags = dict.fromkeys(map(str, theirs.tags or ()), "true")
    told = {"id": theirs.id, "group": theirs.group, "job_type": theirs.job_type, "notes": theirs.notes}
    tags |= {f"wandb.{key}": str(value) for key, value in {**told, "url": theirs.url}.items() if value}
    leaf.run.set_tags(tags)
    return recording


def flat(data: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """A row with nested values under dotted names, as W&B shows them."""
    found: dict[str, Any] = {}
    for key, value in data.items():
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{before}{key}.")
        else:
            found[f"{before}{key}"] = value
    return found


def plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config as params: lists as JSON."""
    return {
        key: json.dumps(value, default=str) if isinstance(value, list | tuple) else value
        for key, value in flat(config).items()
    }


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) or hasattr(value, "item") and getattr(value, "ndim", 1) == 0
