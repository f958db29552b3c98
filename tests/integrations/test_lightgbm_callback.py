"""`AutotrackCallback`: records what it is passed to, once, with and without `enable()`."""

import contextvars
import copy
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

cloudpickle = pytest.importorskip("cloudpickle")
lightgbm = pytest.importorskip("lightgbm")

from lightgbm import early_stopping, record_evaluation  # noqa: E402

import autotrack  # noqa: E402
import autotrack_lightgbm  # noqa: E402
from autotrack.patching.scope import begin_leaf  # noqa: E402
from autotrack.plugins import plugins  # noqa: E402
from autotrack.testing import Recorded, recording  # noqa: E402
from autotrack_lightgbm import AutotrackCallback  # noqa: E402

DATA = np.random.default_rng(0)
X = DATA.normal(size=(200, 4))
Y = X[:, 0] * 2 + DATA.normal(scale=0.5, size=200)
QUIET = {"verbosity": -1, "num_threads": 1}

plugins.load()
if "lightgbm" not in plugins.integrations:
    plugins.register(autotrack_lightgbm, "lightgbm")


@pytest.fixture(params=["alone", "enabled"])
def recorded(tmp_path, request):
    with recording(tmp_path, "lightgbm") as recorded:
        if request.param == "alone":
            autotrack.disable()
        yield recorded


def datasets():
    fit = lightgbm.Dataset(X[:100], Y[:100])
    return fit, fit.create_valid(X[100:], Y[100:])


def series(history):
    return {
        f"{data}/{metric}": list(enumerate(values))
        for data, metrics in history.items()
        for metric, values in metrics.items()
    }


def rounds_of(run):
    return {key: points for key, points in run.metrics.items() if "/" in key}


@pytest.mark.parametrize("first", [True, False])
def test_train_is_one_run_complete_to_its_last_round(recorded, first) -> None:
    history = {}
    callbacks = [AutotrackCallback(name="baseline"), early_stopping(3, verbose=False), record_evaluation(history)]
    fit, held_out = datasets()
    booster = lightgbm.train(
        {**QUIET, "learning_rate": 1.0},
        fit,
        60,
        valid_sets=[held_out],
        callbacks=callbacks if first else callbacks[::-1],
    )
    (run,) = recorded.runs()
    assert (run.name, run.status, run.ends, run.integration) == ("baseline", "finished", 1, "lightgbm")
    assert len(history["valid_0"]["l2"]) < 60
    assert rounds_of(run) == series(history)
    assert run.metrics["best_iteration"] == [(booster.best_iteration - 1, booster.best_iteration)]
    assert (run.params["learning_rate"], run.params["num_boost_round"], run.params["boosting"]) == (1.0, 60, "gbdt")
    assert [(it.role, it.name) for it in run.datasets] == [("train", "train"), ("validation", "valid_0")]
    assert [model.format for model in run.models] == ["text"]
    assert set(run.artifacts) == {"feature_importance.json"}
    assert autotrack.current_run() is None


def test_the_estimators_take_it(recorded) -> None:
    pytest.importorskip("sklearn")
    model = lightgbm.LGBMRegressor(n_estimators=5, num_leaves=4, verbosity=-1, n_jobs=1)
    model.fit(X, Y, callbacks=[AutotrackCallback(name="mine")])
    (run,) = recorded.runs()
    assert (run.name, run.status, run.ends, len(run.models)) == ("mine", "finished", 1, 1)
    assert (run.params["num_leaves"], run.params["n_estimators"]) == (4, 5)
    assert set(run.datasets[0].record["parts"]) == {"X", "y"}


def test_a_step_of_a_pipeline_takes_it_where_scikit_learn_is_not_recorded(recorded) -> None:
    pipeline = pytest.importorskip("sklearn.pipeline")
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    model = lightgbm.LGBMRegressor(n_estimators=5, verbosity=-1, n_jobs=1)
    steps = pipeline.make_pipeline(preprocessing.StandardScaler(), model)
    steps.fit(X, Y, lgbmregressor__callbacks=[AutotrackCallback()])
    assert [(run.name, run.status) for run in recorded.runs()] == [("LGBMRegressor", "finished")]


def test_cv_takes_it(recorded) -> None:
    fit, _ = datasets()
    table = lightgbm.cv(QUIET, fit, 4, nfold=2, stratified=False, callbacks=[AutotrackCallback()])
    (run,) = recorded.runs()
    assert (run.name, run.status, run.models) == ("lightgbm.cv", "finished", [])
    assert [value for _, value in run.metrics["valid/l2"]] == table["valid l2-mean"]
    assert [value for _, value in run.metrics["valid/l2-std"]] == table["valid l2-stdv"]


