"""`AutotrackCallback`: records what it is passed to, once, with and without `enable()`."""

import contextvars
import copy
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("xgboost")
pytest.importorskip("cloudpickle")

import cloudpickle
import xgboost
from xgboost.callback import EarlyStopping, TrainingCallback

import autotrack
import autotrack_xgboost
from autotrack.patching.scope import begin_leaf
from autotrack.plugins import plugins
from autotrack.testing import Recorded, recording
from autotrack_xgboost import AutotrackCallback

DATA = np.random.default_rng(0)
X = DATA.normal(size=(200, 4))
Y = X[:, 0] * 2 + DATA.normal(scale=0.5, size=200)
LABELS = (Y > 0).astype(int)

plugins.load()
if "xgboost" not in plugins.integrations:
    plugins.register(autotrack_xgboost, "xgboost")


@pytest.fixture(params=["alone", "enabled"])
def recorded(tmp_path, request):
    with recording(tmp_path, "xgboost") as recorded:
        if request.param == "alone":
            autotrack.disable()
        yield recorded


def matrices():
    return xgboost.DMatrix(X[:100], Y[:100]), xgboost.DMatrix(X[100:], Y[100:])


def series(history):
    return {
        f"{data}/{metric}": list(enumerate(values))
        for data, metrics in history.items()
        for metric, values in metrics.items()
    }


def rounds_of(run):
    return {key: points for key, points in run.metrics.items() if "/" in key}


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("save_best", [True, False])
def test_train_is_one_run_complete_to_its_last_round(recorded, first, save_best) -> None:
    fit, held_out = matrices()
    history = {}
    callbacks = [AutotrackCallback(name="baseline"), EarlyStopping(rounds=3, save_best=save_best)]
    booster = xgboost.train(
        {"eta": 1.0, "max_depth": 3},
        fit,
        60,
        evals=[(held_out, "test")],
        evals_result=history,
        callbacks=callbacks if first else callbacks[::-1],
        verbose_eval=False,
    )
    (run,) = recorded.runs()
    assert (run.name, run.status, run.ends, run.integration) == ("baseline", "finished", 1, "xgboost")
    assert len(history["test"]["rmse"]) < 60
    assert rounds_of(run) == series(history)
    assert run.metrics["best_iteration"] == [(booster.best_iteration, booster.best_iteration)]
    assert (run.params["max_depth"], run.params["num_boost_round"], run.params["booster"]) == (3, 60, "gbtree")
    assert [(it.role, it.name) for it in run.datasets] == [("train", "train"), ("validation", "test")]
    (model,) = run.models
    kept = xgboost.Booster(model_file=bytearray(recorded.content(model)))
    assert kept.num_boosted_rounds() == booster.num_boosted_rounds()
    assert kept.best_iteration == booster.best_iteration
    assert set(run.artifacts) == {"feature_importance.json"}
    assert autotrack.current_run() is None


def test_the_estimators_take_it(recorded) -> None:
    model = xgboost.XGBClassifier(n_estimators=5, max_depth=2, callbacks=[AutotrackCallback(name="mine")])
    model.fit(X, LABELS, eval_set=[(X, LABELS)], verbose=False)
    (run,) = recorded.runs()
    assert (run.name, run.status, run.ends, len(run.models)) == ("mine", "finished", 1, 1)
    assert rounds_of(run) == series(model.evals_result())
    assert run.params["max_depth"] == 2 and run.params["num_boost_round"] == 5


def test_cv_takes_it(recorded) -> None:
    fit, _ = matrices()
    table = xgboost.cv({}, fit, 4, callbacks=[AutotrackCallback()], as_pandas=False)
    (run,) = recorded.runs()
    assert (run.name, run.status, run.models) == ("xgboost.cv", "finished", [])
    assert [value for _, value in run.metrics["test/rmse"]] == table["test-rmse-mean"]
    assert [value for _, value in run.metrics["test/rmse-std"]] == table["test-rmse-std"]


def test_a_run_that_is_given_stays_open(recorded) -> None:
    fit, _ = matrices()
    # Started in another context, so that nothing but the callback leads to it.
    run = contextvars.copy_context().run(autotrack.start_run, "given")
    xgboost.train({}, fit, 3, evals=[(fit, "t")], callbacks=[AutotrackCallback(run)], verbose_eval=False)
    (found,) = recorded.runs()
    assert (found.name, found.status, len(found.metrics["t/rmse"])) == ("given", "running", 3)
    run.end()


def test_inside_a_run_of_the_users(recorded) -> None:
    fit, _ = matrices()
    with autotrack.start_run("mine"):
        xgboost.train({}, fit, 3, callbacks=[AutotrackCallback()])
        assert [run.status for run in recorded.runs()] == ["running"]
    (run,) = recorded.runs()
    assert (run.name, run.ends, run.params["num_boost_round"]) == ("mine", 1, 3)


