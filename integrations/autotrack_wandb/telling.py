"""One `.wandb` file as events: its records enter in their order, each leaves as what it is here.

Counted as not carried: values of the history that are no numbers, alerts, references and used artifacts, files that are
not there any more.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from autotrack.events import (
    AnyEvent,
    ArtifactLogged,
    ConsoleLogged,
    MetricsLogged,
    ModelLogged,
    ParamsLogged,
    Step,
    TagsSet,
)
from autotrack.importing import Keeping
from autotrack_wandb.names import STEP
from autotrack_wandb.reading import File, apply, exact, flat, path_of, records, value_of
from autotrack_wandb.schema import nanoseconds

_OWN = frozenset({"_step", "_timestamp", "_runtime", "_wandb"})
_AGGREGATES = frozenset({"min", "max", "mean", "best", "last", "first", "copy"})
_TOLD_ELSEWHERE = frozenset({"output.log", "config.yaml", "wandb-summary.json"})
_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class Telling:
    """Tells one file; `exit_code` and `ended` hold when it has."""

    def __init__(self, run: str, file: File, keeping: Keeping, config: dict[str, Any], offset: int) -> None:
        self.exit_code: int | None = None
        self.ended = file.started
        self._run = run
        self._file = file
        self._keeping = keeping
        self._ours: dict[str, Any] = config.get("autotrack", {})
        self._offset = offset
        self._time = file.started
        self._last_step: Step = 0
        self._steps_of: dict[str, str | None] = {}
        self._defined: dict[str, str] = {}
        self._globs: list[tuple[str, str]] = []
        self._seen: dict[str, float] = {}
        self._others: set[str] = set()
        self._samples = 0
        self._has_console = False
        self._told_files: set[str] = set()

    def events(self) -> Iterator[AnyEvent]:
        """Everything that the file holds."""
        summary: dict[str, Any] = {}
        for kind, fields in records(self._file.path, lambda what: self._keeping.not_carried("damaged records", what)):
            if kind == "history":
                yield from self._points(fields)
            elif kind == "metric":
                self._define(fields)
            elif kind == "run":
                yield from self._params(fields.get("config", {}))
            elif kind == "config":
                yield from self._params(fields)
            elif kind == "summary":
                apply(fields, summary)
            elif kind in ("output_raw", "output"):
                yield self._console(fields)
            elif kind == "stats":
                yield from self._samples_of(fields)
            elif kind == "files":
                self._told_files |= {file.get("path", "") for file in fields.get("files", ())}
            elif kind == "artifact":
                yield from self._artifact(fields)
            elif kind == "exit":
                if not fields.get("not_complete"):
                    self.exit_code = fields.get("exit_code", 0)
                self.ended = max(self._time, self._file.started + fields.get("runtime", 0) * 1_000_000_000)
            elif kind in ("alert", "use_artifact", "tbrecord", "output_logger"):
                self._keeping.not_carried(kind, "it has no place in a run")
        self.ended = max(self.ended, self._time)
        yield from self._summary(summary)
        yield from self._files()

    def _points(self, history: dict[str, Any]) -> Iterator[AnyEvent]:
        texts: dict[str, str] = {}
        row: dict[str, Any] = {}
        values: dict[str, float] = {}
        for item in history.get("item", ()):
            path = path_of(item)
            texts[".".join(path)] = item.get("value_json", "")
            if path[0] not in _OWN:
                apply({"update": (item,)}, row)
        for name, value in row.items():
            self._number(name, value, values)
        self._time = self._time_of(texts)
        own = history.get("step", {}).get("num", 0) + self._offset
        self._last_step = own
        by_step: dict[Step, dict[str, float]] = {}
        for name, value in values.items():
            if name == STEP and self._ours:
                continue
            column = self._step_of(name)
            step = exact(texts[column]) if column and column in texts else None
            by_step.setdefault(own if step is None else step, {})[self._original(name)] = value
            self._seen[name] = value
        for step, part in by_step.items():
            yield MetricsLogged(self._run, self._time, step, part)

    def _number(self, name: str, value: Any, values: dict[str, float]) -> None:
        if isinstance(value, int | float):
            values[name] = float(value)
        elif isinstance(value, str) and value in _NOT_FINITE:
            values[name] = _NOT_FINITE[value]
        elif isinstance(value, dict) and "_type" not in value:
            for key, one in value.items():
                self._number(f"{name}.{key}", one, values)
        elif value is not None and not _is_a_file(value):  # a file of the run is told with the others
            self._others.add(name)
            what = value["_type"] if isinstance(value, dict) else type(value).__name__
            self._keeping.not_carried(f"values of {name}", f"a {what} is no number")

    def _time_of(self, texts: dict[str, str]) -> int:
        for name, start in (("_timestamp", 0), ("_runtime", self._file.started)):
            seconds = exact(texts.get(name, ""))
            if seconds is not None:
                return start + int(Decimal(seconds) * 1_000_000_000)
        return self._time

    def _define(self, metric: dict[str, Any]) -> None:
        self._steps_of.clear()
        step = metric.get("step_metric", "").replace("\\.", ".")
        if metric.get("name"):
            self._defined[metric["name"].replace("\\.", ".")] = step
        elif metric.get("glob_name"):
            self._globs.append((metric["glob_name"], step))

    def _step_of(self, name: str) -> str | None:
        if name not in self._steps_of:
            found = self._defined.get(name)
            if found is None:
                found = next((step for glob, step in self._globs if fnmatchcase(name, glob)), None)
            self._steps_of[name] = found if found and found != name else None
        return self._steps_of[name]

    def _original(self, name: str) -> str:
        if not self._ours:
            return name
        if name.startswith("autotrack/user/"):
            return "autotrack/" + name.removeprefix("autotrack/user/")
        return name.removeprefix("autotrack/")

    def _params(self, changes: dict[str, Any]) -> Iterator[AnyEvent]:
        changed: dict[str, Any] = {}
        apply({"update": changes.get("update", ())}, changed)
        params = {}
        for key, value in flat({key: one for key, one in changed.items() if key != "_wandb"}).items():
            if key.startswith("autotrack.") and self._ours:
                continue
            scalar = isinstance(value, str | int | float) or value is None
            params[key] = value if scalar else json.dumps(value)
        if params:
            yield ParamsLogged(self._run, self._time, params)

    def _console(self, fields: dict[str, Any]) -> ConsoleLogged:
        self._has_console = True
        self._time = max(self._time, nanoseconds(fields.get("timestamp", {})))
        stream = "stdout" if fields.get("output_type") else "stderr"
        return ConsoleLogged(self._run, nanoseconds(fields.get("timestamp", {})), stream, fields.get("line", ""))

    def _samples_of(self, fields: dict[str, Any]) -> Iterator[AnyEvent]:
        values: dict[str, float] = {}
        for item in fields.get("item", ()):
            value = value_of(item)
            if isinstance(value, int | float):
                values[f"system/{item.get('key', '')}"] = float(value)
        if values:
            yield MetricsLogged(self._run, nanoseconds(fields.get("timestamp", {})), self._samples, values)
            self._samples += 1

    def _summary(self, summary: dict[str, Any]) -> Iterator[AnyEvent]:
        """What a script has put into the summary itself; what W&B computes from the points is not told again."""
        values: dict[str, float] = {}
        tags: dict[str, str] = {}
        for name, value in flat({key: one for key, one in summary.items() if key not in _OWN}).items():
            base, _, kind = name.rpartition(".")
            number = _NOT_FINITE.get(value, value) if isinstance(value, str) else value
            if name in self._seen and isinstance(number, int | float) and repr(float(number)) == repr(self._seen[name]):
                continue
            if kind in _AGGREGATES and base in self._seen or name in self._others or name == STEP and self._ours:
                continue
            if name in self._seen:
                self._keeping.not_carried(f"the summary of {name}", "it is another value than the last point's")
            elif isinstance(value, int | float):
                values[name] = float(value)
            elif isinstance(value, str):
                tags[f"summary.{name}"] = value
            elif value is not None and not _is_a_file(value):
                self._keeping.not_carried(f"the summary of {name}", "it is neither a number nor text")
        if values:
            yield MetricsLogged(self._run, self.ended, self._last_step, values)
        if tags:
            yield TagsSet(self._run, self.ended, tags)

    def _artifact(self, fields: dict[str, Any]) -> Iterator[AnyEvent]:
        name, manifest = fields.get("name", "artifact"), fields.get("manifest", {})
        try:
            metadata = json.loads(fields.get("metadata") or "{}")
        except ValueError:
            metadata = {}
        if manifest.get("manifest_file_path"):
            self._keeping.not_carried(f"artifact {name}", "its list of files lies outside of the .wandb file")
        for entry in manifest.get("contents", ()):
            path = entry.get("path", "")
            found = self._local(entry.get("local_path", ""))
            if entry.get("ref") or found is None:
                why = "it is a reference" if entry.get("ref") else "its file is not on this machine"
                self._keeping.not_carried(f"artifact {name}/{path}", why)
                continue
            digest, size = self._keeping.keep(found)
            if metadata.get("autotrack.run_id") and fields.get("type") == "model":
                step, signature = metadata.get("step"), metadata.get("signature")
                own = str(metadata.get("name"))
                form = str(metadata.get("format"))
                yield ModelLogged(self._run, self._time, own, form, digest, size, step, None, signature)
            else:
                yield ArtifactLogged(self._run, self._time, f"{name}/{path}", digest, size)

    def _local(self, path: str) -> Path | None:
        # Where the folder was moved since, what our own backend wrote lies below it all the same.
        for place in (Path(path), self._file.path.parent / "artifacts" / Path(path).name):
            if path and place.is_file():
                return place
        return None

    def _files(self) -> Iterator[AnyEvent]:
        names = {one["path"]: name for name, one in self._ours.get("artifacts", {}).items() if "path" in one}
        there: dict[str, Path] = {}
        if self._file.files.is_dir():
            for path in sorted(self._file.files.rglob("*")):
                if path.is_file():
                    there[path.relative_to(self._file.files).as_posix()] = path
        log = there.get("output.log")
        if log is not None and not self._has_console:
            yield ConsoleLogged(self._run, self.ended, "stdout", log.read_text("utf-8", "replace"))
        for name, path in there.items():
            if name not in _TOLD_ELSEWHERE:
                digest, size = self._keeping.keep(path)
                yield ArtifactLogged(self._run, self.ended, names.get(name, name), digest, size)
        for told in sorted(self._told_files):
            if told not in there and not any(fnmatchcase(name, told) for name in there):
                self._keeping.not_carried(f"file {told}", "it is not in the run's folder")


def _is_a_file(value: Any) -> bool:
    return isinstance(value, dict) and bool(value.get("path"))
