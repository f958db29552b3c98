"""A study that is being optimized, as it is written into its run.

Calls of `Study.optimize` enter, from one thread or from several that work on the same study; the first trial begins the
run, the last call to end ends it.
"""

from __future__ import annotations

import inspect
from collections.abc import Hashable
from threading import Lock, local
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from autotrack.plugin import (
    Call,
    Leaf,
    Outcome,
    begin_leaf,
    carried,
    current,
    elements,
    enter_container,
    guarded,
    is_silent,
    leave,
    open_child,
    plain,
    rejoin_leaf,
    settings,
)
from autotrack_optuna import identity, tables

if TYPE_CHECKING:
    from autotrack.run import Run

OPTIONS = ("n_trials", "timeout", "n_jobs")
"""Arguments of `optimize` that are always recorded."""

FEEDS = {"MLflowCallback": "mlflow", "WeightsAndBiasesCallback": "wandb"}
"""Callbacks of Optuna's own integrations, and the backend that each of them sends the trials to."""

_under_way: dict[Hashable, Optimizing] = {}
_lock = Lock()

used: WeakKeyDictionary[Run, Hashable] = WeakKeyDictionary()
"""Runs that belong to a study or a trial: another study inside gets a run of its own."""


class Optimizing:
    """A study that is being optimized, whether it is recorded or not."""

    def __init__(self, key: Hashable, given: dict[str, Any]) -> None:
        self.key = key
        self.calls = 0
        self.run: Run | None = None
        self.not_to: tuple[str, ...] = ()
        self.names: list[str] = []
        self.scopes = carried()
        """What the study is inside of, in whichever thread its trials run."""
        self._here = local()
        self._given = given
        self._lock = Lock()
        self._asked = False
        self._leaf: Leaf | None = None
        self._maximize = False
        self._best: float | None = None
        self._distributions: set[str] = set()
        self._error: BaseException | None = None

    def open(self, study: Any, number: int | None) -> None:
        """The first trial has been asked for (its number, None where that raised): begin the run."""
        with self._lock:
            if self._asked:
                return
            self._asked = True
            self._leaf = self._begin(study, number)
            if self._leaf is None:
                return
            self._leaf.leave()  # what is trained in a study is not silent
            self.run = self._leaf.run
            used[self.run] = self.key
            if self._leaf.owns and identity.address(study._storage) is None:
                identity.know(study, self.run.id)
            with guarded("optuna"):
                self._log_study(study)

    def enter(self) -> None:
        """This thread is inside the run of the study from its first trial on, until `leave`."""
        if self.run is not None and getattr(self._here, "scope", None) is None:
            self._here.scope = enter_container(self.run)

    def leave(self) -> None:
        """This thread does nothing more of the study."""
        scope, self._here.scope = getattr(self._here, "scope", None), None
        if scope is not None:
            leave(scope)

    def suggested(self, name: str, distribution: Any) -> None:
        """A trial has sampled from a distribution."""
        if self.run is not None and name not in self._distributions:
            self._distributions.add(name)
            self.run.log_params({f"distributions.{name}": distribution})

    def trial_ended(self, trial: Any) -> None:
        """Record the values of a complete trial, and the best so far."""
        if self.run is None or trial.state.name != "COMPLETE" or not trial.values:
            return
        points = dict(zip(self.names, trial.values, strict=False))
        with self._lock:
            if len(trial.values) == 1:
                if tables.is_feasible(trial) and self._is_better(trial.values[0]):
                    self._best = trial.values[0]
                if self._best is not None:
                    points["best_value"] = self._best
            self.run.log_metrics(points, trial.number)

    def end(self, study: Any, outcome: Outcome, *, last: bool) -> None:
        """One call of `optimize` has ended; the last one ends the run."""
        self._error = self._error or outcome.error
        if not last or self._leaf is None or self.run is None:
            return
        with guarded("optuna"):
            self.run.log_params(tables.best(study))
        with guarded("optuna"):
            tables.log_trials(self.run, study)
        with guarded("optuna"):
            if study.user_attrs:
                self.run.set_tags({f"user_attrs.{key}": it for key, it in plain(study.user_attrs).items()})
        self._leaf.end(self._error)

    def _begin(self, study: Any, number: int | None) -> Leaf | None:
        if is_silent():
            return None
        callbacks = elements(self._given.get("callbacks"))
        asking = [it for it in callbacks if getattr(it, "autotrack", False)]
        for callback in asking:
            if callback.run is not None:
                return rejoin_leaf(callback.run)
        anonymous = study.study_name.startswith("no-name-")
        names = [it.name for it in asking if it.name]
        name = names[0] if names else "optuna.study" if anonymous else study.study_name
        self.not_to = fed_by(callbacks)
        around = current()
        if around is not None and around.run is not None:
            if used.get(around.run, self.key) != self.key:
                return Leaf(open_child(around.run, name, "optuna", not_to=self.not_to), owns=True)
            return begin_leaf("optuna", name=name)
        details: dict[str, Any] = {"explicit": bool(asking), "not_to": self.not_to}
        shared = identity.shared_id(study)
        if shared is not None and number == 0:
            details["run_id"] = shared
        else:
            details["continues"] = shared or identity.known_id(study)
        return begin_leaf("optuna", name=name, **details)

    def _is_better(self, value: float) -> bool:
        if self._best is None:
            return True
        return value > self._best if self._maximize else value < self._best

    def _log_study(self, study: Any) -> None:
        assert self.run is not None
        self.names = tables.value_names(study)
        directions = [direction.name.lower() for direction in study.directions]
        self._maximize = directions == ["maximize"]
        params: dict[str, Any] = {"study_name": study.study_name}
        params |= {"direction": directions[0]} if len(directions) == 1 else {"directions": directions}
        params["storage"] = identity.address(study._storage) or type(study._storage).__name__
        params |= tables.configuration("sampler", study.sampler) | tables.configuration("pruner", study.pruner)
        params |= {name: self._given.get(name) for name in OPTIONS}
        if self._given.get("catch"):
            params["catch"] = self._given["catch"]
        self.run.log_params(params)
        if len(directions) == 1:
            try:
                self._best = study.best_value  # of earlier calls, and of other processes
            except ValueError:  # no trial is complete
                self._best = None


