"""Keras on torch, JAX and TensorFlow: each in a process of its own, since a process has one backend.

Run as a script, this file is that process: `python test_keras_backends.py BACKEND FOLDER`.
"""

import importlib.util
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

BACKENDS = ("torch", "jax", "tensorflow")


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_backend(tmp_path, backend) -> None:
    for product in ("keras", backend):
        if importlib.util.find_spec(product) is None:  # to import them here would take long
            pytest.skip(f"{product} is not installed")
    variables = {"KERAS_BACKEND": backend, "AUTOTRACK_QUIET": "1", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, __file__, backend, str(tmp_path)],
        env={**os.environ, **variables, "TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [check.__name__ for check in CHECKS]
    assert "autotrack" not in done.stderr


IN_TWO_PROCESSES = """
import sys
import jax
jax.distributed.initialize(sys.argv[1], 2, int(sys.argv[2]))
import autotrack, keras, numpy as np
from autotrack_keras import AutotrackCallback
autotrack.enable("keras", home=sys.argv[3], forwarder="off", quiet=True, strict=True)
model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
model.compile("sgd", "mse", run_eagerly=True)
x = np.ones((8, 2), "float32")
for callbacks in (None, [AutotrackCallback()]):
    model.fit(x, x[:, 0], verbose=0, callbacks=callbacks)
"""


def test_of_two_processes_of_jax_the_first_records(tmp_path) -> None:
    for product in ("keras", "jax"):
        if importlib.util.find_spec(product) is None:
            pytest.skip(f"{product} is not installed")
    from autotrack.testing import Recorded

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    variables = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", IN_TWO_PROCESSES, address, str(index), str(tmp_path)],
            env={**os.environ, **variables},
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in range(2)
    ]
    for process in started:
        _, told = process.communicate(timeout=200)
        assert process.returncode == 0, told
    assert [run.status for run in Recorded(tmp_path).runs()] == ["finished", "finished"]


X = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
Y = (X[:, :1] * 2 - X[:, 1:2]).astype("float32")


def built(**compiled):
    import keras

    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(1)])
    schedule = keras.optimizers.schedules.ExponentialDecay(0.05, 10, 0.9)
    model.compile(keras.optimizers.Adam(schedule), "mse", metrics=["mae"], **compiled)
    return model


def fitted(model, **more):
    import keras

    keras.utils.set_random_seed(3)
    return model.fit(X, Y, batch_size=16, epochs=3, verbose=0, validation_data=(X, Y), **more).history


def series(history, first=0):
    return {name: list(enumerate(values, first)) for name, values in history.items()}


def of_epochs(run):
    return {name: points for name, points in run.metrics.items() if "/" not in name}


def training_is_the_same(folder) -> None:
    import keras

    from autotrack.testing import recording

    plain = built()
    history = fitted(plain)
    with recording(folder, "keras", batch_metrics=1) as recorded:
        model = built()
        assert fitted(model) == history
        result = model.evaluate(X, Y, verbose=0)
    for ours, theirs in zip(model.get_weights(), plain.get_weights(), strict=True):
        assert np.array_equal(ours, theirs)
    (run,) = recorded.runs()
    assert (run.status, run.params["backend"]) == ("finished", keras.backend.backend())
    assert run.params["optimizer.learning_rate"] == "ExponentialDecay"
    assert run.params["optimizer.learning_rate.initial_learning_rate"] == 0.05
    assert (run.params["steps_per_epoch"], run.params["total_params"]) == (4, 19)
    assert run.params["jit_compile"] == model.jit_compile
    assert of_epochs(run) == series(history)
    assert [run.metrics[f"test/{name}"] for name in ("loss", "mae")] == [[(2, value)] for value in result]
    batches = dict(run.metrics["batch/loss"])
    assert sorted(batches) == list(range(12)) and len(run.metrics["batch/loss"]) == 12
    assert [batches[step] for step in (3, 7, 11)] == pytest.approx(history["loss"])


def enable_comes_before_the_import(folder) -> None:
    from autotrack.testing import recording

    with recording(folder, "keras") as recorded:
        assert "keras" not in sys.modules
        import keras

        # Not by `built`: to set the seed, Keras imports TensorFlow on each backend.
        schedule = keras.optimizers.schedules.ExponentialDecay(0.05, 10, 0.9)
        model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
        model.compile(keras.optimizers.Adam(schedule), keras.losses.Huber())
        model.fit(X, Y, verbose=0)
    (run,) = recorded.runs()
    assert run.models and run.artifacts and run.params["optimizer.learning_rate"] == "ExponentialDecay"
    assert keras.backend.backend() == "tensorflow" or "tensorflow" not in sys.modules


