"""Tracked and untracked trainings are the same bit by bit, raise the same, print the same, and leave no trace."""

import copy
import functools
import inspect
import pickle
import re
import warnings

import numpy as np
import pytest

pytest.importorskip("xgboost")
pytest.importorskip("cloudpickle")

import cloudpickle
import xgboost
from xgboost.callback import CallbackContainer, LearningRateScheduler, TrainingCallback

import autotrack
import autotrack_xgboost
from autotrack.plugins import plugins
from autotrack.testing import recording

DATA = np.random.default_rng(0)
X = DATA.normal(size=(200, 4))
Y = X[:, 0] * 2 + DATA.normal(scale=0.1, size=200)
RELEVANCE = np.clip(np.round(Y), 0, 4)

plugins.load()
if "xgboost" not in plugins.integrations:
    plugins.register(autotrack_xgboost, "xgboost")


added = []
"""Callbacks that every case trains with, besides its own."""


def squared(predictions, matrix):
    return predictions - matrix.get_label(), np.ones_like(predictions)


def spread(predictions, matrix):
    return "spread", float(np.std(predictions))


def trained(params, rounds=6, *, data=(X, Y), matrix=xgboost.DMatrix, verbose_eval=2, **more):
    fit = matrix(*data)
    history = {}
    callbacks = [*more.pop("callbacks", ()), *added]
    booster = xgboost.train(
        params,
        fit,
        rounds,
        evals=[(fit, "train")],
        evals_result=history,
        verbose_eval=verbose_eval,
        callbacks=callbacks,
        **more,
    )
    return booster, history, booster.predict(fit)


def ranked():
    fit = xgboost.DMatrix(X, RELEVANCE, group=[50] * 4)
    history = {}
    booster = xgboost.train(
        {"objective": "rank:ndcg", "eval_metric": "ndcg@3"},
        fit,
        5,
        evals=[(fit, "t")],
        evals_result=history,
        callbacks=added,
    )
    return booster, history, booster.predict(fit)


class Batches(xgboost.DataIter):
    def __init__(self, **more):
        super().__init__(**more)
        self.at = 0

    def reset(self):
        self.at = 0

    def next(self, input_data):
        if self.at == 2:
            return False
        input_data(data=X[self.at * 100 :][:100], label=Y[self.at * 100 :][:100])
        self.at += 1
        return True


def from_batches(kind, folder=None):
    batches = Batches(cache_prefix=str(folder / "cache")) if folder else Batches()
    fit = kind(batches)
    history = {}
    booster = xgboost.train({}, fit, 4, evals=[(fit, "t")], evals_result=history, callbacks=added)
    return booster, history, booster.predict(fit)


def from_a_file(folder):
    path = folder / "data.libsvm"
    path.write_text("".join(f"{y} 0:{x[0]} 2:{x[2]}\n" for x, y in zip(X, Y, strict=True)))
    return trained({}, data=(f"{path}?format=libsvm",))


CASES = {
    "trees": lambda folder: trained({"subsample": 0.5, "seed": 3}),
    "an unknown param": lambda folder: trained({"sub_sample": 0.5}),
    "exact": lambda folder: trained({"tree_method": "exact"}),
    "linear": lambda folder: trained({"booster": "gblinear", "updater": "coord_descent"}),
    "dart": lambda folder: trained({"booster": "dart", "rate_drop": 0.3, "seed": 1}),
    "objective": lambda folder: trained({}, obj=squared),
    "metric": lambda folder: trained({"disable_default_eval_metric": 1}, custom_metric=spread),
    "outputs": lambda folder: trained({"multi_strategy": "multi_output_tree"}, data=(X, np.c_[Y, -Y])),
    "outputs by tree": lambda folder: trained({}, data=(X, np.c_[Y, -Y])),
    "quantiles": lambda folder: trained({"tree_method": "hist"}, matrix=xgboost.QuantileDMatrix),
    "schedule": lambda folder: trained({}, callbacks=[LearningRateScheduler(lambda epoch: 0.5 / (epoch + 1))]),
    # Up to xgboost 3.0 callbacks are a set: whether the last round is printed then depends on addresses.
    "stop": lambda folder: trained({"eta": 1.0}, 80, early_stopping_rounds=2, verbose_eval=False),
    "continued": lambda folder: trained({}, xgb_model=trained({}, 2)[0]),
    "forest": lambda folder: trained({"num_parallel_tree": 3, "subsample": 0.5}),
    "ranking": lambda folder: ranked(),
    "batches": lambda folder: from_batches(xgboost.QuantileDMatrix),
    "external memory": lambda folder: from_batches(xgboost.DMatrix, folder),
    "file": lambda folder: from_a_file(folder),
}


