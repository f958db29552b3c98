"""One `.wandb` file: what one journal tells of one run, from its first event to the run's end.

Events enter, records leave, numbered and framed. A run that goes on after its end, or in another process, goes on in
another file of the same run id, as the SDK's own resumed runs do: `wandb sync` puts them together.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from autotrack.appended import Appended
from autotrack.events import ConsoleLogged, MetricsLogged, RunEnded, RunStarted, Step
from autotrack.protobuf import sized
from autotrack_wandb.log import HEADER, framed
from autotrack_wandb.names import STEP, ConfigPaths, defined_name, item, label, metric_name
from autotrack_wandb.place import Place
from autotrack_wandb.schema import HISTORY, RECORD, timestamp
from autotrack_wandb.wire import encode

EXIT_CODES: Final = {"finished": 0, "pruned": 0, "failed": 1, "killed": 255}
"""What the SDK ends a run with after an exception is 1, after Ctrl-C 255. What was pruned has ended in order."""
MIN_CONSUMER: Final = "0.70.0"
"""The oldest server that the SDK's own files of this format ask for."""
LONGEST_NAME: Final = 128


@dataclass
class Known:
    """What must be known of a run to go on with its file, kept in the delivery's state as JSON."""

    folder: str = ""
    """Empty while no file is open."""
    parts: int = 0
    began: int = 0
    """When this file's first event was, in nanoseconds."""
    step: int = 0
    """W&B's own step of the next row."""
    number: int = 0
    """Of the last record."""
    defined: list[str] = field(default_factory=list)
    config: dict[str, list[str]] = field(default_factory=dict)
    name: str = ""
    project: str = ""
    parent: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    commit: str = ""
    remote: str = ""


