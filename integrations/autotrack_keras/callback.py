"""`AutotrackCallback`: records the trainings that it is passed to, without `autotrack.enable()`.

To make one places the observers of the integration, so that `fit` is recorded in the same way as with `enable()`. Where
they have been taken out, and in a loop around a `CallbackList`, the callback records by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from autotrack.plugin import observe_for_callback
from autotrack_keras import KERAS
from autotrack_keras.followers import Follower

if TYPE_CHECKING:
    from autotrack.run import Run


class AutotrackCallback(Follower):
    """Record each training that this callback is passed to, as `model.fit(…, callbacks=[AutotrackCallback()])`.

    It may stand anywhere among the callbacks, be used again, pickled and copied. With `run`, trainings are recorded in
    that run, which is not ended; else in the run that is open (`autotrack.start_run`), or in a new one called `name`.
    A pickled callback forgets its `run`, which belongs to this process. Where `autotrack.enable()` records the training
    already, the callback adds nothing but its `name` or `run`.
    """

    autotrack = True
    """Tells the observers that this callback asks for a run."""
    followed = False
    """Whether a follower of ours stands in the same list, and records."""

    def __init__(self, run: Run | None = None, name: str | None = None) -> None:
        super().__init__()
        self.run = run
        self.name = name
        observe_for_callback(KERAS)

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Begin to record, where nobody else does."""
        if not self.followed:
            self.asked = self
            super().on_train_begin(logs)
            self.asked = None

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "run": None, "name": self.name}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        observe_for_callback(KERAS)

    def __copy__(self) -> AutotrackCallback:
        return type(self)(self.run, self.name)

    def __deepcopy__(self, memo: dict[int, Any]) -> AutotrackCallback:
        return self.__copy__()  # the run is the one of this process, not to be copied
