"""`hyperparameter_search`: one run with a child for each trial, where nobody else has opened those.

With the integration of Optuna, the study and its trials have runs already, and a trial's training is recorded in the
trial's. So the parent is opened at the first trial, when it is known whether somebody else has done it.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from typing import Any
from weakref import WeakKeyDictionary

from autotrack.plugin import Call, Leaf, Outcome, current, guarded, open_child
from autotrack_transformers.arguments import ALWAYS, difference, named
from autotrack_transformers.reporting import fed
from autotrack_transformers.stages import asked, begin, may_record


class Search:
    """A search that is under way."""

    def __init__(self, given: dict[str, Any]) -> None:
        self.around = current()
        """The scope that the search began in: where a trial finds another, somebody has opened a run for it."""
        self.given = given
        self.parent: Leaf | None = None


_searches: WeakKeyDictionary[Any, Search] = WeakKeyDictionary()


def watch_search(call: Call) -> Generator[None, Outcome, None]:
    """A `hyperparameter_search`, from its call to its best trial."""
    trainer = call.args[0]
    search = Search(named(call))
    _searches[trainer] = search
    outcome = yield
    _searches.pop(trainer, None)
    if search.parent is None:
        return
    if outcome.error is None:
        with guarded("transformers"):
            _record_best(search.parent, outcome.result)
    search.parent.end(outcome.error)


def begin_trial(trainer: Any, trial: Any) -> Leaf | None:
    """Begin the run of a trial; None where this training is none, or where its trial has a run already."""
    search = _searches.get(trainer)
    if trial is None or search is None or current() is not search.around or not may_record(trainer):
        return None
    if search.parent is None:
        search.parent = begin(trainer, f"{asked(trainer).name}.hyperparameter_search")
        if search.parent is None:
            return None
        search.parent.leave()  # its trials open scopes of their own
        told = {name: search.given.get(name) for name in ("n_trials", "direction", "backend")}
        search.parent.run.log_params(
            {**difference(trainer.args, ALWAYS), **{name: value for name, value in told.items() if value is not None}}
        )
    reported = fed(trainer.callback_handler.callbacks)
    number = getattr(trial, "number", None)
    name = "trial" if number is None else f"trial {number}"
    return Leaf(open_child(search.parent.run, name, "transformers", not_to=reported), owns=True)


def end_trial(trainer: Any, trial: Any, leaf: Leaf, outcome: Outcome) -> None:
    """Record how a trial came out, and that it was pruned, which is no failure."""
    optuna = sys.modules.get("optuna")
    if optuna is not None and isinstance(outcome.error, optuna.TrialPruned):
        leaf.status, leaf.outcome = "pruned", None
    search = _searches.get(trainer)
    objective = getattr(trainer, "objective", None)
    if search is None or search.parent is None or not isinstance(objective, int | float):
        return
    leaf.run.log_metrics({"objective": objective}, trainer.state.global_step)
    if getattr(trial, "number", None) is not None:
        search.parent.run.log_metrics({"objective": objective}, trial.number)


def _record_best(parent: Leaf, best: Any) -> None:
    """Of one objective: the best trial. Of several there is none, but a list."""
    number, value = getattr(best, "run_id", None), getattr(best, "objective", None)
    if number is None:
        return
    parent.run.set_tags({"best_trial": number})
    parent.run.log_params({"best": dict(best.hyperparameters or {})})
    if isinstance(value, int | float):
        parent.run.log_metrics({"best_objective": value}, int(number) if str(number).isdigit() else 0)
