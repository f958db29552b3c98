"""The importer: runs of W&B from its own files, as the events that autotrack would have recorded.

The files of one run id are one run, in the order of their starts. Steps are those of the metric that `define_metric`
names for a series, else W&B's own; times are the original ones. What our own backend wrote comes back as it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from heapq import merge
from pathlib import Path
from typing import Any

from autotrack.errors import UsageError
from autotrack.events import AnyEvent, DatasetLogged, RunEnded, RunStarted, Status, TagsSet
from autotrack.importing import ForeignRun, Keeping, run_id
from autotrack_wandb.reading import File, apply, files_in, records
from autotrack_wandb.schema import OUTLINE
from autotrack_wandb.telling import Telling


class Importer:
    """Reads `.wandb` files, without the SDK."""

    def runs(self, place: str, options: Mapping[str, str]) -> Iterator[ForeignRun]:
        """The runs below `place`. Raises `UsageError` where there are none; there are no options."""
        if options:
            raise UsageError(f"importing from wandb has no option {next(iter(options))!r}")
        runs: dict[str, list[File]] = {}
        for file in files_in(Path(place).expanduser()):
            runs.setdefault(file.identity, []).append(file)
        for identity, files in runs.items():
            yield _foreign(identity, files)


def _foreign(identity: str, files: list[File]) -> ForeignRun:
    origin = f"wandb:{identity}"

    def events(keeping: Keeping) -> Iterator[AnyEvent]:
        yield from _events(run_id(origin), files, keeping)

    name = next((name for file in files if (name := file.run.get("display_name"))), identity.rpartition("/")[2])
    return ForeignRun(origin, name, events)


def _events(run: str, files: list[File], keeping: Keeping) -> Iterator[AnyEvent]:
    about, offsets = _about(files)
    yield _started(run, files[0], about)
    tellings = [Telling(run, file, keeping, about["config"], offsets[file.path]) for file in files]
    streams = [telling.events() for telling in tellings]
    last = files[0].started
    for event in merge(*streams, key=lambda event: event.time):
        last = max(last, event.time)
        yield event
    tags = _tags(about)
    if tags:
        yield TagsSet(run, last, tags)
    ours = about["config"].get("autotrack", {})
    for role, names in ours.get("datasets", {}).items():
        for name, record in names.items():
            yield DatasetLogged(run, last, role, name, record)
    codes = [telling.exit_code for telling in tellings if telling.exit_code is not None]
    ended = max([last, *(telling.ended for telling in tellings)])
    if codes:
        status = ours.get("status") or _status(codes[-1])
        yield RunEnded(run, ended, status, ours.get("error"))
    else:
        keeping.not_carried("the end", "the file does not have one: its process was killed, or goes on")
        yield RunEnded(run, ended, "killed", None)


def _about(files: list[File]) -> tuple[dict[str, Any], dict[Path, int]]:
    """What all the records of a run and its config come to, and what W&B's own steps in each file are counted from.

    A file that goes on with a run counts its rows from 0 again; `wandb sync` has them follow each other.
    """
    about: dict[str, Any] = {"config": {}, "environment": {}}
    offsets: dict[Path, int] = {}
    next_step = 0
    for file in files:
        first = last = None
        for kind, fields in records(file.path, lambda what: None, OUTLINE):
            if kind == "history":
                last = fields.get("step", {}).get("num", 0)
                first = last if first is None else first
            elif kind == "run":
                apply(fields.get("config", {}), about["config"])
                about |= {key: value for key, value in fields.items() if value and key not in ("config", "summary")}
            elif kind == "config":
                apply(fields, about["config"])
            else:
                about["environment"] = {**about["environment"], **fields}
        offsets[file.path] = next_step if first is not None and first < next_step else 0
        if last is not None:
            next_step = last + offsets[file.path] + 1
    return about, offsets


def _started(run: str, first: File, about: dict[str, Any]) -> RunStarted:
    ours = about["config"].get("autotrack", {})
    environment, git = about["environment"], about.get("git") or about["environment"].get("git", {})
    told = {
        "host": about.get("host") or environment.get("host"),
        "system": environment.get("os"),
        "python": environment.get("python"),
        "executable": environment.get("executable"),
        "working_folder": environment.get("root"),
        "user": environment.get("username"),
        "processors": environment.get("cpu_count_logical"),
        "command": [environment["program"], *environment.get("args", ())] if environment.get("program") else None,
    }
    code = {"script": environment.get("program"), "commit": git.get("commit"), "remote": git.get("remote_url")}
    parent = ours.get("parent_id")
    place = f"{about.get('entity', '')}/{about.get('project', '')}"
    return RunStarted(
        run,
        first.started,
        about.get("display_name") or about["run_id"],
        ours.get("project") or about.get("project") or "wandb",
        run_id(f"wandb:{place}/{parent}") if parent else None,
        ours.get("integration") or "wandb",
        {key: value for key, value in told.items() if value},
        {key: value for key, value in code.items() if value},
    )


def _tags(about: dict[str, Any]) -> dict[str, str]:
    ours = about["config"].get("autotrack", {})
    tags = {str(key): str(value) for key, value in ours.get("tags", {}).items()}
    if not ours:
        tags |= dict.fromkeys(about.get("tags", ()), "true")
    entity, project, name = about.get("entity", ""), about.get("project", ""), about["run_id"]
    told = {
        "id": name,
        "entity": entity,
        "project": project,
        "group": about.get("run_group"),
        "job_type": about.get("job_type"),
        "notes": about.get("notes"),
        "sweep": about.get("sweep_id"),
        "url": f"https://wandb.ai/{entity}/{project}/runs/{name}" if entity else None,
    }
    return tags | {f"wandb.{key}": str(value) for key, value in told.items() if value}


def _status(code: int) -> Status:
    if code == 0:
        return "finished"
    return "killed" if code == 255 else "failed"
