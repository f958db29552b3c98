"""Where catboost is observed.

Every training ends in the `fit` of one of four classes, but for the searches and `cv`, which train inside the library.
They are observed in place, so that every name bound to a function anywhere is covered, and a `fit` whose callback is
made among its arguments.
"""

from __future__ import annotations

import inspect
from collections.abc import Generator
from typing import Any

from autotrack.plugin import (
    Call,
    Installation,
    Leaf,
    Outcome,
    begin_leaf,
    builds_on,
    guarded,
    is_silent,
    settings,
)
from autotrack_catboost import data, loading
from autotrack_catboost.recording import CV_OPTIONS, FIT_OPTIONS, SEARCH_OPTIONS, Recording, now, recorded_in

MODELS = ("CatBoost", "CatBoostClassifier", "CatBoostRegressor", "CatBoostRanker")
SEARCHES = ("grid_search", "randomized_search", "select_features")


def install(installation: Installation) -> None:
    """Place the observers; catboost has been imported."""
    import catboost
    from catboost import core

    loading.install(installation)
    data.register()
    for name, observer in (("train", watch_train), ("cv", watch_cv), ("sample_gaussian_process", watch_sampling)):
        if hasattr(core, name):
            # Under another tool's wrapper, if there is one.
            installation.observe_code(inspect.unwrap(getattr(core, name)), observer)
    installation.observe(catboost.Pool, "__init__", data.watch_pool)
    for name in MODELS:
        model = getattr(catboost, name)
        if "fit" in vars(model):
            installation.observe_code(inspect.unwrap(vars(model)["fit"]), watch_fit)
    for name in SEARCHES:
        installation.observe(catboost.CatBoost, name, watch_search)


def watch_fit(call: Call) -> Generator[None, Outcome, None]:
    """`fit` of a model: a run of its own, named by the class, or what `catboost.train` around it trains."""
    around = now()
    if around is not None and not around.taken:
        around.taken = True
        with guarded("catboost"):
            around.begin(call.args[0], call.named())
        outcome = yield
        if outcome.error is None:
            around.finish(call.args[0])
        else:
            with guarded("catboost"):
                around.salvage()
        return
    if is_silent():
        with recorded_in(None):  # a training inside another: its iterations are not that one's
            yield
        return
    model = call.args[0]
    given: dict[str, Any] = {}
    with guarded("catboost"):
        given = call.named()
    leaf = begin_leaf("catboost", type(model).__name__, callbacks=given.get("callbacks"))
    if leaf is None:
        return
    recording = Recording(leaf.run)
    recording.taken = True
    with leaf:
        with guarded("catboost"):
            recording.model(model)
            recording.options(given, FIT_OPTIONS)
            builds_on(leaf.run, given.get("init_model"), "init_model")
        with guarded("catboost"):
            if settings().datasets:
                data.log_datasets(leaf.run, given)
        with guarded("catboost"):
            recording.begin(model, given)
        with recorded_in(recording):
            _end(leaf, (yield))
        if leaf.outcome is not None and leaf.outcome.error is None:
            recording.finish(model)
        else:
            with guarded("catboost"):
                recording.salvage()


def watch_train(call: Call) -> Generator[None, Outcome, None]:
    """`catboost.train`: one run, of the model that it makes and fits."""
    leaf = begin_leaf("catboost", "catboost.train")
    if leaf is None:
        return
    recording = Recording(leaf.run)
    with leaf:
        with guarded("catboost"):
            given = call.named()
            recording.params(dict(given.get("params") or {}))
            recording.options(given, FIT_OPTIONS)
        with guarded("catboost"):
            if settings().datasets:
                pool = given.get("pool") if given.get("pool") is not None else given.get("dtrain")
                beside = given.get("eval_set") if given.get("eval_set") is not None else given.get("evals")
                data.log_datasets(leaf.run, {"X": pool, "eval_set": beside})
        with recorded_in(recording):
            _end(leaf, (yield))


def watch_cv(call: Call) -> Generator[None, Outcome, None]:
    """`catboost.cv`: one run, of all folds."""
    leaf = begin_leaf("catboost", "catboost.cv")
    if leaf is None:
        return
    recording = Recording(leaf.run)
    recording.taken = True
    with leaf:
        with guarded("catboost"):
            given = call.named()
            recording.params(dict(given.get("params") or {}))
            recording.options(given, CV_OPTIONS)
        with guarded("catboost"):
            if settings().datasets:
                data.log_pool(leaf.run, given.get("pool") if given.get("pool") is not None else given.get("dtrain"))
        _end(leaf, (yield))
        if leaf.outcome is not None and leaf.outcome.error is None:
            with guarded("catboost"):
                result = leaf.outcome.result
                recording.table(result[0] if isinstance(result, tuple) else result)


def watch_search(call: Call) -> Generator[None, Outcome, None]:
    """A search for params or features: one run, with what it has found and the model that it has trained last."""
    model, name = call.args[0], call.function.__name__
    leaf = begin_leaf("catboost", f"{type(model).__name__}.{name}")
    if leaf is None:
        return
    recording = Recording(leaf.run)
    recording.taken = True
    with leaf:
        with guarded("catboost"):
            recording.model(model)
        with guarded("catboost"):
            given = call.named()
            recording.options(given, SEARCH_OPTIONS)
            if settings().datasets:
                data.log_datasets(leaf.run, given)
        with recorded_in(None):
            _end(leaf, (yield))
        if leaf.outcome is not None and leaf.outcome.error is None:
            with guarded("catboost"):
                recording.found(name, leaf.outcome.result)
            if model.is_fitted():
                recording.finish(model)


def watch_sampling(call: Call) -> Generator[None, Outcome, None]:
    """`sample_gaussian_process`: one run around the many models that it fits."""
    leaf = begin_leaf("catboost", "catboost.sample_gaussian_process")
    if leaf is None:
        return
    recording = Recording(leaf.run)
    with leaf:
        with guarded("catboost"):
            given = call.named()
            recording.options(given, tuple(given))
            if settings().datasets:
                data.log_datasets(leaf.run, given)
        _end(leaf, (yield))


def _end(leaf: Leaf, outcome: Outcome) -> None:
    """Take the outcome. What a callback raises comes out as a CatBoostError; Ctrl-C in one is Ctrl-C all the same."""
    leaf.outcome = outcome
    if isinstance(outcome.error, Exception):
        last = str(outcome.error).rstrip().rpartition("\n")[2]
        if last.partition(":")[0] in ("KeyboardInterrupt", "SystemExit"):
            leaf.status = "killed"
