"""What `xgboost.train` and `xgboost.cv` leave in a run, compared with what xgboost itself returns."""

import json

import numpy as np
import pytest

pytest.importorskip("xgboost")

import xgboost
from xgboost import cv, train

import autotrack
import autotrack_xgboost
from autotrack.plugins import plugins
from autotrack.testing import recording

DATA = np.random.default_rng(0)
X = DATA.normal(size=(300, 5))
Y = X[:, 0] * 2 + X[:, 1] ** 2 + DATA.normal(scale=0.1, size=300)
LABELS = (np.median(Y) < Y).astype(int)
PARAMS = {"objective": "binary:logistic", "max_depth": 3, "eval_metric": ["logloss", "error"], "seed": 1}

plugins.load()
if "xgboost" not in plugins.integrations:
    plugins.register(autotrack_xgboost, "xgboost")


def matrices():
    return xgboost.DMatrix(X[:200], LABELS[:200]), xgboost.DMatrix(X[200:], LABELS[200:])


@pytest.fixture
def recorded(tmp_path):
    with recording(tmp_path, "xgboost") as recorded:
        yield recorded


def series(history):
    return {
        f"{data}/{metric}": list(enumerate(values))
        for data, metrics in history.items()
        for metric, values in metrics.items()
    }


def test_every_series_equals_evals_result(recorded) -> None:
    fit, held_out = matrices()
    history = {}
    train(PARAMS, fit, 12, evals=[(fit, "train"), (held_out, "test")], evals_result=history, verbose_eval=False)
    (run,) = recorded.runs()
    assert (run.name, run.integration, run.status, run.ends) == ("xgboost.train", "xgboost", "finished", 1)
    assert run.metrics == series(history)
    assert len(run.metrics["test/logloss"]) == 12


def test_params_are_those_given_and_those_resolved(recorded) -> None:
    fit, _ = matrices()
    train(PARAMS, fit, 3, verbose_eval=False)
    (run,) = recorded.runs()
    assert run.params["max_depth"] == 3
    assert run.params["num_boost_round"] == 3
    assert run.params["objective"] == "binary:logistic"
    assert (run.params["booster"], run.params["device"]) == ("gbtree", "cpu")
    assert run.params["updater"] == "grow_quantile_histmaker"
    assert "early_stopping_rounds" not in run.params


def test_params_as_a_list_of_pairs(recorded) -> None:
    fit, _ = matrices()
    train([("max_depth", 2), ("eval_metric", "rmse"), ("eval_metric", "mae")], fit)
    (run,) = recorded.runs()
    assert run.params["max_depth"] == 2
    assert run.params["eval_metric"] == "['rmse', 'mae']"
    assert run.params["num_boost_round"] == 10


def test_early_stopping_is_complete_to_its_last_round(recorded) -> None:
    fit, held_out = matrices()
    history = {}
    booster = train(
        PARAMS | {"eta": 1.0},
        fit,
        100,
        evals=[(held_out, "test")],
        evals_result=history,
        early_stopping_rounds=4,
        verbose_eval=False,
    )
    (run,) = recorded.runs()
    assert len(history["test"]["logloss"]) < 100
    assert {key: points for key, points in run.metrics.items() if "/" in key} == series(history)
    assert run.metrics["best_iteration"] == [(booster.best_iteration, booster.best_iteration)]
    assert run.metrics["best_score"] == [(booster.best_iteration, booster.best_score)]
    assert run.params["early_stopping_rounds"] == 4


def test_the_model_that_is_kept_is_the_one_returned(recorded) -> None:
    fit, held_out = matrices()
    stop = xgboost.callback.EarlyStopping(rounds=3, save_best=True)
    booster = train(PARAMS | {"eta": 1.0}, fit, 50, evals=[(held_out, "t")], callbacks=[stop], verbose_eval=False)
    (run,) = recorded.runs()
    (model,) = run.models
    assert (model.name, model.format) == ("model", "ubj")
    kept = xgboost.Booster(model_file=bytearray(recorded.content(model)))
    assert kept.best_iteration == booster.best_iteration
    assert kept.num_boosted_rounds() == booster.num_boosted_rounds() == booster.best_iteration + 1
    assert np.array_equal(kept.predict(held_out), booster.predict(held_out))


@pytest.mark.parametrize(
    ("models", "names"), [("off", []), ("final", ["model"]), ("best", ["best"]), ("all", ["model", "best"])]
)
def test_which_models_are_kept(tmp_path, models, names) -> None:
    fit, held_out = matrices()
    with recording(tmp_path, "xgboost", models=models) as recorded:
        booster = train(
            PARAMS | {"eta": 1.0}, fit, 50, evals=[(held_out, "t")], early_stopping_rounds=3, verbose_eval=False
        )
    (run,) = recorded.runs()
    assert [model.name for model in run.models] == names
    if names[-1:] == ["best"]:
        kept = xgboost.Booster(model_file=bytearray(recorded.content(run.models[-1])))
        assert kept.num_boosted_rounds() == booster.best_iteration + 1


