"""Time within autotrack: from where a framework or a script enters it until it is back.

Two trainings of which one has autotrack differ by it and by noise, which is larger on a machine that is not alone. This
is the part that is ours, measured where it happens, in caches that a step of training has just filled; what our code
costs the step after it by what it has put out of the caches is not in it.
Entered it is by observers around a framework's functions, by the methods of its callbacks, loggers and trackers that
are ours, and by the calls of a script to its run.
"""

from __future__ import annotations

import functools
import inspect
import sys
import time
from collections.abc import Callable
from typing import Any

CALLS = ("log_metrics", "log_metric", "log_params", "log_dataset", "log_model", "end", "__exit__")
"""What scripts call of a run."""

HOOKS = ("after_step", "after_iteration", "__call__")
"""By which a framework calls an object of ours that extends none of its classes: PyTorch, CatBoost, LightGBM."""


class Inside:
    """A clock that runs while this thread is within autotrack; call within call counts once."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._entered = False
        self._seen: set[Any] = set()

    def watch(self) -> None:
        """Find the ways in of all that is imported by now; called again, those that came since."""
        import autotrack
        from autotrack.patching import observe
        from autotrack.run import Run

        for owner, names in ((observe, ("begin", "finish")), (autotrack, ("start_run",)), (Run, CALLS)):
            for name in names:
                self._place(owner, name)
        for module in [module for name, module in sys.modules.items() if name.startswith("autotrack_")]:
            for kind in [kind for kind in vars(module).values() if inspect.isclass(kind)]:
                extends = _extends_a_framework(kind)
                # What is ours of it may stand in a class of its own beside the framework's.
                for owner in [one for one in kind.__mro__ if one.__module__.startswith("autotrack_")]:
                    for name, function in list(vars(owner).items()):
                        if inspect.isfunction(function) and (name in HOOKS or extends and not name.startswith("_")):
                            self._place(owner, name)

    def _place(self, owner: Any, name: str) -> None:
        if (owner, name) in self._seen or not hasattr(owner, name):
            return
        self._seen.add((owner, name))
        setattr(owner, name, self._around(getattr(owner, name)))

    def _around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            if self._entered:
                return function(*args, **kwargs)
            self._entered, begun = True, time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds += time.perf_counter() - begun
                self._entered = False

        return timed


def _extends_a_framework(kind: type) -> bool:
    ours = ("autotrack", "builtins", "typing", "abc", "enum", "collections")
    return kind.__module__.startswith("autotrack_") and any(
        not base.__module__.startswith(ours) for base in kind.__mro__
    )
