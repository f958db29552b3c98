"""What `fit`, `catboost.train` and `catboost.cv` leave in a run, compared with what catboost itself tells."""

import json
import subprocess
import sys

import numpy as np
import pytest

catboost = pytest.importorskip("catboost")

from catboost import CatBoost, CatBoostClassifier, CatBoostRanker, CatBoostRegressor, Pool, cv, train  # noqa: E402

import autotrack  # noqa: E402
import autotrack_catboost  # noqa: E402
from autotrack.patching.scope import begin_leaf  # noqa: E402
from autotrack.plugins import plugins  # noqa: E402
from autotrack.provenance import weights  # noqa: E402
from autotrack.testing import recording  # noqa: E402

DATA = np.random.default_rng(0)
X = DATA.normal(size=(300, 5))
Y = X[:, 0] * 2 + X[:, 1] ** 2 + DATA.normal(scale=0.3, size=300)
LABELS = np.digitize(Y, [0.0, 2.0])
QUIET = {"thread_count": 1, "logging_level": "Silent"}
EASY, HARD = (X[:200], Y[:200]), (X[200:], DATA.normal(size=100))

plugins.load()
if "catboost" not in plugins.integrations:
    plugins.register(autotrack_catboost, "catboost")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # catboost writes to the working folder


@pytest.fixture
def recorded(tmp_path):
    with recording(tmp_path / "home", "catboost") as recorded:
        yield recorded


def series(evals):
    return {
        f"{data}/{metric}": list(enumerate(values))
        for data, metrics in evals.items()
        for metric, values in metrics.items()
    }


def rounds_of(run):
    return {key: points for key, points in run.metrics.items() if "/" in key}


def read(recorded, model, folder):
    path = folder / f"read.{model.format}"
    path.write_bytes(recorded.content(model))
    return weights.load(path, model.format, model.signature)


@pytest.mark.parametrize("sets", [HARD, [HARD], [EASY, HARD], Pool(*HARD)])
def test_every_series_equals_get_evals_result(recorded, sets) -> None:
    model = CatBoostRegressor(iterations=12, custom_metric=["MAE", "R2"], **QUIET)
    assert model.fit(*EASY, eval_set=sets) is model
    (run,) = recorded.runs()
    assert (run.name, run.integration, run.status, run.ends) == ("CatBoostRegressor", "catboost", "finished", 1)
    assert rounds_of(run) == series(model.get_evals_result())
    assert len(run.metrics["learn/RMSE"]) == 12
    names = ["validation"] if not isinstance(sets, list) or len(sets) == 1 else ["validation_0", "validation_1"]
    assert [(it.role, it.name) for it in run.datasets] == [("train", "train"), *(("validation", it) for it in names)]


@pytest.mark.parametrize("several", [False, True])
def test_the_best_iteration_and_its_score(recorded, several) -> None:
    model = CatBoostRegressor(iterations=300, learning_rate=0.5, **QUIET)
    model.fit(*EASY, eval_set=[EASY, HARD] if several else HARD, early_stopping_rounds=5)
    (run,) = recorded.runs()
    best = model.get_best_iteration()
    assert rounds_of(run) == series(model.get_evals_result()) and len(run.metrics["learn/RMSE"]) < 300
    decides = "validation_1" if several else "validation"
    assert run.metrics["best_iteration"] == [(best, best)]
    assert run.metrics["best_score"] == [(best, model.get_best_score()[decides]["RMSE"])]
    assert run.params["early_stopping_rounds"] == 5


@pytest.mark.parametrize(("period", "stop"), [(4, None), (5, None), (3, 7), (50, None)])
@pytest.mark.parametrize("explicit", [False, True])
def test_what_is_evaluated_now_and_then_has_its_own_iterations(recorded, period, stop, explicit) -> None:
    model = CatBoostRegressor(iterations=21, learning_rate=0.5, custom_metric="MAE", metric_period=period, **QUIET)
    callbacks = [autotrack_catboost.AutotrackCallback()] if explicit else None
    model.fit(*EASY, eval_set=HARD, early_stopping_rounds=stop, callbacks=callbacks)
    (run,) = recorded.runs()
    with open("catboost_info/learn_error.tsv") as file:
        steps = [int(line.split("\t")[0]) for line in file.readlines()[1:]]
    evals = model.get_evals_result()
    assert run.metrics["learn/RMSE"] == list(zip(steps, evals["learn"]["RMSE"], strict=True))
    if stop:  # the overfitting detector needs its metric each time
        assert run.metrics["validation/RMSE"] == list(enumerate(evals["validation"]["RMSE"]))
    else:
        assert run.metrics["validation/MAE"] == list(zip(steps, evals["validation"]["MAE"], strict=True))
    assert run.params["metric_period"] == period


