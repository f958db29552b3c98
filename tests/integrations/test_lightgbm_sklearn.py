"""lightgbm's scikit-learn API: one run for each `fit`, named by its class, with the data as it was passed."""

import numpy as np
import pytest

lightgbm = pytest.importorskip("lightgbm")
pytest.importorskip("sklearn")

from sklearn.base import clone  # noqa: E402
from sklearn.metrics import mean_squared_error  # noqa: E402
from sklearn.model_selection import GridSearchCV  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

import autotrack  # noqa: E402
import autotrack_lightgbm  # noqa: E402
from autotrack.patching.scope import begin_leaf  # noqa: E402
from autotrack.plugins import plugins  # noqa: E402
from autotrack.provenance import weights  # noqa: E402
from autotrack.testing import recording  # noqa: E402

DATA = np.random.default_rng(0)
X = DATA.normal(size=(240, 4))
Y = X[:, 0] * 2 + DATA.normal(scale=0.1, size=240)
LABELS = np.digitize(Y, [-1.0, 1.0])
QUIET = {"verbosity": -1, "n_jobs": 1}

plugins.load()
if "lightgbm" not in plugins.integrations:
    plugins.register(autotrack_lightgbm, "lightgbm")

pytestmark = pytest.mark.filterwarnings("ignore::lightgbm.basic.LGBMDeprecationWarning", "ignore:X does not have valid")


@pytest.fixture
def recorded(tmp_path):
    with recording(tmp_path, "lightgbm") as recorded:
        yield recorded


def series(history):
    return {
        f"{data}/{metric}": list(enumerate(values))
        for data, metrics in history.items()
        for metric, values in metrics.items()
    }


def test_fit_is_one_run_with_the_series_of_evals_result(recorded) -> None:
    model = lightgbm.LGBMClassifier(n_estimators=9, num_leaves=4, **QUIET)
    sets = [(X[:160], LABELS[:160]), (X[160:], LABELS[160:])]
    model.fit(*sets[0], eval_set=sets, eval_metric=["multi_logloss", "multi_error"])
    (run,) = recorded.runs()
    assert (run.name, run.integration, run.status, run.ends) == ("LGBMClassifier", "lightgbm", "finished", 1)
    assert run.metrics == series(model.evals_result_)
    assert len(run.metrics) == 4 and run.params["eval_metric"] == "['multi_logloss', 'multi_error']"


def test_params_are_get_params_with_what_was_left_open_resolved(recorded) -> None:
    model = lightgbm.LGBMClassifier(n_estimators=3, num_leaves=4, extra_trees=True, **QUIET).fit(X, LABELS)
    (run,) = recorded.runs()
    assert set(model.get_params()) <= set(run.params)
    assert (run.params["num_leaves"], run.params["n_estimators"], run.params["extra_trees"]) == (4, 3, True)
    assert (run.params["objective"], run.params["num_class"], run.params["boosting_type"]) == ("multiclass", 3, "gbdt")
    assert not {"num_iterations", "num_boost_round", "boosting", "min_data_in_leaf"} & run.params.keys()


def test_data_are_those_passed_to_fit(recorded) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abcd"))
    model = lightgbm.LGBMRegressor(n_estimators=3, **QUIET)
    weight = np.ones(160)
    model.fit(
        frame[:160],
        Y[:160],
        sample_weight=weight,
        eval_set=[(frame[160:200], Y[160:200]), (frame[200:], Y[200:])],
        eval_names=["one", "two"],
        eval_sample_weight=[np.ones(40), np.ones(40)],
    )
    (run,) = recorded.runs()
    assert [(it.role, it.name) for it in run.datasets] == [
        ("train", "train"),
        ("validation", "one"),
        ("validation", "two"),
    ]
    fit, one, _ = (it.record["parts"] for it in run.datasets)
    assert set(fit) == set(one) == {"X", "y", "sample_weight"}
    assert [column["name"] for column in fit["X"]["columns"]] == list("abcd")
    assert (fit["X"]["n_rows"], one["X"]["n_rows"]) == (160, 40)
    assert set(run.metrics) == {"one/l2", "two/l2"}


@pytest.mark.skipif(not hasattr(lightgbm, "EvalResult"), reason="eval_X came with lightgbm 4.7")
@pytest.mark.parametrize("several", [False, True])
def test_evaluation_data_given_apart(recorded, several) -> None:
    model = lightgbm.LGBMRegressor(n_estimators=3, **QUIET)
    if several:
        model.fit(X, Y, eval_X=(X, X[200:]), eval_y=(Y, Y[200:]))
    else:
        model.fit(X, Y, eval_X=X[200:], eval_y=Y[200:])
    (run,) = recorded.runs()
    assert run.metrics == series(model.evals_result_)
    # The training data themselves are no second dataset.
    assert [it.name for it in run.datasets] == ["train", "valid_1" if several else "valid_0"]


