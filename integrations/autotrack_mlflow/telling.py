"""One run of MLflow's, told as the events that autotrack would have recorded.

What goes back to MLflow later is to be what it was: MLflow's own tags stay tags, datasets keep what MLflow knew of
them. Runs that autotrack itself had sent there are told as what they were.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from autotrack.events import (
    AnyEvent,
    ArtifactLogged,
    DatasetLogged,
    MetricsLogged,
    ModelLogged,
    ParamsLogged,
    RunEnded,
    RunStarted,
    Status,
    TagsSet,
)
from autotrack.importing import Keeping, run_id
from autotrack_mlflow.datasets import CONTEXT_TAG
from autotrack_mlflow.found import FoundInput, FoundModel, FoundRun, Point, decoded
from autotrack_mlflow.runs import PARAM_TAG

OURS: Final = "autotrack."
PARENT: Final = "mlflow.parentRunId"
NAME: Final = "mlflow.runName"

_STATUSES: Final[dict[str, Status]] = {"FINISHED": "finished", "FAILED": "failed", "KILLED": "killed"}


def told(found: FoundRun, keeping: Keeping) -> Iterator[AnyEvent]:
    """The events of one run, in the order of time."""
    run = run_id(f"mlflow:{found.id}")
    series = list(found.series())
    times = [time for _, points in series for time, _, _ in points]
    started = (found.started or min(times, default=0)) * 1_000_000
    tags = found.tags
    parent = tags.get(PARENT)
    name = found.name or tags.get(NAME) or found.id
    yield RunStarted(run, started, name, found.experiment, run_id(f"mlflow:{parent}") if parent else None, "mlflow")
    if found.params:
        yield ParamsLogged(run, started, dict(found.params))
    newest = {key.removeprefix(PARAM_TAG): text for key, text in tags.items() if key.startswith(PARAM_TAG)}
    if newest:  # what had replaced a param when autotrack sent it there
        yield ParamsLogged(run, started, dict(newest))
    kept = {key: text for key, text in tags.items() if not key.startswith(OURS) and key not in (PARENT, NAME)}
    own = {"run_id": found.id, "experiment_id": found.experiment_id, "url": found.address, "user": found.user}
    yield TagsSet(run, started, {**kept, **{f"autotrack.mlflow.{key}": text for key, text in own.items() if text}})
    for item in sorted(found.inputs, key=lambda one: (str(one.dataset.get("name")), str(one.dataset.get("digest")))):
        yield _dataset(run, started, item)  # sorted: a server gives them in any order
    yield from _points(run, series)
    last = max(started // 1_000_000, *times, found.ended or 0) if times else max(started // 1_000_000, found.ended or 0)
    yield from _files(run, last * 1_000_000, found, keeping)
    yield from _end(run, last * 1_000_000, found, keeping)


def _points(run: str, series: list[tuple[str, list[Point]]]) -> Iterator[MetricsLogged]:
    """All points in the order of their times; those of one time and step share an event."""
    ordered = sorted(
        ((time, step, index, key, value) for key, points in series for index, (time, step, value) in enumerate(points)),
        key=lambda item: item[:4],
    )
    now: tuple[int, int] | None = None
    values: dict[str, float] = {}
    for time, step, _, key, value in ordered:
        if now is not None and ((time, step) != now or key in values):
            yield MetricsLogged(run, now[0] * 1_000_000, now[1], values)
            values = {}
        now = (time, step)
        values[key] = value
    if now is not None:
        yield MetricsLogged(run, now[0] * 1_000_000, now[1], values)


def _dataset(run: str, time: int, item: FoundInput) -> DatasetLogged:
    held = {key: value for key, value in item.dataset.items() if key not in ("name", "digest")}
    more = {key: text for key, text in item.tags.items() if key != CONTEXT_TAG}
    record: dict[str, Any] = {"digest": item.dataset.get("digest", ""), "mlflow": {**held, "tags": more}}
    profile, source = decoded(held.get("profile")), decoded(held.get("source"))
    if isinstance(profile, dict) and "autotrack.source" in str(held.get("source")):  # autotrack's own whole record
        return DatasetLogged(run, time, item.tags.get(CONTEXT_TAG, ""), str(item.dataset.get("name", "")), profile)
    if isinstance(profile, dict) and isinstance(profile.get("num_rows"), int):
        record["n_rows"] = profile["num_rows"]
    if isinstance(source, dict) and isinstance(source.get("uri") or source.get("url"), str):
        record["source"] = {"path": source.get("uri") or source.get("url")}
    return DatasetLogged(run, time, item.tags.get(CONTEXT_TAG, ""), str(item.dataset.get("name", "")), record)


def _files(run: str, time: int, found: FoundRun, keeping: Keeping) -> Iterator[AnyEvent]:
    for path, file in found.files():
        if file is None:
            keeping.not_carried(f"artifact {path}", "it cannot be read from where MLflow keeps it")
            continue
        if path == "autotrack/run.json" or path.startswith("autotrack/") and OURS + "run_id" in found.tags:
            keeping.not_carried(f"artifact {path}", "autotrack made it of another record")
            continue
        digest, size = keeping.keep(file)
        yield ArtifactLogged(run, time, path, digest, size)
    for model in found.models():
        yield from _model(run, time, model, keeping)


def _model(run: str, time: int, model: FoundModel, keeping: Keeping) -> Iterator[AnyEvent]:
    ours, kept = model.tags.get("autotrack.digest"), model.tags.get("autotrack.format")
    files = []
    for path, file in model.files():
        if file is None:
            keeping.not_carried(
                f"file {path} of the model {model.name}", "it cannot be read from where MLflow keeps it"
            )
            continue
        if ours and kept and _digest(file) == ours:
            digest, size = keeping.keep(file)
            step = model.tags.get("autotrack.step")
            yield ModelLogged(run, time, model.name, kept, digest, size, _step(step))
            return
        files.append((path, file))
    for path, file in files:
        digest, size = keeping.keep(file)
        yield ArtifactLogged(run, time, f"{model.name}/{path}", digest, size)
    keeping.not_carried(
        f"the logged model {model.name}", "models have one file in a format that is known here: its files are artifacts"
    )


def _end(run: str, time: int, found: FoundRun, keeping: Keeping) -> Iterator[RunEnded]:
    status = _STATUSES.get(found.status)
    if status is None:  # it runs, or nobody has said how it ended
        if found.status not in ("RUNNING", ""):
            keeping.not_carried(f"the status {found.status}", "it is a running one here")
        return
    if found.tags.get(OURS + "status") == "pruned":
        status = "pruned"
    error = None
    message = found.tags.get(OURS + "error")
    if message:
        kind, _, text = message.partition(": ")
        error = {"type": kind, "message": text, "traceback": found.tags.get(OURS + "traceback", "")}
    yield RunEnded(run, found.ended * 1_000_000 if found.ended else time, status, error)


def _digest(file: Path | bytes) -> str:
    return hashlib.sha256(file if isinstance(file, bytes) else file.read_bytes()).hexdigest()


def _step(text: str | None) -> int | str | None:
    if text is None:
        return None
    return int(text) if text.lstrip("-").isdigit() else text


__all__ = ["told"]
