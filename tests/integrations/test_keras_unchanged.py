"""Tracked and untracked trainings are the same, print and warn the same, and leave no trace."""

import functools
import inspect
import io
import os
import pickle
import sys
import threading
import warnings
from contextlib import redirect_stdout

import numpy as np
import pytest

pytest.importorskip("torch")
if "keras" not in sys.modules:
    os.environ["KERAS_BACKEND"] = "torch"
keras = pytest.importorskip("keras")

from keras.src.callbacks.callback_list import CallbackList  # noqa: E402
from keras.src.saving import saving_lib, serialization_lib  # noqa: E402

import autotrack  # noqa: E402
from autotrack.testing import recording  # noqa: E402
from autotrack_keras import AutotrackCallback  # noqa: E402
from autotrack_keras.serializing import serializing  # noqa: E402
from autotrack_keras.weights import pieces, save  # noqa: E402

X = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
Y = (X[:, :1] * 2 - X[:, 1:2]).astype("float32")

TRAINER = next(kind for kind in keras.Model.__mro__ if "fit" in vars(kind))
PLACES = [
    *((TRAINER, name) for name in ("fit", "evaluate", "predict")),
    (CallbackList, "_add_default_callbacks"),
    (keras.callbacks.ModelCheckpoint, "_save_model"),
    (keras.callbacks.BackupAndRestore, "_save_model"),
    (saving_lib, "load_model"),
    (saving_lib, "load_weights_only"),
]


def built(*layers, **compiled):
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.layers.Input((4,)), *layers, keras.layers.Dropout(0.5), keras.layers.Dense(1)])
    model.compile(**{"optimizer": "adam", "loss": "mse", "metrics": ["mae"], **compiled})
    return model


def plain(folder, **more):
    model = built()
    return model, model.fit(X, Y, epochs=3, verbose=2, validation_split=0.25, **more)


def with_a_lambda(folder, **more):
    model = built(keras.layers.Lambda(lambda x: x * 2), loss=lambda truth, guess: keras.ops.mean((truth - guess) ** 2))
    return model, model.fit(X, Y, verbose=0, **more)


def with_callbacks(folder, callbacks=(), **more):
    model = built()
    mine = [
        keras.callbacks.EarlyStopping("loss", patience=1, restore_best_weights=True, verbose=1),
        keras.callbacks.ReduceLROnPlateau("loss", patience=0, verbose=1),
        keras.callbacks.ModelCheckpoint(folder / "{epoch}.keras", "loss", save_best_only=True, verbose=1),
    ]
    return model, model.fit(X, Y, epochs=4, verbose=2, callbacks=[*mine, *callbacks], **more)


def with_a_generator(folder, **more):
    model = built()
    generated = ((X[:16], Y[:16]) for _ in range(4))
    return model, model.fit(generated, steps_per_epoch=2, epochs=2, verbose=0, **more)


class Batches(keras.utils.PyDataset):
    def __init__(self):
        pass  # without that of its parent: Keras warns

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return X[index * 16 :][:16], Y[index * 16 :][:16]


def with_a_dataset(folder, **more):
    model = built()
    return model, model.fit(Batches(), epochs=2, verbose=0, shuffle=False, validation_data=Batches(), **more)


CASES = (plain, with_a_lambda, with_callbacks, with_a_generator, with_a_dataset)


def observed(case, folder, capfd, **more):
    """What a user can see of a training: warnings with their places, output, history, weights, names that follow."""
    folder.mkdir(exist_ok=True)
    keras.backend.clear_session()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        model, history = case(folder, **more)
    # Keras warns from threads of its own too, in any order.
    told = sorted((str(it.message), it.filename, it.lineno) for it in warned)
    out, err = capfd.readouterr()
    timeless = [line for line in out.splitlines() if "/step" not in line]
    random = keras.ops.convert_to_numpy(keras.random.uniform((2,))).tobytes()
    weights = [it.tobytes() for it in model.get_weights()]
    found = vars(history)
    return told, timeless, err, found["history"], weights, random, set(vars(model)), keras.layers.Dense(1).name


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("explicit", [False, True])
def test_training_is_the_same(tmp_path, capfd, case, explicit) -> None:
    observed(case, tmp_path / "files", capfd)  # what is told once in a process
    untracked = observed(case, tmp_path / "files", capfd)
    with recording(tmp_path / "home", "keras", quiet=True) as recorded:
        more = {}
        if explicit:
            autotrack.disable()
            more["callbacks"] = [AutotrackCallback()]
        tracked = observed(case, tmp_path / "files", capfd, **more)
    for one, other in zip(tracked, untracked, strict=True):
        assert one == other
    (run,) = recorded.runs()
    assert run.status == "finished" and len(run.models) == 1 and run.models[0].problem is None
    for name, values in untracked[3].items():
        assert run.metrics[name] == list(enumerate(values))


def originals():
    return [vars(owner)[name] for owner, name in PLACES]