def observed(case, folder, capfd):
    """What a user can see of a training: its warnings with their places, its output, the model, the evaluations."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        booster, history, predictions = CASES[case](folder)
    told = [(re.sub(r"\d\d:\d\d:\d\d", "", str(it.message)), it.filename, it.lineno) for it in warned]
    return told, capfd.readouterr(), bytes(booster.save_raw("ubj")), history, predictions.tobytes()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("explicit", [False, True])
def test_training_is_the_same_bit_by_bit(tmp_path, capfd, case, explicit) -> None:
    observed(case, tmp_path, capfd)  # xgboost tells some warnings once in a process
    untracked = observed(case, tmp_path, capfd)
    with recording(tmp_path / "home", "xgboost", quiet=True) as recorded:
        if explicit:
            autotrack.disable()
            added.append(autotrack_xgboost.AutotrackCallback())
        tracked = observed(case, tmp_path, capfd)
        added.clear()
    for one, other in zip(tracked, untracked, strict=True):
        assert one == other
    history = untracked[3]
    run = recorded.runs()[-1]
    assert run.status == "finished" and len(run.models) == 1 and len(run.datasets) == 1
    for data, metrics in history.items():
        for metric, values in metrics.items():
            assert run.metrics[f"{data}/{metric}"] == list(enumerate(values))


@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt(), SystemExit(3)])
def test_the_very_same_exception_passes(tmp_path, error) -> None:
    class Raises(TrainingCallback):
        def after_iteration(self, model, epoch, evals_log):
            if epoch == 2:
                raise error
            return False

    def objective(predictions, matrix):
        raise error

    fit = xgboost.DMatrix(X, Y)
    with recording(tmp_path, "xgboost") as recorded:
        with pytest.raises(type(error)) as caught:
            xgboost.train({}, fit, 9, evals=[(fit, "t")], callbacks=[Raises()], verbose_eval=False)
        assert caught.value is error and error.__context__ is None
        with pytest.raises(type(error)) as caught:
            xgboost.train({}, fit, 9, obj=objective)
        assert caught.value is error
        assert autotrack.current_run() is None
    first, second = recorded.runs()
    status = "failed" if isinstance(error, ValueError) else "killed"
    assert [first.status, second.status] == [status, status]
    assert first.error["type"] == type(error).__name__ and "after_iteration" in first.error["traceback"]
    assert len(first.metrics["t/rmse"]) == 3  # the third round was evaluated before the callback raised
    assert first.models == second.models == []


def places():
    yield from ((owner, "fit") for owner in (xgboost.XGBModel, xgboost.XGBClassifier, xgboost.XGBRanker))
    yield from ((owner, "__init__") for owner in (xgboost.DMatrix, xgboost.QuantileDMatrix))
    yield CallbackContainer, "before_training"


def originals():
    decorated = [it for it in (xgboost.train, xgboost.cv) if "func" in it.__code__.co_freevars]
    cells = [it.__closure__[it.__code__.co_freevars.index("func")].cell_contents for it in decorated]
    return [vars(owner)[name] for owner, name in places()] + cells + [xgboost.train, xgboost.cv]


def test_looks_and_pickling_stay_and_disable_is_total(tmp_path) -> None:
    before = originals()
    looks = [(inspect.signature(it), it.__doc__, it.__name__) for it in before if callable(it)]
    with recording(tmp_path, "xgboost"):
        autotrack.enable("xgboost", forwarder="off", home=tmp_path)
        autotrack_xgboost.AutotrackCallback()
        tracked = originals()
        assert [a is b for a, b in zip(before, tracked, strict=True)].count(False) >= 7  # `cv` of xgboost 2 in place
        assert [(inspect.signature(it), it.__doc__, it.__name__) for it in tracked if callable(it)] == looks
        for function in (xgboost.train, xgboost.cv, xgboost.XGBClassifier.fit, xgboost.DMatrix.__init__):
            assert pickle.loads(pickle.dumps(function)) is function
            assert pickle.loads(cloudpickle.dumps(function)) is function
    assert all(a is b for a, b in zip(before, originals(), strict=True))


def test_a_fitted_model_pickles_and_copies_as_ever(tmp_path) -> None:
    plain = xgboost.XGBRegressor(n_estimators=3).fit(X, Y)
    with recording(tmp_path, "xgboost"):
        tracked = xgboost.XGBRegressor(n_estimators=3).fit(X, Y)
    assert set(vars(tracked)) == set(vars(plain))
    assert b"autotrack" not in pickle.dumps(tracked)
    assert np.array_equal(copy.deepcopy(tracked).predict(X), plain.predict(X))


def test_what_the_user_passes_is_not_changed(tmp_path) -> None:
    fit = xgboost.DMatrix(X, Y)
    params, evals, callbacks = {"max_depth": 2}, [(fit, "t")], [LearningRateScheduler([0.1] * 3)]
    given = (dict(params), list(evals), list(callbacks))
    with recording(tmp_path, "xgboost"):
        xgboost.train(params, fit, 3, evals=evals, callbacks=callbacks, verbose_eval=False)
        booster = xgboost.train(params, fit, 3, evals=iter([(fit, "t")]), callbacks=iter([]), verbose_eval=False)
    assert (params, evals, callbacks) == given
    assert booster.num_boosted_rounds() == 3


def test_another_tool_that_wrapped_train_first_goes_on(tmp_path, monkeypatch) -> None:
    seen = []
    original = xgboost.train

    @functools.wraps(original)
    def theirs(*args, **more):
        seen.append(1)
        return original(*args, **more)

    monkeypatch.setattr(xgboost, "train", theirs)
    monkeypatch.setattr(xgboost.training, "train", theirs)
    with recording(tmp_path, "xgboost") as recorded:
        xgboost.train({}, xgboost.DMatrix(X, Y), 2)
    xgboost.train({}, xgboost.DMatrix(X, Y), 2)
    assert xgboost.train is theirs and seen == [1, 1]
    assert [run.name for run in recorded.runs()] == ["xgboost.train"]


def test_a_train_without_the_decorator_is_seen_wherever_it_was_taken_to(tmp_path, monkeypatch) -> None:
    bare = xgboost.train.__wrapped__
    code = bare.__code__
    for module in (xgboost, xgboost.training, xgboost.sklearn):
        monkeypatch.setattr(module, "train", bare)
    with recording(tmp_path, "xgboost") as recorded:
        bare({}, xgboost.DMatrix(X, Y), 2)
        xgboost.XGBRegressor(n_estimators=2).fit(X, Y)
    assert xgboost.train is xgboost.sklearn.train is bare and bare.__code__ is code
    assert not hasattr(bare, "__wrapped__")
    runs = recorded.runs()
    assert [run.name for run in runs] == ["xgboost.train", "XGBRegressor"]
    assert [run.params["num_boost_round"] for run in runs] == [2, 2]