def async_dispatch_stays(folder) -> None:
    import keras

    from autotrack.testing import recording
    from autotrack_keras import AutotrackCallback

    class Looks(keras.callbacks.Callback):
        async_safe = True

        def on_train_batch_end(self, batch, logs=None):
            in_main.append(threading.current_thread() is threading.main_thread())

    def made(*callbacks):
        made = keras.callbacks.CallbackList([*callbacks, Looks()], add_history=True, model=built())
        return made._async_train, made._async_test, made._async_predict

    in_main = []
    plain = made()
    fitted(built(), callbacks=[Looks()])
    without = set(in_main)
    in_main.clear()
    with recording(folder, "keras", batch_metrics=1):
        assert made() == made(AutotrackCallback()) == plain
        fitted(built(), callbacks=[AutotrackCallback(), Looks()])
    assert set(in_main) == without
    assert plain[0] == (keras.backend.backend() != "tensorflow")


def several_steps_at_once(folder) -> None:
    import keras

    from autotrack.testing import recording

    if keras.backend.backend() == "torch":  # it knows no such thing
        return
    with recording(folder, "keras", batch_metrics=3) as recorded:
        fitted(built(steps_per_execution=2))
    (run,) = recorded.runs()
    # Of the steps 0 to 11, Keras tells each second; the third of each three lies in one of these pairs.
    assert sorted(step for step, _ in run.metrics["batch/loss"]) == [3, 5, 9, 11]


def exceptions_pass(folder) -> None:
    import keras

    import autotrack
    from autotrack.testing import recording

    class Raises(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise self.error

    statuses = []
    for error in (ValueError("mine"), KeyboardInterrupt()):
        callback = Raises()
        callback.error = error
        with recording(folder / type(error).__name__, "keras") as recorded:
            with pytest.raises(type(error)) as caught:
                fitted(built(), callbacks=[callback])
            assert caught.value is error and autotrack.current_run() is None
        (run,) = recorded.runs()
        assert [step for step, _ in run.metrics["val_loss"]] == [0, 1] and run.models == []
        assert run.error["type"] == type(error).__name__
        statuses.append(run.status)
    assert statuses == ["failed", "killed"]


def data_is_not_consumed(folder) -> None:
    import keras

    from autotrack.testing import recording

    class Batches(keras.utils.PyDataset):
        taken = 0

        @property
        def num_batches(self):
            return 4

        def __getitem__(self, index):
            Batches.taken += 1
            return X[index * 16 :][:16], Y[index * 16 :][:16]

    def generated():
        for _ in range(2):
            for index in range(4):
                taken.append(index)
                yield X[index * 16 :][:16], Y[index * 16 :][:16]

    def counted(train):
        before = Batches.taken
        taken.clear()
        built_now = built()
        history = train(built_now)
        return history, len(taken), Batches.taken - before

    taken = []
    generator_fit = lambda model: model.fit(generated(), steps_per_epoch=4, epochs=2, verbose=0).history  # noqa: E731
    batches_fit = lambda model: model.fit(Batches(), epochs=2, shuffle=False, verbose=0).history  # noqa: E731
    plain = [counted(generator_fit), counted(batches_fit)]
    with recording(folder, "keras") as recorded:
        assert [counted(generator_fit), counted(batches_fit)] == plain
    first, second = recorded.runs()
    assert (first.datasets[0].record["kind"], first.datasets[0].record["coverage"]) == ("builtins.generator", 0.0)
    assert second.datasets[0].record["n_batches"] == 4
    assert of_epochs(second) == series(plain[1][0])


def pipelines_of_the_backend(folder) -> None:
    import keras

    import autotrack
    from autotrack.testing import recording

    if keras.backend.backend() == "tensorflow":
        import tensorflow

        taken = []

        def elements():
            taken.append(1)
            yield from zip(X, Y, strict=True)

        spec = (tensorflow.TensorSpec((4,), "float32"), tensorflow.TensorSpec((1,), "float32"))
        train = tensorflow.data.Dataset.from_tensor_slices(({"a": X, "b": X}, Y)).batch(16)
        test = tensorflow.data.Dataset.from_generator(elements, output_signature=spec).batch(16)
        inputs = {name: keras.Input((4,), name=name) for name in ("a", "b")}
        model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Concatenate()([*inputs.values()])))
        model.compile("sgd", "mse")
        plain = built()
        with recording(folder, "keras", batch_metrics=1) as recorded:
            model.fit(train, verbose=0)
            plain.fit(X, Y, validation_data=test, verbose=0)
            assert len(taken) == 1
            plain.fit(test, epochs=3, verbose=0)
        first, second, third = recorded.runs()
        assert [step for step, _ in third.metrics["batch/loss"]] == list(range(12))
        record = first.datasets[0].record
        assert record["cardinality"] == 4
        told = record["parts"]["x"]["parts"]["a"]
        assert (told["shape"], told["dtype"]) == ([None, 4], "float32")
        assert second.datasets[1].record["cardinality"] == "unknown" and second.datasets[1].role == "validation"
        assert "pipeline" not in record and "begins_with" not in second.datasets[1].record

        text = folder / "numbers.csv"
        text.write_text("\n".join("0.5,0.5,0.5,0.5,1" for _ in range(32)))

        def row(line):
            numbers = tensorflow.strings.to_number(tensorflow.strings.split(line, ","))
            return tensorflow.ensure_shape(numbers[:4], (4,)), numbers[4:]

        changed = tensorflow.data.Dataset.from_tensor_slices((X, Y)).map(lambda x, y: (x * 2, y)).batch(16)
        listed = tensorflow.data.Dataset.list_files(str(folder / "*.csv")).interleave(tensorflow.data.TextLineDataset)
        with recording(folder / "changed", "keras") as recorded:
            for pipeline in (changed, tensorflow.data.TextLineDataset(str(text)).map(row).batch(16)):
                built().fit(pipeline, verbose=0)
            built().fit(listed.map(row).batch(16), verbose=0)
        mapped, lines, files = (run.datasets[0].record for run in recorded.runs())
        assert all("value" not in record for record in (mapped, lines, files))
        assert mapped["pipeline"] == ["TensorSlice", "Map", "Batch"]
        assert mapped["begins_with"]["value"] == autotrack.fingerprint({"0": X, "1": Y}).value
        assert lines["pipeline"] == ["TextLine", "Map", "Batch"]
        assert lines["begins_with"]["value"] == files["begins_with"]["value"] == autotrack.fingerprint([text]).value
    if keras.backend.backend() == "torch":
        from torch import from_numpy
        from torch.utils.data import DataLoader, TensorDataset

        class Watched(TensorDataset):
            taken = 0

            def __getitem__(self, index):
                Watched.taken += 1
                return super().__getitem__(index)

        loader = DataLoader(Watched(from_numpy(X), from_numpy(Y)), batch_size=16)
        built().fit(loader, verbose=0)
        plain = Watched.taken
        with recording(folder, "keras") as recorded:
            built().fit(loader, verbose=0)
        assert Watched.taken == 2 * plain
        record = recorded.runs()[0].datasets[0].record
        assert (record["n_rows"], record["batch_size"], record["shuffle"]) == (64, 16, False)


