"""What a run's facts come to: the fields of its task, as `tasks.edit` and the offline session have them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from autotrack.gathering import FACTS, Parts
from autotrack_clearml.names import long_enough, param_name

OURS: Final = "autotrack"


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
    about: dict[str, Any] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    datasets: dict[str, Any] = field(default_factory=dict)
    files: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    def hear(self, fact: dict[str, Any]) -> None:
        """One fact; they come in the order of time."""
        if (started := fact.get("started")) is not None:
            self.status, self.error, self.ended = "running", None, None
            if self.started is None or not started["resumed"]:
                self.started = fact["at"]
                self.name, self.project = long_enough(started["name"]), long_enough(started["project"])
                self.parent = started["parent"]
                self.integration, self.about = started["integration"], started["about"]
                self.code = {**started["code"], **self.code}
        elif (ended := fact.get("ended")) is not None:
            self.status, self.error, self.ended = ended["status"], ended["error"], fact["at"]
        elif (dataset := fact.get("dataset")) is not None:
            self.datasets[f"{dataset['role']}/{dataset['name']}"] = dataset["value"]
        elif (file := fact.get("file")) is not None:
            self.files[file["kind"], file["name"]] = {**file, "at": fact["at"]}
        else:
            self.params.update(fact.get("params", {}))
            self.tags.update(fact.get("tags", {}))
            self.code.update(fact.get("code", {}))


def known(parts: Parts, run: str) -> Story:
    """The run as all its journals have told it."""
    story = Story(run)
    for fact in sorted(parts.lines(run, FACTS), key=lambda fact: fact["at"]):
        story.hear(fact)
    return story


def task_fields(run: str, story: Story, uris: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    """The fields of a run's task; of its files, those that have a place."""
    ours: dict[str, Any] = {"run_id": run, "status": story.status, "project": story.project}
    ours |= {"started_at_ns": story.started, "ended_at_ns": story.ended, "integration": story.integration}
    error = story.error or {}
    ours |= {"parent_id": story.parent, **{f"error.{key}": text for key, text in error.items()}}
    labels = [f"{key}: {value}" if value else key for key, value in story.tags.items()]
    if story.status != "finished":
        labels.append(story.status)
    comment = f"{error.get('type', '')}: {error.get('message', '')}" if error else ""
    code, command = story.code, story.about.get("command")
    entry = code.get("entry") or code.get("script") or ""
    if not entry and command:
        entry = " ".join(map(str, command)) if isinstance(command, list) else str(command)
    return {
        "name": story.name,
        "project_name": story.project,
        "type": "training",
        "comment": comment,
        "tags": list(dict.fromkeys(labels)),
        "execution": {"artifacts": _artifacts(story, uris), "parameters": {}, "model_desc": {}, "model_labels": {}},
        "hyperparams": {
            section: _section(section, values)
            for section, values in (
                ("General", story.params),
                ("Tags", story.tags),
                ("Datasets", story.datasets),
                (OURS, {key: value for key, value in ours.items() if value is not None}),
            )
            if values
        },
        "script": {
            "binary": f"python{story.about.get('python') or ''}",
            "repository": str(code.get("remote") or ""),
            "branch": str(code.get("branch") or ""),
            "version_num": str(code.get("commit") or ""),
            "entry_point": entry,
            "working_dir": ".",
            "requirements": {},
            "diff": "",
        },
    }


def _artifacts(story: Story, uris: Mapping[tuple[str, str], str]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for (kind, name), file in story.files.items():
        if (kind, name) not in uris:
            continue
        key = f"models/{name}" if kind == "model" else name
        while key in found:  # an artifact that is called like a model
            key += "_"
        found[key] = {
            "key": key,
            "type": "model" if kind == "model" else "custom",
            "mode": "output",
            "uri": uris[kind, name],
            "content_size": file["bytes"],
            "hash": file["digest"],
            "timestamp": file["at"] // 1_000_000_000,
            "type_data": {
                "content_type": file.get("media_type") or "application/octet-stream",
                "preview": f"{name} - {file['bytes']} bytes" + (f", {file['format']}" if kind == "model" else ""),
            },
        }
    return list(found.values())


def _section(section: str, values: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for key, value in values.items():
        name = param_name(key)
        while name in found:  # two names that differ in blanks alone
            name += "_"
        found[name] = _param(section, name, value)
    return found


def _param(section: str, name: str, value: Any) -> dict[str, str]:
    """A hyperparameter: its value as text, and the type that ClearML casts it back to. None has no type."""
    if isinstance(value, dict):
        text, kind = value["float"], "float"
    else:
        text, kind = ("", "") if value is None else (str(value), type(value).__name__)
    return {"section": section, "name": name, "value": text, "type": kind, "description": ""}


def scalars(at: int, points: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The events of points of one step, but for their task; `at` in nanoseconds."""
    for title, series, value in points["values"]:
        yield {
            "timestamp": at // 1_000_000,
            "type": "training_stats_scalar",
            "iter": points["step"],
            "metric": title,
            "variant": series,
            "value": value,
        }
