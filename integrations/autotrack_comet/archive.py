"""Making the offline experiment of a run that has ended, of all that its journals have told.

The archive is what `comet upload` reads (comet_ml 3.58: `offline.py`, `messages.py`, `schemas/`): `experiment.json`,
`messages.json` with one message a line, and the files that messages name, each file by one message alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from autotrack.gathering import FACTS, LINES, POINTS, Parts

TAKEN: Final = frozenset({"Name", "offline_experiment"})
"""Keys of others that mean something to Comet."""


@dataclass(frozen=True)
class Target:
    """Where archives go, and what Comet's variables say of them."""

    folder: Path
    workspace: str | None
    project: str | None


@dataclass
class Story:
    """What the facts of a run come to."""

    name: str
    project: str = "autotrack"
    parent: str | None = None
    integration: str | None = None
    status: str = "running"
    error: dict[str, Any] | None = None
    started: int | None = None
    ended: int | None = None
    code: dict[str, Any] = field(default_factory=dict)
    params: dict[str, tuple[int, Any]] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    datasets: dict[str, Any] = field(default_factory=dict)
    files: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    def hear(self, fact: dict[str, Any]) -> None:
        """One fact; they come in the order of time."""
        if (started := fact.get("started")) is not None:
            self.status, self.error, self.ended = "running", None, None
            if self.started is None or not started["resumed"]:
                self.started, self.integration = fact["at"], started["integration"]
                self.name, self.project, self.parent = started["name"], started["project"], started["parent"]
                self.code = {**started["code"], **self.code}
        elif (ended := fact.get("ended")) is not None:
            self.status, self.error, self.ended = ended["status"], ended["error"], fact["at"]
        elif (dataset := fact.get("dataset")) is not None:
            self.datasets[f"{dataset['role']}/{dataset['name']}"] = dataset["value"]
        elif (file := fact.get("file")) is not None:
            self.files[file["kind"], file["name"]] = {**file, "at": fact["at"]}
        else:
            self.params.update({key: (fact["at"], value) for key, value in fact.get("params", {}).items()})
            self.tags.update(fact.get("tags", {}))
            self.code.update(fact.get("code", {}))

    @property
    def message(self) -> str | None:
        """What went wrong, in one line."""
        if self.error is None:
            return "the run failed" if self.status == "failed" else None
        return f"{self.error.get('type', '')}: {self.error.get('message', '')}"


def experiment_key(run: str) -> str:
    """The key of a run's experiment: Comet wants 32 to 50 letters and digits."""
    return hashlib.sha256(f"autotrack comet\0{run}".encode()).hexdigest()[:32]


def make_archive(parts: Parts, run: str, target: Target) -> None:
    """Write the archive of a run, if the run has ended. Raises `OSError`."""
    with parts.turn(run):
        story = Story(run)
        for fact in sorted(parts.lines(run, FACTS), key=lambda fact: fact["at"]):
            story.hear(fact)
        if story.ended is None:
            return
        key = experiment_key(run)
        target.folder.mkdir(parents=True, exist_ok=True)
        draft = target.folder / f".{key}-{os.getpid()}"
        with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED, allowZip64=True) as archive:
            archive.writestr("experiment.json", json.dumps(_experiment(key, story, target)))
            with archive.open("messages.json", "w", force_zip64=True) as file:
                for number, (kind, payload) in enumerate(_messages(parts, run, story), 1):
                    line = {"payload": {**payload, "message_id": number}, "type": kind}
                    file.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
            for entry in story.files.values():
                archive.write(parts.root / run / "files" / entry["digest"], _file_name(key, entry))
        draft.replace(target.folder / f"{key}.zip")


