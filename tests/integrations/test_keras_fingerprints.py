"""What Keras trains on: arrays in their roles by their values, batches as they pass and no other ones.

Run as a script, this file is the process of one backend: `python test_keras_fingerprints.py BACKEND FOLDER`.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BACKENDS = ("torch", "tensorflow")  # those of JAX come as those of torch do, and its process takes its time to begin

X = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
Y = (X[:, :1] * 2 - X[:, 1:2]).astype("float32")


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_backend(tmp_path, backend) -> None:
    for product in ("keras", backend):
        if importlib.util.find_spec(product) is None:
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


def built():
    import keras

    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def recorded(folder, train, **settings):
    """The datasets of the one run that `train` makes."""
    from autotrack.testing import recording

    with recording(folder, "keras", **settings) as found:
        train()
    (run,) = found.runs()
    return run.datasets


def identified(data):
    from autotrack.plugin import describe

    return describe(data)


def arrays_and_splits(folder) -> None:
    whole = identified({"x": X, "y": Y})
    (one,) = recorded(folder, lambda: built().fit(X, Y, verbose=0))
    assert (one.record["value"], one.record["rows"]) == (whole["value"], whole["rows"])
    train, held_out = recorded(folder / "split", lambda: built().fit(X, Y, validation_split=0.25, verbose=0))
    assert train.record["value"] == identified({"x": X[:48], "y": Y[:48]})["value"]
    assert held_out.record["value"] == identified({"x": X[48:], "y": Y[48:]})["value"]
    assert (held_out.role, held_out.record["kind"], held_out.record["n_rows"]) == ("validation", "validation_split", 16)
    assert (held_out.record["leakage"]["rows"], held_out.record["leakage"]["of"]) == (0, 16)
    data = {"x": X, "y": Y, "validation_data": (X[:8], Y[:8])}
    train, held_out = recorded(folder / "data", lambda: built().fit(**data, verbose=0))
    assert train.record["value"] == whole["value"]
    assert held_out.record["value"] == identified({"x": X[:8], "y": Y[:8]})["value"]


def frames_and_tensors(folder) -> None:
    import pandas

    frame = pandas.DataFrame(X, columns=list("abcd"))
    (one,) = recorded(folder, lambda: built().fit(frame, Y, verbose=0))
    assert one.record["value"] == identified({"x": X, "y": Y})["value"]
    assert [column["name"] for column in one.record["parts"]["x"]["columns"]] == list("abcd")


def an_evaluation(folder) -> None:
    def train():
        model = built()
        model.fit(X[:32], Y[:32], verbose=0)
        model.evaluate(X[32:], Y[32:], verbose=0)
        model.evaluate(X[32:], Y[32:], verbose=0)
        model.evaluate(X[32:], Y[32:] + 1, verbose=0)

    found = recorded(folder, train)
    assert [(it.role, it.name) for it in found] == [("train", "train"), ("test", "test"), ("test", "test-2")]
    assert found[1].record["value"] == identified({"x": X[32:], "y": Y[32:]})["value"]


def batches_of(size, *, repeat=1):
    for _ in range(repeat):
        for at in range(0, 64, size):
            yield X[at : at + size], Y[at : at + size]


def generators(folder) -> None:
    found = []
    for number, size in enumerate((16, 8)):
        steps = 64 // size
        data = batches_of(size, repeat=3)
        more = {"steps_per_epoch": steps, "epochs": 2, "verbose": 0}
        first, second = recorded(folder / str(number), lambda data=data, more=more: built().fit(data, **more))
        assert "value" not in first.record and second.record["stream"] and second.record["method"] == "stream"
        assert (second.record["n_rows"], second.record["batches"]) == (64, steps)
        found.append(second.record)
    assert found[0]["rows"] == found[1]["rows"] == identified({"0": X, "1": Y})["rows"]
    assert found[0]["order"] == found[1]["order"]
    _, passed = recorded(folder / "all", lambda: built().fit(batches_of(16), verbose=0))
    assert passed.record["rows"] == found[0]["rows"]
    assert len(recorded(folder / "off", lambda: built().fit(batches_of(16), verbose=0), datasets=False)) == 0


def datasets_in_python(folder) -> None:
    import keras

    class Batches(keras.utils.PyDataset):
        taken = 0

        def __init__(self, size, **more):
            super().__init__(**more)
            self.size = size

        @property
        def num_batches(self):
            return 64 // self.size

        def __getitem__(self, index):
            Batches.taken += 1
            at = index * self.size
            return X[at : at + self.size], Y[at : at + self.size]

    def fit(size, workers=1):
        # With several workers, what Keras looked at before it trains is missing from the first epoch, and the first of
        # the second are in it: without shuffling these are the same.
        data = Batches(size, workers=workers)
        more = {"epochs": 2, "verbose": 0, "shuffle": workers == 1}
        return lambda: built().fit(data, validation_data=Batches(32), **more)

    fit(16)()
    alone, Batches.taken = Batches.taken, 0
    plain = recorded(folder / "plain", fit(16))
    assert Batches.taken == alone
    threads = recorded(folder / "threads", fit(8, 2))
    for one in (plain, threads):
        told = {it.role: it.record for it in one if "stream" in it.record}
        assert set(told) == {"train", "validation"}
        assert {it["rows"] for it in told.values()} == {identified({"0": X, "1": Y})["rows"]}
        assert {it["n_rows"] for it in told.values()} == {64} and {it["method"] for it in told.values()} == {"stream"}


def pipelines(folder) -> None:
    if importlib.util.find_spec("tensorflow") is None:
        return
    import keras

    if keras.backend.backend() == "jax":
        return
    import tensorflow

    source = tensorflow.data.Dataset.from_tensor_slices((X, Y))
    data = source.shuffle(64).batch(16).prefetch(2)
    (one,) = recorded(folder, lambda: built().fit(data, verbose=0))
    assert one.record["value"] == identified({"x": X, "y": Y})["value"]
    mapped = source.map(lambda x, y: (x * 2, y)).batch(16)
    (one,) = recorded(folder / "mapped", lambda: built().fit(mapped, verbose=0))
    assert "value" not in one.record and one.record["coverage"] == 0.0


def loaders(folder) -> None:
    import keras

    if keras.backend.backend() != "torch":
        return
    from torch import from_numpy
    from torch.utils.data import DataLoader, Dataset, TensorDataset

    class Made(Dataset):
        def __len__(self):
            return 64

        def __getitem__(self, index):
            return X[index], Y[index]

    held = DataLoader(TensorDataset(from_numpy(X[:8]), from_numpy(Y[:8])), 8)
    found = recorded(folder, lambda: built().fit(DataLoader(Made(), 16, shuffle=True), validation_data=held, verbose=0))
    assert [it.role for it in found] == ["train", "validation", "train"]
    assert found[1].record["value"] == identified({"0": X[:8], "1": Y[:8]})["value"]
    assert found[2].record["rows"] == identified({"0": X, "1": Y})["rows"]


CHECKS = (
    arrays_and_splits,
    frames_and_tensors,
    an_evaluation,
    generators,
    datasets_in_python,
    pipelines,
    loaders,
)


if __name__ == "__main__":
    for check in CHECKS:
        check(Path(sys.argv[2]) / check.__name__)
        print(check.__name__)
