"""Tracked estimators and functions look, pickle and behave as if untracked, and all is put back in the end."""

import copy
import inspect
import pickle
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("cloudpickle")

import cloudpickle
import joblib
import sklearn
import sklearn.base
import sklearn.metrics
import sklearn.model_selection
import sklearn.utils.parallel
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.ensemble import BaggingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.parallel import Parallel, delayed

import autotrack
from autotrack import guard
from autotrack.testing import recording
from autotrack_sklearn import estimators


@pytest.fixture
def recorded(tmp_path):
    with recording(tmp_path, "sklearn") as recorded:
        yield recorded


X, y = make_classification(120, 5, random_state=0)
CLASSES = (LogisticRegression, SGDClassifier, SVC, Pipeline, GridSearchCV, RandomForestClassifier, BaggingClassifier)


def attributes() -> dict[str, object]:
    """Everything that could have been replaced: attributes of classes and modules, cells, and what descriptors hold."""
    found: dict[str, object] = {}
    for kind in {owner for tracked in CLASSES for owner in tracked.__mro__}:
        for name, value in vars(kind).items():
            # `__slotnames__` is what `copyreg` notes on a class when one of its objects is first pickled.
            if not name.startswith(("__abstract", "_abc", "__dict", "__slotnames")):
                found[f"{kind.__qualname__}.{name}"] = value
                if hasattr(value, "fn"):
                    found[f"{kind.__qualname__}.{name}.fn"] = value.fn
    modules = [sklearn.base, sklearn.metrics, sklearn.model_selection, sklearn.utils.parallel, sklearn.metrics._scorer]
    if "sklearn.callback._callback_support" in sys.modules:
        modules.append(sys.modules["sklearn.callback._callback_support"])
    for module in modules:
        for name, value in vars(module).items():
            found[f"{module.__name__}:{name}"] = value
            for index, cell in enumerate(getattr(value, "__closure__", None) or ()):
                found[f"{module.__name__}:{name}[{index}]"] = cell.cell_contents
    found["_FuncWrapper.__call__"] = sklearn.utils.parallel._FuncWrapper.__call__
    found["_BaseScorer.__call__"] = sklearn.metrics._scorer._BaseScorer.__call__
    return found


def train_all() -> None:
    for model in (LogisticRegression(), make_pipeline(StandardScaler(), SVC()), RandomForestClassifier(3)):
        model.fit(X, y).score(X, y)
        sklearn.metrics.f1_score(y, model.predict(X))
    GridSearchCV(LogisticRegression(), {"C": [1]}, cv=2).fit(X, y).predict(X)
    cross_val_score(LogisticRegression(), X, y, cv=2)


def test_after_enable_enable_disable_every_attribute_is_the_original(tmp_path) -> None:
    before = attributes()
    with recording(tmp_path, "sklearn") as recorded:
        autotrack.enable("sklearn", home=tmp_path, forwarder="off", strict=True)
        train_all()
        assert any(before[name] is not value for name, value in attributes().items())
        counted = len(recorded.runs())
        assert counted == 5
        assert [run.metrics["f1_score"][0][0] for run in recorded.runs()[:3]] == [0, 0, 0]
        assert [len(run.metrics["f1_score"]) for run in recorded.runs()[:3]] == [1, 1, 1]
        autotrack.disable()
        after = attributes()
        assert [name for name in before if after[name] is not before[name]] == []
        train_all()
        assert len(recorded.runs()) == counted


@pytest.mark.parametrize("name", ["fit", "predict", "predict_proba", "decision_function", "score", "get_params"])
@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_methods_look_as_untracked(recorded, kind, name) -> None:
    def looks():
        method = getattr(kind, name, None)
        if method is None:
            return None
        return method.__name__, method.__qualname__, method.__doc__, method.__module__, inspect.signature(method)

    autotrack.disable()
    untracked = looks()
    autotrack.enable("sklearn", home=recorded.home, forwarder="off", strict=True)
    train_all()
    assert looks() == untracked


