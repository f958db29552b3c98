"""Tracked and untracked trainings are the same bit by bit, raise the same, print the same, and leave no trace."""

import copy
import functools
import inspect
import os
import pickle
import re
import signal
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

cloudpickle = pytest.importorskip("cloudpickle")
catboost = pytest.importorskip("catboost")

from catboost import CatBoost, CatBoostClassifier, CatBoostRanker, CatBoostRegressor, Pool  # noqa: E402

import autotrack  # noqa: E402
import autotrack_catboost  # noqa: E402
from autotrack.plugins import plugins  # noqa: E402
from autotrack.testing import Recorded, recording  # noqa: E402

DATA = np.random.default_rng(0)
X = DATA.normal(size=(200, 4))
Y = X[:, 0] * 2 + DATA.normal(scale=0.1, size=200)
BASE = {"thread_count": 1, "random_seed": 3}

plugins.load()
if "catboost" not in plugins.integrations:
    plugins.register(autotrack_catboost, "catboost")

added = []
"""Callbacks that every `fit` has, besides its own."""


class Squared:
    def calc_ders_range(self, approxes, targets, weights):
        return [(target - approx, -1) for approx, target in zip(approxes, targets, strict=True)]


class Spread:
    def is_max_optimal(self):
        return True

    def evaluate(self, approxes, target, weight):
        return float(np.std(np.asarray(approxes[0]))), 1.0

    def get_final_error(self, error, weight):
        return error


class Stops:
    def after_iteration(self, info):
        return info.iteration < 3


def fitted(kind=CatBoostRegressor, target=Y, *, evaluate=True, callbacks=(), fit=None, **params):
    model = kind(**{"iterations": 8, **BASE, **params})
    more = {"eval_set": (X[:50], target[:50])} if evaluate else {}
    model.fit(X, target, callbacks=[*callbacks, *added] or None, **more, **(fit or {}))
    return _seen(model)


def _seen(model):
    return model.get_evals_result(), model.predict(X), model.get_best_iteration(), model.get_params()


def ranked():
    group = np.repeat(np.arange(10), 20)
    model = CatBoostRanker(iterations=5, **BASE)
    model.fit(X, np.clip(np.round(Y), 0, 4), group_id=group, callbacks=[*added] or None)
    return _seen(model)


def searched():
    model = CatBoostRegressor(iterations=4, **BASE)
    return (model.grid_search({"depth": [2, 3]}, X, Y, cv=2, verbose=False), *_seen(model))


def selected():
    model = CatBoostRegressor(iterations=4, **BASE)
    return (model.select_features(X, Y, features_for_select="0-3", num_features_to_select=2, steps=1), *_seen(model))


def validated():
    return (catboost.cv(Pool(X, Y), {"loss_function": "RMSE", **BASE}, iterations=4, fold_count=2, as_pandas=False),)


def trained():
    return _seen(catboost.train(Pool(X, Y), {"loss_function": "RMSE", **BASE}, iterations=6, eval_set=Pool(X, Y)))


CASES = {
    "trees": lambda: fitted(),
    "no evaluation": lambda: fitted(evaluate=False, verbose=2),
    "a classifier": lambda: fitted(CatBoostClassifier, np.digitize(Y, [-1.0, 1.0]), custom_metric=["AUC"]),
    "stop": lambda: fitted(iterations=80, learning_rate=0.5, early_stopping_rounds=2),
    "now and then": lambda: fitted(metric_period=3, early_stopping_rounds=4),
    "silent": lambda: fitted(logging_level="Silent", train_dir="elsewhere"),
    "no files": lambda: fitted(allow_writing_files=False),
    "snapshot": lambda: fitted(fit={"save_snapshot": True}),
    "leaves": lambda: fitted(grow_policy="Lossguide", max_leaves=5),
    "objective": lambda: fitted(loss_function=Squared(), eval_metric="RMSE"),
    "metric": lambda: fitted(eval_metric=Spread()),
    "a callback that stops": lambda: fitted(callbacks=[Stops()]),
    "ranking": ranked,
    "search": searched,
    "selection": selected,
    "validation": validated,
    "train": trained,
}