def test_params_are_those_given_and_those_resolved(recorded) -> None:
    model = CatBoostClassifier(n_estimators=4, max_depth=3, **QUIET)
    model.fit(X, LABELS, use_best_model=False)
    (run,) = recorded.runs()
    assert set(model.get_params()) <= set(run.params)
    assert (run.params["n_estimators"], run.params["max_depth"], run.params["use_best_model"]) == (4, 3, False)
    told = model.get_all_params()
    for name in ("loss_function", "learning_rate", "l2_leaf_reg", "task_type", "bootstrap_type", "random_seed"):
        assert run.params[name] == told[name]
    assert run.params["loss_function"] == "MultiClass"
    assert not {"iterations", "depth", "callbacks", "X", "eval_set"} & run.params.keys()


def test_train_is_one_run(recorded) -> None:
    pool, held_out = Pool(*EASY), Pool(*HARD)
    params = {"loss_function": "RMSE", "eta": 0.3, **QUIET}
    model = train(pool, params, num_boost_round=7, eval_set=held_out)
    (run,) = recorded.runs()
    assert (run.name, run.status, run.ends) == ("catboost.train", "finished", 1)
    assert rounds_of(run) == series(model.get_evals_result())
    assert (run.params["eta"], run.params["num_boost_round"], run.params["depth"]) == (0.3, 7, 6)
    assert "learning_rate" not in run.params
    assert [(it.role, it.name) for it in run.datasets] == [("train", "train"), ("validation", "validation")]
    assert [it.signature["class"] for it in run.models] == ["catboost.core.CatBoost"]


@pytest.mark.parametrize("as_pandas", [True, False])
@pytest.mark.parametrize("return_models", [True, False])
def test_cv_equals_its_table(recorded, as_pandas, return_models) -> None:
    params = {"loss_function": "RMSE", "custom_metric": "MAE", **QUIET}
    result = cv(
        Pool(X, Y), params, iterations=8, fold_count=3, as_pandas=as_pandas, return_models=return_models, seed=3
    )
    table = result[0] if return_models else result
    (run,) = recorded.runs()
    assert (run.name, run.status, run.models) == ("catboost.cv", "finished", [])
    assert (run.params["iterations"], run.params["fold_count"], run.params["seed"]) == (8, 3, 3)
    assert len(run.metrics) == 8
    for data in ("train", "test"):
        for metric in ("RMSE", "MAE"):
            for key, column in ((f"{data}/{metric}", "mean"), (f"{data}/{metric}-std", "std")):
                assert run.metrics[key] == list(enumerate(table[f"{data}-{metric}-{column}"]))
    assert [(it.role, it.record["n_rows"]) for it in run.datasets] == [("train", 300)]


@pytest.mark.parametrize(
    ("kind", "target", "more"),
    [
        (CatBoost, Y, {}),
        (CatBoostRegressor, Y, {}),
        (CatBoostClassifier, LABELS, {}),
        (CatBoostRanker, LABELS, {"group_id": np.repeat(range(30), 10)}),
    ],
)
def test_every_class_is_one_run_and_its_model_comes_back(recorded, tmp_path, kind, target, more) -> None:
    model = kind({"iterations": 4, **QUIET}) if kind is CatBoost else kind(iterations=4, **QUIET)
    model.fit(X, target, **more)
    (run,) = recorded.runs()
    assert (run.name, run.status) == (kind.__name__, "finished")
    (kept,) = run.models
    assert (kept.name, kept.format) == ("model", "cbm")
    again = read(recorded, kept, tmp_path)
    assert type(again) is kind
    assert np.array_equal(again.predict(X), model.predict(X))
    assert set(run.datasets[0].record["parts"]) == {"X", "y", *more}
    assert not [key for key in vars(model) if "autotrack" in key]