class Part:
    """The file that is written now; `known` changes with it and counts when the batch is held."""

    def __init__(self, file: Appended, run: str, known: Known, place: Place) -> None:
        self.file = file
        self.run = run
        self.known = known
        self._place = place
        self._buffer = bytearray()
        self._defined = set(known.defined)
        self._config = ConfigPaths(known.config)
        self._last: dict[str, str] = {}
        self._names: dict[str, bytes] = {}
        self._changes: list[dict[str, Any]] = []

    def begin(self, producer: str, started: RunStarted | None) -> None:
        """Write what a file begins with."""
        self._buffer += HEADER
        self._write("header", {"version_info": {"producer": producer, "min_consumer": MIN_CONSUMER}})
        environment = started.environment if started else {}
        about: dict[str, Any] = {"run_id": self.run, "project": self.known.project}
        if started is not None:
            about |= {"integration": started.integration, "parent_id": started.parent}
        config = [item(["autotrack", key], json.dumps(value)) for key, value in about.items() if value]
        record = self._run_record() | {
            "config": {"update": [item("_wandb", "{}"), *config]},
            "host": str(environment.get("host", "")),
            "resumed": started is None or started.resumed,
        }
        self._write("run", record)
        if started is not None:
            self._write("environment", self._environment(started))
        self._write("metric", {"name": STEP, "options": {"hidden": True, "defined": True}})

    def begin_again(self, started: RunStarted) -> None:
        """The run's name and place are known now."""
        about = {"project": started.project, "integration": started.integration, "parent_id": started.parent}
        for key, value in about.items():
            if value:
                self.tell([key], value)
        self._write("run", self._run_record())

    def points(self, event: MetricsLogged) -> None:
        """A row of the history. Its step is W&B's own count; the true one is in a column."""
        known = self.known
        row = {metric_name(key): number_json(value) for key, value in event.values.items()}
        for name in row:
            if name not in self._defined:
                self._defined.add(name)
                known.defined.append(name)
                options = {"step_sync": True, "defined": True}
                self._write("metric", {"name": defined_name(name), "step_metric": STEP, "options": options})
        row[STEP] = step_json(event.step)
        row["_timestamp"] = f"{event.time // 1_000_000_000}.{event.time % 1_000_000_000:09d}"
        row["_runtime"] = repr(self._runtime(event.time))
        row["_step"] = str(known.step)
        self._write_row(row)
        known.step += 1
        self._last |= row

    def params(self, params: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Params are config; gives those that are called otherwise there."""
        renamed = []
        for key, value in params.items():
            path = self._config.of(key)
            if ".".join(path) != key:
                renamed.append((key, path[-1]))
            self._changes.append(item(path, json.dumps(value)))
        return renamed

    def tags(self, tags: Mapping[str, str]) -> None:
        """Tags are W&B tags, and whole in the config."""
        self.known.tags |= tags
        self._changes += [item(["autotrack", "tags", key], json.dumps(value)) for key, value in tags.items()]
        self._flush_config()
        self._write("run", self._run_record())

    def tell(self, path: list[str], value: Any) -> None:
        """Something of our own in the config, below `autotrack`."""
        self._changes.append(item(["autotrack", *path], json.dumps(value, default=str)))

    def console(self, event: ConsoleLogged) -> None:
        """What the process wrote."""
        kind = 1 if event.stream == "stdout" else 0
        self._write("output_raw", {"output_type": kind, "timestamp": timestamp(event.time), "line": event.text})

    def git(self, commit: str, remote: str) -> None:
        """The commit that the code is at."""
        if (commit, remote) != (self.known.commit, self.known.remote):
            self.known.commit, self.known.remote = commit, remote
            self._write("run", self._run_record())

    def uploads(self, path: str) -> None:
        """A file below `files` belongs to the run; it is sent when the run ends."""
        self._write("files", {"files": [{"path": path, "policy": 1}]})

    def artifact(self, record: Mapping[str, Any]) -> None:
        """An artifact of W&B's."""
        self._write("artifact", record)

    def end(self, event: RunEnded) -> None:
        """The run's outcome, the last record of the file."""
        self.tell(["status"], event.status)
        if event.error:
            self.tell(["error"], event.error)
        self.summarize()
        runtime = max(0, int(self._runtime(event.time)))
        self._write("exit", {"exit_code": EXIT_CODES[event.status], "runtime": runtime})

    def leave(self) -> None:
        """The journal ends, and the run goes on elsewhere."""
        self.summarize()
        self._write("exit", {"not_complete": True})

    def summarize(self) -> None:
        """Write the newest values: of the config, and of each metric into the summary."""
        self._flush_config()
        if self._last:
            self._write("summary", {"update": [item([name], value) for name, value in self._last.items()]})
            self._last = {}

    def flush(self) -> None:
        """Write out what is gathered. Raises `BackendUnavailable`."""
        self.summarize()
        self.file.append(bytes(self._buffer))
        self._buffer.clear()

    def _flush_config(self) -> None:
        if self._changes:
            self._write("config", {"update": self._changes})
            self._changes = []

    def _write(self, kind: str, values: Mapping[str, Any]) -> None:
        if kind != "config":
            self._flush_config()
        self.known.number += 1
        payload = encode(RECORD, {"num": self.known.number, kind: values, "_info": {"stream_id": self.run}})
        self._buffer += framed(payload, self.file.length + len(self._buffer))

    def _write_row(self, row: Mapping[str, str]) -> None:
        # As `_write` would: most records are rows, and this takes a third of the time.
        self._flush_config()
        self.known.number += 1
        items = b"".join(sized(1, self._name(name) + sized(16, value.encode())) for name, value in row.items())
        history = items + encode(HISTORY, {"step": {"num": self.known.step}})
        around = encode(RECORD, {"num": self.known.number, "_info": {"stream_id": self.run}})
        self._buffer += framed(around + sized(2, history), self.file.length + len(self._buffer))

    def _name(self, name: str) -> bytes:
        found = self._names.get(name)
        if found is None:
            found = self._names[name] = sized(2, name.encode("utf-8", "replace"))
        return found

    def _run_record(self) -> dict[str, Any]:
        known, place = self.known, self._place
        labels = [*place.tags, *(label(key, value) for key, value in known.tags.items())]
        record: dict[str, Any] = {
            "run_id": self.run,
            "entity": place.entity,
            "project": place.project_of(known.project),
            "run_group": place.group or known.parent or "",
            "job_type": place.job_type,
            "display_name": known.name[:LONGEST_NAME],
            "notes": place.notes,
            "tags": list(dict.fromkeys(labels)),
            "start_time": timestamp(known.began),
        }
        if known.commit:
            record["git"] = {"remote_url": known.remote, "commit": known.commit}
        return record

    def _environment(self, started: RunStarted) -> dict[str, Any]:
        environment, code = started.environment, started.code
        command = environment.get("command")
        record: dict[str, Any] = {
            "os": environment.get("system"),
            "python": environment.get("python"),
            "started_at": timestamp(started.time),
            "args": [str(one) for one in command[1:]] if isinstance(command, list) else [],
            "program": code.get("script"),
            "root": environment.get("working_folder"),
            "host": environment.get("host"),
            "username": environment.get("user"),
            "executable": environment.get("executable"),
            "writer_id": self.run,
        }
        found = {key: value if key in ("started_at", "args") else str(value) for key, value in record.items() if value}
        if isinstance(environment.get("processors"), int):
            found["cpu_count_logical"] = environment["processors"]
        return found

    def _runtime(self, time: int) -> float:
        return (time - self.known.began) / 1e9


def known_from(kept: Mapping[str, Any] | None) -> Known:
    """What the state says; its lists and dicts are copied, since a batch may have to come again."""
    return Known(**copy.deepcopy(dict(kept))) if kept else Known()


def to_keep(known: Known) -> dict[str, Any]:
    """For the state: what is not as it is at first."""
    return {key: value for key, value in asdict(known).items() if value}


def number_json(value: float) -> str:
    """A number as W&B writes it: NaN and infinities as JavaScript has them."""
    if math.isfinite(value):
        return repr(float(value))
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def step_json(step: Step) -> str:
    """A step, exact: an integer or a decimal fraction."""
    return str(step)