def observed(case, folder, capfd):
    """What a user can see of a training: its warnings with their places, its output, its files, what it returns."""
    folder.mkdir()
    os.chdir(folder)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        found = CASES[case]()
    told = [(str(it.message), it.filename, it.lineno) for it in warned]
    printed = [re.sub(r"(total|remaining|time): ?\S+|\d\S* (sec|seconds)\b", "", text) for text in capfd.readouterr()]
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if "tfevents" not in path.name)
    errors = [path.read_text() for path in sorted(folder.rglob("*_error.tsv"))]
    return told, printed, files, errors, plain(found)


def plain(value):
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, np.ndarray):
        return value.tobytes()
    return type(value).__name__ if isinstance(value, Squared | Spread) else value


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("explicit", [False, True])
def test_training_is_the_same_bit_by_bit(tmp_path, capfd, case, explicit) -> None:
    untracked = observed(case, tmp_path / "without", capfd)
    with recording(tmp_path / "home", "catboost", quiet=True, models="all") as recorded:
        if explicit:
            autotrack.disable()
            added.append(autotrack_catboost.AutotrackCallback())
        try:
            tracked = observed(case, tmp_path / "with", capfd)
        finally:
            added.clear()
    for one, other in zip(tracked, untracked, strict=True):
        assert one == other
    if explicit and case in ("search", "selection", "validation", "train"):  # these take no callbacks
        assert recorded.runs() == []
        return
    (run,) = recorded.runs()
    assert run.status == "finished" and run.datasets[0].role == "train"
    if case not in ("search", "selection", "validation", "now and then"):
        for data, metrics in untracked[4][0].items():
            for metric, values in metrics.items():
                assert run.metrics[f"{data}/{metric}"] == list(enumerate(values))


INTERRUPTED = """
import os, signal, sys, threading, time
import catboost, numpy as np
import autotrack
autotrack.enable("catboost")
X = np.random.default_rng(0).normal(size=(400, 4))
path = "catboost_info/learn_error.tsv"

def interrupt():
    while not os.path.exists(path) or open(path).read().count("\\n") < 20:
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=interrupt, daemon=True).start()
model = catboost.CatBoostRegressor(iterations=1000000, thread_count=1, logging_level="Silent")
model.fit(X, X[:, 0], eval_set=(X, X[:, 0]))
"""


def test_a_training_that_is_interrupted_keeps_what_catboost_wrote(tmp_path) -> None:
    environment = {**os.environ, "AUTOTRACK_HOME": str(tmp_path / "home"), "AUTOTRACK_FORWARDER": "off"}
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stderr.rstrip().endswith("KeyboardInterrupt") and done.returncode in (1, 130, -signal.SIGINT)
    (run,) = Recorded(tmp_path / "home").runs()
    assert (run.status, run.ends, run.models, run.error["type"]) == ("killed", 1, [], "KeyboardInterrupt")
    lines = [line.split("\t") for line in Path("catboost_info/learn_error.tsv").read_text().splitlines()[1:]]
    written = [(int(at), float(value)) for at, value in lines]
    assert len(written) >= 19
    assert run.metrics["learn/RMSE"] == run.metrics["validation/RMSE"] == written


def test_files_of_an_earlier_training_are_not_taken_for_this_one(tmp_path) -> None:
    with recording(tmp_path / "home", "catboost") as recorded:
        CatBoostRegressor(iterations=3, logging_level="Silent", **BASE).fit(X, Y)
        with pytest.raises(catboost.CatBoostError):
            CatBoostRegressor(iterations=3, logging_level="Silent", bagging_temperature=-1, **BASE).fit(X, Y)
    first, second = recorded.runs()
    assert (first.status, second.status, second.metrics) == ("finished", "failed", {})


@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt()])
def test_an_exception_of_the_users_is_put_as_ever(tmp_path, error) -> None:
    class Raises:
        def after_iteration(self, info):
            raise error

    def fail():
        with pytest.raises(catboost.CatBoostError) as caught:
            CatBoostRegressor(iterations=5, logging_level="Silent", **BASE).fit(X, Y, callbacks=[Raises()])
        assert caught.value.__context__ is error
        return str(caught.value)

    def in_a_thread():
        # Of its own: one that catboost has raised in has an exception under way for ever after.
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(fail).result()

    untracked = in_a_thread()
    error.__traceback__ = None
    with recording(tmp_path / "home", "catboost") as recorded:
        assert in_a_thread() == untracked
    (run,) = recorded.runs()
    assert run.status == ("failed" if isinstance(error, ValueError) else "killed")
    assert [step for step, _ in run.metrics["learn/RMSE"]] == [0]


