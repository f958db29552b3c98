"""Every `fit` is one run, with what Keras itself reports of it; `evaluate` adds to the run of its model."""

import json
import os
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
from autotrack.testing import recording  # noqa: E402
from autotrack_keras.weights import load  # noqa: E402

X = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
Y = (X[:, :1] * 2 - X[:, 1:2]).astype("float32")


@pytest.fixture
def recorded(tmp_path):
    with recording(tmp_path / "home", "keras") as recorded:
        yield recorded


def built(name=None, **compiled):
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(1)], name=name)
    compiled = {"optimizer": "adam", "loss": "mse", "metrics": ["mae"], **compiled}
    model.compile(**compiled)
    return model


def series(history, first=0):
    return {name: list(enumerate(values, first)) for name, values in history.items()}


def of_epochs(run):
    return {name: points for name, points in run.metrics.items() if "/" not in name}


def test_a_fit_is_one_run_with_the_history(recorded) -> None:
    model = built()
    history = model.fit(X, Y, epochs=3, batch_size=16, validation_split=0.25, class_weight=None, verbose=0).history
    (run,) = recorded.runs()
    assert (run.name, run.integration, run.status, run.ends) == ("Sequential", "keras", "finished", 1)
    assert run.metrics == series(history) and set(history) == {"loss", "mae", "val_loss", "val_mae"}
    told = {
        "epochs": 3, "initial_epoch": 0, "batch_size": 16, "validation_split": 0.25, "shuffle": True,
        "steps_per_epoch": 3, "backend": keras.backend.backend(), "dtype_policy": "float32", "model": "Sequential",
        "optimizer": "Adam", "optimizer.beta_1": 0.9, "loss": "mse", "metrics": "['mae']", "jit_compile": False,
        "steps_per_execution": 1, "trainable_params": 19, "non_trainable_params": 0, "total_params": 19,
    }  # fmt: skip
    assert {name: run.params.get(name) for name in told} == told
    assert run.params["optimizer.learning_rate"] == model.optimizer.get_config()["learning_rate"]
    assert [(it.role, it.name, it.record["n_rows"]) for it in run.datasets] == [
        ("train", "train", 48),
        ("validation", "validation", 16),
    ]
    assert run.datasets[1].record["kind"] == "validation_split"
    assert json.loads(recorded.content(run.artifacts["model.json"]))["class_name"] == "Sequential"
    assert autotrack.current_run() is None and run.notes == []


def test_what_was_given_is_told(recorded) -> None:
    def doubled(truth, guess):
        return keras.ops.mean((truth - guess) ** 2) * 2

    rate = keras.optimizers.schedules.CosineDecay(0.1, 50, alpha=0.01)
    model = built(
        name="mine",
        optimizer=keras.optimizers.SGD(rate, momentum=0.9),
        loss=doubled,
        metrics=[keras.metrics.MeanAbsoluteError(name="off"), "mse"],
    )
    data = (X[:, :2], Y, np.ones(64))
    model.fit(X, Y, 16, 2, 0, class_weight=None, sample_weight=np.ones(64), steps_per_epoch=2, validation_freq=2)
    with pytest.raises(ValueError):
        model.fit(X, Y, verbose=0, validation_data=data)
    run, failed = recorded.runs()
    assert run.name == "mine" and failed.status == "failed"
    told = {
        "optimizer": "SGD", "optimizer.momentum": 0.9, "optimizer.learning_rate": "CosineDecay",
        "optimizer.learning_rate.initial_learning_rate": 0.1, "optimizer.learning_rate.alpha": 0.01, "loss": "doubled",
        "metrics": "['off', 'mse']", "steps_per_epoch": 2, "validation_freq": 2, "batch_size": 16, "epochs": 2,
    }  # fmt: skip
    assert {name: run.params.get(name) for name in told} == told
    assert set(run.datasets[0].record["parts"]) == {"x", "y", "sample_weight"}
    assert set(failed.datasets[1].record["parts"]) == {"x", "y", "sample_weight"}
    assert failed.datasets[1].record["n_columns"] == 2


