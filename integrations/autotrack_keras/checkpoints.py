"""Which run a checkpoint came from, so that a training that goes on from it goes on with that run.

Files that `ModelCheckpoint` and `BackupAndRestore` have written are remembered; so is, for each model, the file that it
or its weights were loaded from. To go on is: a backup that is there to be restored, or a loaded model and an
`initial_epoch`.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from autotrack.plugin import Call, Installation, Outcome, guarded, is_silent, run_behind_checkpoint
from autotrack_keras.arguments import callbacks_in
from autotrack_keras.recording import Recording, now

_loaded: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
"""The file that a model was loaded from."""


def install(installation: Installation) -> None:
    """Observe how checkpoints are written and read."""
    from keras.callbacks import BackupAndRestore, ModelCheckpoint
    from keras.src.saving import saving_lib

    for owner, name, observer in (
        (ModelCheckpoint, "_save_model", watch_checkpoint),
        (BackupAndRestore, "_save_model", watch_backup),
        (saving_lib, "load_model", watch_load_model),
        (saving_lib, "load_weights_only", watch_load_weights),
    ):
        if hasattr(owner, name):
            installation.observe(owner, name, observer)


def continued(model: Any, given: Mapping[str, Any]) -> str | None:
    """The id of the run that a `fit` goes on with; None for a training of its own."""
    from keras.callbacks import BackupAndRestore

    for callback in callbacks_in(given.get("callbacks")):
        if isinstance(callback, BackupAndRestore) and os.path.isfile(callback._weights_path):
            return run_behind_checkpoint(callback._weights_path)
    path = _loaded.get(model)
    if path is not None and given.get("initial_epoch"):
        return run_behind_checkpoint(path)
    return None


def watch_checkpoint(call: Call) -> Generator[None, Outcome, None]:
    """`ModelCheckpoint` decides whether to write a file, and writes it."""
    recording = now()
    if not isinstance(recording, Recording):
        return
    callback = call.args[0]
    given = call.named()
    try:
        path = str(callback._get_file_path(given["epoch"], given["batch"], given["logs"] or {}))
    except Exception:  # a template that Keras cannot fill either, and says so
        return
    before = _state(path)
    outcome = yield
    if outcome.error is None and _state(path) != before:
        recording.saved(callback, path, int(given["epoch"]))


def watch_backup(call: Call) -> Generator[None, Outcome, None]:
    """`BackupAndRestore` writes its file."""
    recording = now()
    if not isinstance(recording, Recording):
        return
    callback = call.args[0]
    outcome = yield
    if outcome.error is None and os.path.isfile(callback._weights_path):
        recording.saved(callback, callback._weights_path, int(callback._current_epoch))


def watch_load_model(call: Call) -> Generator[None, Outcome, None]:
    """`load_model` of a `.keras` file."""
    if is_silent():
        return
    outcome = yield
    if outcome.error is None:
        _remember(outcome.result, call.named().get("filepath"))


def watch_load_weights(call: Call) -> Generator[None, Outcome, None]:
    """`model.load_weights`."""
    if is_silent():
        return
    outcome = yield
    if outcome.error is None:
        given = call.named()
        _remember(given.get("model"), given.get("filepath"))


def _remember(model: Any, path: Any) -> None:
    with guarded("keras"):
        if isinstance(path, str | os.PathLike):
            _loaded[model] = os.fspath(path)


def _state(path: str) -> tuple[int, int, int] | None:
    try:
        facts = os.stat(path)
    except OSError:
        return None
    return facts.st_ino, facts.st_size, facts.st_mtime_ns