def places():
    yield from ((catboost.core, name) for name in ("train", "cv", "sample_gaussian_process"))
    yield from ((kind, "fit") for kind in (CatBoost, CatBoostClassifier, CatBoostRegressor, CatBoostRanker))
    yield from ((CatBoost, name) for name in ("grid_search", "randomized_search", "select_features"))
    yield Pool, "__init__"


def originals():
    return [vars(owner)[name] for owner, name in places()]


def codes():
    """A function is observed in place, by its code, or by another one where it was."""
    return [it.__code__ for it in originals()]


def test_looks_and_pickling_stay_and_disable_is_total(tmp_path) -> None:
    before, codes_before = originals(), codes()
    looks = [(inspect.signature(it), it.__doc__, it.__name__, it.__module__) for it in before]
    with recording(tmp_path / "home", "catboost"):
        autotrack.enable("catboost", forwarder="off", home=tmp_path / "home")
        autotrack_catboost.AutotrackCallback()
        assert not any(a is b for a, b in zip(codes_before, codes(), strict=True))
        assert [(inspect.signature(it), it.__doc__, it.__name__, it.__module__) for it in originals()] == looks
        for function in (catboost.train, catboost.cv, CatBoostClassifier.fit, Pool.__init__):
            assert pickle.loads(pickle.dumps(function)) is function
            assert pickle.loads(cloudpickle.dumps(function)) is function
    assert all(a is b for a, b in zip(before, originals(), strict=True))
    assert all(a is b for a, b in zip(codes_before, codes(), strict=True))
    assert not any(hasattr(it, "__wrapped__") or it.__kwdefaults__ for it in before)


def test_a_fitted_model_pickles_and_copies_as_ever(tmp_path) -> None:
    plain = CatBoostRegressor(iterations=3, logging_level="Silent", **BASE).fit(X, Y)
    with recording(tmp_path / "home", "catboost"):
        tracked = CatBoostRegressor(iterations=3, logging_level="Silent", **BASE).fit(X, Y)
    assert set(vars(tracked)) == set(vars(plain))
    assert b"autotrack" not in pickle.dumps(tracked)
    assert np.array_equal(copy.deepcopy(tracked).predict(X), plain.predict(X))


def test_what_the_user_passes_is_not_changed(tmp_path) -> None:
    callbacks, sets = [Stops()], [(X, Y), (X[:50], Y[:50])]
    params = {"iterations": 5, "loss_function": "RMSE", "logging_level": "Silent"}
    given = (list(callbacks), list(sets), dict(params))
    with recording(tmp_path / "home", "catboost"):
        CatBoostRegressor(**params).fit(X, Y, eval_set=sets, callbacks=callbacks)
        catboost.train(Pool(X, Y), params)
        catboost.cv(Pool(X, Y), params, fold_count=2)
    assert (callbacks, sets, params) == given


def test_another_tool_that_wrapped_first_goes_on(tmp_path, monkeypatch) -> None:
    seen = []

    def wrapped(original):
        @functools.wraps(original)
        def theirs(*args, **more):
            seen.append(1)
            return original(*args, **more)

        return theirs

    monkeypatch.setattr(catboost, "train", wrapped(catboost.train))
    monkeypatch.setattr(CatBoost, "fit", wrapped(CatBoost.fit))
    theirs = catboost.train, CatBoost.fit
    params = {"iterations": 2, "loss_function": "RMSE", "logging_level": "Silent"}
    with recording(tmp_path / "home", "catboost") as recorded:
        catboost.train(Pool(X, Y), params)
        CatBoost(params).fit(X, Y)
    catboost.train(Pool(X, Y), params)
    assert (catboost.train, CatBoost.fit) == theirs and len(seen) == 5
    assert [run.name for run in recorded.runs()] == ["catboost.train", "CatBoost"]
