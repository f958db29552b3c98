"""Where W&B is observed: the calls by which a script tells it what happens. Its own work goes on untouched.

Inside a training that autotrack records already, the framework's own logger says what the integration says: its calls
are left alone. What the script itself logs there is added to the training's run.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

from autotrack.plugin import Call, Installation, Outcome, current, is_silent
from autotrack_wandb.recording import Recording, begin, flat, plain

LOGGERS = frozenset(
    {
        *("accelerate", "catboost", "keras", "lightgbm", "lightning", "lightning_fabric", "optuna"),
        *("pytorch_lightning", "sklearn", "transformers", "trl", "xgboost"),
    }
)
"""Packages whose own loggers feed W&B with what an integration records; `wandb.integration` is another."""

_recordings: weakref.WeakKeyDictionary[Any, Recording | None] = weakref.WeakKeyDictionary()


def install(installation: Installation) -> None:
    """Place the observers; wandb has been imported."""
    import wandb
    from wandb.sdk import wandb_config, wandb_run, wandb_summary

    installation.on_remove(_recordings.clear)
    installation.observe(wandb, "init", watch_init)
    run = wandb_run.Run
    for name, observer in (
        ("log", watch_log),
        ("define_metric", watch_define_metric),
        ("log_artifact", watch_log_artifact),
        ("save", watch_save),
        ("watch", watch_watch),
        ("_finish", watch_finish),
        ("__exit__", watch_exit),
    ):
        installation.observe(run, name, observer)
    config = wandb_config.Config
    for name in ("__setitem__", "__setattr__", "update", "setdefaults", "update_locked", "merge_locked"):
        installation.observe(config, name, watch_config)
    for name in ("__setitem__", "__setattr__", "update"):
        installation.observe(wandb_summary.SummaryDict, name, watch_summary)
    try:
        from wandb.sdk.lib.noop_run import NoopRun
    except ImportError:  # before 0.2x the methods of a disabled run are attributes of the object
        return
    # A disabled run has methods of its own.
    for name, observer in (
        ("log", watch_log),
        ("define_metric", watch_define_metric),
        ("log_artifact", watch_log_artifact),
        ("save", watch_save),
        ("watch", watch_watch),
        ("finish", watch_finish),
    ):
        installation.observe(NoopRun, name, observer)


def watch_init(call: Call) -> Generator[None, Outcome, None]:
    """A run begins, or the one that is open is given back."""
    silent = is_silent()
    outcome = yield
    theirs = outcome.result
    if outcome.error is not None or theirs is None:
        return
    known = _recordings.get(theirs)
    if known is None:
        _recordings[theirs] = known = None if silent else begin(theirs, _open_one())
    if known is not None:
        known.configure(plain(dict(theirs.config.items())))


def watch_log(call: Call) -> Generator[None, Outcome, None]:
    """A row of metrics."""
    by_framework = is_silent() and _is_of_a_framework()
    outcome = yield
    if outcome.error is not None:
        return
    given = dict(zip(("self", "data", "step", "commit"), call.args, strict=False)) | call.kwargs
    data, recording = given.get("data"), _recordings.get(call.args[0])
    if not isinstance(data, Mapping):
        return
    if recording is not None and recording.is_open:
        recording.log(data, given.get("step"), given.get("commit"), write=not by_framework)
    elif not by_framework and (around := current()) is not None and around.run is not None and is_silent():
        # The script's own points inside a training whose run this is not.
        around.run.log_metrics({key: value for key, value in flat(data).items() if _is_plain(value)}, given.get("step"))


def watch_define_metric(call: Call) -> None:
    """Which series is the x-axis of which."""
    recording = _recordings.get(call.args[0])
    if recording is not None:
        given = dict(zip(("self", "name", "step_metric"), call.args, strict=False)) | call.kwargs
        recording.define(given.get("name"), given.get("step_metric"))


def watch_config(call: Call) -> Generator[None, Outcome, None]:
    """The config has changed."""
    outcome = yield
    config: Any = call.args[0]
    if outcome.error is None:
        for theirs, recording in list(_recordings.items()):
            if recording is not None and recording.is_open and vars(theirs).get("_config") is config:
                recording.configure(plain(dict(config.items())))


def watch_summary(call: Call) -> Generator[None, Outcome, None]:
    """The user has put something into the summary."""
    given: Any = call.args[1:] or tuple(call.kwargs.values())
    outcome = yield
    if outcome.error is not None:
        return
    for theirs, recording in list(_recordings.items()):
        if recording is not None and recording.is_open and getattr(theirs, "summary", None) is call.args[0]:
            if len(given) == 2:  # an item
                recording.summary[str(given[0])] = given[1]
            elif given and isinstance(given[0], Mapping):
                recording.summary |= given[0]


def watch_log_artifact(call: Call) -> Generator[None, Outcome, None]:
    """The files of an artifact."""
    outcome = yield
    recording = _recordings.get(call.args[0])
    if outcome.error is not None or recording is None or not recording.is_open:
        return
    given = dict(zip(("self", "artifact_or_path", "name"), call.args, strict=False)) | call.kwargs
    source = given.get("artifact_or_path")
    entries = getattr(getattr(source, "manifest", None), "entries", None)
    if isinstance(entries, Mapping):
        files = [(Path(one.local_path), str(path)) for path, one in entries.items() if one.local_path]
        for path, one in entries.items():
            if not one.local_path:
                recording.run.note(f"artifact {getattr(source, 'name', '')}/{path}", "it is a reference")
        name = str(getattr(source, "name", "artifact")).partition(":")[0]
    elif source is not None:
        root = Path(str(source))
        name = str(given.get("name") or root.name)
        files = [(path, path.relative_to(root).as_posix()) for path in sorted(root.rglob("*")) if path.is_file()]
        files = files or ([(root, root.name)] if root.is_file() else [])
    else:
        return
    recording.folder([(path, within) for path, within in files if path.is_file()], name)


def watch_save(call: Call) -> Generator[None, Outcome, None]:
    """Files that are saved with the run."""
    outcome = yield
    recording = _recordings.get(call.args[0])
    if outcome.error is None and recording is not None and recording.is_open and isinstance(outcome.result, list):
        folder = Path(call.args[0].dir)
        for path in map(Path, outcome.result):
            if path.is_file():
                name = path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name
                recording.file(path, name)


def watch_watch(call: Call) -> None:
    """Histograms of gradients and weights are not recorded, and that is told."""
    recording = _recordings.get(call.args[0])
    if recording is not None and recording.is_open:
        recording.run.note("what wandb.watch shows", "histograms are not recorded")


def watch_finish(call: Call) -> None:
    """The run ends: before W&B's upload, which may take long."""
    recording = _recordings.get(call.args[0])
    if recording is not None:
        _take_disabled_summary(call.args[0], recording)
        code = call.args[1] if len(call.args) > 1 else call.kwargs.get("exit_code")
        recording.end(code if isinstance(code, int) else None, sys.exc_info()[1] if code else None)


def watch_exit(call: Call) -> None:
    """A `with` block of the run ends; an exception on its way out is what ended it."""
    recording = _recordings.get(call.args[0])
    if recording is not None:
        _take_disabled_summary(call.args[0], recording)
        recording.end(None, call.args[2] if len(call.args) > 2 else None)


def _take_disabled_summary(theirs: Any, recording: Recording) -> None:
    # A disabled run's summary holds all that was logged as well; those keys are passed over at the end.
    if isinstance(theirs.summary, dict):
        recording.summary |= theirs.summary


def _open_one() -> Recording | None:
    around = current()
    open_ones = [one for one in _recordings.values() if one is not None and one.is_open and one.owns]
    return next((one for one in open_ones if around is not None and one.run is around.run), None)


def _is_of_a_framework() -> bool:
    """Whether the call comes from a logger of the framework that trains, and not from the script."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        package = module.partition(".")[0]
        if package in LOGGERS or module.startswith("wandb.integration"):
            return True
        if package != "wandb" and not package.startswith("autotrack"):
            return False
        frame = frame.f_back
    return False


def _is_plain(value: Any) -> bool:
    return isinstance(value, int | float) or hasattr(value, "item")
