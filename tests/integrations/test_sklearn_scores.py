"""What is measured after a fit goes to the run of the very model that was measured, once, under a readable name."""

import weakref

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("pandas")

import pandas as pd
from sklearn.cluster import KMeans
from sklearn.datasets import make_classification, make_regression
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import (
    accuracy_score,
    classification_report,
    confusion_matrix,
    f1_score,
    get_scorer,
    log_loss,
    make_scorer,
    mean_squared_error,
    r2_score,
    roc_auc_score,
    silhouette_score,
)
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from autotrack.testing import recording


@pytest.fixture
def recorded(tmp_path):
    with recording(tmp_path, "sklearn") as recorded:
        yield recorded


X, y = make_classification(160, 5, random_state=0, flip_y=0.2)


@pytest.mark.parametrize(
    "model",
    [
        LogisticRegression(),
        make_pipeline(StandardScaler(), LogisticRegression()),
        GridSearchCV(LogisticRegression(), {"C": [0.1, 1]}, cv=2),
        make_pipeline(StandardScaler(), GridSearchCV(SVC(), {"C": [0.1, 1]}, cv=2)),
        LinearRegression(),
        KMeans(2),
        RandomForestClassifier(5, n_jobs=2),
    ],
    ids=lambda model: type(model).__name__,
)
def test_score_is_one_value_of_the_models_run(recorded, model) -> None:
    value = model.fit(X, y).score(X, y)
    (run,) = recorded.runs()
    assert {key: points for key, points in run.metrics.items() if "score" in key and key != "best_score_"} == {
        "score": [(0, value)]
    }


def test_a_metric_of_predictions_goes_to_the_run_of_the_model(recorded) -> None:
    model = LogisticRegression().fit(X, y)
    value = f1_score(y, model.predict(X))
    auc = roc_auc_score(y, model.predict_proba(X)[:, 1])
    margin = roc_auc_score(y, model.decision_function(X))
    loss = log_loss(y, model.predict_proba(X))
    (run,) = recorded.runs()
    assert run.metrics == {
        "f1_score": [(0, value)],
        "roc_auc_score": [(0, auc), (1, margin)],
        "log_loss": [(0, loss)],
    }


def test_interleaved_models_keep_their_own_values(recorded) -> None:
    first = LogisticRegression().fit(X, y)
    second = make_pipeline(StandardScaler(), DecisionTreeClassifier(max_depth=2)).fit(X, y)
    a, b = first.predict(X), second.predict(X)
    expected = [accuracy_score(y, b), accuracy_score(y, a)]
    expected += [second.score(X, y), first.score(X, y)]
    runs = recorded.runs()
    assert [run.metrics["accuracy_score"] for run in runs] == [[(0, expected[1])], [(0, expected[0])]]
    assert [run.metrics["score"] for run in runs] == [[(0, expected[3])], [(0, expected[2])]]
    assert [run.ends for run in runs] == [1, 1]


def test_the_split_is_in_the_name_where_the_callers_variable_tells_it(recorded) -> None:
    X_train, X_test, X_val, y_train, y_test, y_valid = X[:100], X[100:130], X[130:], y[:100], y[100:130], y[130:]
    model = LogisticRegression().fit(X_train, y_train)
    assert model.score(X_test, y_test) is not None
    model.score(X_train, y_train)
    model.score(X=X_val, y=y_valid)
    f1_score(y_test, model.predict(X_test))
    data, labels = X_test.copy(), y_test.copy()
    f1_score(labels, model.predict(X_test))
    mean_squared_error(labels, model.predict(data))
    (run,) = recorded.runs()
    assert sorted(run.metrics) == [
        "mean_squared_error", "test/f1_score", "test/score", "train/score", "validation/score",
    ]  # fmt: skip
    assert len(run.metrics["test/f1_score"]) == 2


def test_looking_for_names_does_not_keep_the_callers_data_alive(recorded) -> None:
    model = LogisticRegression().fit(X, y)
    X_test = X[:50].copy()
    y_test = y[:50].copy()
    model.score(X_test, y_test)
    gone = weakref.ref(X_test)
    del X_test
    assert gone() is None
    assert y_test.shape == (50,)


def test_looking_for_names_leaves_the_callers_own_locals_alone(recorded) -> None:
    model = LogisticRegression().fit(X, y)
    held = locals()
    model.score(X, y)
    assert held["model"] is model


def test_frames_and_several_options(recorded) -> None:
    frame = pd.DataFrame(X)
    labels = pd.Series(np.arange(len(y)) % 3)
    model = DecisionTreeClassifier(max_depth=2).fit(frame, labels)
    predicted = model.predict(frame)
    macro = f1_score(labels, predicted, average="macro")
    micro = f1_score(labels, predicted, average="micro")
    again = f1_score(labels, predicted, average="macro")
    (run,) = recorded.runs()
    first, second = sorted(run.metrics)
    assert first == "f1_score"
    assert "average=micro" in second
    assert run.metrics[first] == [(0, macro), (1, again)]
    assert run.metrics[second] == [(0, micro)]