def test_functions_look_as_untracked(recorded) -> None:
    names = ("f1_score", "roc_auc_score", "accuracy_score")
    tracked = [(getattr(sklearn.metrics, name), inspect.signature(getattr(sklearn.metrics, name))) for name in names]
    train_all()
    autotrack.disable()
    for function, signature in tracked:
        assert inspect.signature(function) == signature
        assert getattr(sklearn.metrics, function.__name__) is function


def test_hasattr_answers_as_untracked(recorded) -> None:
    pipeline = make_pipeline(StandardScaler(), SVC()).fit(X, y)
    pipeline.predict(X)
    assert hasattr(pipeline, "predict")
    assert hasattr(pipeline, "decision_function")
    assert not hasattr(pipeline, "predict_proba")
    assert not hasattr(pipeline, "transform")
    assert not hasattr(LogisticRegression(), "coef_")
    with pytest.raises(AttributeError, match="predict_proba"):
        pipeline.predict_proba(X)


@pytest.mark.parametrize("make", [LogisticRegression, lambda: make_pipeline(StandardScaler(), SVC())])
def test_an_estimator_carries_nothing_of_ours(tmp_path, make) -> None:
    plain = make().fit(X, y)
    with recording(tmp_path, "sklearn"):
        tracked = make().fit(X, y)
        tracked.score(X, y)
        assert vars(tracked).keys() == vars(plain).keys()
        assert tracked.get_params().keys() == plain.get_params().keys()
        assert pickle.dumps(tracked) == pickle.dumps(plain)
        assert b"autotrack" not in pickle.dumps(tracked)
        assert b"autotrack" not in cloudpickle.dumps(tracked)
        assert joblib.hash(tracked) == joblib.hash(plain)
        for other in (pickle.loads(pickle.dumps(tracked)), copy.deepcopy(tracked)):
            np.testing.assert_array_equal(other.predict(X), plain.predict(X))
        assert pickle.loads(pickle.dumps(tracked.predict))(X).shape == y.shape
        assert pickle.loads(pickle.dumps(LogisticRegression.predict)) is LogisticRegression.predict
        assert pickle.loads(pickle.dumps(sklearn.metrics.f1_score)) is sklearn.metrics.f1_score


def test_copies_have_no_run_until_they_are_fitted(recorded) -> None:
    model = LogisticRegression().fit(X, y)
    copied = clone(model).fit(X, y)
    pickle.loads(pickle.dumps(model)).score(X, y)
    value = copied.score(X, y)
    first, second = recorded.runs()
    assert first.metrics == {}
    assert second.metrics == {"score": [(0, value)]}


def test_users_arguments_are_not_changed(recorded) -> None:
    grid, data, labels = {"C": [0.1, 1]}, X.tolist(), y.tolist()
    given = copy.deepcopy((grid, data, labels))
    GridSearchCV(LogisticRegression(), grid, cv=2).fit(data, labels).score(data, labels)
    assert (grid, data, labels) == given


@pytest.mark.parametrize("where", ["log_params", "innermost"])
def test_a_fault_of_ours_stops_nothing(tmp_path, monkeypatch, where) -> None:
    from autotrack_sklearn import trainings

    def broken(*args):
        raise RuntimeError("ours")

    monkeypatch.setattr(trainings, where, broken)
    calls = []

    class Counted(LogisticRegression):
        def fit(self, X, y):
            calls.append(1)
            return super().fit(X, y)

    with recording(tmp_path, "sklearn", strict=False, quiet=True) as recorded:
        model = Counted()
        assert model.fit(X, y) is model
        faults = guard.faults["sklearn"]
    assert calls == [1]
    assert faults >= 1
    (run,) = recorded.runs()
    assert (run.status, run.ends) == ("finished", 1)
    assert run.models


def test_a_fault_in_what_decides_stops_nothing(tmp_path, monkeypatch) -> None:
    from autotrack_sklearn import trainings

    def broken(estimator):
        raise RuntimeError("ours")

    monkeypatch.setattr(trainings, "makes_run", broken)
    with recording(tmp_path, "sklearn", strict=False, quiet=True) as recorded:
        assert LogisticRegression().fit(X, y).score(X, y) > 0.5
    assert recorded.runs() == []
    assert estimators.makes_run(LogisticRegression())


