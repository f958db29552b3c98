"""Where MLflow is observed: the methods of `MlflowClient`, which the functions of the module `mlflow` call as well.

A run that the user makes there is a run of ours. What the framework's own logger or MLflow's autologging sends of a
training that an integration records is left to that.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from typing import Any, Final

from autotrack.plugin import Call, Installation, Outcome, current, is_enabled, is_silent
from autotrack_mlflow.recording import NAME, Recording, begin

LOGGERS: Final = {
    **{name: name for name in ("accelerate", "catboost", "keras", "lightgbm", "optuna", "sklearn", "transformers")},
    **dict.fromkeys(("lightning", "lightning_fabric", "pytorch_lightning"), "lightning"),
    "trl": "transformers",
    "xgboost": "xgboost",
}
"""Packages whose own loggers feed MLflow, each with the integration that records the same."""

_AUTOLOGGING: Final = ("mlflow.utils.autologging_utils", "mlflow.tracking.client_queue")

_recordings: dict[str, Recording | None] = {}
"""By MLflow's id of the run; None for one that is left to an integration."""


def install(installation: Installation) -> None:
    """Place the observers; MLflow's client has been imported."""
    from mlflow.tracking.client import MlflowClient

    installation.on_remove(_recordings.clear)
    for name, observer in (
        ("create_run", watch_create_run),
        ("log_metric", watch_log_metric),
        ("log_param", watch_log_param),
        ("set_tag", watch_set_tag),
        ("log_batch", watch_log_batch),
        ("log_artifact", watch_log_artifact),
        ("log_artifacts", watch_log_artifacts),
        ("log_inputs", watch_log_inputs),
        ("update_run", watch_update_run),
        ("set_terminated", watch_set_terminated),
    ):
        installation.observe(MlflowClient, name, observer)


def watch_create_run(call: Call) -> Generator[None, Outcome, None]:
    """A run is made: by the user, or by what a training is recorded with."""
    left = is_silent() or _is_left()
    fluent = _is_fluent()
    outcome = yield
    if outcome.error is None:
        theirs = outcome.result
        _recordings[theirs.info.run_id] = None if left else begin(theirs, _recordings, inside=fluent)


def watch_log_metric(call: Call) -> Generator[None, Outcome, None]:
    """One point."""
    target = _target(call)
    outcome = yield
    if outcome.error is None and target is not None:
        given = _named(call, "run_id", "key", "value", "timestamp", "step")
        target.metrics({str(given.get("key")): given.get("value")}, given.get("step") or 0)


def watch_log_param(call: Call) -> Generator[None, Outcome, None]:
    """One param."""
    target = _target(call)
    outcome = yield
    if outcome.error is None and target is not None:
        given = _named(call, "run_id", "key", "value")
        target.params({str(given.get("key")): given.get("value")})


def watch_set_tag(call: Call) -> Generator[None, Outcome, None]:
    """One tag."""
    target = _target(call)
    outcome = yield
    if outcome.error is None and target is not None:
        given = _named(call, "run_id", "key", "value")
        target.tags({str(given.get("key")): given.get("value")})


def watch_log_batch(call: Call) -> Generator[None, Outcome, None]:
    """Points, params and tags at once."""
    target = _target(call)
    outcome = yield
    if outcome.error is not None or target is None:
        return
    given = _named(call, "run_id", "metrics", "params", "tags")
    row: dict[str, Any] = {}
    at = 0
    for metric in given.get("metrics") or ():
        if (metric.step or 0) != at or metric.key in row:
            target.metrics(row, at)
            row, at = {}, metric.step or 0
        row[metric.key] = metric.value
    target.metrics(row, at)
    target.params({param.key: param.value for param in given.get("params") or ()})
    target.tags({tag.key: tag.value for tag in given.get("tags") or ()})


def watch_log_artifact(call: Call) -> Generator[None, Outcome, None]:
    """A file or a folder; texts, figures and tables come this way too."""
    target = _target(call)
    if target is not None:  # before: who gave it may remove it soon
        given = _named(call, "run_id", "local_path", "artifact_path")
        target.files(given.get("local_path"), given.get("artifact_path"), keep_name=True)
    yield


def watch_log_artifacts(call: Call) -> Generator[None, Outcome, None]:
    """The files in a folder."""
    target = _target(call)
    if target is not None:
        given = _named(call, "run_id", "local_dir", "artifact_path")
        target.files(given.get("local_dir"), given.get("artifact_path"), keep_name=False)
    yield


def watch_log_inputs(call: Call) -> Generator[None, Outcome, None]:
    """Datasets, of which MLflow is told a digest of its own."""
    target = _target(call)
    outcome = yield
    if outcome.error is None and target is not None:
        for item in _named(call, "run_id", "datasets").get("datasets") or ():
            target.dataset(item.dataset.name, item.dataset.digest)


def watch_update_run(call: Call) -> Generator[None, Outcome, None]:
    """A run gets another status; that of one that goes on is running."""
    outcome = yield
    given = _named(call, "run_id", "status")
    recording = _recordings.get(str(given.get("run_id")))
    if outcome.error is None and recording is not None and given.get("status"):
        recording.status(str(given["status"]), sys.exc_info()[1])


def watch_set_terminated(call: Call) -> None:
    """The run ends; an exception that is being handled is what ended it."""
    given = _named(call, "run_id", "status")
    recording = _recordings.get(str(given.get("run_id")))
    if recording is not None:
        recording.status(str(given.get("status") or "FINISHED"), sys.exc_info()[1])


def _target(call: Call) -> Recording | None:
    """What the call is written into; None where it is left to an integration."""
    run_id = str(_named(call, "run_id").get("run_id"))
    if (is_silent() or _recordings.get(run_id) is not None) and _is_left():
        return None
    if run_id in _recordings:
        known = _recordings[run_id]
        if known is not None:
            return known
        # Of a training's own run there; what the script adds to it is added to ours.
        around = current()
        if is_silent() and around is not None and around.run is not None:
            return Recording(around.run, owns=False, not_to=[NAME], inside=False)
        return None
    if is_silent() or _is_left():
        return None
    _recordings[run_id] = known = begin(run_id, _recordings, inside=_is_fluent())
    return known


def _named(call: Call, *names: str) -> dict[str, Any]:
    return {**dict(zip(names, call.args[1:], strict=False)), **call.kwargs}


def _is_left() -> bool:
    """Whether an integration records the same: the call comes from its framework's own logger, or from autologging."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        package = module.partition(".")[0]
        if module.startswith(_AUTOLOGGING):
            return any(is_enabled(name) for name in set(LOGGERS.values()))
        if package in LOGGERS:
            return is_enabled(LOGGERS[package])
        if package not in ("mlflow", "autotrack", "autotrack_mlflow", "contextlib", "threading", "concurrent"):
            return False
        frame = frame.f_back
    return False


def _is_fluent() -> bool:
    """Whether `mlflow.start_run` makes the run: what trains until it ends is inside of it."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__") == "mlflow.tracking.fluent":
            return True
        frame = frame.f_back
    return False