def begin(study: Any, call: Call) -> Optimizing:
    """`optimize` has been called; another thread may be at work on the same study already."""
    key = identity.key_of(study)
    with _lock:
        optimizing = _under_way.get(key)
        if optimizing is None:
            optimizing = _under_way[key] = Optimizing(key, named(call))
        optimizing.calls += 1
    return optimizing


def end(study: Any, optimizing: Optimizing, outcome: Outcome) -> None:
    """A call of `optimize` has ended."""
    with _lock:
        optimizing.calls -= 1
        last = optimizing.calls == 0
        if last and _under_way.get(optimizing.key) is optimizing:
            del _under_way[optimizing.key]
    optimizing.end(study, outcome, last=last)


def under_way(study: Any) -> Optimizing | None:
    """The optimization that a trial of `study` belongs to; None where nobody saw it begin."""
    return _under_way.get(identity.key_of(study))


def is_nested(study: Any) -> bool:
    """Whether this thread is in a trial of `study` already."""
    return bool(getattr(getattr(study, "_thread_local", None), "in_optimize_loop", False))


def named(call: Call) -> dict[str, Any]:
    """The arguments of `optimize` by name, defaults included."""
    bound = inspect.signature(call.function).bind(*call.args, **call.kwargs)
    bound.apply_defaults()
    return dict(bound.arguments)


def fed_by(callbacks: list[Any]) -> tuple[str, ...]:
    """The backends among ours that get the trials from Optuna's own callbacks."""
    fed = {
        FEEDS.get(type(it).__name__)
        for it in callbacks
        if type(it).__module__.partition(".")[0] in ("optuna", "optuna_integration")
    }
    return tuple(name for name in settings().backends if name in fed)
