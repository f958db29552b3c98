"""Where xgboost is observed.

`train` and `cv` are reached through the closure of their decorator, so that every name bound to them anywhere is
covered; rounds through `CallbackContainer`, which both of them use, by a callback of ours at the head of its list, so
that no other one can end the round first; the scikit-learn API through the `fit` of the three classes that have one of
their own.
"""

from __future__ import annotations

import inspect
from collections.abc import Generator
from typing import Any

from autotrack.plugin import (
    Call,
    Installation,
    Leaf,
    Observer,
    Outcome,
    begin_leaf,
    builds_on,
    elements,
    guarded,
    is_silent,
    predicted,
    run_of,
    settings,
)
from autotrack_xgboost import batches, data, loading
from autotrack_xgboost.recording import Recording, now, recorded_in

TRAIN_PARTS = ("y", "sample_weight", "base_margin", "group", "qid")


def install(installation: Installation) -> None:
    """Place the observers; xgboost has been imported."""
    import xgboost
    import xgboost.callback

    loading.install(installation)
    data.register()
    observe_function(installation, "train", watch_train)
    observe_function(installation, "cv", watch_cv)
    installation.observe(xgboost.callback.CallbackContainer, "before_training", watch_before_training)
    for name in ("predict", "inplace_predict"):
        installation.observe(xgboost.Booster, name, watch_predict)
    for matrix in (xgboost.DMatrix, xgboost.QuantileDMatrix):
        installation.observe(matrix, "__init__", data.watch_dmatrix)
    batches.install(installation)
    for name in ("XGBModel", "XGBClassifier", "XGBRanker"):
        if hasattr(xgboost, name):  # without scikit-learn they may be missing
            installation.observe(getattr(xgboost, name), "fit", watch_fit)


def observe_function(installation: Installation, name: str, observer: Observer) -> None:
    """Observe `train` or `cv` inside its decorator; `cv` of xgboost 2, which has none, in place."""
    import xgboost

    function = decorated = getattr(xgboost.training, name)
    while decorated is not None:
        if "func" in getattr(getattr(decorated, "__code__", None), "co_freevars", ()):
            installation.observe_cell(decorated, "func", observer)
            return
        decorated = getattr(decorated, "__wrapped__", None)  # another tool has wrapped it
    installation.observe_code(inspect.unwrap(function), observer)


def watch_train(call: Call) -> Generator[None, Outcome, None]:
    """`xgboost.train`: a run of its own, or the rounds of the `fit` around it."""
    around = now()
    if around is not None and not around.taken:
        around.taken = True
        with guarded("xgboost"):
            around.call(call.named())
        yield
        return
    yield from _watch_call(call, "xgboost.train")


def watch_cv(call: Call) -> Generator[None, Outcome, None]:
    """`xgboost.cv`: one run, of all folds."""
    yield from _watch_call(call, "xgboost.cv")


def watch_fit(call: Call) -> Generator[None, Outcome, None]:
    """`fit` of an estimator: one run, named by its class."""
    estimator = call.args[0]
    leaf = begin(type(estimator).__name__, getattr(estimator, "callbacks", None))
    if leaf is None:
        return
    recording = Recording(leaf.run)
    with leaf:
        builds_on(leaf.run, call.kwargs.get("xgb_model"), "xgb_model")
        with guarded("xgboost"):
            recording.estimator(estimator)
        with guarded("xgboost"):
            if settings().datasets:
                _log_fit_data(leaf, call.named())
        with recorded_in(recording):
            leaf.outcome = yield
        if leaf.outcome.error is None:
            with guarded("xgboost"):
                recording.finish(estimator.get_booster(), estimator)


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


def watch_before_training(call: Call) -> Generator[None, Outcome, None]:
    """The rounds are about to begin."""
    recording = now()
    if recording is None:
        return
    with guarded("xgboost"):
        from autotrack_xgboost.rounds import Rounds

        container = call.args[0]
        # Before the callbacks: what they begin is part of this training. They may hand over another booster, though.
        recording.begin(call.args[1] if len(call.args) > 1 else call.kwargs["model"], container.callbacks)
        container.callbacks = [Rounds(recording), *container.callbacks]
    return
    yield


def _watch_call(call: Call, name: str) -> Generator[None, Outcome, None]:
    given: dict[str, Any] = {}
    with guarded("xgboost"):
        given = call.named()
    leaf = begin(name, given.get("callbacks"))
    if leaf is None:
        with recorded_in(None):  # a training inside another: its rounds are not that one's
            yield
        return
    recording = Recording(leaf.run)
    recording.taken = True
    with leaf:
        with guarded("xgboost"):
            recording.call(given, call.function)
            builds_on(leaf.run, given.get("xgb_model"), "xgb_model")
        with guarded("xgboost"):
            recording.matrices(given)
        with recorded_in(recording):
            leaf.outcome = yield
        if leaf.outcome.error is None:
            recording.finish(leaf.outcome.result if name == "xgboost.train" else None)


def begin(name: str, callbacks: Any) -> Leaf | None:
    """Begin to record, with the name or in the run that an explicit callback asks for."""
    if is_silent() or _rank() > 0:
        return None
    return begin_leaf("xgboost", name, callbacks=callbacks)


def _rank() -> int:
    """This worker's rank in a distributed training; 0 outside one."""
    from xgboost import collective

    return int(collective.get_rank())


def _log_fit_data(leaf: Leaf, given: dict[str, Any]) -> None:
    parts = {"X": given.get("X"), **{part: given.get(part) for part in TRAIN_PARTS}}
    leaf.run.log_dataset(parts, role="train", name="train")
    beside = {
        "sample_weight": elements(given.get("sample_weight_eval_set")),
        "base_margin": elements(given.get("base_margin_eval_set")),
        "group": elements(given.get("eval_group")),
        "qid": elements(given.get("eval_qid")),
    }
    for index, (features, target) in enumerate(elements(given.get("eval_set"))):
        more = {part: values[index] for part, values in beside.items() if index < len(values)}
        leaf.run.log_dataset({"X": features, "y": target, **more}, role="validation", name=f"validation_{index}")
