"""`AutotrackCallback`: records the trainings that it is passed to, without `autotrack.enable()`.

It marks a call for the integration's ordinary observers, which it has placed. Where `autotrack.disable()` has taken
them out since, it records by itself what xgboost tells its callbacks.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import xgboost
from xgboost.callback import TrainingCallback

from autotrack.plugin import Leaf, guarded, observe_for_callback
from autotrack_xgboost import XGBOOST
from autotrack_xgboost.hooks import begin
from autotrack_xgboost.recording import History, Recording

if TYPE_CHECKING:
    from autotrack.run import Run


class AutotrackCallback(TrainingCallback):
    """Record each training that this callback is passed to, as `xgboost.train(…, callbacks=[AutotrackCallback()])`.

    It may stand anywhere among the callbacks, be used again, pickled and copied. With `run`, trainings are recorded in
    that run, which is not ended; else in the run that is open (`autotrack.start_run`), or in a new one called `name`.
    A pickled callback forgets its `run`, which belongs to this process. Where `autotrack.enable()` records the training
    already, the callback adds nothing but its `name` or `run`.
    """

    autotrack = True
    """Tells the hooks that this callback asks for a run; they do not import this module."""

    _unseen: tuple[Leaf, Recording] | None
    """A training that nobody else sees, from its first round to its last; never pickled or copied."""

    def __init__(self, run: Run | None = None, name: str | None = None) -> None:
        super().__init__()
        self.run = run
        self.name = name
        self._unseen = None
        with guarded("xgboost"):
            observe_for_callback(XGBOOST)

    def before_training(self, model: Any) -> Any:
        """Begin to record, unless the call has been observed: then it is recorded already, or is part of another."""
        with guarded("xgboost"):
            self._end(RuntimeError("the training did not come to its end"))  # one before, which raised
            leaf = begin("xgboost.cv" if hasattr(model, "cvfolds") else "xgboost.train", [self])
            if leaf is not None:
                leaf.leave()  # an exception would leave the scope open, and all that trains later silent
                recording = Recording(leaf.run)
                recording.begin(model, [])
                self._unseen = leaf, recording
        return model

    def after_iteration(self, model: Any, epoch: int, evals_log: History) -> bool:
        """Record this round, if nobody else does. It never asks to stop."""
        if self._unseen is not None:
            with guarded("xgboost"):
                self._unseen[1].round(model, evals_log, epoch)
        return False

    def after_training(self, model: Any) -> Any:
        """End what was begun; another callback may still cut the model to its best rounds."""
        if self._unseen is not None:
            with guarded("xgboost"):
                self._unseen[1].finish(model if isinstance(model, xgboost.Booster) else None)
                self._end()
        return model

    def _end(self, error: BaseException | None = None) -> None:
        if self._unseen is not None:
            leaf, self._unseen = self._unseen[0], None
            leaf.end(error)

    def __getstate__(self) -> dict[str, Any]:
        return {"name": self.name}

    def __setstate__(self, state: dict[str, Any]) -> None:
        type(self).__init__(self, name=state["name"])

    def __copy__(self) -> AutotrackCallback:
        return type(self)(self.run, self.name)

    def __deepcopy__(self, memo: dict[int, Any]) -> AutotrackCallback:
        return copy.copy(self)  # the run is the one of this process, not to be copied