def _experiment(key: str, story: Story, target: Target) -> dict[str, Any]:
    started = story.started if story.started is not None else story.ended
    return {
        "offline_id": key,
        "project_name": target.project or story.project,
        "workspace": target.workspace,
        "start_time": (started or 0) // 1_000_000,
        "stop_time": (story.ended or 0) // 1_000_000,
        "tags": list(dict.fromkeys(_line(f"{key}: {value}" if value else key) for key, value in story.tags.items())),
        # An experiment of this key is made once: sent again it is refused, not doubled.
        "resume_strategy": "create",
        "customer_error_reported": story.status == "failed",
        "customer_error_message": story.message if story.status == "failed" else None,
        "user_provided_experiment_key": True,
        "comet_start_sourced": False,
    }


def _messages(parts: Parts, run: str, story: Story) -> Iterator[tuple[str, dict[str, Any]]]:
    for key, value in _others(run, story).items():
        yield "log_other", {"key": key, "value": value}
    git = {"branch": story.code.get("branch"), "parent": story.code.get("commit"), "origin": story.code.get("remote")}
    if any(git.values()):
        yield "git_metadata", {"git_metadata": {"user": None, "root": None, **git}}
    if entry := story.code.get("entry") or story.code.get("script"):
        yield "file_name", {"file_name": str(entry)}
    for key, (at, value) in story.params.items():
        param = {"paramName": key, "paramValue": value, "step": None, "source": "manual"}
        yield "parameter_msg", {"local_timestamp": at // 1_000_000, "param": param}
    for line in parts.lines(run, POINTS):
        for key, value in line["points"]["values"].items():
            metric = {"metricName": key, "metricValue": value, "step": line["points"]["step"], "epoch": None}
            yield "metric_msg", {"local_timestamp": line["at"] // 1_000_000, "metric": metric}
    for line in sorted(parts.lines(run, LINES), key=lambda line: line["at"]):
        output = {"output": line["log"]["text"], "stderr": line["log"]["stream"] == "stderr"}
        yield "standard_output", {"local_timestamp": line["at"] // 1_000_000, **output}
    for file in story.files.values():
        yield "file_upload", _upload(experiment_key(run), file)


def _others(run: str, story: Story) -> dict[str, Any]:
    ours: dict[str, Any] = {"run_id": run, "status": story.status, "project": story.project}
    ours |= {"parent_id": story.parent, "integration": story.integration, "error": story.message}
    if story.error:
        ours["traceback"] = story.error.get("traceback")
    ours |= {f"dataset/{name}": value for name, value in story.datasets.items()}
    tags = {f"{key}_" if key in TAKEN else key: value for key, value in story.tags.items()}
    others = {f"autotrack.{key}": value for key, value in ours.items() if value is not None}
    return {"offline_experiment": True, "Name": story.name, **tags, **others}


def _upload(key: str, file: dict[str, Any]) -> dict[str, Any]:
    is_model = file["kind"] == "model"
    name = _line(f"{file['name']}.{file['format']}" if is_model else file["name"])
    extension = name.rpartition("/")[2].rpartition(".")[2] if "." in name.rpartition("/")[2] else None
    more = {"groupingName": file["name"], "type": "model-element"} if is_model else {}
    step = file.get("step")
    return {
        "additional_params": {
            "assetId": _file_name(key, file),
            "context": None,
            "extension": extension,
            "fileName": name,
            "overwrite": False,
            "runId": None,
            "step": int(Decimal(step)) if step is not None else None,
            **more,
        },
        "clean": True,
        "file_path": _file_name(key, file),
        "local_timestamp": file["at"] // 1_000_000,
        "metadata": {},
        "upload_type": "model-element" if is_model else "asset",
    }


def _line(text: str) -> str:
    """Text in one line: the schemas take no other in labels and names."""
    return " ".join(text.splitlines())


def _file_name(key: str, file: dict[str, Any]) -> str:
    """The file's name in the archive, and its id in Comet: `comet upload` removes a file once it is sent."""
    return hashlib.sha256(f"{key}\0{file['kind']}\0{file['name']}\0{file['digest']}".encode()).hexdigest()[:32]
