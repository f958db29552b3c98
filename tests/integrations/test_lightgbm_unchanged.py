"""Tracked and untracked trainings are the same bit by bit, raise the same, print the same, and leave no trace."""

import copy
import functools
import inspect
import pickle
import warnings

import numpy as np
import pytest

cloudpickle = pytest.importorskip("cloudpickle")
lightgbm = pytest.importorskip("lightgbm")

from lightgbm import early_stopping, log_evaluation, record_evaluation, reset_parameter  # noqa: E402

import autotrack  # noqa: E402
import autotrack_lightgbm  # noqa: E402
from autotrack.plugins import plugins  # noqa: E402
from autotrack.testing import recording  # noqa: E402

DATA = np.random.default_rng(0)
X = DATA.normal(size=(200, 4))
Y = X[:, 0] * 2 + DATA.normal(scale=0.1, size=200)
RELEVANCE = np.clip(np.round(Y), 0, 4)
BASE = {"num_threads": 1, "force_col_wise": True, "seed": 3}

plugins.load()
if "lightgbm" not in plugins.integrations:
    plugins.register(autotrack_lightgbm, "lightgbm")

added = []
"""Callbacks that every case trains with, besides its own."""


def squared(predictions, dataset):
    return predictions - dataset.get_label(), np.ones_like(predictions)


def spread(predictions, dataset):
    return "spread", float(np.std(predictions)), False


def trained(params, rounds=6, *, data=(X, Y), callbacks=(), **more):
    fit = lightgbm.Dataset(*data)
    held_out = fit.create_valid(data[0][:50], data[1][:50])
    history = {}
    callbacks = [record_evaluation(history), log_evaluation(2), *callbacks, *added]
    booster = lightgbm.train({**BASE, **params}, fit, rounds, valid_sets=[fit, held_out], callbacks=callbacks, **more)
    return booster.model_to_string(), history, booster.predict(data[0]), booster.params, booster.best_score


def ranked():
    fit = lightgbm.Dataset(X, RELEVANCE, group=[50] * 4)
    history = {}
    params = {**BASE, "objective": "lambdarank", "eval_at": [3], "verbosity": -1}
    callbacks = [record_evaluation(history), *added]
    booster = lightgbm.train(params, fit, 5, valid_sets=[fit], callbacks=callbacks)
    return booster.model_to_string(), history, booster.predict(X)


def fitted(**more):
    history_of = lightgbm.LGBMClassifier(n_estimators=5, random_state=1, n_jobs=1, **more)
    labels = np.digitize(Y, [-1.0, 1.0])
    history_of.fit(X, labels, eval_set=[(X, labels), (X[:50], labels[:50])], callbacks=[*added])
    return (
        history_of.booster_.model_to_string(),
        history_of.evals_result_,
        history_of.predict(X),
        history_of.predict_proba(X),
    )


def further():
    first = lightgbm.train({**BASE, "verbosity": -1}, lightgbm.Dataset(X, Y), 2)
    return trained({"verbosity": -1}, init_model=first)


CASES = {
    "trees": lambda: trained({"bagging_fraction": 0.5, "bagging_freq": 1}),
    "an unknown param": lambda: trained({"bagging_fractions": 0.5}),
    "conflicting rounds": lambda: trained({"num_trees": 4, "n_estimators": 5}),
    "dart": lambda: trained({"boosting": "dart", "drop_rate": 0.5}),
    "forest": lambda: trained({"boosting": "rf", "bagging_fraction": 0.5, "bagging_freq": 1}),
    "linear trees": lambda: trained({"linear_tree": True}),
    "objective": lambda: trained({"objective": squared, "metric": "l2"}),
    "metric": lambda: trained({"metric": "None"}, feval=[spread]),
    "schedule": lambda: trained({}, callbacks=[reset_parameter(learning_rate=[0.5 / (at + 1) for at in range(6)])]),
    "stop": lambda: trained({"learning_rate": 1.0}, 80, callbacks=[early_stopping(2)]),
    "stop by param": lambda: trained({"learning_rate": 1.0, "early_stopping_round": 2}, 80),
    "kept for more": lambda: trained(
        {"learning_rate": 1.0}, 80, callbacks=[early_stopping(2)], keep_training_booster=True
    ),
    "no more splits": lambda: trained({"min_data_in_leaf": 150}),
    "continued": further,
    "ranking": ranked,
    "classifier": lambda: fitted(),
    "classifier with a conflict": lambda: fitted(min_child_samples=5, min_data_in_leaf=7),
}


