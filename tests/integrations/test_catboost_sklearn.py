"""CatBoost inside scikit-learn's pipelines and searches, and measured with scikit-learn afterwards."""

import numpy as np
import pytest

catboost = pytest.importorskip("catboost")
pytest.importorskip("sklearn")

from catboost import CatBoostClassifier, CatBoostRegressor, Pool  # noqa: E402
from sklearn.base import clone  # noqa: E402
from sklearn.metrics import mean_squared_error  # noqa: E402
from sklearn.model_selection import GridSearchCV, cross_validate  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

import autotrack_catboost  # noqa: E402
from autotrack.plugins import plugins  # noqa: E402
from autotrack.testing import recording  # noqa: E402

DATA = np.random.default_rng(0)
X = DATA.normal(size=(240, 4))
Y = X[:, 0] * 2 + DATA.normal(scale=0.1, size=240)
LABELS = np.digitize(Y, [-1.0, 1.0])
QUIET = {"thread_count": 1, "logging_level": "Silent"}

plugins.load()
if "catboost" not in plugins.integrations:
    plugins.register(autotrack_catboost, "catboost")


@pytest.fixture
def both(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with recording(tmp_path / "home", "sklearn", "catboost") as recorded:
        yield recorded


def test_alone_it_is_one_run_of_catboost(both) -> None:
    model = CatBoostClassifier(iterations=2, **QUIET).fit(X, LABELS)
    clone(CatBoostRegressor(iterations=3, **QUIET)).fit(X, Y)
    assert model.is_fitted()
    found = [(run.name, run.integration, run.params["iterations"]) for run in both.runs()]
    assert found == [("CatBoostClassifier", "catboost", 2), ("CatBoostRegressor", "catboost", 3)]


def test_a_pipeline_is_one_run_with_deep_params(both) -> None:
    pipeline = make_pipeline(StandardScaler(), CatBoostClassifier(iterations=3, depth=2, **QUIET))
    pipeline.fit(X, LABELS)
    accuracy = pipeline.score(X, LABELS)
    (run,) = both.runs()
    assert (run.name, run.integration, run.status) == ("Pipeline", "sklearn", "finished")
    assert accuracy in [value for points in run.metrics.values() for _, value in points]


def test_a_search_and_a_validation_are_one_run_each(both) -> None:
    search = GridSearchCV(CatBoostRegressor(iterations=3, **QUIET), {"depth": [2, 3]}, cv=2).fit(X, Y)
    scores = cross_validate(CatBoostRegressor(iterations=3, **QUIET), X, Y, cv=2)
    first, second = both.runs()
    assert (first.name, first.integration, first.status) == ("GridSearchCV", "sklearn", "finished")
    assert first.params["best_params.depth"] == search.best_params_["depth"]
    assert [model.format for model in first.models] == ["cbm"]
    assert second.integration == "sklearn" and len(scores["test_score"]) == 2


def test_what_is_measured_with_scikit_learn_reaches_the_run_of_its_own_model(both) -> None:
    first = CatBoostRegressor(iterations=3, **QUIET).fit(X[:160], Y[:160])
    params = {"loss_function": "RMSE", "iterations": 3, **QUIET}
    second = catboost.train(Pool(X[:160], Y[:160]), params)
    third = CatBoostClassifier(iterations=3, **QUIET).fit(X[:160], LABELS[:160])
    errors = [
        mean_squared_error(Y[160:], first.predict(X[160:])),
        mean_squared_error(Y[160:], second.predict(X[160:])),
        third.score(X[160:], LABELS[160:]),
    ]
    runs = both.runs()
    assert [run.name for run in runs] == ["CatBoostRegressor", "catboost.train", "CatBoostClassifier"]
    names = ("mean_squared_error", "mean_squared_error", "score")
    for run, name, error in zip(runs, names, errors, strict=True):
        assert {key: points for key, points in run.metrics.items() if "/" not in key} == {name: [(0, error)]}
        assert (run.status, run.ends) == ("finished", 1)
