"""One outermost fit is one run: from the call that scikit-learn's decorator makes to what the record says.

The decorator of every fit enters one context manager; the frame that enters it holds the estimator, the method and the
arguments exactly as the user gave them. Before the fit the params and the data go to the run, after it the results.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from typing import Any, NamedTuple

from autotrack.plugin import Call, Leaf, Outcome, begin_leaf, guarded, is_silent, silence
from autotrack_sklearn import continuing, fitted, loading, models, searches
from autotrack_sklearn.arguments import bind, log_arguments
from autotrack_sklearn.estimators import innermost, is_search, log_params, makes_run


class Training(NamedTuple):
    """A fit under way."""

    estimator: Any
    method: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    @property
    def arguments(self) -> dict[str, Any]:
        """Every argument by its name in the method."""
        return bind(self.method, self.args, self.kwargs, skip=1)


def watch_fit(call: Call) -> Generator[None, Outcome, None]:
    """Record the `with` block around a fit."""
    if is_silent():
        return
    training = under_way()
    if training is None:
        return
    estimator = training.estimator
    if not makes_run(estimator):
        with silence():  # what a selector or an imputer fits inside is no training of the user's either
            yield
        return
    if continuing.continues(estimator, training.method.__name__):
        yield from continuing.watch(training.method.__name__, estimator, training.arguments)
        return
    continuing.finish(estimator)
    leaf = begin_leaf("sklearn", name=type(estimator).__name__)
    if leaf is None:
        return
    with leaf:
        with guarded("sklearn"):
            log_params(leaf.run, estimator)
        with guarded("sklearn"):
            loading.built_on(leaf.run, estimator)
        with guarded("sklearn"):
            log_arguments(leaf.run, training.arguments)
        leaf.outcome = yield
        if leaf.outcome.error is None:
            after(leaf, estimator)


def after(leaf: Leaf, estimator: Any) -> None:
    """Record what a fit has found, in parts: one that cannot be read leaves the others."""
    run = leaf.run
    with guarded("sklearn"):
        models.own(estimator, run)
    fitted.log_results(run, estimator)
    if is_search(estimator):
        with guarded("sklearn"):
            searches.log_candidates(run, estimator)
    with guarded("sklearn"):
        fitted.log_importances(run, estimator, innermost(estimator))
    with guarded("sklearn"):
        fitted.log_curves(run, innermost(estimator))
    with guarded("sklearn"):
        fitted.keep(run, estimator)


def watch_validation(call: Call) -> Generator[None, Outcome, None]:
    """A fit whose params are refused never reaches the context that `watch_fit` sees: a run that failed at once."""
    if is_silent():
        return
    outcome = yield
    if outcome.error is None:
        return
    training = under_way()
    if training is None or training.estimator is not call.args[0] or not makes_run(training.estimator):
        return
    leaf = begin_leaf("sklearn", name=type(training.estimator).__name__)
    if leaf is None:
        return
    with leaf:
        leaf.outcome = outcome
        with guarded("sklearn"):
            log_params(leaf.run, training.estimator)


def under_way() -> Training | None:
    """The fit whose decorator has called us, from the decorator's frame; None where another called."""
    frame = sys._getframe(1)
    for _ in range(8):
        code = frame.f_code
        if code.co_name in ("wrapper", "callback_managed_method") and "estimator" in code.co_varnames:
            # On Python 3.11 and 3.12 the frame keeps this dict, but only for as long as the fit itself lasts.
            seen = frame.f_locals
            method = seen.get("fit_method") or seen.get("method")
            if method is not None:
                return Training(seen["estimator"], method, seen["args"], seen["kwargs"])
        if frame.f_back is None:
            return None
        frame = frame.f_back
    return None
