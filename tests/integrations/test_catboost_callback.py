"""`AutotrackCallback`: records what it is passed to, once and as it goes on, with and without `enable()`."""

import contextvars
import copy
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

cloudpickle = pytest.importorskip("cloudpickle")
catboost = pytest.importorskip("catboost")

from catboost import CatBoostRegressor  # noqa: E402

import autotrack  # noqa: E402
import autotrack_catboost  # noqa: E402
from autotrack.patching.scope import begin_leaf  # noqa: E402
from autotrack.plugins import plugins  # noqa: E402
from autotrack.testing import Recorded, recording  # noqa: E402
from autotrack_catboost import AutotrackCallback  # noqa: E402

DATA = np.random.default_rng(0)
X = DATA.normal(size=(200, 4))
Y = X[:, 0] * 2 + DATA.normal(scale=0.5, size=200)
QUIET = {"thread_count": 1, "logging_level": "Silent"}

plugins.load()
if "catboost" not in plugins.integrations:
    plugins.register(autotrack_catboost, "catboost")


@pytest.fixture(params=["alone", "enabled"])
def recorded(tmp_path, request, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with recording(tmp_path / "home", "catboost") as recorded:
        if request.param == "alone":
            autotrack.disable()
        yield recorded


def in_a_thread(function):
    """Call it in a thread of its own: one that catboost has raised in has an exception under way for ever after."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


def series(evals):
    return {
        f"{data}/{metric}": list(enumerate(values))
        for data, metrics in evals.items()
        for metric, values in metrics.items()
    }


def rounds_of(run):
    return {key: points for key, points in run.metrics.items() if "/" in key}


@pytest.mark.parametrize("twice", [False, True])
def test_fit_is_one_run_complete_to_its_last_iteration(recorded, twice) -> None:
    model = CatBoostRegressor(iterations=80, learning_rate=0.5, early_stopping_rounds=3, **QUIET)
    callbacks = [AutotrackCallback(name="baseline")] * (1 + twice)
    model.fit(X[:100], Y[:100], eval_set=(X[100:], Y[100:]), callbacks=callbacks)
    (run,) = recorded.runs()
    assert (run.name, run.status, run.ends, run.integration) == ("baseline", "finished", 1, "catboost")
    assert rounds_of(run) == series(model.get_evals_result())
    assert 3 < len(run.metrics["learn/RMSE"]) < 80
    assert run.metrics["best_iteration"] == [(model.get_best_iteration(),) * 2]
    assert (run.params["iterations"], run.params["loss_function"], run.params["depth"]) == (80, "RMSE", 6)
    assert [(it.role, it.name) for it in run.datasets] == [("train", "train"), ("validation", "validation")]
    assert [model.format for model in run.models] == ["cbm"]
    assert set(run.artifacts) == {"feature_importance.json"}
    assert autotrack.current_run() is None


def test_the_series_grow_while_the_training_goes_on(recorded) -> None:
    class Looks:
        def after_iteration(self, info):
            (run,) = recorded.runs()
            seen.append((len(run.metrics["learn/RMSE"]), info.iteration))
            return True

    seen = []
    CatBoostRegressor(iterations=4, **QUIET).fit(X, Y, callbacks=[AutotrackCallback(), Looks()])
    assert seen == [(1, 1), (2, 2), (3, 3), (4, 4)]


def test_a_callback_of_the_users_that_stops_is_heard(recorded) -> None:
    class Stops:
        def after_iteration(self, info):
            return info.iteration < 3

    for callbacks in ([AutotrackCallback(), Stops()], [Stops(), AutotrackCallback()]):
        model = CatBoostRegressor(iterations=9, **QUIET).fit(X, Y, callbacks=callbacks)
        assert model.tree_count_ == 3
        run = recorded.runs()[-1]
        assert run.metrics == series(model.get_evals_result()) and len(run.metrics["learn/RMSE"]) == 3


def test_without_it_nothing_is_recorded_unasked(recorded) -> None:
    autotrack.disable()
    callback = AutotrackCallback()
    params = {"loss_function": "RMSE", "iterations": 2, **QUIET}
    CatBoostRegressor(iterations=2, **QUIET).fit(X, Y)
    catboost.train(catboost.Pool(X, Y), dict(params))
    catboost.cv(catboost.Pool(X, Y), dict(params), fold_count=2)
    assert recorded.runs() == []
    CatBoostRegressor(iterations=2, **QUIET).fit(X, Y, callbacks=[callback])
    assert len(recorded.runs()) == 1


def test_a_run_that_is_given_stays_open(recorded) -> None:
    # Started in another context, so that nothing but the callback leads to it.
    run = contextvars.copy_context().run(autotrack.start_run, "given")
    CatBoostRegressor(iterations=3, **QUIET).fit(X, Y, callbacks=[AutotrackCallback(run)])
    (found,) = recorded.runs()
    assert (found.name, found.status, len(found.metrics["learn/RMSE"])) == ("given", "running", 3)
    run.end()


def test_inside_a_run_of_the_users(recorded) -> None:
    with autotrack.start_run("mine"):
        CatBoostRegressor(iterations=3, **QUIET).fit(X, Y, callbacks=[AutotrackCallback()])
        assert [run.status for run in recorded.runs()] == ["running"]
    (run,) = recorded.runs()
    assert (run.name, run.ends, run.params["iterations"]) == ("mine", 1, 3)


def test_inside_another_training_it_is_silent(recorded) -> None:
    autotrack.enable("catboost", forwarder="off", home=recorded.home, strict=True)
    with begin_leaf("search", name="search"):
        CatBoostRegressor(iterations=3, **QUIET).fit(X, Y, callbacks=[AutotrackCallback()])
    (run,) = recorded.runs()
    assert (run.name, run.metrics, run.models) == ("search", {}, [])


def test_used_again_it_makes_another_run(recorded) -> None:
    callback = AutotrackCallback()
    for _ in range(2):
        CatBoostRegressor(iterations=2, **QUIET).fit(X, Y, callbacks=[callback])
    assert [len(run.metrics["learn/RMSE"]) for run in recorded.runs()] == [2, 2]


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError("mine"), "failed"), (KeyboardInterrupt(), "killed"), (SystemExit(3), "killed")]
)
@pytest.mark.parametrize("first", [True, False])
def test_an_exception_passes_and_ends_the_run(recorded, error, status, first) -> None:
    class Raises:
        def after_iteration(self, info):
            if info.iteration == 3:
                raise error
            return True

    callbacks = [AutotrackCallback(), Raises()]

    def fail():
        with pytest.raises(catboost.CatBoostError) as caught:  # so catboost puts it, with us and without
            CatBoostRegressor(iterations=9, **QUIET).fit(X, Y, callbacks=callbacks if first else callbacks[::-1])
        assert autotrack.current_run() is None
        CatBoostRegressor(iterations=2, **QUIET).fit(X, Y, callbacks=callbacks[:1])
        return caught

    caught = in_a_thread(fail)
    one, other = recorded.runs()
    assert (one.status, one.ends, one.error["type"]) == (status, 1, "CatBoostError")
    assert one.error["message"] == str(caught.value)
    # The third was evaluated before the callback raised; where ours was not asked any more, catboost's file has it.
    assert [step for step, _ in one.metrics["learn/RMSE"]] == [0, 1, 2] and one.models == []
    assert other.status == "finished"


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])
@pytest.mark.parametrize("trained", [False, True])
def test_it_pickles_and_copies_before_and_after_training(recorded, copied, trained) -> None:
    callback = AutotrackCallback(name="mine")
    if trained:
        CatBoostRegressor(iterations=2, **QUIET).fit(X, Y, callbacks=[callback])
    assert pickle.loads(cloudpickle.dumps(callback)).name == "mine"
    again = copied(callback)
    assert (type(again), again.name) == (AutotrackCallback, "mine")
    CatBoostRegressor(iterations=2, **QUIET).fit(X, Y, callbacks=[again])
    run = recorded.runs()[-1]
    assert (run.name, run.status, len(run.metrics["learn/RMSE"])) == ("mine", "finished", 2)


def test_a_copy_leads_to_the_same_run_and_a_pickle_forgets_it(recorded) -> None:
    with autotrack.start_run("given") as run:
        callback = AutotrackCallback(run)
        assert copy.deepcopy(callback).run is run
        assert pickle.loads(pickle.dumps(callback)).run is None


SCRIPT = """
import sys
from autotrack_catboost import AutotrackCallback
callback = AutotrackCallback()
assert "catboost" not in sys.modules
import catboost, numpy as np
X = np.arange(120.0).reshape(60, 2)
for callbacks in ([callback], None):
    catboost.CatBoostRegressor(iterations=3, logging_level="Silent").fit(X, X[:, 0], callbacks=callbacks)
"""


@pytest.mark.parametrize("enabled", [None, "0"])
def test_a_script_that_never_enables(tmp_path, enabled) -> None:
    variables = {"AUTOTRACK_HOME": str(tmp_path / "home"), "AUTOTRACK_FORWARDER": "off", "AUTOTRACK_QUIET": "1"}
    if enabled is not None:
        variables["AUTOTRACK_ENABLED"] = enabled
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, **variables},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    runs = Recorded(tmp_path / "home").runs()
    assert [(run.name, run.status) for run in runs] == ([] if enabled else [("CatBoostRegressor", "finished")])
