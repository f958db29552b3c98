"""What a fitted estimator tells is in its run: curves, importances by name, and one run for all that is inside."""

import csv
import io

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("pandas")

import pandas as pd
from sklearn.datasets import make_classification
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from autotrack.testing import recording


@pytest.fixture
def recorded(tmp_path):
    with recording(tmp_path, "sklearn") as recorded:
        yield recorded


X, y = make_classification(120, 5, random_state=0)


def table(recorded, run, name):
    return list(csv.DictReader(io.StringIO(recorded.content(run.artifacts[name]).decode())))


def test_loss_curves_are_series_with_the_iteration_as_step(recorded) -> None:
    with pytest.warns(match="Maximum iterations"):
        mlp = MLPClassifier(max_iter=4, random_state=0).fit(X, y)
    boosted = GradientBoostingClassifier(n_estimators=6, random_state=0).fit(X, y)
    first, second = recorded.runs()
    assert first.metrics["loss_curve_"] == list(enumerate(mlp.loss_curve_))
    assert first.metrics["loss_"] == [(0, mlp.loss_)]
    assert second.metrics["train_score_"] == list(enumerate(boosted.train_score_))


def test_importances_have_the_names_of_the_features(recorded) -> None:
    frame = pd.DataFrame(X, columns=list("abcde"))
    forest = RandomForestClassifier(10, random_state=0).fit(frame, y)
    make_pipeline(StandardScaler(), RandomForestRegressor(5, random_state=0)).fit(frame, y)
    first, second = recorded.runs()
    rows = table(recorded, first, "feature_importances.csv")
    assert [row["feature"] for row in rows] == list("abcde")
    np.testing.assert_array_equal([float(row["importance"]) for row in rows], forest.feature_importances_)
    assert [row["feature"] for row in table(recorded, second, "feature_importances.csv")] == list("abcde")


def test_coefficients_of_several_classes_are_columns(recorded) -> None:
    labels = np.array(["low", "mid", "high"])[np.arange(len(y)) % 3]
    model = LogisticRegression().fit(X, labels)
    (run,) = recorded.runs()
    rows = table(recorded, run, "feature_importances.csv")
    assert set(rows[0]) == {"feature", "coefficient_high", "coefficient_low", "coefficient_mid"}
    assert [float(row["coefficient_low"]) for row in rows] == list(model.coef_[1])


def test_models_off_keeps_none(tmp_path) -> None:
    with recording(tmp_path, "sklearn", models="off") as recorded:
        LogisticRegression().fit(X, y)
    (run,) = recorded.runs()
    assert run.models == []
    assert run.params["C"] == 1.0


@pytest.mark.parametrize("integrations", [("sklearn",), ("sklearn", "xgboost")])
def test_a_pipeline_with_xgboost_is_one_run_with_deep_params(tmp_path, integrations) -> None:
    xgboost = pytest.importorskip("xgboost")
    model = Pipeline([("scale", StandardScaler()), ("clf", xgboost.XGBClassifier(n_estimators=7, max_depth=2))])
    with recording(tmp_path, *integrations) as recorded:
        model.fit(X, y)
        model.score(X, y)
    (run,) = recorded.runs()
    assert (run.name, run.status, run.ends) == ("Pipeline", "finished", 1)
    assert run.params["clf__n_estimators"] == 7
    assert run.params["clf__max_depth"] == 2
    assert run.params["clf"] == "XGBClassifier"
    assert len(table(recorded, run, "feature_importances.csv")) == 5
    assert [step for step, _ in run.metrics["score"]] == [0]


def test_a_regressor_without_names_or_weights_is_recorded_all_the_same(recorded) -> None:
    SVC(kernel="rbf").fit(X, y)
    (run,) = recorded.runs()
    assert "feature_importances.csv" not in run.artifacts
    assert run.params["n_features_in_"] == 5


def test_many_classes_are_counted_and_too_many_coefficients_are_noted(recorded, monkeypatch) -> None:
    from autotrack_sklearn import fitted

    monkeypatch.setattr(fitted, "MOST_CLASSES", 3)
    monkeypatch.setattr(fitted, "MOST_WEIGHTS", 10)
    LogisticRegression().fit(X, np.arange(len(y)) % 4)
    (run,) = recorded.runs()
    assert run.params["classes_"] == "4 classes"
    assert [(note.what, note.count) for note in run.notes] == [("feature_importances.csv", 20)]