def test_inside_another_training_it_is_silent(recorded) -> None:
    fit, _ = matrices()
    autotrack.enable("xgboost", forwarder="off", home=recorded.home, strict=True)
    with begin_leaf("search", name="search"):
        xgboost.train({}, fit, 3, evals=[(fit, "t")], callbacks=[AutotrackCallback()], verbose_eval=False)
    (run,) = recorded.runs()
    assert (run.name, run.metrics, run.models) == ("search", {}, [])


def test_used_again_it_makes_another_run(recorded) -> None:
    fit, _ = matrices()
    callback = AutotrackCallback()
    for _ in range(2):
        xgboost.train({}, fit, 2, evals=[(fit, "t")], callbacks=[callback], verbose_eval=False)
    assert [len(run.metrics["t/rmse"]) for run in recorded.runs()] == [2, 2]


@pytest.mark.parametrize(("error", "status"), [(ValueError("mine"), "failed"), (KeyboardInterrupt(), "killed")])
def test_an_exception_passes_and_ends_the_run(recorded, error, status) -> None:
    class Raises(TrainingCallback):
        def after_iteration(self, model, epoch, evals_log):
            raise error

    fit, _ = matrices()
    callback = AutotrackCallback()
    with pytest.raises(type(error)) as caught:
        xgboost.train({}, fit, 5, evals=[(fit, "t")], callbacks=[callback, Raises()], verbose_eval=False)
    assert caught.value is error
    assert autotrack.current_run() is None
    xgboost.train({}, fit, 2, callbacks=[callback])
    first, second = recorded.runs()
    assert (first.status, first.ends, first.error["type"]) == (status, 1, type(error).__name__)
    assert first.models == [] and len(first.metrics["t/rmse"]) == 1
    assert second.status == "finished"


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])
@pytest.mark.parametrize("trained", [False, True])
def test_it_pickles_and_copies_before_and_after_training(recorded, copied, trained) -> None:
    fit, _ = matrices()
    callback = AutotrackCallback(name="mine")
    if trained:
        xgboost.train({}, fit, 2, callbacks=[callback])
    assert pickle.loads(cloudpickle.dumps(callback)).name == "mine"
    again = copied(callback)
    assert (type(again), again.name) == (AutotrackCallback, "mine")
    xgboost.train({}, fit, 2, evals=[(fit, "t")], callbacks=[again], verbose_eval=False)
    run = recorded.runs()[-1]
    assert (run.name, run.status, len(run.metrics["t/rmse"])) == ("mine", "finished", 2)
    model = xgboost.XGBRegressor(n_estimators=2, callbacks=[again]).fit(X, Y)
    assert np.array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))


def test_a_copy_leads_to_the_same_run_and_a_pickle_forgets_it(recorded) -> None:
    with autotrack.start_run("given") as run:
        callback = AutotrackCallback(run)
        assert copy.deepcopy(callback).run is run
        assert pickle.loads(pickle.dumps(callback)).run is None


def test_without_a_watch_the_run_still_ends(recorded) -> None:
    fit, _ = matrices()
    callback = AutotrackCallback()
    autotrack.disable()  # takes out what the callback placed
    xgboost.train(
        {"max_depth": 2}, fit, 3, evals=[(fit, "t")], callbacks=[callback, EarlyStopping(rounds=1)], verbose_eval=False
    )
    (run,) = recorded.runs()
    assert (run.status, run.ends, len(run.models), len(run.metrics["t/rmse"])) == ("finished", 1, 1, 3)
    assert run.params["max_depth"] == "2"
    assert run.params["objective"] == "reg:squarederror"


SCRIPT = """
import sys
from autotrack_xgboost import AutotrackCallback
import numpy as np, xgboost
X = np.arange(40.0).reshape(20, 2)
xgboost.train({}, xgboost.DMatrix(X, X[:, 0]), 3, callbacks=[AutotrackCallback()])
xgboost.train({}, xgboost.DMatrix(X, X[:, 0]), 3)
"""


@pytest.mark.parametrize("enabled", [None, "0"])
def test_a_script_that_never_enables(tmp_path, enabled) -> None:
    variables = {"AUTOTRACK_HOME": str(tmp_path), "AUTOTRACK_FORWARDER": "off", "AUTOTRACK_QUIET": "1"}
    if enabled is not None:
        variables["AUTOTRACK_ENABLED"] = enabled
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env={**os.environ, **variables}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    statuses = [(run.name, run.status) for run in Recorded(tmp_path).runs()]
    assert statuses == ([] if enabled == "0" else [("xgboost.train", "finished")])
