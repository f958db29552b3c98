"""xgboost's scikit-learn API: one run for each `fit`, named by its class, with the data as it was passed."""

import math

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("xgboost")
pytest.importorskip("pandas")

import pandas as pd
import xgboost
from sklearn.metrics import mean_squared_error

import autotrack
import autotrack_xgboost
from autotrack.patching.scope import begin_leaf
from autotrack.plugins import plugins
from autotrack.testing import recording

DATA = np.random.default_rng(0)
X = DATA.normal(size=(240, 4))
Y = X[:, 0] * 2 + DATA.normal(scale=0.1, size=240)
LABELS = np.digitize(Y, [-1.0, 1.0])

plugins.load()
if "xgboost" not in plugins.integrations:
    plugins.register(autotrack_xgboost, "xgboost")


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


def test_fit_is_one_run_with_the_series_of_evals_result(recorded) -> None:
    model = xgboost.XGBClassifier(n_estimators=9, max_depth=2, eval_metric=["mlogloss", "merror"])
    model.fit(X[:160], LABELS[:160], eval_set=[(X[:160], LABELS[:160]), (X[160:], LABELS[160:])], verbose=False)
    (run,) = recorded.runs()
    assert (run.name, run.status, run.ends) == ("XGBClassifier", "finished", 1)
    assert run.metrics == series(model.evals_result())
    assert set(run.metrics) == {f"validation_{i}/{metric}" for i in (0, 1) for metric in ("mlogloss", "merror")}


def test_params_are_get_params_with_what_was_left_open_resolved(recorded) -> None:
    model = xgboost.XGBRegressor(n_estimators=3, max_depth=2).fit(X, Y)
    (run,) = recorded.runs()
    given = model.get_params()
    assert set(given) <= set(run.params)
    assert math.isnan(run.params["missing"])
    assert (run.params["max_depth"], run.params["n_estimators"], run.params["num_boost_round"]) == (2, 3, 3)
    assert run.params["learning_rate"] is None
    assert (run.params["booster"], run.params["device"]) == ("gbtree", "cpu")
    assert run.params["objective"] == "reg:squarederror"


def test_the_data_is_recorded_as_it_was_passed(recorded) -> None:
    frame = pd.DataFrame(X, columns=list("abcd"))
    weights = np.ones(160)
    xgboost.XGBRegressor(n_estimators=2).fit(
        frame[:160],
        y=pd.Series(Y[:160], name="price"),
        sample_weight=weights,
        eval_set=[(frame[160:], Y[160:])],
        sample_weight_eval_set=[np.ones(80)],
        verbose=False,
    )
    (run,) = recorded.runs()
    train, held_out = run.datasets
    assert (train.role, train.name, held_out.role, held_out.name) == ("train", "train", "validation", "validation_0")
    assert set(train.record["parts"]) == {"X", "y", "sample_weight"}
    assert [column["name"] for column in train.record["parts"]["X"]["columns"]] == list("abcd")
    assert train.record["parts"]["y"]["columns"][0]["name"] == "price"
    assert (train.record["n_rows"], held_out.record["n_rows"]) == (160, 80)
    assert set(held_out.record["parts"]) == {"X", "y", "sample_weight"}


def test_datasets_can_be_left_out(tmp_path) -> None:
    with recording(tmp_path, "xgboost", datasets=False) as recorded:
        xgboost.XGBRegressor(n_estimators=2).fit(X, Y)
        xgboost.train({}, xgboost.DMatrix(X, Y), 2)
    assert [run.datasets for run in recorded.runs()] == [[], []]


def test_the_kept_model_predicts_the_same(recorded) -> None:
    model = xgboost.XGBClassifier(n_estimators=60, early_stopping_rounds=2, learning_rate=1.0)
    model.fit(X[:160], LABELS[:160], eval_set=[(X[160:], LABELS[160:])], verbose=False)
    (run,) = recorded.runs()
    (kept,) = run.models
    assert kept.signature["class"] == "xgboost.sklearn.XGBClassifier"
    again = xgboost.XGBClassifier()
    again.load_model(bytearray(recorded.content(kept)))
    assert again.best_iteration == model.best_iteration
    assert np.array_equal(again.predict_proba(X), model.predict_proba(X))
    assert run.metrics["best_score"] == [(model.best_iteration, model.best_score)]


class Mine(xgboost.XGBRegressor):
    pass