def test_several_inputs_outputs_and_losses(recorded) -> None:
    pandas = pytest.importorskip("pandas")
    first, second = keras.Input((2,), name="first"), keras.Input((2,), name="second")
    joined = keras.layers.Concatenate()([first, second])
    outputs = {"a": keras.layers.Dense(1, name="a")(joined), "b": keras.layers.Dense(1, name="b")(joined)}
    model = keras.Model({"first": first, "second": second}, outputs)
    model.compile("sgd", {"a": "mse", "b": keras.losses.Huber()}, loss_weights={"a": 1.0, "b": 0.5})
    inputs = {"first": X[:, :2], "second": X[:, 2:]}
    history = model.fit(inputs, {"a": Y, "b": Y}, verbose=0, class_weight=None).history
    frame = pandas.DataFrame(X, columns=list("abcd"))
    plain = built()
    plain.fit(frame, pandas.Series(Y[:, 0], name="target"), verbose=0)
    two = keras.Model([first, second], outputs["a"])
    two.compile("sgd", "mse")
    two.fit([X[:, :2], X[:, 2:]], Y, verbose=0)
    named, framed, listed = recorded.runs()
    assert named.metrics == series(history) and "a_loss" in history
    assert (named.params["loss.a"], named.params["loss.b"]) == ("mse", "Huber")
    assert named.params["loss_weights.b"] == 0.5
    parts = named.datasets[0].record["parts"]
    assert set(parts["x"]["parts"]) == {"first", "second"} and set(parts["y"]["parts"]) == {"a", "b"}
    assert [it["name"] for it in framed.datasets[0].record["parts"]["x"]["columns"]] == list("abcd")
    assert set(listed.datasets[0].record["parts"]["x"]["parts"]) == {"0", "1"}


def test_class_weight_is_a_param(recorded) -> None:
    model = built(loss="binary_crossentropy")
    model.fit(X, (Y[:, 0] > 0).astype(int), class_weight={0: 1.0, 1: 2.0}, verbose=0)
    (run,) = recorded.runs()
    assert (run.params["class_weight.0"], run.params["class_weight.1"]) == (1.0, 2.0)


def test_initial_epoch_goes_on_with_the_steps(recorded) -> None:
    model = built()
    model.fit(X, Y, epochs=2, verbose=0)
    history = model.fit(X, Y, initial_epoch=2, epochs=4, verbose=0).history
    first, second = recorded.runs()
    assert [step for step, _ in first.metrics["loss"]] == [0, 1]
    assert second.metrics == series(history, 2) and second.params["initial_epoch"] == 2


def test_what_callbacks_add_to_the_logs_is_recorded(recorded) -> None:
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1))
    history = built().fit(X, Y, epochs=3, verbose=0, callbacks=[schedule]).history
    (run,) = recorded.runs()
    assert run.metrics == series(history) and len(run.metrics["learning_rate"]) == 3


def test_early_stopping_tells_its_facts(recorded) -> None:
    stopping = keras.callbacks.EarlyStopping("loss", patience=1, min_delta=10.0, restore_best_weights=True)
    model = built()
    history = model.fit(X, Y, epochs=9, verbose=0, callbacks=stopping).history
    (run,) = recorded.runs()
    assert of_epochs(run) == series(history) and len(history["loss"]) == 2
    assert run.metrics["early_stopping/best"] == [(0, stopping.best)]
    assert run.metrics["early_stopping/best_epoch"] == [(0, stopping.best_epoch)]
    assert run.metrics["early_stopping/stopped_epoch"] == [(1, stopping.stopped_epoch)]
    assert (run.params["early_stopping.monitor"], run.params["early_stopping.patience"]) == ("loss", 1)
    assert run.models[0].step == 0  # the weights of the best epoch are back in the model
    assert np.array_equal(kept(recorded, run, 0).predict(X, verbose=0), model.predict(X, verbose=0))


def kept(recorded, run, index):
    path = recorded.home / f"kept-{index}.keras"
    path.write_bytes(recorded.content(run.models[index]))
    return load(path)