def test_without_it_nothing_is_recorded_unasked(recorded) -> None:
    autotrack.disable()
    callback = AutotrackCallback()
    fit, held_out = datasets()
    lightgbm.train(QUIET, fit, 2, valid_sets=[held_out])
    lightgbm.LGBMRegressor(n_estimators=2, verbosity=-1, n_jobs=1).fit(X, Y)
    assert recorded.runs() == []
    lightgbm.train(QUIET, fit, 2, callbacks=[callback])
    assert len(recorded.runs()) == 1


def test_a_run_that_is_given_stays_open(recorded) -> None:
    fit, _ = datasets()
    # Started in another context, so that nothing but the callback leads to it.
    run = contextvars.copy_context().run(autotrack.start_run, "given")
    lightgbm.train(QUIET, fit, 3, valid_sets=[fit], callbacks=[AutotrackCallback(run)])
    (found,) = recorded.runs()
    assert (found.name, found.status, len(found.metrics["training/l2"])) == ("given", "running", 3)
    run.end()


def test_inside_a_run_of_the_users(recorded) -> None:
    with autotrack.start_run("mine"):
        lightgbm.train(QUIET, datasets()[0], 3, callbacks=[AutotrackCallback()])
        assert [run.status for run in recorded.runs()] == ["running"]
    (run,) = recorded.runs()
    assert (run.name, run.ends, run.params["num_boost_round"]) == ("mine", 1, 3)


def test_inside_another_training_it_is_silent(recorded) -> None:
    autotrack.enable("lightgbm", forwarder="off", home=recorded.home, strict=True)
    fit, _ = datasets()
    with begin_leaf("search", name="search"):
        lightgbm.train(QUIET, fit, 3, valid_sets=[fit], callbacks=[AutotrackCallback()])
    (run,) = recorded.runs()
    assert (run.name, run.metrics, run.models) == ("search", {}, [])


def test_used_again_it_makes_another_run(recorded) -> None:
    callback = AutotrackCallback()
    for _ in range(2):
        fit, _ = datasets()
        lightgbm.train(QUIET, fit, 2, valid_sets=[fit], callbacks=[callback])
    assert [len(run.metrics["training/l2"]) for run in recorded.runs()] == [2, 2]


@pytest.mark.parametrize(("error", "status"), [(ValueError("mine"), "failed"), (KeyboardInterrupt(), "killed")])
def test_an_exception_passes_and_ends_the_run(recorded, error, status) -> None:
    def raises(env):
        raise error

    fit, _ = datasets()
    callback = AutotrackCallback()
    with pytest.raises(type(error)) as caught:
        lightgbm.train(QUIET, fit, 5, valid_sets=[fit], callbacks=[raises, callback])
    assert caught.value is error
    assert autotrack.current_run() is None
    lightgbm.train(QUIET, datasets()[0], 2, callbacks=[callback])
    first, second = recorded.runs()
    assert (first.status, first.ends, first.error["type"]) == (status, 1, type(error).__name__)
    assert first.models == [] and len(first.metrics["training/l2"]) == 1
    assert second.status == "finished"


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])
@pytest.mark.parametrize("trained", [False, True])
def test_it_pickles_and_copies_before_and_after_training(recorded, copied, trained) -> None:
    callback = AutotrackCallback(name="mine")
    if trained:
        lightgbm.train(QUIET, datasets()[0], 2, callbacks=[callback])
    assert pickle.loads(cloudpickle.dumps(callback)).name == "mine"
    again = copied(callback)
    assert (type(again), again.name, again.order, again.before_iteration) == (AutotrackCallback, "mine", 25, False)
    fit, _ = datasets()
    lightgbm.train(QUIET, fit, 2, valid_sets=[fit], callbacks=[again])
    run = recorded.runs()[-1]
    assert (run.name, run.status, len(run.metrics["training/l2"])) == ("mine", "finished", 2)


def test_a_copy_leads_to_the_same_run_and_a_pickle_forgets_it(recorded) -> None:
    with autotrack.start_run("given") as run:
        callback = AutotrackCallback(run)
        assert copy.deepcopy(callback).run is run
        assert pickle.loads(pickle.dumps(callback)).run is None


SCRIPT = """
import sys
from autotrack_lightgbm import AutotrackCallback
callback = AutotrackCallback()
assert "lightgbm" not in sys.modules
import lightgbm, numpy as np
X = np.arange(120.0).reshape(60, 2)
for callbacks in ([callback], []):
    lightgbm.train({"verbosity": -1}, lightgbm.Dataset(X, X[:, 0]), 3, callbacks=callbacks)
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
    runs = Recorded(tmp_path).runs()
    assert [(run.name, run.status) for run in runs] == ([] if enabled else [("lightgbm.train", "finished")])