def test_models_come_back_as_what_they_were_saved_from(recorded) -> None:
    classifier = xgboost.XGBClassifier(n_estimators=3).fit(X, LABELS)
    booster = xgboost.train({"max_depth": 2}, xgboost.DMatrix(X, Y), 3)
    Mine(n_estimators=3).fit(X, Y)
    first, second, third = (autotrack.load_model(run.id) for run in recorded.runs())
    assert type(first) is xgboost.XGBClassifier
    assert np.array_equal(first.predict_proba(X), classifier.predict_proba(X))
    assert type(second) is xgboost.Booster
    assert np.array_equal(second.predict(xgboost.DMatrix(X)), booster.predict(xgboost.DMatrix(X)))
    assert type(third) is xgboost.Booster, "a class of the user's own need not be there where it is read"


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("XGBRegressor", {}),
        ("XGBClassifier", {}),
        ("XGBRFRegressor", {}),
        ("XGBRFClassifier", {}),
        ("XGBRanker", {"qid": np.repeat(np.arange(24), 10)}),
    ],
)
def test_every_estimator_is_one_run_by_its_own_name(recorded, name, arguments) -> None:
    model = getattr(xgboost, name)(n_estimators=3)
    before = set(vars(model))
    assert model.fit(X, LABELS, **arguments) is model
    (run,) = recorded.runs()
    assert (run.name, run.status, len(run.models)) == (name, "finished", 1)
    assert not {key for key in set(vars(model)) - before if "autotrack" in key}
    if arguments:
        assert set(run.datasets[0].record["parts"]) == {"X", "y", "qid"}


def test_a_subclass_that_calls_super_is_one_run(recorded) -> None:
    class Mine(xgboost.XGBRegressor):
        def fit(self, X, y, **more):
            return super().fit(X, y, **more)

    Mine(n_estimators=2).fit(X, Y)
    assert [run.name for run in recorded.runs()] == ["Mine"]


def test_a_custom_objective_is_told_by_its_name(recorded) -> None:
    def halved(target, prediction):
        return (prediction - target) / 2, np.ones_like(target)

    xgboost.XGBRegressor(n_estimators=2, objective=halved).fit(X, Y)
    (run,) = recorded.runs()
    assert run.params["objective"].endswith("halved")


def test_inside_another_training_it_is_silent(recorded) -> None:
    leaf = begin_leaf("search", name="GridSearchCV")
    with leaf:
        xgboost.XGBRegressor(n_estimators=2).fit(X, Y, eval_set=[(X, Y)], verbose=False)
        xgboost.cv({}, xgboost.DMatrix(X, Y), 2)
    (run,) = recorded.runs()
    assert (run.name, run.metrics, run.params, run.models) == ("GridSearchCV", {}, {}, [])


def test_several_fits_are_several_runs(recorded) -> None:
    model = xgboost.XGBRegressor(n_estimators=2)
    model.fit(X, Y)
    model.fit(X, Y, xgb_model=model)
    assert len(recorded.runs()) == 2


def test_a_fit_that_raises_is_a_failed_run(recorded) -> None:
    with pytest.raises(ValueError):
        xgboost.XGBRegressor(n_estimators=2).fit(X, Y[:10])
    with pytest.raises(TypeError):
        xgboost.XGBRegressor(n_estimators=2).fit(X)
    runs = recorded.runs()
    assert [(run.status, run.models) for run in runs] == [("failed", []), ("failed", [])]
    assert runs[0].error["type"] == "XGBoostError"


def test_what_is_measured_with_scikit_learn_reaches_the_run_of_its_own_model(tmp_path) -> None:
    with recording(tmp_path, "sklearn", "xgboost") as recorded:
        first = xgboost.XGBRegressor(n_estimators=3).fit(X[:160], Y[:160])
        second = xgboost.train({"max_depth": 2}, xgboost.DMatrix(X[:160], Y[:160]), 3)
        third = xgboost.XGBClassifier(n_estimators=3).fit(X[:160], LABELS[:160])
        errors = [
            mean_squared_error(Y[160:], first.predict(X[160:])),
            mean_squared_error(Y[160:], second.predict(xgboost.DMatrix(X[160:]))),
            third.score(X[160:], LABELS[160:]),
        ]
        runs = recorded.runs()
    assert [run.name for run in runs] == ["XGBRegressor", "xgboost.train", "XGBClassifier"]
    names = ("mean_squared_error", "mean_squared_error", "score")
    assert [run.metrics for run in runs] == [{name: [(0, it)]} for name, it in zip(names, errors, strict=True)]
    assert all(run.status == "finished" and run.ends == 1 for run in runs)


def test_which_params_are_not_the_defaults_is_told(recorded) -> None:
    xgboost.XGBRFClassifier(max_depth=2, n_estimators=3, subsample=0.8, gamma=1).fit(X, LABELS)
    (run,) = autotrack.runs()
    told = autotrack.get_run(run["id"])["defaults"]
    assert told["changed"]["max_depth"] == 6  # None in the class, which leaves it to xgboost
    assert told["changed"].keys() == {"max_depth", "n_estimators", "gamma"}
    assert {"subsample", "missing", "objective", "learning_rate", "reg_lambda", "booster"} <= set(told["unchanged"])
