"""A search is one run with the table of its candidates, and one child for each of the best when asked."""

import csv
import io

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, HalvingGridSearchCV, RandomizedSearchCV
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import autotrack_sklearn
from autotrack.testing import recording


@pytest.fixture
def recorded(tmp_path):
    with recording(tmp_path, "sklearn") as recorded:
        yield recorded


@pytest.fixture
def children():
    yield autotrack_sklearn.options
    autotrack_sklearn.options(max_children=0)


X, y = make_classification(120, 5, random_state=0)
GRID = {"C": [0.01, 0.1, 1.0]}


def table(recorded, run, name="cv_results.csv"):
    return list(csv.DictReader(io.StringIO(recorded.content(run.artifacts[name]).decode())))


@pytest.mark.parametrize(
    "search",
    [
        GridSearchCV(LogisticRegression(), GRID, cv=3),
        RandomizedSearchCV(LogisticRegression(), GRID, n_iter=2, cv=3, random_state=0),
        HalvingGridSearchCV(LogisticRegression(), GRID, cv=3, random_state=0),
        GridSearchCV(RandomForestClassifier(4), {"max_depth": [1, 2]}, cv=2, n_jobs=2),
    ],
    ids=lambda search: type(search).__name__,
)
def test_one_run_with_the_table_the_best_params_and_the_best_score(recorded, search) -> None:
    search.fit(X, y)
    (run,) = recorded.runs()
    assert (run.name, run.status, run.ends) == (type(search).__name__, "finished", 1)
    rows = table(recorded, run)
    assert len(rows) == len(search.cv_results_["params"])
    assert [float(row["mean_test_score"]) for row in rows] == list(search.cv_results_["mean_test_score"])
    assert run.metrics["best_score_"] == [(0, search.best_score_)]
    for key, value in search.best_params_.items():
        assert run.params[f"best_params.{key}"] == value
    assert len(run.models) == 1
    assert run.models[0].signature["estimator"].endswith(type(search.estimator).__name__)


def test_a_search_over_a_pipeline_whose_steps_are_candidates(recorded) -> None:
    pipeline = Pipeline([("scale", StandardScaler()), ("clf", SVC())])
    grid = {"clf": [SVC(), LogisticRegression()], "scale": ["passthrough", StandardScaler()]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(X, y)
    (run,) = recorded.runs()
    assert run.params["param_grid.clf"] == "[SVC, LogisticRegression]"
    assert run.params["best_params.clf"] == type(search.best_params_["clf"]).__name__
    assert {row["param_clf"] for row in table(recorded, run)} == {"SVC", "LogisticRegression"}


def test_a_search_of_a_density_and_one_without_refit(recorded) -> None:
    GridSearchCV(KernelDensity(), {"bandwidth": [0.5, 1.0]}, cv=2).fit(X)
    GridSearchCV(LogisticRegression(), GRID, cv=2, refit=False).fit(X, y)
    first, second = recorded.runs()
    assert len(table(recorded, first)) == 2
    assert second.models == []
    assert [note.what for note in second.notes] == ["model"]


def test_groups_are_part_of_the_data(recorded) -> None:
    GridSearchCV(LogisticRegression(), GRID, cv=GroupKFold(3)).fit(X, y, groups=np.arange(len(y)) % 3)
    (run,) = recorded.runs()
    assert set(run.datasets[0].record["parts"]) == {"X", "y", "groups"}


def test_no_children_unless_asked(recorded) -> None:
    GridSearchCV(LogisticRegression(), GRID, cv=2).fit(X, y)
    assert len(recorded.runs()) == 1


def test_children_are_the_best_candidates_first(recorded, children) -> None:
    children(max_children=2)
    search = GridSearchCV(LogisticRegression(), GRID, cv=3).fit(X, y)
    parent, *found = recorded.runs()
    order = np.argsort(search.cv_results_["rank_test_score"], kind="stable")[:2]
    assert [child.params["C"] for child in found] == [search.cv_results_["params"][i]["C"] for i in order]
    for child, index in zip(found, order, strict=True):
        assert (child.parent, child.status, child.ends) == (parent.id, "finished", 1)
        assert child.metrics["mean_test_score"] == [(0, search.cv_results_["mean_test_score"][index])]
        folds = [search.cv_results_[f"split{fold}_test_score"][index] for fold in range(3)]
        assert child.metrics["test_score"] == list(enumerate(folds))


def test_children_of_a_search_with_several_scores(recorded, children) -> None:
    children(max_children=10)
    GridSearchCV(LogisticRegression(), GRID, cv=2, scoring=["accuracy", "f1"], refit="f1").fit(X, y)
    _, *found = recorded.runs()
    assert len(found) == 3
    assert [child.metrics["rank_test_f1"][0][1] for child in found] == sorted(
        child.metrics["rank_test_f1"][0][1] for child in found
    )
    assert len(found[0].metrics["test_accuracy"]) == 2


def test_a_negative_number_of_children_is_refused() -> None:
    with pytest.raises(ValueError, match="max_children=-1"):
        autotrack_sklearn.options(max_children=-1)


def test_failing_candidates_are_recorded_as_nan(recorded) -> None:
    grid = {"max_depth": [1, 2], "max_features": [3, 0.5]}

    class Picky(RandomForestClassifier):
        def fit(self, X, y):
            if self.max_depth == 2:
                raise RuntimeError("not today")
            return super().fit(X, y)

    with pytest.warns(match="fits failed"):
        GridSearchCV(Picky(3), grid, cv=2).fit(X, y)
    (run,) = recorded.runs()
    assert run.status == "finished"
    assert [row["mean_test_score"] == "nan" for row in table(recorded, run)] == [False, False, True, True]
