"""One outermost fit of a model is one run, with its params, its data as passed in, its results and its outcome."""

import csv
import io

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("pandas")

import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.datasets import make_classification, make_regression
from sklearn.ensemble import (
    BaggingClassifier,
    IsolationForest,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_selection import SelectFromModel
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, LabelEncoder, OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

import autotrack
from autotrack.testing import recording


@pytest.fixture
def recorded(tmp_path):
    with recording(tmp_path, "sklearn") as recorded:
        yield recorded


def test_which_params_are_not_the_defaults_is_told(tmp_path):
    model = make_pipeline(StandardScaler(), SVC(C=2, gamma="scale", class_weight={0: 1}))
    with recording(tmp_path, "sklearn"):
        model.fit(*make_classification(40, random_state=0))
        (run,) = autotrack.runs()
        told = autotrack.get_run(run["id"])["defaults"]
    assert told["changed"] == {"svc__C": 1.0, "svc__class_weight.0": None}
    assert {"svc__gamma", "svc__kernel", "standardscaler__with_mean", "memory"} <= set(told["unchanged"])
    assert not {"steps", "svc__C"} & set(told["unchanged"])  # steps have no default


X, y = make_classification(120, 5, random_state=0)
XR, yr = make_regression(80, 4, random_state=0)


def table(recorded, run, name):
    return list(csv.DictReader(io.StringIO(recorded.content(run.artifacts[name]).decode())))


def parts(run):
    (dataset,) = run.datasets
    return dataset.record["parts"]


def test_a_fit_is_one_run_with_params_data_results_and_weights(recorded) -> None:
    model = LogisticRegression(C=0.5).fit(X, y)
    (run,) = recorded.runs()
    assert (run.name, run.integration, run.status, run.ends, run.parent) == (
        "LogisticRegression", "sklearn", "finished", 1, None,
    )  # fmt: skip
    assert run.params["C"] == 0.5
    assert run.params["max_iter"] == 100
    assert run.params["n_features_in_"] == 5
    assert run.params["n_iter_"] == model.n_iter_[0]
    assert run.params["classes_"] == "[0, 1]"
    assert run.datasets[0].role == "train"
    assert parts(run)["X"]["n_rows"] == 120
    assert parts(run)["y"]["n_rows"] == 120
    assert [kept.format for kept in run.models] == ["skops"]
    assert [float(row["coefficient"]) for row in table(recorded, run, "feature_importances.csv")] == list(
        model.coef_[0]
    )


@pytest.mark.parametrize(
    ("estimator", "method"),
    [
        (RandomForestClassifier(5), "fit"),
        (LinearRegression(), "fit"),
        (KMeans(2), "fit"),
        (KMeans(2), "fit_predict"),
        (KMeans(2), "fit_transform"),
        (IsolationForest(n_estimators=5), "fit"),
        (IsolationForest(n_estimators=5), "fit_predict"),
        (LocalOutlierFactor(), "fit_predict"),
        (GaussianMixture(2), "fit"),
        (VotingClassifier([("a", LogisticRegression()), ("b", DecisionTreeClassifier())]), "fit"),
        (StackingClassifier([("a", LogisticRegression()), ("b", DecisionTreeClassifier())], cv=2), "fit"),
        (BaggingClassifier(SVC(), n_estimators=3), "fit"),
        (make_pipeline(StandardScaler(), SVC()), "fit"),
        (make_pipeline(StandardScaler(), KMeans(2)), "fit_predict"),
        (make_pipeline(StandardScaler(), make_pipeline(SimpleImputer(), LogisticRegression())), "fit"),
        (make_pipeline(SelectFromModel(RandomForestClassifier(5)), SVC()), "fit"),
        (TransformedTargetRegressor(Ridge(), transformer=StandardScaler()), "fit"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_is_a_model_makes_one_run_whatever_trains_inside(recorded, estimator, method) -> None:
    getattr(estimator, method)(X, y)
    (run,) = recorded.runs()
    assert (run.name, run.status, run.ends) == (type(estimator).__name__, "finished", 1)


@pytest.mark.parametrize(
    "fit",
    [
        lambda: StandardScaler().fit(X),
        lambda: StandardScaler().fit_transform(X),
        lambda: OneHotEncoder().fit(X),
        lambda: LabelEncoder().fit(y),
        lambda: SimpleImputer().fit_transform(X),
        lambda: FeatureUnion([("a", StandardScaler()), ("b", StandardScaler())]).fit(X),
        lambda: ColumnTransformer([("a", StandardScaler(), [0, 1])]).fit_transform(X),
        lambda: make_pipeline(SimpleImputer(), StandardScaler()).fit(X),
        lambda: SelectFromModel(RandomForestClassifier(5)).fit(X, y),
    ],
)
def test_preprocessing_alone_makes_no_run(recorded, fit) -> None:
    fit()
    assert recorded.runs() == []


def test_a_failing_fit_raises_the_very_same_exception_and_its_run_is_failed(recorded) -> None:
    boom = ValueError("boom")

    class Raises(TransformerMixin, BaseEstimator):
        def fit(self, X, y=None):
            raise boom

        def transform(self, X):
            return X

    with pytest.raises(ValueError) as caught:
        make_pipeline(Raises(), SVC()).fit(X, y)
    assert caught.value is boom
    frames = [entry.name for entry in caught.traceback]
    assert "observed" not in frames
    assert frames[-1] == "fit"
    (run,) = recorded.runs()
    assert (run.status, run.ends, run.error["message"]) == ("failed", 1, "boom")
    assert "Raises" not in run.params
    assert run.params["svc__C"] == 1.0


@pytest.mark.parametrize(("error", "status"), [(KeyboardInterrupt, "killed"), (SystemExit, "killed")])
def test_ctrl_c_in_a_fit_is_killed(recorded, error, status) -> None:
    def stop(X):
        raise error

    with pytest.raises(error):
        make_pipeline(FunctionTransformer(stop), SVC()).fit(X, y)
    assert [run.status for run in recorded.runs()] == [status]


def test_refused_params_are_a_failed_run(recorded) -> None:
    with pytest.raises(ValueError, match="'C' parameter"):
        LogisticRegression(C=-1).fit(X, y)
    (run,) = recorded.runs()
    assert (run.status, run.ends, run.params["C"]) == ("failed", 1, -1)
    assert run.error["type"] == "InvalidParameterError"


def test_refused_params_inside_a_pipeline_fail_the_pipeline_once(recorded) -> None:
    with pytest.raises(ValueError, match="'C' parameter"):
        make_pipeline(StandardScaler(), LogisticRegression(C=-1)).fit(X, y)
    (run,) = recorded.runs()
    assert (run.name, run.status, run.ends) == ("Pipeline", "failed", 1)


def test_refused_params_of_a_scaler_make_no_run(recorded) -> None:
    with pytest.raises(ValueError, match="with_mean"):
        StandardScaler(with_mean="yes").fit(X)
    assert recorded.runs() == []


@pytest.mark.parametrize(
    "call",
    [
        lambda model, w: model.fit(X, y, w),
        lambda model, w: model.fit(X=X, y=y, sample_weight=w),
        lambda model, w: model.fit(sample_weight=w, y=y, X=X),
        lambda model, w: model.fit(X, sample_weight=w, y=y),
    ],
)
def test_positional_keyword_and_swapped_arguments_are_told_apart(recorded, call) -> None:
    weight = np.linspace(1, 2, len(y)).astype("float32")
    call(LogisticRegression(), weight)
    (run,) = recorded.runs()
    found = parts(run)
    assert set(found) == {"X", "y", "sample_weight"}
    assert found["X"]["n_columns"] == 5
    assert found["y"]["dtype"] == str(y.dtype)
    assert found["sample_weight"]["dtype"] == "float32"


def test_routed_metadata_is_named_as_it_was_passed(recorded) -> None:
    pipeline = Pipeline([("scale", StandardScaler()), ("clf", LogisticRegression())])
    pipeline.fit(X, y, clf__sample_weight=np.ones(len(y), "float32"))
    (run,) = recorded.runs()
    assert parts(run)["clf__sample_weight"]["dtype"] == "float32"


def test_data_is_described_as_passed_in_even_where_the_pipeline_changes_it(recorded) -> None:
    class Mutates(TransformerMixin, BaseEstimator):
        def fit(self, X, y=None):
            return self

        def transform(self, X):
            X["added"] = 1.0
            X.drop(columns="b", inplace=True)
            return X

    frame = pd.DataFrame(X[:, :3], columns=["a", "b", "c"])
    make_pipeline(Mutates(), LogisticRegression()).fit(frame, y)
    assert list(frame.columns) == ["a", "c", "added"]
    (run,) = recorded.runs()
    columns = parts(run)["X"].get("columns") or parts(run)["X"]["schema"]
    assert [column["name"] for column in columns] == ["a", "b", "c"]


def test_data_that_raises_when_looked_at_stops_nothing(tmp_path) -> None:
    class Awkward(list):
        @property
        def shape(self):
            raise RuntimeError("do not look")

        dtype = shape

    class Reads(TransformerMixin, BaseEstimator):
        def fit(self, data, y=None):
            return self

        def transform(self, data):
            return X

    with recording(tmp_path, "sklearn", strict=False, quiet=True) as recorded:
        model = make_pipeline(Reads(), LogisticRegression()).fit(Awkward([1]), y)
        assert model.score(Awkward([1]), y) > 0.5
    (run,) = recorded.runs()
    assert run.status == "finished"
    assert run.params["logisticregression__C"] == 1.0
    assert run.models


def test_nested_estimators_are_shown_by_the_name_of_their_class(recorded) -> None:
    VotingClassifier([("a", LogisticRegression(C=3)), ("b", make_pipeline(StandardScaler(), SVC()))]).fit(X, y)
    (run,) = recorded.runs()
    assert run.params["a"] == "LogisticRegression"
    assert run.params["a__C"] == 3
    assert run.params["b"] == "Pipeline"
    assert run.params["b__svc__kernel"] == "rbf"
    assert run.params["estimators"] == "[('a', LogisticRegression), ('b', Pipeline)]"


def test_many_long_secret_and_callable_params_all_arrive(recorded) -> None:
    class Holder(ClassifierMixin, BaseEstimator):
        def __init__(self, config=None, api_key=None, function=None, text=""):
            self.config, self.api_key, self.function, self.text = config, api_key, function, text

        def fit(self, X, y):
            self.classes_ = np.unique(y)
            return self

        def predict(self, X):
            return np.zeros(len(X))

    nested = {f"layer{i}": {"size": i} for i in range(500)}
    holder = Holder(nested, "sk-123456", lambda x: x, "x" * 10_000)
    make_pipeline(StandardScaler(), holder).fit(X, y)
    (run,) = recorded.runs()
    assert run.params["holder__config.layer499.size"] == 499
    assert len(run.params["holder__text"]) == 10_000
    assert run.params["holder__api_key"] == "***"
    assert "0x" not in run.params["holder__function"]


def test_a_run_that_the_user_started_is_logged_to_and_not_ended(recorded) -> None:
    import autotrack

    with autotrack.start_run("mine"):
        LogisticRegression().fit(X, y)
        with pytest.raises(ValueError, match="NaN"):
            LogisticRegression().fit(X * np.nan, y)
        (run,) = recorded.runs()
        assert (run.status, run.ends) == ("running", 0)
        assert run.params["C"] == 1.0
    (run,) = recorded.runs()
    assert (run.name, run.status, run.ends) == ("mine", "finished", 1)


class Scaled(LogisticRegression):
    def fit(self, X, y, sample_weight=None):
        return super().fit(X * 2, y, sample_weight)


def test_a_subclass_that_calls_super_makes_one_run_with_the_same_predictions(recorded, tmp_path) -> None:
    tracked = Scaled().fit(X, y)
    (run,) = recorded.runs()
    assert run.name == "Scaled"
    import autotrack

    autotrack.disable()
    np.testing.assert_array_equal(tracked.predict_proba(X), Scaled().fit(X, y).predict_proba(X))
