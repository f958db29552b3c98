"""What `lightgbm.train` and `lightgbm.cv` leave in a run, compared with what lightgbm itself returns."""

import json
import subprocess
import sys

import numpy as np
import pytest

lightgbm = pytest.importorskip("lightgbm")

from lightgbm import cv, early_stopping, record_evaluation, train  # noqa: E402

import autotrack  # noqa: E402
import autotrack_lightgbm  # noqa: E402
from autotrack.patching.scope import begin_leaf  # noqa: E402
from autotrack.plugins import plugins  # noqa: E402
from autotrack.provenance import weights  # noqa: E402
from autotrack.testing import recording  # noqa: E402

DATA = np.random.default_rng(0)
X = DATA.normal(size=(300, 5))
Y = X[:, 0] * 2 + X[:, 1] ** 2 + DATA.normal(scale=0.1, size=300)
LABELS = (np.median(Y) < Y).astype(int)
PARAMS = {
    "objective": "binary",
    "num_leaves": 7,
    "metric": ["binary_logloss", "auc"],
    "verbosity": -1,
    "num_threads": 1,
}
QUIET = {"verbosity": -1, "num_threads": 1}

plugins.load()
if "lightgbm" not in plugins.integrations:
    plugins.register(autotrack_lightgbm, "lightgbm")


def datasets(target=LABELS):
    fit = lightgbm.Dataset(X[:200], target[:200])
    return fit, fit.create_valid(X[200:], target[200:])


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


def rounds_of(run):
    return {key: points for key, points in run.metrics.items() if "/" in key}


def read(recorded, model, folder):
    path = folder / f"read.{model.format}"
    path.write_bytes(recorded.content(model))
    return weights.load(path, model.format, model.signature)


def test_every_series_equals_evals_result(recorded) -> None:
    fit, held_out = datasets()
    history = {}
    train(
        PARAMS,
        fit,
        12,
        valid_sets=[fit, held_out],
        valid_names=["train", "test"],
        callbacks=[record_evaluation(history)],
    )
    (run,) = recorded.runs()
    assert (run.name, run.integration, run.status, run.ends) == ("lightgbm.train", "lightgbm", "finished", 1)
    assert run.metrics == series(history)
    assert len(run.metrics["test/auc"]) == 12
    assert [(it.role, it.name) for it in run.datasets] == [("train", "train"), ("validation", "test")]


@pytest.mark.parametrize("names", [None, ["held out"], "held out"])
def test_one_set_without_a_list(recorded, names) -> None:
    fit, held_out = datasets()
    history = {}
    train(PARAMS, fit, 3, valid_sets=held_out, valid_names=names, callbacks=[record_evaluation(history)])
    (run,) = recorded.runs()
    assert run.metrics == series(history)
    assert [it.name for it in run.datasets] == ["train", "held out" if names else "valid_0"]


def test_params_are_those_given_and_those_resolved(recorded) -> None:
    fit, _ = datasets()
    train({**QUIET, "objective": "binary", "eta": 0.3}, fit, 3)
    (run,) = recorded.runs()
    assert (run.params["objective"], run.params["eta"], run.params["num_boost_round"]) == ("binary", 0.3, 3)
    assert (run.params["boosting"], run.params["metric"], run.params["num_leaves"]) == ("gbdt", "binary_logloss", 31)
    assert run.params["tree_learner"] == "serial"
    assert not {"learning_rate", "num_iterations", "early_stopping_round"} & run.params.keys()


def test_rounds_among_the_params_count_more_than_the_argument(recorded) -> None:
    fit, _ = datasets()
    train({**PARAMS, "n_estimators": 4}, fit)
    (run,) = recorded.runs()
    assert run.params["n_estimators"] == 4 and "num_boost_round" not in run.params


@pytest.mark.parametrize("given", ["callback", "param"])
def test_early_stopping_is_complete_to_its_last_round(recorded, given) -> None:
    fit, held_out = datasets()
    history = {}
    callbacks, more = [record_evaluation(history)], {"learning_rate": 1.0}
    if given == "callback":
        callbacks.insert(0, early_stopping(4, verbose=False))
    else:
        more["early_stopping_round"] = 4
    booster = train(PARAMS | more, fit, 100, valid_sets=[fit, held_out], callbacks=callbacks)
    (run,) = recorded.runs()
    best = booster.best_iteration
    assert best < len(history["valid_1"]["auc"]) < 100
    assert rounds_of(run) == series(history)
    assert run.metrics["best_iteration"] == [(best - 1, best)]
    ((step, score),) = run.metrics["best_score"]
    assert step == best - 1 and score in booster.best_score["valid_1"].values()
    assert run.params["early_stopping_round"] == 4