def test_looks_and_pickling_stay_and_disable_is_total(tmp_path) -> None:
    before, own = originals(), set(vars(keras.Model))
    looks = [(inspect.signature(it), it.__doc__, it.__name__) for it in before]
    with recording(tmp_path, "keras"):
        autotrack.enable("keras", forwarder="off", home=tmp_path)
        AutotrackCallback()
        tracked = originals()
        assert all(a is not b for a, b in zip(before, tracked, strict=True))
        assert [(inspect.signature(it), it.__doc__, it.__name__) for it in tracked] == looks
        for function in (keras.Model.fit, keras.Sequential.evaluate, keras.Model.predict):
            assert pickle.loads(pickle.dumps(function)) is function
    assert all(a is b for a, b in zip(before, originals(), strict=True))
    assert set(vars(keras.Model)) == own


def test_nothing_is_recorded_after_disable(tmp_path) -> None:
    model = built()
    with recording(tmp_path, "keras") as recorded:
        callbacks = CallbackList([], add_history=True, model=model, epochs=1, steps=1)
    model.fit(X, Y, verbose=0, callbacks=callbacks)
    model.evaluate(X, Y, verbose=0)
    built().fit(X, Y, verbose=0)
    assert recorded.runs() == []


def test_a_fitted_model_pickles_as_ever(tmp_path) -> None:
    with recording(tmp_path, "keras"):
        model = built()
        history = model.fit(X, Y, verbose=0)
    assert b"autotrack" not in pickle.dumps(model)
    assert np.array_equal(pickle.loads(pickle.dumps(model)).predict(X, verbose=0), model.predict(X, verbose=0))
    assert type(history) is keras.callbacks.History and "autotrack" not in repr(vars(history))


def test_what_the_user_passes_is_not_changed(tmp_path) -> None:
    inputs, callbacks, weight = {"a": X, "b": X}, [keras.callbacks.TerminateOnNaN()], {0: 1.0, 1: 2.0}
    given = dict(inputs), list(callbacks), dict(weight)
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    model = keras.Model({"a": a, "b": b}, keras.layers.Dense(1)(keras.layers.Concatenate()([a, b])))
    model.compile("sgd", "mse")
    with recording(tmp_path, "keras"):
        model.fit(inputs, (Y > 0).astype(int), callbacks=callbacks, class_weight=weight, verbose=0)
    assert (inputs, callbacks, weight) == given


@pytest.mark.parametrize("first", [True, False])
def test_another_tool_that_wrapped_fit(tmp_path, monkeypatch, first) -> None:
    seen = []

    def wrap():
        original = keras.Model.fit

        @functools.wraps(original)
        def theirs(self, *args, **kwargs):
            seen.append(1)
            return original(self, *args, **kwargs)

        monkeypatch.setattr(keras.Model, "fit", theirs, raising=False)
        return theirs

    if first:
        theirs = wrap()
    with recording(tmp_path, "keras") as recorded:
        if not first:
            theirs = wrap()
        built().fit(X, Y, verbose=0)
    built().fit(X, Y, verbose=0)
    assert keras.Model.fit is theirs and seen == [1, 1]
    assert len(recorded.runs()) == 1


def test_the_progress_is_printed_as_ever(tmp_path) -> None:
    def printed():
        text = io.StringIO()
        with redirect_stdout(text):
            built().fit(X, Y, epochs=2, verbose=1)
        return [line.partition("step")[0] for line in text.getvalue().splitlines() if line.startswith("Epoch")]

    without = printed()
    with recording(tmp_path, "keras", quiet=True):
        assert printed() == without == ["Epoch 1/2", "Epoch 2/2"]


def test_threads_have_runs_of_their_own(tmp_path) -> None:
    results = {}
    models = [built() for _ in range(3)]

    def train(index):
        results[index] = models[index].fit(X, Y, epochs=index + 1, verbose=0).history

    with recording(tmp_path, "keras") as recorded:
        before = warnings.showwarning
        threads = [threading.Thread(target=train, args=(index,)) for index in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert warnings.showwarning is before
    runs = sorted(recorded.runs(), key=lambda run: len(run.metrics["loss"]))
    assert [[value for _, value in run.metrics["loss"]] for run in runs] == [
        results[index]["loss"] for index in range(3)
    ]


def test_keras_serialises_as_ever_after_us() -> None:
    before = serialization_lib.tf, serialization_lib.warnings, saving_lib.warnings
    with serializing(), serializing():
        assert serialization_lib.warnings is not warnings
    assert (serialization_lib.tf, serialization_lib.warnings, saving_lib.warnings) == before


def test_the_default_filters_of_warnings_are_not_touched() -> None:
    with warnings.catch_warnings():
        warnings.resetwarnings()
        warnings.simplefilter("ignore", DeprecationWarning)
        filters = list(warnings.filters)
        with serializing():
            assert warnings.filters == filters


def test_a_large_file_is_kept_in_parts_that_make_it_again() -> None:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.layers.Input((400,)), keras.layers.Dense(700), keras.layers.Dense(1)])
    first = save(model)
    assert first.data is None and first.parts is not None
    content = b"".join(first.parts)
    assert len(content) == first.size
    model.layers[1].set_weights([np.ones((700, 1)), np.ones(1)])
    again = b"".join(save(model).parts)
    large = {bytes(piece) for piece in pieces(content) if len(piece) == 400 * 700 * 4}
    assert len(large) == 1 and large < {bytes(piece) for piece in pieces(again)}
    assert content != again