@pytest.mark.parametrize(("models", "names"), [("final", ["model"]), ("best", ["best"]), ("off", [])])
def test_which_weights_are_kept(tmp_path, models, names) -> None:
    path = tmp_path / "best.keras"
    callback = keras.callbacks.ModelCheckpoint(path, monitor="loss", mode="max", save_best_only=True)
    with recording(tmp_path / "home", "keras", models=models) as recorded:
        model = built()
        history = model.fit(X, Y, epochs=3, verbose=0, callbacks=[callback]).history
    (run,) = recorded.runs()
    best = int(np.argmax(history["loss"]))
    assert [it.name for it in run.models] == names
    assert run.metrics["model_checkpoint/best"] == [(best, callback.best)]
    assert run.params["model_checkpoint.filepath"] == str(path)
    assert run.params["model_checkpoint.monitor"] == "loss"
    if models == "final":
        assert run.models[0].step == 2
        again = kept(recorded, run, 0)
        assert np.array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
        assert again.optimizer.iterations == model.optimizer.iterations
    if models == "best":
        assert run.models[0].step == best
        assert recorded.content(run.models[0]) == path.read_bytes()


def test_all_weights_are_kept(tmp_path) -> None:
    whole = keras.callbacks.ModelCheckpoint(tmp_path / "{epoch:02d}.keras")
    weights = keras.callbacks.ModelCheckpoint(tmp_path / "last.weights.h5", save_weights_only=True)
    with recording(tmp_path / "home", "keras", models="all") as recorded:
        built().fit(X, Y, epochs=2, verbose=0, callbacks=[whole, weights])
    (run,) = recorded.runs()
    assert [(it.name, it.step) for it in run.models] == [("checkpoint", 0), ("checkpoint-2", 1), ("model", 1)]
    assert set(run.artifacts) == {"model.json", "last.weights.h5"}
    assert run.params["model_checkpoint-2.save_weights_only"] is True


def test_a_model_that_did_not_change_is_the_same_bytes(recorded) -> None:
    model = built()
    with autotrack.start_run("mine") as run:
        model(X)
        run.log_model(model, "a")
        run.log_model(model, "b")
    first, second = recorded.runs()[0].models
    assert first.digest == second.digest


def test_the_run_gives_its_model_back(recorded) -> None:
    model = built()
    model.fit(X, Y, verbose=0)
    large = keras.Sequential([keras.layers.Input((400,)), keras.layers.Dense(700)])
    with autotrack.start_run("mine") as mine:
        mine.log_model(large)
    (run, _) = recorded.runs()
    again = autotrack.load_model(run.id)
    assert type(again) is keras.Sequential
    assert np.array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    for ours, theirs in zip(mine.load_model().get_weights(), large.get_weights(), strict=True):
        assert np.array_equal(ours, theirs)


class Custom(keras.Model):
    def __init__(self, thing):
        super().__init__()
        self.thing = thing
        self.dense = keras.layers.Dense(1)

    def call(self, x):
        return self.dense(x)


def test_a_model_that_cannot_be_saved_costs_only_its_weights(tmp_path, capsys) -> None:
    with recording(tmp_path, "keras") as recorded:
        for _ in range(2):
            model = Custom(object())
            model.compile("sgd", "mse")
            history = model.fit(X, Y, verbose=0).history
    first, second = recorded.runs()
    assert second.metrics == series(history) and second.params["total_params"] == 5
    assert [run.status for run in (first, second)] == ["finished", "finished"]
    assert first.models[0].digest is None and "get_config" in first.models[0].problem
    assert [(note.what, "get_config" in note.why or "NotImplemented" in note.why) for note in first.notes] == [
        ("model.json", True)
    ]
    assert capsys.readouterr().err.count("is not kept") == 1