def test_the_best_score_is_the_one_that_chose_the_round(recorded) -> None:
    fit, held_out = datasets()
    stop = early_stopping(4, first_metric_only=True, verbose=False)
    params = PARAMS | {"metric": ["auc", "binary_logloss"], "learning_rate": 1.0}
    booster = train(params, fit, 100, valid_sets=[held_out], callbacks=[stop])
    (run,) = recorded.runs()
    best = booster.best_iteration
    assert run.metrics["best_score"] == [(best - 1, booster.best_score["valid_0"]["auc"])]
    assert dict(run.metrics["valid_0/auc"])[best - 1] == booster.best_score["valid_0"]["auc"]


def test_the_model_that_is_kept_is_the_one_returned(recorded, tmp_path) -> None:
    fit, held_out = datasets()
    stop = early_stopping(3, verbose=False)
    booster = train(PARAMS | {"learning_rate": 1.0}, fit, 50, valid_sets=[held_out], callbacks=[stop])
    (run,) = recorded.runs()
    (model,) = run.models
    assert (model.name, model.format) == ("model", "text")
    kept = read(recorded, model, tmp_path)
    assert type(kept) is lightgbm.Booster
    assert kept.best_iteration == booster.best_iteration
    assert kept.current_iteration() == booster.current_iteration()
    assert np.array_equal(kept.predict(X), booster.predict(X))
    assert recorded.content(model).decode() == booster.model_to_string(num_iteration=-1)


def test_a_model_that_was_trained_on_is_kept_as_it_is_now(recorded) -> None:
    data = lightgbm.Dataset(X, LABELS)
    with autotrack.start_run() as run:
        booster = train(PARAMS, data, 3, keep_training_booster=True)
        booster.update()
        run.log_model(booster, "later")
        text = booster.model_to_string(num_iteration=-1)
    (found,) = recorded.runs()
    first, later = (recorded.content(model).decode() for model in found.models)
    assert later == text != first and lightgbm.Booster(model_str=first).num_trees() == 3


@pytest.mark.parametrize(
    ("models", "names"), [("off", []), ("final", ["model"]), ("best", ["best"]), ("all", ["model", "best"])]
)
def test_which_models_are_kept(tmp_path, models, names) -> None:
    fit, held_out = datasets()
    with recording(tmp_path, "lightgbm", models=models) as recorded:
        booster = train(
            PARAMS | {"learning_rate": 1.0},
            fit,
            50,
            valid_sets=[held_out],
            callbacks=[early_stopping(3, verbose=False)],
            keep_training_booster=True,  # else lightgbm itself drops the rounds after the best one
        )
        (run,) = recorded.runs()
        assert [model.name for model in run.models] == names
        for model in run.models:
            kept = read(recorded, model, tmp_path)
            expected = booster.best_iteration if model.name == "best" else booster.current_iteration()
            assert kept.current_iteration() == expected
            assert np.array_equal(kept.predict(X), booster.predict(X))


def test_where_only_the_best_rounds_are_left_they_are_the_model(tmp_path) -> None:
    fit, held_out = datasets()
    with recording(tmp_path, "lightgbm", models="all") as recorded:
        train(PARAMS, fit, 50, valid_sets=[held_out], callbacks=[early_stopping(3, verbose=False)])
        (run,) = recorded.runs()
    assert [model.name for model in run.models] == ["model"]


def test_importance_is_gain_and_split(recorded) -> None:
    fit, _ = datasets()
    booster = train(PARAMS, fit, 5)
    (run,) = recorded.runs()
    kept = json.loads(recorded.content(run.artifacts["feature_importance.json"]))
    for kind in ("gain", "split"):
        assert kept[kind] == dict(zip(booster.feature_name(), booster.feature_importance(kind), strict=True))
    assert list(kept["gain"].values()) == sorted(kept["gain"].values(), reverse=True)