def the_model_comes_back(folder) -> None:
    from autotrack.testing import recording
    from autotrack_keras.weights import load

    with recording(folder, "keras") as recorded:
        model = built()
        fitted(model)
    (kept,) = recorded.runs()[0].models
    path = folder / "blob.keras"
    path.write_bytes(recorded.content(kept))
    again = load(path)
    assert np.array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    assert again.optimizer.iterations == model.optimizer.iterations


def everything_is_put_back(folder) -> None:
    import keras
    from keras.src.callbacks.callback_list import CallbackList

    from autotrack.testing import recording

    trainer = next(kind for kind in keras.Model.__mro__ if "fit" in vars(kind))
    places = [(trainer, name) for name in ("fit", "evaluate", "predict")]
    places += [(CallbackList, "_add_default_callbacks"), (keras.callbacks.ModelCheckpoint, "_save_model")]
    before = [vars(owner)[name] for owner, name in places]
    own = set(vars(keras.Model))
    with recording(folder, "keras"):
        assert all(vars(owner)[name] is not was for (owner, name), was in zip(places, before, strict=True))
    assert all(vars(owner)[name] is was for (owner, name), was in zip(places, before, strict=True))
    assert set(vars(keras.Model)) == own


CHECKS = (
    enable_comes_before_the_import,
    training_is_the_same,
    async_dispatch_stays,
    several_steps_at_once,
    exceptions_pass,
    data_is_not_consumed,
    the_model_comes_back,
    everything_is_put_back,
    pipelines_of_the_backend,
)


if __name__ == "__main__":
    for check in CHECKS:
        check(Path(sys.argv[2]) / check.__name__)
        print(check.__name__)
