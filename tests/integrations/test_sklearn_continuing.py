"""A training of many calls, by partial_fit or warm_start, is one run that stays open until it is over."""

import gc
import os
import subprocess
import sys
import time

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.cluster import MiniBatchKMeans
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import SGDClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

import autotrack
from autotrack.testing import recording


@pytest.fixture
def recorded(tmp_path):
    with recording(tmp_path, "sklearn") as recorded:
        yield recorded


X, y = make_classification(200, 5, random_state=0)
CLASSES = [0, 1]


def batches(model, count, size=20):
    for start in range(0, count * size, size):
        model.partial_fit(X[start : start + size], y[start : start + size], classes=CLASSES)
    return model


def test_partial_fit_in_a_loop_is_one_run(recorded) -> None:
    model = batches(SGDClassifier(random_state=0), 5)
    (run,) = recorded.runs()
    assert (run.name, run.status) == ("SGDClassifier", "running")
    assert run.metrics["samples_seen"] == [(0, 20), (1, 40), (2, 60), (3, 80), (4, 100)]
    assert run.params["alpha"] == 0.0001
    assert len(run.datasets) == 1
    assert [kept.step for kept in run.models] == [0, 1, 3]
    assert model.coef_ is not None


def test_several_estimators_in_one_loop_are_a_run_each(recorded) -> None:
    models = [SGDClassifier(), SGDClassifier(), MiniBatchKMeans(2)]
    scaler = StandardScaler()
    for start in range(0, 60, 20):
        scaler.partial_fit(X[start : start + 20])
        models[0].partial_fit(X[start : start + 20], y[start : start + 20], CLASSES)
        models[1].partial_fit(X=X[start : start + 20], classes=CLASSES, y=y[start : start + 20])
        models[2].partial_fit(X[start : start + 20])
    runs = recorded.runs()
    assert [run.name for run in runs] == ["SGDClassifier", "SGDClassifier", "MiniBatchKMeans"]
    assert {len(run.metrics["samples_seen"]) for run in runs} == {3}


def test_a_score_after_each_batch_is_a_series_of_that_run(recorded) -> None:
    model, scores = SGDClassifier(random_state=0), []
    for start in range(0, 80, 20):
        model.partial_fit(X[start : start + 20], y[start : start + 20], classes=CLASSES)
        scores.append(model.score(X, y))
    (run,) = recorded.runs()
    assert run.metrics["score"] == list(enumerate(scores))


def test_the_loss_curve_goes_on(recorded) -> None:
    model = batches(MLPClassifier(random_state=0), 4)
    (run,) = recorded.runs()
    assert run.metrics["loss_curve_"] == list(enumerate(model.loss_curve_))
    assert len(model.loss_curve_) == 4


def test_the_run_is_finished_when_the_estimator_is_dropped(recorded) -> None:
    model = batches(SGDClassifier(), 3)
    del model
    (run,) = recorded.runs()
    assert (run.status, run.ends) == ("finished", 1)
    assert [(note.what, note.count) for note in run.notes] == [("model", 1)]  # the third call


def test_an_estimator_that_garbage_collection_takes_ends_its_run_at_the_next_occasion(recorded) -> None:
    cycle = [batches(SGDClassifier(), 2)]
    cycle.append(cycle)
    del cycle
    gc.collect()
    SGDClassifier().fit(X, y)
    assert [run.status for run in recorded.runs()] == ["finished", "finished"]


def test_nothing_follows_collections_once_all_is_over(recorded) -> None:
    before = list(gc.callbacks)
    first, second = batches(SGDClassifier(), 1), batches(SGDClassifier(), 1)
    assert len(gc.callbacks) == len(before) + 1
    del first, second
    assert gc.callbacks == before


def test_the_run_is_failed_when_a_call_raises_and_the_next_call_begins_another(recorded) -> None:
    model = batches(SGDClassifier(), 2)
    with pytest.raises(ValueError, match="NaN"):
        model.partial_fit(X * np.nan, y)
    (run,) = recorded.runs()
    assert (run.status, run.ends) == ("failed", 1)
    model.partial_fit(X, y)
    assert [run.status for run in recorded.runs()] == ["failed", "running"]


def test_a_fit_from_the_start_ends_it_and_is_a_run_of_its_own(recorded) -> None:
    model = batches(SGDClassifier(), 2)
    model.fit(X, y)
    assert [(run.status, run.ends) for run in recorded.runs()] == [("finished", 1), ("finished", 1)]


def test_a_clone_that_is_trained_later_is_another_run(recorded) -> None:
    model = batches(SGDClassifier(), 2)
    batches(clone(model), 2)
    assert len(recorded.runs()) == 2


def test_inside_a_run_of_the_user_all_is_logged_to_it(recorded) -> None:
    with autotrack.start_run("mine"):
        model = batches(SGDClassifier(), 3)
    (run,) = recorded.runs()
    assert (run.name, run.status, run.ends) == ("mine", "finished", 1)
    assert len(run.metrics["samples_seen"]) == 3
    model.partial_fit(X, y)
    assert len(recorded.runs()) == 2  # that run has ended


def test_warm_start_fits_are_one_run(recorded) -> None:
    model = RandomForestClassifier(2, warm_start=True, random_state=0)
    for trees in (2, 4, 6):
        model.set_params(n_estimators=trees)
        model.fit(X, y)
        model.score(X, y)
    (run,) = recorded.runs()
    assert (run.name, run.status) == ("RandomForestClassifier", "running")
    assert run.params["n_estimators"] == 6
    assert len(run.metrics["score"]) == 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_copy_that_is_dropped_in_a_forked_child_ends_nothing(recorded) -> None:
    model = batches(SGDClassifier(), 2)
    child = os.fork()
    if child == 0:
        del model
        gc.collect()
        time.sleep(0.2)
        os._exit(0)
    os.waitpid(child, 0)
    model.partial_fit(X, y)
    (run,) = recorded.runs()
    assert (run.status, run.ends) == ("running", 0)
    assert [step for step, _ in run.metrics["samples_seen"]] == [0, 1, 2]


def test_weights_are_kept_when_the_model_is_used(recorded) -> None:
    model = batches(SGDClassifier(), 3)
    assert len(recorded.runs()[0].models) == 2
    time.sleep(0.5)
    model.predict(X)
    model.predict(X)
    assert len(recorded.runs()[0].models) == 3


SCRIPT = """
import sys
import autotrack
autotrack.enable("sklearn", home=sys.argv[1], forwarder="off", strict=True)
from sklearn.linear_model import SGDClassifier
model = SGDClassifier()
for i in range(3):
    model.partial_fit([[i], [i + 1.0]], [0, 1], classes=[0, 1])
"""


def test_at_the_end_of_the_process_the_last_weights_are_kept_and_the_run_ends(tmp_path) -> None:
    from autotrack.testing import Recorded

    subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path)], check=True, timeout=60)
    (run,) = Recorded(tmp_path).runs()
    assert (run.status, run.ends) == ("finished", 1)
    assert len(run.models) == 3