def test_scorers_have_scikit_learns_own_names(recorded) -> None:
    model = LogisticRegression().fit(X, y)
    values = [get_scorer(name)(model, X, y) for name in ("f1_macro", "neg_log_loss", "roc_auc")]
    custom = make_scorer(f1_score, pos_label=0)(model, X, y)
    (run,) = recorded.runs()
    assert run.metrics == {
        "f1_macro": [(0, values[0])],
        "neg_log_loss": [(0, values[1])],
        "roc_auc": [(0, values[2])],
        "f1_score": [(0, custom)],
    }


def test_what_is_no_number_or_of_no_tracked_model_is_not_recorded(recorded) -> None:
    model = LogisticRegression().fit(X, y)
    predicted = model.predict(X)
    confusion_matrix(y, predicted)
    classification_report(y, predicted)
    accuracy_score(y, y)
    accuracy_score(y, predicted.copy())
    StandardScaler().fit(X)
    (run,) = recorded.runs()
    assert run.metrics == {}


def test_labels_of_a_clustering_belong_to_it(recorded) -> None:
    labels = KMeans(2, random_state=0, n_init=1).fit_predict(X)
    value = silhouette_score(X, labels)
    piped = make_pipeline(StandardScaler(), KMeans(3, random_state=0, n_init=1))
    second = silhouette_score(X, piped.fit_predict(X))
    assert [run.metrics["silhouette_score"] for run in recorded.runs()] == [[(0, value)], [(0, second)]]


def test_the_best_estimator_of_a_search_belongs_to_the_search(recorded) -> None:
    search = GridSearchCV(make_pipeline(StandardScaler(), SVC()), {"svc__C": [0.1, 1]}, cv=2).fit(X, y)
    value = search.best_estimator_.score(X, y)
    other = accuracy_score(y, search.predict(X))
    (run,) = recorded.runs()
    assert run.metrics["score"] == [(0, value)]
    assert run.metrics["accuracy_score"] == [(0, other)]


def test_several_outputs(recorded) -> None:
    XR, yr = make_regression(60, 4, n_targets=2, random_state=0)
    model = LinearRegression().fit(XR, yr)
    whole = r2_score(yr, model.predict(XR))
    column = r2_score(yr[:, 0], model.predict(XR)[:, 0])
    (run,) = recorded.runs()
    assert run.metrics["r2_score"] == [(0, whole), (1, column)]


def test_measuring_importances_is_no_series(recorded) -> None:
    model = LogisticRegression().fit(X, y)
    permutation_importance(model, X, y, n_repeats=3)
    permutation_importance(model, X, y, n_repeats=3, scoring="f1")
    (run,) = recorded.runs()
    assert run.metrics == {}


def test_a_refit_has_its_own_values(recorded) -> None:
    model = LogisticRegression().fit(X, y)
    model.score(X, y)
    old = model.predict(X)
    model.set_params(C=0.001).fit(X, y)
    value = model.score(X, y)
    accuracy_score(y, old)
    first, second = recorded.runs()
    assert second.metrics == {"score": [(0, value)]}
    assert set(first.metrics) == {"score", "accuracy_score"}


def test_a_score_that_raises_passes_untouched(recorded) -> None:
    model = LogisticRegression().fit(X, y)
    with pytest.raises(ValueError, match="features"):
        model.score(X[:, :2], y)
    with pytest.raises(ValueError, match="inconsistent"):
        f1_score(y[:5], model.predict(X))
    (run,) = recorded.runs()
    assert (run.status, run.metrics) == ("finished", {})


def test_an_estimator_whose_own_score_raises_keeps_its_other_metrics(recorded) -> None:
    class Sulks(LogisticRegression):
        def score(self, X, y, sample_weight=None):
            raise RuntimeError("no")

    model = Sulks().fit(X, y)
    with pytest.raises(RuntimeError, match="no"):
        model.score(X, y)
    value = f1_score(y, model.predict(X))
    (run,) = recorded.runs()
    assert run.metrics == {"f1_score": [(0, value)]}
    assert run.params["C"] == 1.0


def test_predictions_that_are_the_users_own_data_are_not_claimed(recorded) -> None:
    first = LogisticRegression().fit(X, y)
    DummyClassifier(strategy="prior").fit(X, y).predict(X)
    value = accuracy_score(y, first.predict(X))
    assert recorded.runs()[0].metrics == {"accuracy_score": [(0, value)]}
    assert recorded.runs()[1].metrics == {}