def test_an_own_train_step_and_an_own_fit(recorded) -> None:
    class Stepping(keras.Sequential):
        def train_step(self, data):
            logs = super().train_step(data)
            return {"mine": logs["loss"]}

        def fit(self, *args, **kwargs):
            return super().fit(*args, **kwargs)

    model = Stepping([keras.layers.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    history = model.fit(X, Y, epochs=2, verbose=0).history
    (run,) = recorded.runs()
    assert run.name == "Stepping" and list(run.metrics) == ["mine"]
    assert [value for _, value in run.metrics["mine"]] == pytest.approx([float(it) for it in history["mine"]])


def test_evaluate_goes_to_the_run_of_its_model(recorded) -> None:
    first, second = built("first"), built("second")
    first.fit(X, Y, epochs=2, verbose=0)
    second.fit(X, Y, epochs=3, verbose=0)
    results = [
        first.evaluate(X, Y, verbose=0),
        second.evaluate(X[:32], Y[:32], verbose=0, return_dict=True),
        second.evaluate(X[:32], Y[:32], verbose=0),
        second.evaluate(X[32:40], Y[32:40], verbose=0),
    ]
    one, two = recorded.runs()
    assert (one.status, one.ends, two.status, two.ends) == ("finished", 2, "finished", 4)
    assert [one.metrics["test/loss"], one.metrics["test/mae"]] == [[(1, value)] for value in results[0]]
    assert two.metrics["test/loss"] == [(2, results[1]["loss"]), (3, results[2][0])]
    assert two.metrics["test-2/loss"] == [(2, results[3][0])]
    assert [(it.role, it.name, it.record["n_rows"]) for it in two.datasets[1:]] == [
        ("test", "test", 32),
        ("test", "test-2", 8),
    ]


def test_evaluate_of_a_run_that_failed_leaves_it_failed(recorded) -> None:
    class Stops(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise KeyboardInterrupt

    model = built()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, epochs=3, verbose=0, callbacks=[Stops()])
    result = model.evaluate(X, Y, verbose=0)
    (run,) = recorded.runs()
    assert (run.status, run.ends, run.error["type"]) == ("killed", 1, "KeyboardInterrupt")
    assert run.metrics["test/loss"] == [(0, result[0])]


def test_an_evaluate_that_raises_leaves_the_training_finished(recorded) -> None:
    from autotrack_keras import AutotrackCallback

    model = built()
    model.fit(X, Y, verbose=0)
    for callbacks in (None, [AutotrackCallback(name="checked")]):
        with pytest.raises(ValueError):
            (model if callbacks is None else built()).evaluate(X[:, :2], Y, verbose=0, callbacks=callbacks)
    assert autotrack.current_run() is None
    run, checked = recorded.runs()
    assert (run.status, run.error, [note.what for note in run.notes]) == ("finished", None, ["evaluate"])
    assert (checked.status, checked.error["type"]) == ("failed", "ValueError")


def test_what_is_no_number_is_kept_as_it_is(recorded) -> None:
    model = built(metrics=[])
    stop = keras.callbacks.TerminateOnNaN()
    history = model.fit(X, Y * np.nan, epochs=3, verbose=0, callbacks=[stop]).history
    (run,) = recorded.runs()
    assert run.status == "finished" and len(history["loss"]) == len(run.metrics["loss"]) == 1
    assert np.isnan(run.metrics["loss"][0][1])


def test_evaluate_of_a_model_that_was_never_trained(recorded) -> None:
    from autotrack_keras import AutotrackCallback

    model = built()
    model.evaluate(X, Y, verbose=0)
    assert recorded.runs() == []
    with autotrack.start_run("mine"):
        found = model.evaluate(X, Y, verbose=0)
    asked = model.evaluate(X, Y, verbose=0, callbacks=[AutotrackCallback(name="checked")])
    mine, checked = recorded.runs()
    assert mine.metrics["test/loss"] == [(0, found[0])] and mine.ends == 1
    assert (checked.name, checked.status, checked.metrics["test/mae"]) == ("checked", "finished", [(0, asked[1])])


def test_inside_a_run_of_the_users_and_inside_another_training(recorded) -> None:
    with autotrack.start_run("mine"):
        model = built()
        history = model.fit(X, Y, verbose=0).history
        assert [run.status for run in recorded.runs()] == ["running"]
        result = model.evaluate(X, Y, verbose=0)
    with begin_leaf("search", name="search"):
        built().fit(X, Y, verbose=0)
        built().evaluate(X, Y, verbose=0)
    mine, search = recorded.runs()
    assert (mine.name, mine.ends, mine.status) == ("mine", 1, "finished")
    assert of_epochs(mine) == series(history) and mine.metrics["test/loss"] == [(0, result[0])]
    assert (search.metrics, search.models, search.params) == ({}, [], {})


def test_what_a_callback_trains_and_evaluates_is_silent(recorded) -> None:
    other = built("other")

    class Trains(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            other.fit(X, Y, epochs=2, verbose=0)
            other.evaluate(X, Y, verbose=0)

    history = built().fit(X, Y, epochs=2, verbose=0, callbacks=[Trains()]).history
    (run,) = recorded.runs()
    assert run.metrics == series(history) and len(run.models) == 1


def test_a_loop_around_a_list_of_callbacks(recorded) -> None:
    model = built()
    stopping = keras.callbacks.EarlyStopping("loss")
    callbacks = keras.callbacks.CallbackList([stopping], add_history=True, model=model, epochs=2, steps=4)
    callbacks.on_train_begin()
    assert autotrack.current_run() is None
    for epoch in range(2):
        callbacks.on_epoch_begin(epoch)
        for batch in range(4):
            callbacks.on_train_batch_begin(batch)
            logs = model.train_on_batch(X, Y, return_dict=True)
            callbacks.on_train_batch_end(batch, logs)
        callbacks.on_epoch_end(epoch, logs)
    callbacks.on_train_end(logs)
    (run,) = recorded.runs()
    assert (run.name, run.status, run.ends) == ("Sequential", "finished", 1)
    assert of_epochs(run) == series(model.history.history)
    assert run.metrics["early_stopping/best"] == [(1, stopping.best)] and len(run.models) == 1


def test_predictions_lead_to_the_run(recorded) -> None:
    from autotrack.provenance.origin import run_behind

    model = built()
    model.fit(X, Y, verbose=0)
    found = model.predict(X, verbose=0)
    assert run_behind([found])[0].id == recorded.runs()[0].id


SCRIPT = """
import os, sys
import keras, numpy as np, autotrack
home, backup, stop = sys.argv[1], sys.argv[2], int(sys.argv[3])
autotrack.enable("keras", home=home, forwarder="off", quiet=True, strict=True)
X = np.arange(64.0).reshape(16, 4)
model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
class Stops(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == stop:
            os._exit(9)
keep = keras.callbacks.BackupAndRestore(backup)
model.fit(X, X[:, 0], epochs=4, verbose=0, callbacks=[keep, Stops()])
"""


def test_a_backup_that_is_restored_goes_on_with_its_run(tmp_path) -> None:
    from autotrack.testing import Recorded

    home = tmp_path / "home"
    for stop, code in ((2, 9), (9, 0)):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(home), str(tmp_path / "backup"), str(stop)],
            env={**os.environ, "KERAS_BACKEND": "torch", "TF_CPP_MIN_LOG_LEVEL": "3", "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
    (run,) = Recorded(home).runs()
    assert (run.status, [step for step, _ in run.metrics["loss"]]) == ("finished", [0, 1, 2, 3])


def test_a_checkpoint_that_is_loaded_goes_on_with_its_run(recorded, tmp_path) -> None:
    path = tmp_path / "{epoch}.keras"
    built().fit(X, Y, epochs=2, verbose=0, callbacks=[keras.callbacks.ModelCheckpoint(path)])
    model = keras.saving.load_model(tmp_path / "2.keras")
    model.fit(X, Y, initial_epoch=2, epochs=3, verbose=0)
    keras.saving.load_model(tmp_path / "2.keras").fit(X, Y, verbose=0)
    first, second = recorded.runs()
    assert [step for step, _ in first.metrics["loss"]] == [0, 1, 2] and first.status == "finished"
    assert [step for step, _ in second.metrics["loss"]] == [0]


def test_what_is_not_the_default_is_told(recorded) -> None:
    stopping = keras.callbacks.EarlyStopping(patience=2)
    optimizer = keras.optimizers.SGD(momentum=0.5)
    built(optimizer=optimizer).fit(X, Y, epochs=2, validation_split=0.25, callbacks=[stopping], verbose=0)
    (run,) = autotrack.runs()
    told = autotrack.get_run(run["id"])["defaults"]
    changed = {"epochs": 1, "validation_split": 0.0, "optimizer.momentum": 0.0, "early_stopping.patience": 0}
    assert told["changed"] == changed
    # Keras keeps the rate in 32 bits.
    unchanged = {"optimizer.learning_rate", "optimizer.nesterov", "batch_size", "shuffle", "steps_per_execution"}
    assert unchanged | {"early_stopping.monitor"} <= set(told["unchanged"])
