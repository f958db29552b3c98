"""`AutotrackCallback`: records the trainings that it is passed to, without `autotrack.enable()`, and as they go on.

It marks a call for the integration's ordinary observers, which it has placed, and hands on what catboost tells it after
each iteration.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from autotrack.plugin import guarded, observe_for_callback
from autotrack_catboost import CATBOOST
from autotrack_catboost.recording import now

if TYPE_CHECKING:
    from autotrack.run import Run


class AutotrackCallback:
    """Record each training that this callback is passed to, as `model.fit(X, y, callbacks=[AutotrackCallback()])`.

    It may stand anywhere among the callbacks, be used again, pickled and copied. With `run`, trainings are recorded in
    that run, which is not ended; else in the run that is open (`autotrack.start_run`), or in a new one called `name`.
    A pickled callback forgets its `run`, which belongs to this process. Where `autotrack.enable()` records the training
    already, the callback adds its `name` or `run`, and that the series can be watched while they grow.
    """

    autotrack = True
    """Tells the hooks that this callback asks for a run; they do not import this module."""

    def __init__(self, run: Run | None = None, name: str | None = None) -> None:
        self.run = run
        self.name = name
        with guarded("catboost"):
            observe_for_callback(CATBOOST)

    def after_iteration(self, info: Any) -> bool:
        """Record this iteration. It never asks to stop, which anything but True would."""
        with guarded("catboost"):
            recording = now()
            if recording is not None:
                recording.iteration(info)
        return True

    def __getstate__(self) -> dict[str, Any]:
        return {"name": self.name}

    def __setstate__(self, state: dict[str, Any]) -> None:
        type(self).__init__(self, name=state["name"])

    def __copy__(self) -> AutotrackCallback:
        return type(self)(self.run, self.name)

    def __deepcopy__(self, memo: dict[int, Any]) -> AutotrackCallback:
        return copy.copy(self)  # the run is the one of this process, not to be copied


__all__ = ["AutotrackCallback"]