def test_early_stopping_and_the_kept_model(recorded, tmp_path) -> None:
    model = lightgbm.LGBMClassifier(n_estimators=80, learning_rate=1.0, **QUIET)
    stop = lightgbm.early_stopping(2, verbose=False)
    model.fit(X[:160], LABELS[:160], eval_set=[(X[160:], LABELS[160:])], callbacks=[stop])
    (run,) = recorded.runs()
    best = model.best_iteration_
    assert run.metrics["best_iteration"] == [(best - 1, best)]
    assert run.metrics["best_score"] == [(best - 1, model.best_score_["valid_0"]["multi_logloss"])]
    assert run.metrics["valid_0/multi_logloss"] == list(enumerate(model.evals_result_["valid_0"]["multi_logloss"]))
    (kept,) = run.models
    assert kept.signature["class"] == "lightgbm.sklearn.LGBMClassifier"
    assert (kept.signature["classes"], kept.signature["n_features"]) == ([0, 1, 2], 4)
    path = tmp_path / "read.text"
    path.write_bytes(recorded.content(kept))
    assert np.array_equal(weights.load(path, kept.format, kept.signature).predict(X), model.predict_proba(X))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("LGBMModel", {}),
        ("LGBMRegressor", {}),
        ("LGBMClassifier", {}),
        ("LGBMRanker", {"group": [24] * 10}),
    ],
)
def test_every_estimator_is_one_run_by_its_own_name(recorded, name, arguments) -> None:
    more = {"objective": "regression"} if name == "LGBMModel" else {}
    model = getattr(lightgbm, name)(n_estimators=3, **QUIET, **more)
    assert model.fit(X, LABELS, **arguments) is model
    (run,) = recorded.runs()
    assert (run.name, run.status, len(run.models)) == (name, "finished", 1)
    assert not [key for key in vars(model) if "autotrack" in key]
    if arguments:
        assert set(run.datasets[0].record["parts"]) == {"X", "y", "group"}


def test_a_ranker_evaluates_by_groups(recorded) -> None:
    model = lightgbm.LGBMRanker(n_estimators=4, **QUIET)
    model.fit(X, LABELS, group=[24] * 10, eval_set=[(X[:48], LABELS[:48])], eval_group=[[24, 24]], eval_at=[3])
    (run,) = recorded.runs()
    assert run.metrics == series(model.evals_result_) and set(run.metrics) == {"valid_0/ndcg@3"}
    assert set(run.datasets[1].record["parts"]) == {"X", "y", "group"}


def test_a_subclass_that_calls_super_is_one_run(recorded) -> None:
    class Mine(lightgbm.LGBMRegressor):
        def fit(self, X, y, **more):
            return super().fit(X, y, **more)

    Mine(n_estimators=2, **QUIET).fit(X, Y)
    assert [run.name for run in recorded.runs()] == ["Mine"]


def test_a_custom_objective_is_told_by_its_name(recorded) -> None:
    def halved(target, prediction):
        return (prediction - target) / 2, np.ones_like(target)

    def off(target, prediction):
        return "off", float(np.abs(target - prediction).mean()), False

    model = lightgbm.LGBMRegressor(n_estimators=2, objective=halved, **QUIET)
    model.fit(X, Y, eval_set=[(X[:50], Y[:50])], eval_metric=off)
    (run,) = recorded.runs()
    assert run.params["objective"].endswith("halved") and run.params["eval_metric"].endswith("off")
    assert run.metrics == series(model.evals_result_) and "valid_0/off" in run.metrics


def test_inside_another_training_it_is_silent(recorded) -> None:
    with begin_leaf("search", name="GridSearchCV"):
        lightgbm.LGBMRegressor(n_estimators=2, **QUIET).fit(X, Y, eval_set=[(X, Y)])
    (run,) = recorded.runs()
    assert (run.name, run.metrics, run.params, run.models) == ("GridSearchCV", {}, {}, [])


def test_several_fits_are_several_runs(recorded) -> None:
    model = lightgbm.LGBMRegressor(n_estimators=2, **QUIET)
    model.fit(X, Y)
    model.fit(X, Y, init_model=model)
    clone(model).fit(X, Y)
    runs = recorded.runs()
    assert [run.params.get("starting_round") for run in runs] == [None, 2, None]