@pytest.mark.parametrize(
    ("models", "names"), [("off", []), ("final", ["model"]), ("best", ["best"]), ("all", ["model", "best"])]
)
def test_which_models_are_kept(tmp_path, models, names) -> None:
    with recording(tmp_path / "home", "catboost", models=models) as recorded:
        # Without `use_best_model=False` catboost itself drops the trees after the best one.
        model = CatBoostRegressor(iterations=40, learning_rate=0.5, use_best_model=False, **QUIET)
        model.fit(*EASY, eval_set=HARD)
        trees, best = model.tree_count_, model.get_best_iteration()
        (run,) = recorded.runs()
        assert trees == 40 > best + 1
        assert [it.name for it in run.models] == names
        for kept in run.models:
            again = read(recorded, kept, tmp_path)
            assert again.tree_count_ == (best + 1 if kept.name == "best" else 40)
            expected = model.predict(X, ntree_end=best + 1) if kept.name == "best" else model.predict(X)
            assert np.array_equal(again.predict(X), expected)
    assert model.tree_count_ == 40


def test_importance_is_that_of_the_features(recorded) -> None:
    pandas = pytest.importorskip("pandas")
    model = CatBoostRegressor(iterations=5, **QUIET).fit(pandas.DataFrame(X, columns=list("abcde")), Y)
    (run,) = recorded.runs()
    kept = json.loads(recorded.content(run.artifacts["feature_importance.json"]))
    assert kept == {"PredictionValuesChange": dict(zip("abcde", model.feature_importances_, strict=True))}
    values = list(kept["PredictionValuesChange"].values())
    assert values == sorted(values, reverse=True)
    assert run.models[0].signature["feature_names"] == list("abcde")


def test_where_catboost_has_no_importance_the_record_says_so(recorded) -> None:
    CatBoostRanker(iterations=3, **QUIET).fit(X, LABELS, group_id=np.repeat(range(30), 10))
    (run,) = recorded.runs()
    assert run.artifacts == {} and [note.what for note in run.notes] == ["feature importance"]


def test_continuing_a_model(tmp_path) -> None:
    with recording(tmp_path / "home", "catboost", models="all") as recorded:
        first = CatBoostRegressor(iterations=10, **QUIET).fit(*EASY)
        second = CatBoostRegressor(iterations=7, **QUIET).fit(*EASY, init_model=first, eval_set=HARD)
        run = recorded.runs()[1]
    assert rounds_of(run) == series(second.get_evals_result())
    assert run.metrics["best_iteration"] == [(second.get_best_iteration(),) * 2]
    assert [it.name for it in run.models] == ["model"]


def test_data_of_every_kind(recorded, tmp_path) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X[:, :2], columns=["a", "b"])
    frame["c"] = np.where(X[:, 2] > 0, "x", "y")
    path = tmp_path / "data.tsv"
    np.savetxt(path, np.c_[Y, X], delimiter="\t")
    pools = [Pool(frame, Y, cat_features=["c"], weight=np.ones(300)), Pool(str(path))]
    model = CatBoostRegressor(iterations=2, **QUIET)
    model.copy().fit(pools[0])
    model.copy().fit(pools[1])
    model.copy().fit(str(path))
    model.copy().fit(frame, Y, cat_features=["c"], sample_weight=np.ones(300))
    records = [run.datasets[0].record for run in recorded.runs()]
    assert [column["dtype"] for column in records[0]["columns"]] == ["numeric", "numeric", "categorical"]
    assert set(records[0]["parts"]) == {"X", "y", "sample_weight"} and records[0]["n_rows"] == 300
    for told in (records[1]["parts"]["X"], records[2]):
        assert (told["kind"], told["path"]) == ("file", str(path))
    assert records[1]["n_columns"] == 5
    assert set(records[3]["parts"]) == {"X", "y", "sample_weight"}
    assert recorded.runs()[3].params["cat_features"] == "['c']"


def test_a_slice_and_the_training_data_as_evaluation_data(recorded) -> None:
    pool = Pool(X, Y)
    part = pool.slice(list(range(100)))
    CatBoostRegressor(iterations=2, **QUIET).fit(part, eval_set=[part, pool])
    (run,) = recorded.runs()
    assert [(it.name, it.record["n_rows"]) for it in run.datasets] == [("train", 100), ("validation_1", 300)]
    assert "parts" not in run.datasets[0].record


