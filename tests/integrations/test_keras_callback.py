"""`AutotrackCallback`: records what it is passed to, once, with and without `enable()`."""

import contextvars
import copy
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("torch")
if "keras" not in sys.modules:
    os.environ["KERAS_BACKEND"] = "torch"
keras = pytest.importorskip("keras")

import autotrack  # noqa: E402
from autotrack.patching.scope import begin_leaf  # noqa: E402
from autotrack.testing import Recorded, recording  # noqa: E402
from autotrack_keras import AutotrackCallback  # noqa: E402

X = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
Y = (X[:, :1] * 2 - X[:, 1:2]).astype("float32")


@pytest.fixture(params=["alone", "enabled"])
def recorded(tmp_path, request):
    with recording(tmp_path / "home", "keras") as recorded:
        if request.param == "alone":
            autotrack.disable()
        yield recorded


def built():
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
    model.compile("adam", "mse", metrics=["mae"])
    return model


def series(history, first=0):
    return {name: list(enumerate(values, first)) for name, values in history.items()}


def listed(model, *callbacks, **more):
    return keras.callbacks.CallbackList(list(callbacks), model=model, epochs=2, steps=2, **more)


CONTAINERS = {
    "one": lambda model, mine, other: mine,
    "list": lambda model, mine, other: [mine, other],
    "last": lambda model, mine, other: [other, mine],
    "tuple": lambda model, mine, other: (other, mine),
    "CallbackList": lambda model, mine, other: listed(model, mine, other, add_history=True),
    "CallbackList of its own history": lambda model, mine, other: listed(model, mine, other, keras.callbacks.History()),
}


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("positional", [False, True])
def test_a_fit_is_one_run(recorded, container, positional) -> None:
    model = built()
    seen = {}
    other = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.update({epoch: dict(logs)}))
    callbacks = CONTAINERS[container](model, AutotrackCallback(name="baseline"), other)
    given = list(getattr(callbacks, "callbacks", ()))
    if positional:
        model.fit(X, Y, 32, 2, 0, callbacks, 0.5)
    else:
        model.fit(X, Y, batch_size=32, epochs=2, verbose=0, callbacks=callbacks, validation_split=0.5)
    assert list(getattr(callbacks, "callbacks", ())) == given
    (run,) = recorded.runs()
    assert (run.name, run.status, run.ends, run.integration) == ("baseline", "finished", 1, "keras")
    assert set(run.metrics) == {"loss", "mae", "val_loss", "val_mae"}
    if container != "one":
        assert run.metrics["val_loss"] == [(epoch, logs["val_loss"]) for epoch, logs in seen.items()]
    assert [it.role for it in run.datasets] == ["train", "validation"] and len(run.models) == 1
    assert run.params["optimizer"] == "Adam" and run.params["batch_size"] == 32
    assert autotrack.current_run() is None


def test_of_two_the_first_names_the_run(recorded) -> None:
    built().fit(X, Y, verbose=0, callbacks=[AutotrackCallback(name="first"), AutotrackCallback(name="second")])
    (run,) = recorded.runs()
    assert (run.name, len(run.metrics["loss"])) == ("first", 1)


def test_a_list_that_was_made_before(tmp_path) -> None:
    model = built()
    stopping = keras.callbacks.EarlyStopping("loss")
    callbacks = listed(model, stopping, add_history=True)
    given = list(callbacks.callbacks)
    with recording(tmp_path, "keras") as recorded:
        history = model.fit(X, Y, epochs=2, verbose=0, callbacks=callbacks).history
        model.evaluate(X, Y, verbose=0, callbacks=callbacks)
    assert callbacks.callbacks == given
    (run,) = recorded.runs()
    assert run.metrics.items() >= series(history).items() and run.metrics["test/loss"]
    assert run.metrics["early_stopping/best"] == [(1, stopping.best)]


def test_a_fit_without_it_is_not_recorded(tmp_path) -> None:
    with recording(tmp_path, "keras") as recorded:
        autotrack.disable()
        callback = AutotrackCallback()
        built().fit(X, Y, verbose=0)
        assert recorded.runs() == []
        built().fit(X, Y, verbose=0, callbacks=callback)
        built().fit(X, Y, verbose=0, callbacks=None)
    assert len(recorded.runs()) == 1