def test_a_fit_that_raises_is_a_failed_run(recorded) -> None:
    with pytest.raises(ValueError):
        lightgbm.LGBMRegressor(n_estimators=2, **QUIET).fit(X, Y[:10])
    with pytest.raises(TypeError):
        lightgbm.LGBMRegressor(n_estimators=2, **QUIET).fit(X)
    with pytest.raises(lightgbm.basic.LightGBMError):
        lightgbm.LGBMRegressor(n_estimators=2, objective="nonsense", **QUIET).fit(X, Y)
    runs = recorded.runs()
    assert [(run.status, run.models) for run in runs] == [("failed", [])] * 3
    assert [run.error["type"] for run in runs] == ["ValueError", "TypeError", "LightGBMError"]


@pytest.fixture
def both(tmp_path):
    with recording(tmp_path, "sklearn", "lightgbm") as recorded:
        yield recorded


def test_alone_it_is_one_run_of_lightgbm_with_scikit_learn_enabled_too(both) -> None:
    lightgbm.LGBMClassifier(n_estimators=2, **QUIET).fit(X, LABELS)
    assert [(run.name, run.integration) for run in both.runs()] == [("LGBMClassifier", "lightgbm")]


def test_a_pipeline_is_one_run_with_deep_params(both) -> None:
    pipeline = make_pipeline(StandardScaler(), lightgbm.LGBMClassifier(n_estimators=3, num_leaves=5, **QUIET))
    pipeline.fit(X, LABELS)
    accuracy = pipeline.score(X, LABELS)
    (run,) = both.runs()
    assert (run.name, run.integration, run.status) == ("Pipeline", "sklearn", "finished")
    assert run.params["lgbmclassifier__num_leaves"] == 5
    assert [value for points in run.metrics.values() for _, value in points] == [accuracy]


def test_a_search_is_one_run(both) -> None:
    search = GridSearchCV(lightgbm.LGBMRegressor(n_estimators=3, **QUIET), {"num_leaves": [3, 6]}, cv=2)
    search.fit(X, Y)
    (run,) = both.runs()
    assert (run.name, run.integration, run.status) == ("GridSearchCV", "sklearn", "finished")
    assert run.params["best_params.num_leaves"] == search.best_params_["num_leaves"]
    assert run.metrics["best_score_"] == [(0, search.best_score_)]
    assert [model.format for model in run.models] == ["text"]


def test_what_is_measured_with_scikit_learn_reaches_the_run_of_its_own_model(both) -> None:
    first = lightgbm.LGBMRegressor(n_estimators=3, **QUIET).fit(X[:160], Y[:160])
    second = lightgbm.train({"num_leaves": 5, "verbosity": -1}, lightgbm.Dataset(X[:160], Y[:160]), 3)
    third = lightgbm.LGBMClassifier(n_estimators=3, **QUIET).fit(X[:160], LABELS[:160])
    fourth = lightgbm.LGBMRegressor(n_estimators=5, **QUIET).fit(X[:160], Y[:160])
    errors = [
        mean_squared_error(Y[160:], first.predict(X[160:])),
        mean_squared_error(Y[160:], second.predict(X[160:])),
        third.score(X[160:], LABELS[160:]),
        mean_squared_error(Y[160:], fourth.booster_.predict(X[160:])),
    ]
    runs = both.runs()
    assert [run.name for run in runs] == ["LGBMRegressor", "lightgbm.train", "LGBMClassifier", "LGBMRegressor"]
    names = ("mean_squared_error", "mean_squared_error", "score", "mean_squared_error")
    assert [run.metrics for run in runs] == [{name: [(0, it)]} for name, it in zip(names, errors, strict=True)]
    assert all(run.status == "finished" and run.ends == 1 for run in runs)


def test_which_params_are_not_the_defaults_of_the_class_is_told(recorded) -> None:
    lightgbm.LGBMRegressor(n_estimators=3, num_leaves=4, learning_rate=np.float64(0.1), **QUIET).fit(X, Y)
    (run,) = autotrack.runs()
    told = autotrack.get_run(run["id"])["defaults"]
    assert told["changed"] == {"n_estimators": 100, "num_leaves": 31, "n_jobs": None}
    assert {"learning_rate", "boosting_type", "reg_alpha", "objective"} <= set(told["unchanged"])
    assert "verbosity" not in told["unchanged"]  # the class takes it and has no default for it