def test_datasets_off_records_none(tmp_path) -> None:
    with recording(tmp_path / "home", "catboost", datasets=False) as recorded:
        CatBoostRegressor(iterations=2, **QUIET).fit(Pool(X, Y))
        (run,) = recorded.runs()
    assert run.datasets == []


def test_inside_a_run_of_the_users(recorded) -> None:
    with autotrack.start_run("mine"):
        CatBoostRegressor(iterations=2, **QUIET).fit(X, Y)
        assert [run.status for run in recorded.runs()] == ["running"]
    (run,) = recorded.runs()
    assert (run.name, run.ends, run.params["iterations"]) == ("mine", 1, 2)


def test_inside_another_training_it_is_silent(recorded) -> None:
    with begin_leaf("search", name="search"):
        CatBoostRegressor(iterations=2, **QUIET).fit(X, Y)
        train(Pool(X, Y), {"loss_function": "RMSE", "iterations": 2, **QUIET})
        cv(Pool(X, Y), {"loss_function": "RMSE", "iterations": 2, **QUIET}, fold_count=2)
    (run,) = recorded.runs()
    assert (run.name, run.metrics, run.params, run.models) == ("search", {}, {}, [])


def test_a_training_inside_a_training_is_silent(recorded) -> None:
    class Objective:
        def calc_ders_range(self, approxes, targets, weights):
            if not inner:
                callback = autotrack_catboost.AutotrackCallback()
                inner.append(CatBoostRegressor(iterations=2, **QUIET).fit(X, Y, callbacks=[callback]))
            return [(target - approx, -1) for approx, target in zip(approxes, targets, strict=True)]

    inner = []
    model = CatBoostRegressor(iterations=3, loss_function=Objective(), eval_metric="RMSE", **QUIET)
    model.fit(X, Y, callbacks=[autotrack_catboost.AutotrackCallback()])
    (run,) = recorded.runs()
    assert inner and run.metrics == series(model.get_evals_result())
    assert "Objective" in run.params["loss_function"] and " at 0x" not in run.params["loss_function"]
    assert len(run.models) == 1


def test_a_subclass_that_calls_super_is_one_run(recorded, tmp_path) -> None:
    class Mine(CatBoostRegressor):
        def __init__(self, rate, **more):
            super().__init__(learning_rate=rate, **more)

        def fit(self, X, y, **more):
            return super().fit(X, y, **more)

    autotrack.enable("catboost", home=recorded.home, forwarder="off", strict=True, models="all")
    Mine(0.5, iterations=40, use_best_model=False, **QUIET).fit(*EASY, eval_set=HARD)
    (run,) = recorded.runs()
    assert run.name == "Mine" and [model.name for model in run.models] == ["model", "best"]
    assert type(read(recorded, run.models[0], tmp_path)) is CatBoostRegressor


def test_a_fit_that_raises_is_a_failed_run(recorded) -> None:
    for call in (
        lambda: CatBoostRegressor(iterations=2, **QUIET).fit(X, Y[:10]),
        lambda: CatBoostRegressor(iterations=2, **QUIET).fit(X),
        lambda: CatBoostClassifier(loss_function="RMSE", **QUIET).fit(X, LABELS),
        lambda: train(Pool(X, Y), {"loss_function": "nonsense", **QUIET}),
        lambda: cv(Pool(X, Y), {**QUIET}),
    ):
        with pytest.raises(catboost.CatBoostError):
            call()
    runs = recorded.runs()
    assert [run.name for run in runs[-2:]] == ["catboost.train", "catboost.cv"]
    assert [(run.status, run.models, run.metrics) for run in runs] == [("failed", [], {})] * 5
    assert all(run.error["type"] == "CatBoostError" for run in runs)


