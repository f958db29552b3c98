"""`AutotrackCallback`: records the trainings that it is passed to, without `autotrack.enable()`.

It marks a call and does nothing itself: the integration's ordinary observers, which it has placed, see the call with
this callback among the callbacks and record it.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from autotrack.plugin import guarded, observe_for_callback
from autotrack_lightgbm import LIGHTGBM

if TYPE_CHECKING:
    from autotrack.run import Run


class AutotrackCallback:
    """Record each training that this callback is passed to, as `lightgbm.train(…, callbacks=[AutotrackCallback()])`.

    It may stand anywhere among the callbacks, be used again, pickled and copied. With `run`, trainings are recorded in
    that run, which is not ended; else in the run that is open (`autotrack.start_run`), or in a new one called `name`.
    A pickled callback forgets its `run`, which belongs to this process. Where `autotrack.enable()` records the training
    already, the callback adds nothing but its `name` or `run`.
    """

    autotrack = True
    """Tells the hooks that this callback asks for a run; they do not import this module."""

    def __init__(self, run: Run | None = None, name: str | None = None) -> None:
        self.run = run
        self.name = name
        # lightgbm reads these; between its own `record_evaluation` and its `early_stopping`, which ends the training.
        self.order = 25
        self.before_iteration = False
        with guarded("lightgbm"):
            observe_for_callback(LIGHTGBM)

    def __call__(self, env: Any) -> None:
        """A round has been evaluated, and recorded already."""

    def __getstate__(self) -> dict[str, Any]:
        return {"name": self.name}

    def __setstate__(self, state: dict[str, Any]) -> None:
        type(self).__init__(self, name=state["name"])

    def __copy__(self) -> AutotrackCallback:
        return type(self)(self.run, self.name)

    def __deepcopy__(self, memo: dict[int, Any]) -> AutotrackCallback:
        return copy.copy(self)  # the run is the one of this process, not to be copied


__all__ = ["AutotrackCallback"]