@pytest.mark.parametrize("stop", [None, 2])
@pytest.mark.parametrize("with_training", [False, True])
def test_cv_equals_its_table(recorded, stop, with_training) -> None:
    fit, _ = datasets()
    history = {}
    callbacks = [record_evaluation(history)] + ([early_stopping(stop, verbose=False)] if stop else [])
    table = cv(
        PARAMS | {"learning_rate": 1.0},
        fit,
        30,
        nfold=3,
        seed=3,
        callbacks=callbacks,
        eval_train_metric=with_training,
        return_cvbooster=True,
    )
    best = table.pop("cvbooster").best_iteration
    (run,) = recorded.runs()
    assert (run.name, run.status, run.models) == ("lightgbm.cv", "finished", [])
    assert (run.params["nfold"], run.params["seed"], run.params["num_boost_round"]) == (3, 3, 30)
    for data, metrics in history.items():
        for name, values in metrics.items():
            key = f"{data}/{name}".removesuffix("-mean").replace("-stdv", "-std")
            assert run.metrics[key] == list(enumerate(values))
            assert values[: len(table["valid auc-mean"])] == table[f"{data} {name}"]
    assert len(rounds_of(run)) == (8 if with_training else 4)
    if stop:
        assert len(history["valid"]["auc-mean"]) > best
        assert run.metrics["best_iteration"] == [(best - 1, best)]
        ((_, score),) = run.metrics["best_score"]
        assert score in (table["valid auc-mean"][best - 1], table["valid binary_logloss-mean"][best - 1])
    else:
        assert "best_iteration" not in run.metrics
    assert [(it.role, it.record["n_rows"]) for it in run.datasets] == [("train", 200)]


def test_continuing_a_model(recorded) -> None:
    fit, held_out = datasets()
    first = train(PARAMS, lightgbm.Dataset(X[:200], LABELS[:200]), 4)
    history = {}
    booster = train(
        PARAMS | {"learning_rate": 1.0},
        fit,
        50,
        valid_sets=[held_out],
        init_model=first,
        callbacks=[record_evaluation(history), early_stopping(3, verbose=False)],
    )
    run = recorded.runs()[1]
    assert rounds_of(run) == series(history)
    assert run.params["starting_round"] == 4
    assert run.metrics["best_iteration"] == [(booster.best_iteration - 5, booster.best_iteration)]


def test_data_are_described_before_lightgbm_frees_them(recorded) -> None:
    fit = lightgbm.Dataset(X, LABELS, weight=np.ones(300), feature_name=list("abcde"))
    train(PARAMS, fit, 2)
    assert fit.data is None
    train(PARAMS, fit, 2)
    for run in recorded.runs():
        (data,) = run.datasets
        assert (data.record["kind"], data.record["n_rows"], data.record["n_columns"]) == ("lightgbm.Dataset", 300, 5)
        assert [column["name"] for column in data.record["columns"]] == list("abcde")
        assert set(data.record["parts"]) == {"X", "y", "sample_weight"}
        assert data.record["parts"]["X"]["shape"] == [300, 5]


def test_a_frame_a_file_a_subset_and_a_sequence_are_data_too(recorded, tmp_path) -> None:
    class Batches(lightgbm.Sequence):
        batch_size = 50

        def __getitem__(self, index):
            return X[index]

        def __len__(self):
            return len(X)

    pandas = pytest.importorskip("pandas")
    path = tmp_path / "data.csv"
    np.savetxt(path, np.c_[LABELS, X], delimiter=",")
    frame = pandas.DataFrame(X, columns=[f"f{index}" for index in range(5)])
    sources = [lightgbm.Dataset(frame, LABELS), lightgbm.Dataset(str(path)), lightgbm.Dataset([Batches()], LABELS)]
    for dataset in (*sources, sources[0].subset(range(100))):
        train(PARAMS, dataset, 2)
    records = [run.datasets[0].record for run in recorded.runs()]
    assert [column["name"] for column in records[0]["columns"]] == list(frame.columns)
    assert {key: records[1]["parts"]["X"][key] for key in ("kind", "path")} == {"kind": "file", "path": str(path)}
    assert records[2]["parts"]["X"]["n_rows"] == 300
    assert records[3]["n_rows"] == 100
    assert all(run.status == "finished" for run in recorded.runs())


def test_datasets_off_records_none(tmp_path) -> None:
    with recording(tmp_path, "lightgbm", datasets=False) as recorded:
        train(PARAMS, datasets()[0], 2)
        (run,) = recorded.runs()
    assert run.datasets == []


def test_inside_a_run_of_the_users(recorded) -> None:
    with autotrack.start_run("mine"):
        train(PARAMS, datasets()[0], 2)
        (run,) = recorded.runs()
        assert run.status == "running"
    (run,) = recorded.runs()
    assert (run.name, run.ends, run.params["num_leaves"]) == ("mine", 1, 7)


def test_inside_another_training_it_is_silent(recorded) -> None:
    fit, held_out = datasets()
    with begin_leaf("search", name="search"):
        train(PARAMS, fit, 2, valid_sets=[held_out])
        cv(PARAMS, lightgbm.Dataset(X, LABELS), 2, nfold=2)
    (run,) = recorded.runs()
    assert (run.name, run.metrics, run.params, run.models) == ("search", {}, {}, [])


