"""Cross-validations and curves are one run each: a step for every fold, size or value."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn import model_selection
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import (
    KFold,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
    permutation_test_score,
    validation_curve,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from autotrack.testing import recording


@pytest.fixture
def recorded(tmp_path):
    with recording(tmp_path, "sklearn") as recorded:
        yield recorded


X, y = make_classification(120, 5, random_state=0)
CHECKED = pytest.mark.skipif(
    not hasattr(cross_val_predict, "__wrapped__"),
    reason="before 1.4 seen only where imported after enable()",
)


def test_cross_validate_is_one_run_with_each_fold_as_a_step(recorded) -> None:
    result = cross_validate(LogisticRegression(C=2), X, y, cv=4, scoring=["accuracy", "f1"], return_train_score=True)
    (run,) = recorded.runs()
    assert (run.name, run.status, run.ends) == ("cross_validate LogisticRegression", "finished", 1)
    assert run.metrics["test_accuracy"] == list(enumerate(result["test_accuracy"]))
    assert run.metrics["train_f1"] == list(enumerate(result["train_f1"]))
    assert run.metrics["mean_test_f1"] == [(0, result["test_f1"].mean())]
    assert run.metrics["std_test_f1"] == [(0, result["test_f1"].std())]
    assert run.params["estimator"] == "LogisticRegression"
    assert run.params["estimator__C"] == 2
    assert run.params["cv"] == 4
    assert set(run.datasets[0].record["parts"]) == {"X", "y"}


@CHECKED
def test_cross_val_score_is_one_run_not_two(recorded) -> None:
    scores = cross_val_score(make_pipeline(StandardScaler(), LogisticRegression()), X, y=y, cv=KFold(3))
    (run,) = recorded.runs()
    assert run.metrics["test_score"] == list(enumerate(scores))
    assert run.params["estimator__logisticregression__C"] == 1.0


@CHECKED
def test_cross_val_predict_is_one_run_and_its_predictions_are_its_own(recorded) -> None:
    predicted = cross_val_predict(LogisticRegression(), X, y, cv=3)
    value = f1_score(y, predicted)
    (run,) = recorded.runs()
    assert run.name == "cross_val_predict LogisticRegression"
    assert run.metrics["f1_score"] == [(0, value)]


def test_learning_curve_has_the_training_size_as_step(recorded) -> None:
    sizes, train, test = learning_curve(LogisticRegression(), X, y, cv=3, train_sizes=[0.3, 0.6, 1.0])
    (run,) = recorded.runs()
    assert run.metrics["mean_test_score"] == list(zip(sizes, test.mean(axis=1), strict=True))
    assert run.metrics["std_train_score"] == list(zip(sizes, train.std(axis=1), strict=True))
    assert recorded.content(run.artifacts["curve.csv"]).count(b"\n") == 1 + 2 * 3 * 3


def test_validation_curve_has_one_step_for_each_value(recorded) -> None:
    _, test = validation_curve(LogisticRegression(), X, y, param_name="C", param_range=[0.1, 1, 10], cv=3)
    (run,) = recorded.runs()
    assert run.metrics["mean_test_score"] == list(enumerate(test.mean(axis=1)))
    assert recorded.content(run.artifacts["curve.csv"]).startswith(b"C,measure,fold,value\n0.1,train_score,0,")


def test_permutation_test_score_is_one_run(recorded) -> None:
    score, permuted, pvalue = permutation_test_score(LogisticRegression(), X, y, cv=3, n_permutations=4)
    (run,) = recorded.runs()
    assert run.metrics["score"] == [(0, score)]
    assert run.metrics["pvalue"] == [(0, pvalue)]
    assert run.metrics["permutation_score"] == list(enumerate(permuted))


def test_models_of_the_folds_belong_to_the_run(recorded) -> None:
    result = cross_validate(LogisticRegression(), X, y, cv=2, return_estimator=True)
    value = result["estimator"][1].score(X, y)
    (run,) = recorded.runs()
    assert run.metrics["score"] == [(0, value)]


@pytest.mark.parametrize("jobs", [1, 2])
def test_folds_in_worker_processes_and_groups(recorded, jobs) -> None:
    cross_validate(LogisticRegression(), X, y, cv=2, n_jobs=jobs, groups=np.arange(len(y)))
    (run,) = recorded.runs()
    assert len(run.metrics["test_score"]) == 2
    assert "groups" in run.datasets[0].record["parts"]


def test_a_cross_validation_that_raises_is_failed(recorded) -> None:
    with pytest.raises(ValueError, match="NaN"):
        cross_val_score(LogisticRegression(), X * np.nan, y, error_score="raise")
    (run,) = recorded.runs()
    assert (run.status, run.ends) == ("failed", 1)


def test_functions_that_are_looked_up_where_they_are_defined_are_one_run_in_every_release(recorded) -> None:
    model_selection.cross_val_predict(LogisticRegression(), X, y, cv=2)
    model_selection.cross_val_score(LogisticRegression(), X, y, cv=2)
    assert [run.name.split()[0] for run in recorded.runs()] == ["cross_val_predict", "cross_val_score"]
