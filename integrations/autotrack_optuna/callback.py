"""`AutotrackCallback`: records the studies that it is passed to, without `autotrack.enable()`.

Optuna tells its callbacks of complete trials alone, and of no trial that raises. So to make one places the observers of
the integration; a study that is given it asks them, by it, for a run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrack.plugin import observe_for_callback
from autotrack_optuna import OPTUNA

if TYPE_CHECKING:
    from autotrack.run import Run


class AutotrackCallback:
    """Record each study that this callback is passed to, as `study.optimize(…, callbacks=[AutotrackCallback()])`.

    It may stand anywhere in the list, be used again, pickled and copied. With `run`, a study is recorded in that run,
    which is not ended; else in the run that is open (`autotrack.start_run`), or in a new one called `name`. A pickled
    callback forgets its `run`, which belongs to this process. Where `autotrack.enable()` records the study already, the
    callback adds nothing but its `name` or `run`.
    """

    autotrack = True
    """Tells the observers that this callback asks for a run; they do not import this module."""

    def __init__(self, run: Run | None = None, name: str | None = None) -> None:
        self.run = run
        self.name = name
        observe_for_callback(OPTUNA)

    def __call__(self, study: Any, trial: Any) -> None:
        """A trial has ended, which the observers have seen."""

    def __getstate__(self) -> dict[str, Any]:
        return {"name": self.name}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.run, self.name = None, state["name"]
        observe_for_callback(OPTUNA)

    def __copy__(self) -> AutotrackCallback:
        return type(self)(self.run, self.name)

    def __deepcopy__(self, memo: dict[int, Any]) -> AutotrackCallback:
        return self.__copy__()  # the run is the one of this process, not to be copied