def test_a_training_inside_a_training_is_silent(recorded) -> None:
    fit, held_out = datasets(Y)

    def objective(predictions, dataset):
        train(PARAMS, lightgbm.Dataset(X[:50], LABELS[:50]), 2, valid_sets=[lightgbm.Dataset(X[50:], LABELS[50:])])
        return predictions - dataset.get_label(), np.ones_like(predictions)

    history = {}
    params = {**QUIET, "objective": objective, "metric": "l2"}
    train(params, fit, 3, valid_sets=[held_out], callbacks=[record_evaluation(history)])
    (run,) = recorded.runs()
    assert run.metrics == series(history)
    assert run.params["objective"].endswith("objective")


def test_a_metric_of_the_users_is_a_series(recorded) -> None:
    def spread(predictions, dataset):
        return [("spread(max)", np.ptp(predictions), False), ("损失", float(np.std(predictions)), False)]

    fit, held_out = datasets(Y)
    history = {}
    train(QUIET, fit, 3, valid_sets=[held_out], feval=spread, callbacks=[record_evaluation(history)])
    (run,) = recorded.runs()
    assert run.metrics == series(history)
    assert {"valid_0/l2", "valid_0/spread(max)", "valid_0/损失"} == set(run.metrics)
    assert run.params["feval"].endswith("spread")


@pytest.mark.parametrize("call", [train, cv])
def test_what_is_reset_each_round_is_a_series(recorded, call) -> None:
    rates = [0.1, 0.05, 0.025]
    heard = []
    callbacks = [
        lightgbm.reset_parameter(learning_rate=rates, bagging_fraction=lambda at: 1.0 - at / 10),
        lambda env: heard.append((env.iteration, env.params["learning_rate"])),
    ]
    given = {**QUIET, "objective": "binary", "bagging_freq": 1}
    call(given, lightgbm.Dataset(X, LABELS), 3, callbacks=callbacks)
    (run,) = recorded.runs()
    assert run.metrics["learning_rate"] == list(enumerate(rates)) == heard
    assert run.metrics["bagging_fraction"] == [(at, 1.0 - at / 10) for at in range(3)]
    assert "learning_rate" not in run.params  # the one of the last round is not what was trained with


def test_without_evaluation_there_is_no_series(recorded) -> None:
    train(PARAMS, datasets()[0], 3)
    (run,) = recorded.runs()
    assert (run.metrics, run.notes, len(run.models)) == ({}, [], 1)


NAMES = """
import sys, types
user = sys.modules["user"] = types.ModuleType("user")
{first}
{second}
import lightgbm, numpy
X = numpy.random.default_rng(0).normal(size=(100, 3))
data = lambda: lightgbm.Dataset(X, X[:, 0])
calls = [lambda: user.fit_it({{"verbosity": -1}}, data(), 2)]
calls += [lambda: lightgbm.engine.train({{"verbosity": -1}}, data(), 2)]
calls += [lambda: lightgbm.cv({{"verbosity": -1}}, data(), 2, nfold=2, stratified=False)]
for call in calls:
    call()
from autotrack.testing import Recorded
print([run.name for run in Recorded(home).runs()], file=sys.__stdout__)
autotrack.disable()
for call in calls:
    call()
assert len(Recorded(home).runs()) == 3
assert user.fit_it is lightgbm.train is lightgbm.engine.train is lightgbm.sklearn.train
assert user.fit_it.__code__.co_name == "train", user.fit_it
"""
IMPORT = "from lightgbm import train; user.fit_it = train; del train"
ENABLE = "import autotrack, pathlib; home = pathlib.Path(sys.argv[1])\n"
ENABLE += "autotrack.enable('lightgbm', home=home, forwarder='off', strict=True)\n"
ENABLE += "assert 'lightgbm' not in sys.modules or hasattr(user, 'fit_it')"


@pytest.mark.parametrize(("first", "second"), [(IMPORT, ENABLE), (ENABLE, IMPORT)])
def test_in_any_order_of_imports_every_name_is_covered_and_given_back(tmp_path, first, second) -> None:
    code = NAMES.format(first=first, second=second)
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1] == str(["lightgbm.train", "lightgbm.train", "lightgbm.cv"])


def test_which_params_are_not_the_defaults_is_told_as_far_as_lightgbm_tells_it(recorded) -> None:
    fit, _ = datasets()
    train({"objective": "binary", "num_leaves": 7, **QUIET}, fit, 4)
    (run,) = autotrack.runs()
    told = autotrack.get_run(run["id"])["defaults"]
    assert told["changed"] == {"num_boost_round": 100}
    assert {"learning_rate", "boosting", "max_depth"} <= set(told["unchanged"])  # they were left to lightgbm
    assert not {"num_leaves", "objective"} & set(told["unchanged"])  # nobody says what these would have been
