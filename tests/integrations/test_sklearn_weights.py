"""Weights are kept in the format of skops: what is loaded predicts the same, and what cannot be kept is told."""

import functools
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.compose import ColumnTransformer
from sklearn.datasets import make_classification
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.gaussian_process.kernels import RBF
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

import autotrack
from autotrack.provenance import snapshots
from autotrack.testing import recording
from autotrack_sklearn import weights


@pytest.fixture
def recorded(tmp_path):
    with recording(tmp_path, "sklearn") as recorded:
        yield recorded


skops = pytest.importorskip("skops.io")
X, y = make_classification(80, 4, random_state=0)


def kept(recorded, model):
    """The skops file that the record of a model leads to, made as the forwarder makes it."""
    if model.snapshot is None:
        return recorded.content(model)
    converter, data = snapshots.read(recorded.home, model.snapshot)
    assert converter == "autotrack_sklearn.weights:to_skops"
    return weights.to_skops(data)


def loaded(content):
    return skops.loads(content, trusted=skops.get_untrusted_types(data=content))


MODELS = [
    LogisticRegression(),
    SGDClassifier(random_state=np.random.RandomState(3)),
    RandomForestClassifier(5),
    GradientBoostingRegressor(n_estimators=5),
    HistGradientBoostingClassifier(max_iter=5),
    KNeighborsClassifier(),
    SVC(),
    GaussianNB(),
    GaussianProcessClassifier(RBF(2.0)),
    MLPClassifier((4,), max_iter=300, solver="lbfgs"),
    VotingClassifier([("a", LogisticRegression()), ("b", DecisionTreeClassifier())]),
    make_pipeline(StandardScaler(), SVC()),
    make_pipeline(FunctionTransformer(np.tanh), LogisticRegression()),
    make_pipeline(ColumnTransformer([("one", OneHotEncoder(handle_unknown="ignore"), [0])]), LogisticRegression()),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_what_is_loaded_predicts_the_same(recorded, model) -> None:
    model.fit(X, y)
    (run,) = recorded.runs()
    assert run.models[0].snapshot is not None
    assert run.models[0].problem is None
    again = loaded(kept(recorded, run.models[0]))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_load_model_gives_the_estimator_back(recorded, model) -> None:
    model.fit(X, y)
    again = autotrack.load_model(recorded.runs()[0].id)
    assert type(again) is type(model)
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


def test_a_model_with_code_of_somebody_else_is_not_loaded_unasked(recorded) -> None:
    Mine().fit(X, y)
    make_pipeline(FunctionTransformer(double), LogisticRegression()).fit(X, y)
    for run, name in zip(recorded.runs(), ("Mine", "double"), strict=True):
        with pytest.raises(LookupError, match=rf"the model holds .*test_sklearn_weights\.{name}, .* trusted="):
            autotrack.load_model(run.id)


def test_nothing_is_imported_to_find_out_whose_a_type_is(tmp_path) -> None:
    for name in ("this.d", "os.system", "builtins.eval", "numpy.load", "sklearn.nothing.Here", "sklearn.svm.Nothing"):
        assert not weights._is_known_by_name(name)
    assert "this" not in sys.modules
    assert weights._is_known_by_name("sklearn.tree._tree.Tree") and weights._is_known_by_name("numpy.tanh")


def test_a_search_keeps_its_best_estimator(recorded) -> None:
    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1]}, cv=2, scoring=lambda model, X, y: 1.0).fit(X, y)
    (run,) = recorded.runs()
    again = loaded(kept(recorded, run.models[0]))
    assert type(again) is LogisticRegression
    np.testing.assert_array_equal(again.predict(X), search.predict(X))


def test_a_pipeline_with_xgboost_is_kept(recorded) -> None:
    xgboost = pytest.importorskip("xgboost")
    model = make_pipeline(StandardScaler(), xgboost.XGBClassifier(n_estimators=3)).fit(X, y)
    (run,) = recorded.runs()
    np.testing.assert_array_equal(loaded(kept(recorded, run.models[0])).predict(X), model.predict(X))


class Mine(LogisticRegression):
    pass


def double(values):
    return values * 2


@pytest.mark.parametrize(
    "model",
    [
        Mine(),
        make_pipeline(FunctionTransformer(double), LogisticRegression()),
        make_pipeline(FunctionTransformer(functools.partial(double)), LogisticRegression()),
    ],
)
def test_a_model_with_something_of_the_users_is_written_at_once(recorded, model) -> None:
    model.fit(X, y)
    (run,) = recorded.runs()
    (found,) = run.models
    assert (found.format, found.snapshot) == ("skops", None)
    assert any("test_sklearn_weights" in name for name in skops.get_untrusted_types(data=recorded.content(found)))


def test_a_lambda_is_told_and_the_rest_is_kept(recorded, capsys) -> None:
    model = make_pipeline(FunctionTransformer(lambda values: values), LogisticRegression()).fit(X, y)
    model.fit(X, y)
    first, _ = recorded.runs()
    assert first.models[0].format == "none"
    assert "<lambda>" in first.models[0].problem
    assert first.params["logisticregression__C"] == 1.0
    assert first.datasets
    assert capsys.readouterr().err.count("is not kept") == 1


def test_without_skops_the_reason_names_what_to_install(recorded, monkeypatch, capsys) -> None:
    monkeypatch.setattr(weights, "_has_skops", lambda: False)
    LogisticRegression().fit(X, y)
    (run,) = recorded.runs()
    assert run.models[0].format == "none"
    assert "pip install 'autotrack-ml[sklearn]'" in run.models[0].problem
    assert run.status == "finished"
    assert capsys.readouterr().err.count("pip install 'autotrack-ml[sklearn]'") == 1


def test_a_snapshot_with_anything_else_in_it_is_not_opened() -> None:
    import os
    import pickle

    class Attack:
        def __reduce__(self):
            return os.system, ("echo never",)

    for thing in (Attack(), getattr, eval, np.load, np.testing.assert_equal, subprocess.Popen):
        with pytest.raises(pickle.UnpicklingError, match="may not hold"):
            weights.to_skops(pickle.dumps(thing))


def test_neither_skops_nor_the_converter_is_imported_into_training(tmp_path) -> None:
    script = """
import sys
import autotrack
autotrack.enable("sklearn", home=sys.argv[1], forwarder="off", strict=True)
assert not [name for name in sys.modules if name.split(".")[0] in ("sklearn", "numpy", "skops")]
from sklearn.naive_bayes import GaussianNB
GaussianNB().fit([[0.0], [1.0]], [0, 1]).score([[0.0]], [0])
assert "skops" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, timeout=60)
