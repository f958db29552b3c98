"""Where accelerate is observed: the methods of `Accelerator` by which a script tells what it trains.

They run in every process of a job; what is seen in the main one alone is recorded. Where a tracker of ours is among the
accelerator's, it gets config and metrics itself, and the hooks add the rest.
"""

from __future__ import annotations

import os
import re
import sys
import weakref
from collections.abc import Generator
from pathlib import Path
from typing import Any

from autotrack.plugin import (
    Call,
    Installation,
    Outcome,
    Switch,
    checkpoint_saved,
    current,
    guarded,
    is_silent,
    run_behind_checkpoint,
    settings,
)
from autotrack_accelerate import naming
from autotrack_accelerate.recording import Recording, waiting, watch

_recordings: weakref.WeakKeyDictionary[Any, Recording] = weakref.WeakKeyDictionary()


def install(installation: Installation) -> None:
    """Place the observers; accelerate has been imported."""
    from accelerate.accelerator import Accelerator

    naming.install(installation)
    installation.on_remove(end_all)
    for name, observer in (
        ("init_trackers", watch_init_trackers),
        ("prepare", watch_prepare),
        ("log", watch_log),
        ("save_state", watch_save_state),
        ("load_state", watch_load_state),
        ("end_training", watch_end_training),
    ):
        installation.observe(Accelerator, name, observer)
    backward = installation.observe_at_times(Accelerator, "backward", lambda call: watch_backward(call, backward))
    watch.append(backward.on)
    installation.on_remove(watch.clear)
    if waiting:
        backward.on()


def watch_init_trackers(call: Call) -> Generator[None, Outcome, None]:
    """A training is about to begin."""
    accelerator, given = call.args[0], named(call, "project_name", "config", "init_kwargs")
    if not accelerator.is_main_process:
        return
    recording = _recordings.get(accelerator)
    if recording is None or recording.run is not None and not recording.is_open:
        end_those_before()
        recording = _remember(accelerator, Recording(accelerator))
    if given.get("project_name"):
        recording.project = str(given["project_name"])
    recording.configure(given.get("config"))
    recording.wait()
    if recording in waiting:
        recording.expect()
    outcome = yield
    tracker = _tracker(accelerator)
    if tracker is not None:
        _recordings[accelerator] = tracker.adopt(recording)
    elif outcome.error is not None:
        waiting.discard(recording)


def watch_prepare(call: Call) -> Generator[None, Outcome, None]:
    """What is prepared while the run goes on is added to it."""
    accelerator = call.args[0]
    recording = _recordings.get(accelerator)
    if recording is None:
        return
    outcome = yield
    if outcome.error is not None:
        return
    if recording.is_open:
        recording.prepared()
    elif recording in waiting:
        recording.expect()


def watch_backward(call: Call, backward: Switch) -> None:
    """The first backward pass begins the run that waits for it."""
    recording = _recording_of(call.args[0])
    if recording is not None and recording in waiting:
        recording.open()
    if not waiting:
        backward.off()


def watch_log(call: Call) -> None:
    """Metrics of the script's own."""
    accelerator = call.args[0]
    recording = _recordings.get(accelerator)
    if recording is None or recording.hears is not accelerator.trackers:  # a list that `init_trackers` makes anew
        recording = _hearing(accelerator)
        if recording is None:
            return
    given, more = call.args, call.kwargs  # for each row: by hand, which costs less than `named`
    recording.log(given[1] if len(given) > 1 else more["values"], given[2] if len(given) > 2 else more.get("step"))


def _hearing(accelerator: Any) -> Recording | None:
    """Who is told what the accelerator logs; None where nobody is, or a tracker of ours is told by it."""
    if not accelerator.is_main_process:
        return None
    recording = _recording_of(accelerator)
    if accelerator.trackers and _tracker(accelerator) is not None:
        return None
    if recording is None:
        if is_silent() and not _others():
            return None
        other = _others()
        if other is not None:
            return other
        recording = _remember(accelerator, Recording(accelerator))
    recording.hears = accelerator.trackers
    return recording