def test_threads_of_one_fit_belong_to_it(recorded) -> None:
    with joblib.parallel_backend("threading"):
        BaggingClassifier(SVC(), n_estimators=8, n_jobs=2).fit(X, y)
        GridSearchCV(make_pipeline(StandardScaler(), SVC()), {"svc__C": [0.1, 1, 10]}, cv=3, n_jobs=2).fit(X, y)
        cross_validate(SVC(), X, y, cv=8, n_jobs=2)
    assert [run.name for run in recorded.runs()] == ["BaggingClassifier", "GridSearchCV", "cross_validate SVC"]


def test_threads_of_the_user_have_runs_of_their_own(recorded) -> None:
    def work():
        LogisticRegression().fit(X, y)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(run.name, run.status) for run in recorded.runs()] == [("LogisticRegression", "finished")] * 3


def test_parallel_work_in_a_run_of_the_user_belongs_to_it(recorded) -> None:
    with autotrack.start_run("mine"):
        Parallel(n_jobs=2, backend="threading")(delayed(LogisticRegression(C=c).fit)(X, y) for c in (1, 2, 3, 4, 5, 6))
    assert [run.name for run in recorded.runs()] == ["mine"]


def test_worker_processes_record_nothing_of_their_own(recorded) -> None:
    results = joblib.Parallel(n_jobs=2)(joblib.delayed(LogisticRegression(C=c).fit)(X, y) for c in (1, 2))
    assert [model.C for model in results] == [1, 2]
    assert recorded.runs() == []


def test_another_tools_wrapper_survives(tmp_path) -> None:
    original = LogisticRegression.predict
    with recording(tmp_path, "sklearn"):
        model = LogisticRegression().fit(X, y)
        owner = next(kind for kind in LogisticRegression.__mro__ if "predict" in vars(kind))
        ours, seen = vars(owner)["predict"], []

        def theirs(self, X):
            seen.append(1)
            return ours(self, X)

        owner.predict = theirs
        model.predict(X)
    try:
        model.predict(X)
        assert seen == [1, 1]
        assert vars(owner)["predict"] is theirs
    finally:
        owner.predict = original


def test_warnings_are_shown_as_untracked(recorded) -> None:
    shown = warnings.showwarning
    train_all()
    assert warnings.showwarning is shown
    with pytest.warns(sklearn.exceptions.ConvergenceWarning):
        LogisticRegression(max_iter=1).fit(X, y)


ORDERS = {
    "enable first": "ENABLE; IMPORT; TRAIN",
    "import first": "IMPORT; ENABLE; TRAIN",
    "names imported before": "from sklearn.metrics import f1_score; IMPORT; ENABLE; TRAIN",
    "only the base": "import sklearn.base; ENABLE; IMPORT; TRAIN",
    "twice": "ENABLE; IMPORT; ENABLE; TRAIN",
    "again": "IMPORT; ENABLE; autotrack.disable(); ENABLE; TRAIN",
}
PIECES = {
    "ENABLE": "autotrack.enable('sklearn', home=sys.argv[1], forwarder='off', strict=True, quiet=True)",
    "IMPORT": "from sklearn.linear_model import LogisticRegression; from sklearn.metrics import f1_score; "
    "from sklearn.model_selection import cross_val_score",
    "TRAIN": "m = LogisticRegression().fit(X, y); m.score(X, y); f1_score(y, m.predict(X)); "
    "cross_val_score(m, X, y, cv=2)",
}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS.keys())
def test_any_order_of_imports_captures_the_same_and_prints_nothing(tmp_path, order) -> None:
    from autotrack.testing import Recorded

    for name, piece in PIECES.items():
        order = order.replace(name, piece)
    script = "import sys, autotrack\nX, y = [[0.0], [1.0], [2.0], [3.0], [0.5], [2.5]], [0, 0, 1, 1, 0, 1]\n" + order
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    first, second = Recorded(tmp_path).runs()
    assert set(first.metrics) == {"score", "f1_score"}
    assert (first.status, second.status) == ("finished", "finished")
    assert len(second.metrics["test_score"]) == 2