def test_evaluate_of_its_model_goes_to_its_run(recorded) -> None:
    model = built()
    model.fit(X, Y, verbose=0, callbacks=[AutotrackCallback()])
    loss, _ = model.evaluate(X, Y, verbose=0)
    (run,) = recorded.runs()
    assert run.metrics["test/loss"] == [(0, loss)] and run.status == "finished"


def test_a_run_that_is_given_stays_open(recorded) -> None:
    # Started in another context, so that nothing but the callback leads to it.
    run = contextvars.copy_context().run(autotrack.start_run, "given")
    model = built()
    history = model.fit(X, Y, epochs=2, verbose=0, callbacks=[AutotrackCallback(run)]).history
    (loss, _) = model.evaluate(X, Y, verbose=0, callbacks=[AutotrackCallback(run)])
    (found,) = recorded.runs()
    assert (found.name, found.status) == ("given", "running")
    assert found.metrics.items() >= series(history).items() and found.metrics["test/loss"] == [(1, loss)]
    run.end()


def test_inside_a_run_of_the_users(recorded) -> None:
    with autotrack.start_run("mine"):
        built().fit(X, Y, verbose=0, callbacks=[AutotrackCallback()])
        assert [run.status for run in recorded.runs()] == ["running"]
    (run,) = recorded.runs()
    assert (run.name, run.ends, len(run.metrics["loss"])) == ("mine", 1, 1)


def test_inside_another_training_it_is_silent(recorded) -> None:
    autotrack.enable("keras", forwarder="off", home=recorded.home, strict=True)
    with begin_leaf("search", name="search"):
        built().fit(X, Y, verbose=0, callbacks=[AutotrackCallback()])
    (run,) = recorded.runs()
    assert (run.name, run.metrics, run.models) == ("search", {}, [])


def test_used_again_it_makes_another_run(recorded) -> None:
    callback = AutotrackCallback()
    for _ in range(2):
        built().fit(X, Y, epochs=2, verbose=0, callbacks=[callback])
    assert [len(run.metrics["loss"]) for run in recorded.runs()] == [2, 2]


@pytest.mark.parametrize(("error", "status"), [(ValueError("mine"), "failed"), (KeyboardInterrupt(), "killed")])
@pytest.mark.parametrize("first", [True, False])
def test_an_exception_passes_and_ends_the_run(recorded, error, status, first) -> None:
    class Raises(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise error

    callback = AutotrackCallback()
    callbacks = [callback, Raises()] if first else [Raises(), callback]
    with pytest.raises(type(error)) as caught:
        built().fit(X, Y, epochs=3, verbose=0, callbacks=callbacks)
    assert caught.value is error and error.__context__ is None
    assert autotrack.current_run() is None
    built().fit(X, Y, verbose=0, callbacks=[callback])
    failed, after = recorded.runs()
    assert (failed.status, failed.ends, failed.error["type"]) == (status, 1, type(error).__name__)
    assert failed.models == [] and len(failed.metrics["loss"]) == 1
    assert after.status == "finished"


def by_cloudpickle(callback):
    return pickle.loads(pytest.importorskip("cloudpickle").dumps(callback))


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it)), by_cloudpickle]
)
@pytest.mark.parametrize("trained", [False, True])
def test_it_pickles_and_copies_before_and_after_training(recorded, copied, trained) -> None:
    callback = AutotrackCallback(name="mine")
    if trained:
        built().fit(X, Y, verbose=0, callbacks=[callback])
    (again,) = copied([callback]) if copied is not copy.copy else [copied(callback)]
    assert (type(again), again.name) == (AutotrackCallback, "mine")
    built().fit(X, Y, epochs=2, verbose=0, callbacks=[again])
    run = recorded.runs()[-1]
    assert (run.name, run.status, len(run.metrics["loss"])) == ("mine", "finished", 2)