def observed(case, capfd):
    """What a user can see of a training: its warnings with their places, its output, the model, the evaluations."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        found = CASES[case]()
    told = [(str(it.message), it.filename, it.lineno) for it in warned]
    return told, capfd.readouterr(), found


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("explicit", [False, True])
def test_training_is_the_same_bit_by_bit(tmp_path, capfd, case, explicit) -> None:
    untracked = observed(case, capfd)
    with recording(tmp_path / "home", "lightgbm", quiet=True, models="all") as recorded:
        if explicit:
            autotrack.disable()
            added.append(autotrack_lightgbm.AutotrackCallback())
        tracked = observed(case, capfd)
        added.clear()
    assert tracked[:2] == untracked[:2]
    for one, other in zip(tracked[2], untracked[2], strict=True):
        assert one.tobytes() == other.tobytes() if isinstance(one, np.ndarray) else one == other
    history = untracked[2][1]
    run = recorded.runs()[-1]
    assert run.status == "finished" and run.models[0].name == "model" and run.datasets[0].role == "train"
    for data, metrics in history.items():
        for metric, values in metrics.items():
            assert run.metrics[f"{data}/{metric}"] == list(enumerate(values))


@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt(), SystemExit(3)])
def test_the_very_same_exception_passes(tmp_path, error) -> None:
    def raises(env):
        if env.iteration == 2:
            raise error

    def objective(predictions, dataset):
        raise error

    fit = lightgbm.Dataset(X, Y)
    with recording(tmp_path, "lightgbm") as recorded:
        with pytest.raises(type(error)) as caught:
            lightgbm.train({"verbosity": -1}, fit, 9, valid_sets=[fit], callbacks=[raises])
        assert caught.value is error and error.__context__ is None
        with pytest.raises(type(error)) as caught:
            lightgbm.train({"objective": objective, "verbosity": -1}, fit, 9)
        assert caught.value is error
        with pytest.raises(type(error)) as caught:
            lightgbm.cv({"verbosity": -1}, lightgbm.Dataset(X, Y), 9, stratified=False, callbacks=[raises])
        assert caught.value is error
        with pytest.raises(type(error)) as caught:
            lightgbm.LGBMRegressor(verbosity=-1).fit(X, Y, callbacks=[raises])
        assert caught.value is error
        assert autotrack.current_run() is None
    runs = recorded.runs()
    status = "failed" if isinstance(error, ValueError) else "killed"
    assert [run.status for run in runs] == [status] * 4 and [run.models for run in runs] == [[]] * 4
    assert runs[0].error["type"] == type(error).__name__ and "raises" in runs[0].error["traceback"]
    # The third round was evaluated before the callback raised.
    assert len(runs[0].metrics["training/l2"]) == len(runs[2].metrics["valid/l2"]) == 3


def places():
    yield from ((lightgbm, name) for name in ("train", "cv"))
    yield from ((lightgbm.engine, name) for name in ("train", "cv", "_agg_cv_result"))
    yield lightgbm.sklearn, "train"
    yield from ((lightgbm.Booster, name) for name in ("__init__", "predict"))
    yield lightgbm.Dataset, "__init__"
    for name in ("LGBMModel", "LGBMClassifier", "LGBMRegressor", "LGBMRanker"):
        yield getattr(lightgbm, name), "fit"


def originals():
    return [vars(owner)[name] for owner, name in places()]


def codes():
    """A function is observed in place, by its code, or by another one where it was."""
    return [it.__code__ for it in originals()]


def test_looks_and_pickling_stay_and_disable_is_total(tmp_path) -> None:
    before, codes_before = originals(), codes()
    looks = [(inspect.signature(it), it.__doc__, it.__name__, it.__module__) for it in before]
    with recording(tmp_path, "lightgbm"):
        autotrack.enable("lightgbm", forwarder="off", home=tmp_path)
        autotrack_lightgbm.AutotrackCallback()
        tracked = originals()
        assert not any(a is b for a, b in zip(codes_before, codes(), strict=True))
        assert [(inspect.signature(it), it.__doc__, it.__name__, it.__module__) for it in tracked] == looks
        for function in (lightgbm.train, lightgbm.cv, lightgbm.LGBMClassifier.fit, lightgbm.Dataset.__init__):
            assert pickle.loads(pickle.dumps(function)) is function
            assert pickle.loads(cloudpickle.dumps(function)) is function
    assert all(a is b for a, b in zip(before, originals(), strict=True))
    assert all(a is b for a, b in zip(codes_before, codes(), strict=True))
    assert not any(
        hasattr(it, "__wrapped__") or it.__kwdefaults__ and "autotrack" in str(it.__kwdefaults__) for it in before
    )


def test_a_fitted_model_pickles_and_copies_as_ever(tmp_path) -> None:
    plain = lightgbm.LGBMRegressor(n_estimators=3, verbosity=-1).fit(X, Y)
    with recording(tmp_path, "lightgbm"):
        tracked = lightgbm.LGBMRegressor(n_estimators=3, verbosity=-1).fit(X, Y)
    assert set(vars(tracked)) == set(vars(plain))
    assert set(vars(tracked.booster_)) == set(vars(plain.booster_))
    assert b"autotrack" not in pickle.dumps(tracked)
    assert np.array_equal(copy.deepcopy(tracked).predict(X), plain.predict(X))


def test_what_the_user_passes_is_not_changed(tmp_path) -> None:
    def first(env): ...
    def second(env): ...

    orders = []
    for tracked in (False, True):
        fit = lightgbm.Dataset(X, Y)
        params, callbacks, sets = {"num_leaves": 5, "verbosity": -1}, [first, second], [fit]
        given = (dict(params), list(callbacks), list(sets))
        for function in callbacks:
            vars(function).clear()
        if tracked:
            with recording(tmp_path, "lightgbm"):
                lightgbm.train(params, fit, 3, valid_sets=sets, callbacks=callbacks)
                lightgbm.train(params, fit, 3, valid_sets=sets, callbacks=set(callbacks))
                lightgbm.LGBMRegressor(n_estimators=2, verbosity=-1).fit(X, Y, callbacks=callbacks)
        else:
            lightgbm.train(params, fit, 3, valid_sets=sets, callbacks=callbacks)
        assert (params, callbacks, sets) == given
        orders.append([vars(function) for function in (first, second)])
        orders[-1] = [dict(it) for it in orders[-1]]
    assert orders[0] == orders[1] == [{"order": -2}, {"order": -1}]  # lightgbm's own


def test_another_tool_that_wrapped_train_first_goes_on(tmp_path, monkeypatch) -> None:
    seen = []
    original = lightgbm.train

    @functools.wraps(original)
    def theirs(*args, **more):
        seen.append(1)
        return original(*args, **more)

    monkeypatch.setattr(lightgbm, "train", theirs)
    with recording(tmp_path, "lightgbm") as recorded:
        lightgbm.train({"verbosity": -1}, lightgbm.Dataset(X, Y), 2)
        lightgbm.engine.train({"verbosity": -1}, lightgbm.Dataset(X, Y), 2)
    lightgbm.train({"verbosity": -1}, lightgbm.Dataset(X, Y), 2)
    assert lightgbm.train is theirs and seen == [1, 1]
    assert [run.name for run in recorded.runs()] == ["lightgbm.train"] * 2


def test_another_tool_that_wraps_train_after_goes_on(tmp_path, monkeypatch) -> None:
    original = lightgbm.train
    with recording(tmp_path, "lightgbm") as recorded:
        ours = lightgbm.train
        monkeypatch.setattr(lightgbm, "train", lambda *args, **more: ours(*args, **more))
        theirs = lightgbm.train
        lightgbm.train({"verbosity": -1}, lightgbm.Dataset(X, Y), 2)
    lightgbm.train({"verbosity": -1}, lightgbm.Dataset(X, Y), 2)
    assert lightgbm.train is theirs and lightgbm.engine.train is original
    assert len(recorded.runs()) == 1
