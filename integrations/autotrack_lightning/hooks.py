"""What no callback is told: a trainer that was made before `enable()`, how a stage ended, and where a checkpoint is.

`install` observes the methods of `Trainer` in each namespace of Lightning that is imported.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from types import ModuleType
from typing import Any

from autotrack.plugin import Call, Installation, Outcome, checkpoint_saved, guarded
from autotrack_lightning import NAMESPACES, automatic_callbacks, processes, recording
from autotrack_lightning.callback import Recorder

STAGES = ("fit", "validate", "test", "predict")


def install(installation: Installation) -> None:
    """Observe the trainers of each namespace, now or when it is imported."""

    def observe(namespace: ModuleType) -> None:
        for stage in STAGES:
            installation.observe(namespace.Trainer, stage, watch_stage)
        installation.observe(namespace.Trainer, "save_checkpoint", watch_save)

    for namespace in NAMESPACES:
        installation.when_imported(namespace, observe)


def watch_stage(call: Call) -> Generator[None, Outcome, None]:
    """A stage of a trainer: see that a callback of ours takes part, and that it ends with the stage."""
    trainer = call.args[0]
    with guarded("lightning"):
        recording.tell_folder(trainer)
        if not any(isinstance(it, Recorder) for it in trainer.callbacks):
            _take_part(trainer)
    outcome = yield
    with guarded("lightning"):
        if processes.launches_children(trainer):
            recording.tell_begun(trainer)
        left = recording.of(trainer)
        if left is not None and left.trainer.state.status != "running":
            left.end(outcome.error or RuntimeError("the trainer did not come to its end"))


def watch_save(call: Call) -> Generator[None, Outcome, None]:
    """Every checkpoint of a trainer is written here, also those that the user saves."""
    outcome = yield
    if outcome.error is not None:
        return
    with guarded("lightning"):
        trainer = call.args[0]
        path = call.args[1] if len(call.args) > 1 else call.kwargs["filepath"]
        run = recording.run_of_trainer(trainer)
        if run is None:
            return
        if os.path.exists(path):  # not at a URL, nor while it is being written in the background
            checkpoint_saved(run, path, trainer.global_step)
        now = recording.of(trainer)
        if now is not None:
            now.saved(path)


def _take_part(trainer: Any) -> None:
    namespace = next(
        (name for name in NAMESPACES for kind in type(trainer).__mro__ if kind.__module__.startswith(name)), None
    )
    if namespace is None:
        return
    last = trainer.checkpoint_callbacks
    others = [it for it in trainer.callbacks if it not in last]
    trainer.callbacks = [*others, *automatic_callbacks(namespace), *last]