def test_importance_is_the_gain(recorded) -> None:
    fit, _ = matrices()
    booster = train(PARAMS, fit, 5)
    (run,) = recorded.runs()
    kept = json.loads(recorded.content(run.artifacts["feature_importance.json"]))
    assert kept == {"gain": booster.get_score(importance_type="gain")}
    assert list(kept["gain"].values()) == sorted(kept["gain"].values(), reverse=True)


@pytest.mark.skipif(cv.__closure__ is None, reason="this xgboost does not decorate cv")
def test_a_cv_that_was_imported_before_is_covered(recorded) -> None:
    fit, _ = matrices()
    cv({}, fit, 2)
    assert [run.name for run in recorded.runs()] == ["xgboost.cv"]


@pytest.mark.parametrize("stop", [None, 2])
def test_cv_equals_its_table(recorded, stop) -> None:
    fit, _ = matrices()
    table = xgboost.cv(PARAMS | {"eta": 1.0}, fit, 30, nfold=3, early_stopping_rounds=stop, seed=3)
    (run,) = recorded.runs()
    assert (run.name, run.status) == ("xgboost.cv", "finished")
    assert run.models == [] and run.params["nfold"] == 3 and run.params["max_depth"] == 3
    for data in ("train", "test"):
        for metric in ("logloss", "error"):
            for key, column in ((f"{data}/{metric}", "mean"), (f"{data}/{metric}-std", "std")):
                points = run.metrics[key]
                assert [step for step, _ in points] == list(range(len(points)))
                assert [value for _, value in points][: len(table)] == list(table[f"{data}-{metric}-{column}"])
    assert len(run.metrics["train/error"]) == len(table) + (stop or 0)
    if stop:
        assert run.metrics["best_iteration"] == [(len(table) - 1, len(table) - 1)]
    else:
        assert "best_iteration" not in run.metrics
    assert [(it.role, it.record["n_rows"]) for it in run.datasets] == [("train", 200)]


def test_continuing_a_model(recorded) -> None:
    fit, held_out = matrices()
    first = train(PARAMS, fit, 4)
    history = {}
    booster = train(
        PARAMS | {"eta": 1.0},
        fit,
        50,
        evals=[(held_out, "t")],
        evals_result=history,
        xgb_model=first,
        early_stopping_rounds=3,
        verbose_eval=False,
    )
    run = recorded.runs()[1]
    assert {key: points for key, points in run.metrics.items() if "/" in key} == series(history)
    assert run.params["starting_round"] == 4
    assert run.metrics["best_iteration"] == [(booster.best_iteration - 4, booster.best_iteration)]


def test_a_model_that_is_continued_without_early_stopping_has_no_best_round(recorded) -> None:
    fit, held_out = matrices()
    first = train(PARAMS, fit, 40, evals=[(held_out, "t")], early_stopping_rounds=2, verbose_eval=False)
    train(PARAMS, fit, 2, xgb_model=first)
    assert "best_iteration" not in recorded.runs()[1].metrics


def test_inside_a_run_of_the_users(recorded) -> None:
    fit, _ = matrices()
    with autotrack.start_run("mine"):
        train(PARAMS, fit, 2)
        (run,) = recorded.runs()
        assert run.status == "running"
    (run,) = recorded.runs()
    assert (run.name, run.ends, run.params["max_depth"]) == ("mine", 1, 3)


def test_one_default_settings_run_without_evaluation(recorded) -> None:
    fit, _ = matrices()
    train({}, fit)
    (run,) = recorded.runs()
    assert run.metrics == {}
    assert run.params["objective"] == "reg:squarederror"


def test_a_training_inside_a_training_is_silent(recorded) -> None:
    fit, held_out = matrices()

    def objective(predictions, matrix):
        train(PARAMS, fit, 2, evals=[(fit, "inner")], verbose_eval=False)
        return predictions - matrix.get_label(), np.ones_like(predictions)

    history = {}
    train({"max_depth": 2}, fit, 3, obj=objective, evals=[(held_out, "t")], evals_result=history, verbose_eval=False)
    (run,) = recorded.runs()
    assert run.metrics == series(history)
    assert run.params["obj"].endswith("objective") and "objective" not in run.params


def test_workers_after_the_first_are_silent(recorded, monkeypatch) -> None:
    fit, _ = matrices()
    monkeypatch.setattr(xgboost.collective, "get_rank", lambda: 1)
    train(PARAMS, fit, 2)
    xgboost.XGBClassifier(n_estimators=2).fit(X, LABELS)
    train(PARAMS, fit, 2, callbacks=[autotrack_xgboost.AutotrackCallback()])
    assert recorded.runs() == []


def test_which_params_are_not_the_defaults_is_told_by_xgboosts_own_configuration(recorded) -> None:
    fit, _ = matrices()
    given = {"objective": "binary:logistic", "max_depth": 3, "min_child_weight": 1, "eta": 0.3, "seed": 1}
    train(given, fit, 10, verbose_eval=False)
    (run,) = autotrack.runs()
    told = autotrack.get_run(run["id"])["defaults"]
    assert told["changed"] == {"objective": "reg:squarederror", "max_depth": 6, "seed": 0}
    assert {"min_child_weight", "eta", "num_boost_round", "booster", "tree_method"} <= set(told["unchanged"])
