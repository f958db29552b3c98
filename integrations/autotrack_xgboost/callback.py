"""`AutotrackCallback`: records the trainings that it is passed to, without `autotrack.enable()`.

Rounds come through xgboost's own callback interface. That one tells neither an exception nor the model that `train`
will return, so the callback also watches, through the closure of `train` and `cv`, how the trainings that it takes part
in end; all others pass through untouched, and `autotrack.disable()` takes the watching out again.
"""

from __future__ import annotations

import copy
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import xgboost
from xgboost.callback import TrainingCallback

from autotrack.plugin import (
    Call,
    Installation,
    Leaf,
    Outcome,
    begin_leaf,
    describe_with,
    guarded,
    rejoin_leaf,
)
from autotrack.plugins import plugins
from autotrack_xgboost import XGBOOST, data
from autotrack_xgboost.arguments import items
from autotrack_xgboost.hooks import observe_function
from autotrack_xgboost.recording import History, Recording, length, now

if TYPE_CHECKING:
    from autotrack.run import Run

WATCHING = "xgboost callback"


class AutotrackCallback(TrainingCallback):
    """Record each training that this callback is passed to, as `xgboost.train(…, callbacks=[AutotrackCallback()])`.

    It may stand anywhere among the callbacks, be used again, pickled and copied. With `run`, trainings are recorded in
    that run, which is not ended; else in the run that is open (`autotrack.start_run`), or in a new one called `name`.
    A pickled callback forgets its `run`, which belongs to this process. Where `autotrack.enable()` records the training
    already, the callback adds nothing but its `name` or `run`.
    """

    autotrack = True
    """Tells the hooks that this callback asks for a run; they do not import this module."""

    # What belongs to the one training that is under way; nothing of it is left after, or is ever pickled or copied.
    _call: Call | None
    _leaf: Leaf | None
    _recording: Recording | None
    _history: History | None
    _length: int

    def __init__(self, run: Run | None = None, name: str | None = None) -> None:
        super().__init__()
        self.run = run
        self.name = name
        self._rest()
        _watch_outcomes()

    def before_training(self, model: Any) -> Any:
        """Begin to record, unless the training is recorded already or is part of one that is."""
        if now() is None and xgboost.collective.get_rank() == 0:
            with guarded("xgboost"):
                self._begin(model)
        return model

    def after_iteration(self, model: Any, epoch: int, evals_log: History) -> bool:
        """Record this round. It never asks to stop."""
        if self._recording is not None:
            with guarded("xgboost"):
                self._history = evals_log
                self._length = length(evals_log)
                self._recording.round(model, evals_log, epoch)
        return False

    def after_training(self, model: Any) -> Any:
        """End the recording where nobody watches how `train` ends; the model may still be cut to its best rounds."""
        if self._call is None:
            with guarded("xgboost"):
                self._end(Outcome(model, None))
        return model

    def before_iteration(self, model: Any, epoch: int, evals_log: History) -> bool:
        """Keep hold of the history: a callback before this one may end the last round, which is then read from it."""
        if self._recording is not None and self._history is None:
            self._history = evals_log
        return False

    def __getstate__(self) -> dict[str, Any]:
        return {"name": self.name}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.run, self.name = None, state["name"]
        self._rest()
        _watch_outcomes()

    def __copy__(self) -> AutotrackCallback:
        return type(self)(self.run, self.name)

    def __deepcopy__(self, memo: dict[int, Any]) -> AutotrackCallback:
        return copy.copy(self)  # the run is the one of this process, not to be copied

    def _rest(self) -> None:
        self._call = self._leaf = self._recording = self._history = None
        self._length = 0

    def _watch(self, call: Call) -> None:
        """A `train` or `cv` that has this callback begins, and its end will be told to `_end`."""
        self._rest()
        self._call = call

    def _begin(self, model: Any) -> None:
        if self._leaf is not None:  # a training before this one raised, and nobody watched it
            self._leaf.end(RuntimeError("the training did not come to its end"))
            self._leaf = self._recording = None
        given = self._call.named() if self._call is not None else {}
        called = "xgboost.cv" if hasattr(model, "cvfolds") else "xgboost.train"
        if self.run is not None:
            self._leaf = rejoin_leaf(self.run)
        else:
            self._leaf = begin_leaf("xgboost", name=self.name or called, explicit=True)
        if self._leaf is None:
            return
        if self._call is None:
            self._leaf.leave()  # an exception would leave the scope open, and all that trains later silent
        self._recording = Recording(self._leaf.run)
        callbacks = items(given.get("callbacks"))
        self._recording.begin(model, callbacks)
        if given:
            self._recording.stops_early |= bool(given.get("early_stopping_rounds"))
            self._recording.call(given)
            self._recording.matrices(given)

    def _end(self, outcome: Outcome) -> None:
        leaf, recording = self._leaf, self._recording
        history, seen = self._history, self._length
        self._rest()
        if leaf is None:
            return
        with leaf:
            leaf.outcome = outcome
            if recording is None:
                return
            if history is not None and length(history) > seen:  # a callback before this one stopped, or raised
                recording.round(outcome.result, history, recording.rounds)
            if outcome.error is not None:
                return
            recording.finish(outcome.result if isinstance(outcome.result, xgboost.Booster) else None)


def _watch_outcomes() -> None:
    """Watch how `train` and `cv` end, once in a process."""
    with guarded("xgboost"):
        if WATCHING in plugins.installed:
            return
        describe_with("xgboost.core.DMatrix", data.describe_dmatrix)
        installation = plugins.installed[WATCHING] = Installation(XGBOOST)
        observe_function(installation, "train", _watch_outcome)
        observe_function(installation, "cv", _watch_outcome)


def _watch_outcome(call: Call) -> Generator[None, Outcome, None]:
    callbacks = [it for it in items(call.kwargs.get("callbacks")) if isinstance(it, AutotrackCallback)]
    if not callbacks:
        return
    for callback in callbacks:
        callback._watch(call)
    outcome = yield
    for callback in callbacks:
        with guarded("xgboost"):
            callback._end(outcome)
