"""Where lightgbm is observed.

`train` and `cv` are plain functions, so they are changed in place, and every name bound to them anywhere is covered;
rounds through a callback of ours; the scikit-learn API through the `fit` of each of its classes.
"""

from __future__ import annotations

import inspect
from collections.abc import Generator
from typing import Any

from autotrack.plugin import (
    Call,
    Installation,
    Observer,
    Outcome,
    begin_leaf,
    builds_on,
    guarded,
    is_silent,
    predicted,
    run_of,
    settings,
)
from autotrack_lightgbm import data, loading
from autotrack_lightgbm.recording import Recording, now, recorded_in
from autotrack_lightgbm.rounds import watch_booster, watch_folds

ESTIMATORS = ("LGBMModel", "LGBMClassifier", "LGBMRegressor", "LGBMRanker")


def install(installation: Installation) -> None:
    """Place the observers; lightgbm has been imported."""
    import lightgbm
    from lightgbm import engine

    loading.install(installation)
    data.register()
    installation.observe_code(
        inspect.unwrap(engine.train), watch_train
    )  # under another tool's wrapper, if there is one
    installation.observe_code(inspect.unwrap(engine.cv), watch_cv)
    installation.observe(lightgbm.Booster, "__init__", watch_booster)
    if hasattr(engine, "_agg_cv_result"):
        installation.observe(engine, "_agg_cv_result", watch_folds)
    installation.observe(lightgbm.Booster, "model_from_string", watch_rebuilding)
    installation.observe(lightgbm.Booster, "predict", watch_predict)
    installation.observe(lightgbm.Dataset, "__init__", data.watch_dataset)
    for name in ESTIMATORS:
        estimator = getattr(lightgbm, name, None)  # without scikit-learn they may be missing
        if estimator is not None and "fit" in vars(estimator):
            observe_method(installation, estimator, "fit", watch_fit)


def observe_method(installation: Installation, owner: type, name: str, observer: Observer) -> None:
    """Observe a method in place, so that one that is being called while its callback is made is covered as well."""
    try:
        installation.observe_code(vars(owner)[name], observer)
    except LookupError:  # it calls `super()`, and what it calls there is observed in place
        installation.observe(owner, name, observer)


def watch_train(call: Call) -> Generator[None, Outcome, None]:
    """`lightgbm.train`: a run of its own, or the rounds of the `fit` around it."""
    around = now()
    if around is not None and not around.taken:
        around.taken = True
        yield
        return
    yield from _watch_call(call, "lightgbm.train")


def watch_cv(call: Call) -> Generator[None, Outcome, None]:
    """`lightgbm.cv`: one run, of all folds."""
    yield from _watch_call(call, "lightgbm.cv")


def watch_fit(call: Call) -> Generator[None, Outcome, None]:
    """`fit` of an estimator: one run, named by its class."""
    if is_silent():
        return
    estimator = call.args[0]
    given: dict[str, Any] = {}
    with guarded("lightgbm"):
        given = call.named()
    leaf = begin_leaf("lightgbm", type(estimator).__name__, callbacks=given.get("callbacks"))
    if leaf is None:
        return
    recording = Recording(leaf.run)
    with leaf:
        with guarded("lightgbm"):
            recording.estimator(estimator)
            recording.call(given)
            builds_on(leaf.run, given.get("init_model"), "init_model")
        with guarded("lightgbm"):
            if settings().datasets:
                data.log_fit_data(leaf.run, given)
        with recorded_in(recording):
            leaf.outcome = yield
        if leaf.outcome.error is None:
            with guarded("lightgbm"):
                recording.finish(estimator.booster_, estimator)


def watch_rebuilding(call: Call) -> None:
    """At its end `train` rebuilds its booster from its own text, which frees the data."""
    recording, given = now(), call.args
    if recording is not None and recording.begun and len(given) == 2:
        recording.rebuilt = given[0], given[1]


def watch_predict(call: Call) -> Generator[None, Outcome, None]:
    """What a trained booster predicts is remembered, so that a metric of it reaches its run."""
    if is_silent():
        return
    run = run_of(call.args[0])
    if run is None:
        return
    outcome = yield
    if outcome.error is None:
        predicted(outcome.result, run)


def _watch_call(call: Call, name: str) -> Generator[None, Outcome, None]:
    given: dict[str, Any] = {}
    with guarded("lightgbm"):
        given = call.named()
    leaf = begin_leaf("lightgbm", name, callbacks=given.get("callbacks"))
    if leaf is None:
        with recorded_in(None):  # a training inside another: its rounds are not that one's
            yield
        return
    recording = Recording(leaf.run)
    recording.taken = True
    with leaf:
        with guarded("lightgbm"):
            recording.call(given, call.function)
            builds_on(leaf.run, given.get("init_model"), "init_model")
        with guarded("lightgbm"):
            if settings().datasets:
                data.log_datasets(leaf.run, given)
        with recorded_in(recording):
            leaf.outcome = yield
        if leaf.outcome.error is None:
            recording.finish(leaf.outcome.result if name == "lightgbm.train" else None)