def test_a_copy_leads_to_the_same_run_and_a_pickle_forgets_it(recorded) -> None:
    with autotrack.start_run("given") as run:
        callback = AutotrackCallback(run)
        assert copy.deepcopy(callback).run is run
        assert pickle.loads(pickle.dumps(callback)).run is None


def test_lists_with_ours_in_them_pickle_and_copy(recorded) -> None:
    model = built()
    callbacks = listed(model, AutotrackCallback(), add_history=True)
    model.fit(X, Y, epochs=2, verbose=0, callbacks=callbacks)
    again = pickle.loads(pickle.dumps(callbacks.callbacks))
    assert [type(it) for it in again] == [type(it) for it in callbacks.callbacks]
    assert [type(it) for it in copy.deepcopy(callbacks).callbacks] == [type(it) for it in callbacks.callbacks]


@pytest.mark.parametrize("watched", [True, False])
@pytest.mark.parametrize("history", [True, False])
def test_a_loop_of_the_users(recorded, watched, history) -> None:
    model = built()
    callback = AutotrackCallback(name="loop")
    if not watched:
        autotrack.disable()
    callbacks = listed(model, callback, add_history=history)
    callbacks.on_train_begin()
    told = []
    for epoch in range(2):
        callbacks.on_epoch_begin(epoch)
        logs = model.train_on_batch(X, Y, return_dict=True)
        told.append((epoch, float(logs["loss"])))
        callbacks.on_epoch_end(epoch, logs)
    callbacks.on_train_end(logs)
    (run,) = recorded.runs()
    assert (run.name, run.status, run.ends, len(run.models)) == ("loop", "finished", 1, 1)
    assert run.metrics["loss"] == told and run.params["optimizer"] == "Adam"


def test_without_a_watch_a_fit_is_still_recorded(recorded) -> None:
    callback = AutotrackCallback()
    autotrack.disable()  # takes out what the callback placed
    history = built().fit(X, Y, epochs=2, verbose=0, callbacks=[callback]).history
    (run,) = recorded.runs()
    assert (run.status, run.ends, len(run.models)) == ("finished", 1, 1)
    assert run.metrics == series(history) and run.params["total_params"] == 5


@pytest.mark.parametrize("callback", [True, False])
def test_batches_are_counted_over_the_epochs(tmp_path, callback) -> None:
    with recording(tmp_path, "keras", batch_metrics=2) as recorded:
        built().fit(X, Y, batch_size=16, epochs=2, verbose=0, callbacks=[AutotrackCallback()] if callback else None)
        generated = ((X[:16], Y[:16]) for _ in range(6))
        built().fit(generated, epochs=3, steps_per_epoch=2, shuffle=False, verbose=0)
        built().fit(X, Y, batch_size=32, initial_epoch=3, epochs=5, verbose=0)
    first, second, third = recorded.runs()
    assert sorted(step for step, _ in first.metrics["batch/loss"]) == [1, 3, 5, 7]
    assert dict(first.metrics["batch/loss"])[7] == pytest.approx(first.metrics["loss"][1][1])
    assert sorted(step for step, _ in second.metrics["batch/mae"]) == [1, 3, 5]
    assert sorted(step for step, _ in third.metrics["batch/loss"]) == [7, 9]


SCRIPT = """
import sys
import keras, numpy as np
from autotrack_keras import AutotrackCallback
X = np.arange(64.0).reshape(16, 4)
def built():
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model
built().fit(X, X[:, 0], verbose=0, callbacks=[AutotrackCallback()])
built().fit(X, X[:, 0], verbose=0)
assert "tensorflow" not in sys.modules
"""


@pytest.mark.parametrize("enabled", [None, "0"])
def test_a_script_that_never_enables(tmp_path, enabled) -> None:
    variables = {"AUTOTRACK_HOME": str(tmp_path), "AUTOTRACK_FORWARDER": "off", "AUTOTRACK_QUIET": "1"}
    if enabled is not None:
        variables["AUTOTRACK_ENABLED"] = enabled
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "KERAS_BACKEND": "torch", "OMP_NUM_THREADS": "1", **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    statuses = [(run.name, run.status) for run in Recorded(tmp_path).runs()]
    assert statuses == ([] if enabled == "0" else [("Sequential", "finished")])