@pytest.mark.parametrize("search", ["grid_search", "randomized_search"])
def test_a_search_is_one_run(recorded, search) -> None:
    model = CatBoostRegressor(iterations=4, **QUIET)
    grid = {"depth": [2, 3], "l2_leaf_reg": [1, 5]}
    more = {"n_iter": 3} if search == "randomized_search" else {}
    found = getattr(model, search)(grid, X, Y, cv=2, verbose=False, **more)
    (run,) = recorded.runs()
    assert (run.name, run.status, run.ends) == (f"CatBoostRegressor.{search}", "finished", 1)
    assert {name: run.params[f"best_params.{name}"] for name in grid} == found["params"]
    assert run.params["cv"] == 2 and any(name.endswith(".depth") for name in run.params)
    assert run.metrics["test/RMSE"] == list(enumerate(found["cv_results"]["test-RMSE-mean"]))
    assert run.metrics["test/RMSE-std"] == list(enumerate(found["cv_results"]["test-RMSE-std"]))
    assert run.metrics["learn/RMSE"] == list(enumerate(model.get_evals_result()["learn"]["RMSE"]))
    assert (len(run.models), set(run.datasets[0].record["parts"])) == (1, {"X", "y"})


@pytest.mark.parametrize("final", [False, True])
def test_selecting_features_is_one_run(recorded, final) -> None:
    model = CatBoostRegressor(iterations=4, **QUIET)
    found = model.select_features(
        X, Y, eval_set=HARD, features_for_select="0-4", num_features_to_select=2, steps=1, train_final_model=final
    )
    (run,) = recorded.runs()
    assert (run.name, run.status, len(run.models)) == ("CatBoostRegressor.select_features", "finished", int(final))
    assert run.params["num_features_to_select"] == 2
    kept = json.loads(recorded.content(run.artifacts["select_features.json"]))
    assert kept["selected_features"] == found["selected_features"]
    assert kept["loss_graph"]["loss_values"] == found["loss_graph"]["loss_values"]


def test_sampling_models_is_one_run(recorded) -> None:
    found = catboost.sample_gaussian_process(X, Y, samples=2, posterior_iterations=2, prior_iterations=2)
    (run,) = recorded.runs()
    assert len(found) == 2 and (run.name, run.status) == ("catboost.sample_gaussian_process", "finished")
    assert run.params["posterior_iterations"] == 2 and run.models == []


NAMES = """
import sys, types
user = sys.modules["user"] = types.ModuleType("user")
{first}
{second}
import catboost, numpy
X = numpy.random.default_rng(0).normal(size=(100, 3))
params = {{"loss_function": "RMSE", "iterations": 2, "logging_level": "Silent", "thread_count": 1}}
pool = lambda: catboost.Pool(X, X[:, 0])
calls = [lambda: user.train(pool(), dict(params)), lambda: user.cv(pool(), dict(params), fold_count=2)]
calls += [lambda: catboost.CatBoost(params).fit(pool())]
for call in calls:
    call()
from autotrack.testing import Recorded
print([run.name for run in Recorded(home).runs()])
autotrack.disable()
for call in calls:
    call()
assert len(Recorded(home).runs()) == 3
assert user.train is catboost.train is catboost.core.train and not hasattr(user.train, "__wrapped__")
"""
IMPORT = "from catboost import train, cv; user.train, user.cv = train, cv"
ENABLE = "import autotrack, pathlib; home = pathlib.Path(sys.argv[1])\n"
ENABLE += "autotrack.enable('catboost', home=home, forwarder='off', strict=True)\n"
ENABLE += "assert 'catboost' not in sys.modules or hasattr(user, 'cv')"


@pytest.mark.parametrize(("first", "second"), [(IMPORT, ENABLE), (ENABLE, IMPORT)])
def test_in_any_order_of_imports_every_name_is_covered_and_given_back(tmp_path, first, second) -> None:
    code = NAMES.format(first=first, second=second)
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert str(["catboost.train", "catboost.cv", "CatBoost"]) in done.stdout


def test_which_params_are_not_the_defaults_of_the_class_is_told(recorded) -> None:
    CatBoostRegressor(iterations=3, loss_function="RMSE", **QUIET).fit(*EASY)
    (run,) = autotrack.runs()
    told = autotrack.get_run(run["id"])["defaults"]
    assert told["changed"] == {"iterations": None, "thread_count": None, "logging_level": None}  # left to catboost
    assert {"loss_function", "learning_rate", "depth"} <= set(told["unchanged"])
