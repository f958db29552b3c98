"""Trainers that launch processes of their own (`ddp_spawn`, `ddp_fork`, notebooks): there the run is the first child's.

The parent hands the id of the run, its settings and its open run to the children, inside the pickled callback. It sees
none of Lightning's hooks but `on_exception`, by which it ends the run where the child could not.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from dataclasses import dataclass, field
from multiprocessing import util
from multiprocessing.context import get_spawning_popen
from typing import TYPE_CHECKING, Any

import autotrack
from autotrack.plugin import guarded, is_enabled, settings
from autotrack_lightning import recording

if TYPE_CHECKING:
    from autotrack_lightning.callback import Recorder


@dataclass(frozen=True)
class Handed:
    """What a parent hands to the children that it launches: plain values, so that it pickles."""

    child_run: str
    run: str | None
    """The run that is open around the trainer, which the parent owns."""
    enabled: bool
    arguments: dict[str, Any] = field(default_factory=dict)
    """The settings that `enable()` was given; those of the environment the child has too."""


def to_child(callback: Recorder) -> Handed | None:
    """What to hand on, if the callback is being pickled for a process that is being launched."""
    if get_spawning_popen() is None:
        return None
    run = callback.run or autotrack.current_run()
    loaded = settings()
    given = {name: getattr(loaded, name) for name, origin in loaded.origins.items() if origin == "argument"}
    return Handed(callback.child_run, run.id if run is not None else None, is_enabled("lightning"), given)


def run_here(callback: Recorder, trainer: Any) -> tuple[str, bool] | None:
    """The id of the run that this process records, and whether a `fit` before has begun it.

    None where the trainer has not launched this process for its stages.
    """
    handed = callback.handed
    if not _starts_processes(trainer) or (handed is None and os.getpid() == callback.process):
        return None
    run = callback.child_run if handed is None else handed.run or handed.child_run
    return run, bool(getattr(trainer.strategy.launcher, "_already_fit", False))


def identity(callback: Recorder, trainer: Any, *, failed_in_child: bool) -> dict[str, Any]:
    """How this process's run is called, as details for `begin_leaf`: nothing, unless it was launched or launches."""
    if failed_in_child:
        return {"continues": callback.child_run}
    handed = callback.handed
    if handed is not None and handed.enabled and not is_enabled("lightning"):
        autotrack.enable(**handed.arguments)
    here = run_here(callback, trainer)
    if here is None:
        return {}
    run, again = here
    _end_with_the_process()
    if handed is not None and handed.run is not None:
        return {"run_id": run, "owner": False}
    return {"continues": run} if again else {"run_id": run}


def launches_children(trainer: Any) -> bool:
    """Whether stages of the trainer run in processes that it launches, and not in this one."""
    return _starts_processes(trainer) and multiprocessing.parent_process() is None


def _starts_processes(trainer: Any) -> bool:
    return hasattr(trainer.strategy.launcher, "_start_method")


def _end_with_the_process() -> None:
    """Have the run end as the training did: a launched process catches what is raised in it, and runs no exit hooks."""
    util.Finalize(None, _end_open, exitpriority=100)


def _end_open() -> None:
    error = sys.exc_info()[1]
    if isinstance(error, SystemExit) and error.__context__ is not None:
        error = error.__context__  # what torch's launcher turned into an exit
    for left in recording.all_open():
        with guarded("lightning"):
            left.end(error or KeyboardInterrupt())