def watch_save_state(call: Call) -> Generator[None, Outcome, None]:
    """A state was saved: whoever loads it goes on with this run."""
    accelerator = call.args[0]
    recording = _recording_of(accelerator)
    if recording is None or not accelerator.is_main_process:
        return
    outcome = yield
    run = recording.open()
    if outcome.error is None and run is not None and outcome.result is not None:
        checkpoint_saved(run, outcome.result, recording.step)
        if settings().models == "all":
            recording.keep_models(recording.step if isinstance(recording.step, int) else None)


def watch_load_state(call: Call) -> Generator[None, Outcome, None]:
    """A state is loaded: a run that has not begun yet goes on with the one that saved it."""
    accelerator = call.args[0]
    if not accelerator.is_main_process or is_silent():
        return
    recording = _recording_of(accelerator)
    if recording is not None and recording.run is not None:
        return
    path = None
    with guarded("accelerate"):
        path = _state(accelerator, named(call, "input_dir").get("input_dir"))
    outcome = yield
    if outcome.error is None and path is not None:
        found = run_behind_checkpoint(path)
        if found is not None:
            (recording or _remember(accelerator, Recording(accelerator))).continues = found


def watch_end_training(call: Call) -> Generator[None, Outcome, None]:
    """The training has ended; where an exception is on its way out, it is what ended it."""
    accelerator = call.args[0]
    recording = _recording_of(accelerator)
    if recording is not None and accelerator.is_main_process:
        recording.finish(sys.exc_info()[1])
    return
    yield


def end_those_before() -> None:
    """End the run of an accelerator before, whose script did not: it would keep silent what comes."""
    other = _others()
    if other is not None:
        other.finish()


def end_all() -> None:
    """End every training: nobody watches any more how it ends."""
    waiting.clear()
    for recording in list(_recordings.values()):
        recording.finish()
    _recordings.clear()


def named(call: Call, *names: str) -> dict[str, Any]:
    """The arguments of a call by name, wherever they stood."""
    return {**dict(zip(names, call.args[1:], strict=False)), **call.kwargs}


def _others() -> Recording | None:
    """The training of any accelerator whose run is the innermost that is open here."""
    scope = current()
    if scope is None or scope.kind != "leaf":
        return None
    return next((one for one in list(_recordings.values()) if one.is_open and one.run is scope.run), None)


def _recording_of(accelerator: Any) -> Recording | None:
    recording = _recordings.get(accelerator)
    if recording is None:
        tracker = _tracker(accelerator)
        if tracker is not None and tracker.recording is not None:  # it began before anything was observed
            tracker.recording.accelerator = weakref.ref(accelerator)
            recording = _remember(accelerator, tracker.recording)
    return recording


def _remember(accelerator: Any, recording: Recording) -> Recording:
    _recordings[accelerator] = recording
    # A script that does not end its training lets go of the accelerator at some time, or the process ends.
    weakref.finalize(accelerator, _gone, recording).atexit = False
    return recording


def _gone(recording: Recording) -> None:
    with guarded("accelerate"):
        recording.finish()


def _tracker(accelerator: Any) -> Any:
    return next((one for one in accelerator.trackers if getattr(type(one), "name", None) == naming.NAME), None)


def _state(accelerator: Any, given: Any) -> Path | None:
    """The folder that `load_state` reads: as given, or the newest where accelerate names them itself."""
    if given is not None:
        return Path(os.path.expanduser(given))
    if not accelerator.project_configuration.automatic_checkpoint_naming:
        return None
    folders = list(Path(accelerator.project_dir, "checkpoints").iterdir())
    return max(folders, key=lambda folder: int((re.findall(r"\d+", folder.name) or ["-1"])[-1]), default=None)
