"""Data that is hashed as it passes: the same for any size of batches, and the same as in memory."""

import pytest

pytest.importorskip("pandas")
pytest.importorskip("torch")

from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, TensorDataset

from autotrack.provenance.fingerprint import Stream, fingerprint

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(100, 4)).astype("f4"), RNG.integers(0, 3, 100)


def passed(batches) -> dict:
    stream = Stream()
    for batch in batches:
        stream.update(batch)
    stream.end_epoch()
    return stream.record()


@pytest.mark.parametrize("size", [1, 7, 64, 100])
def test_the_size_of_batches_and_workers_do_not_matter(size) -> None:
    found = passed(DataLoader(TensorDataset(torch.tensor(X), torch.tensor(Y)), batch_size=size))
    whole = fingerprint({"0": X, "1": Y})
    assert found["rows"] == whole.rows and found["n_rows"] == 100 and found["stream"]
    assert found["order"] == passed([(X, Y)])["order"]
    assert (found["coverage"], found["method"], found["batches"]) == (1, "stream", -(-100 // size))


def test_another_order_has_the_same_rows() -> None:
    one, other = passed([(X, Y)]), passed([(X[50:], Y[50:]), (X[:50], Y[:50])])
    assert one["rows"] == other["rows"] and one["order"] != other["order"]


def test_a_changed_batch_is_seen() -> None:
    other = X.copy()
    other[99, 3] += 1
    assert passed([(other, Y)])["rows"] != passed([(X, Y)])["rows"]
    assert passed([(X, Y[::-1].copy())])["rows"] != passed([(X, Y)])["rows"]


def test_frames_mappings_and_rows_of_objects_pass_as_well() -> None:
    frame = pd.DataFrame(X)
    assert passed([frame[:10], frame[10:]])["rows"] == fingerprint(X).rows
    assert (
        passed([{"x": X[:50], "y": Y[:50]}, {"x": X[50:], "y": Y[50:]}])["rows"] == fingerprint({"x": X, "y": Y}).rows
    )
    assert passed([["a", "b"], ["c"]])["rows"] == fingerprint(["a", "b", "c"]).rows
    assert passed([X.reshape(100, 2, 2)])["rows"] == fingerprint(X.reshape(100, 2, 2)).rows


def test_epochs_are_told_apart_and_the_first_whole_one_counts() -> None:
    stream = Stream()
    for half in range(3):
        stream.update((X, Y))
        if half < 2:
            stream.end_epoch()
    stream.end_epoch()
    stream.end_epoch()  # without a batch: none
    record = stream.record()
    assert record["n_epochs"] == 3 and len(record["epochs"]) == 3
    assert {epoch["rows"] for epoch in record["epochs"]} == {record["rows"]}


def test_what_was_not_seen_whole_or_could_not_be_read_does_not_look_like_it() -> None:
    stream = Stream()
    stream.update(X)
    assert stream.record()["rows"] == fingerprint(X).rows.replace("x1:", "x1p:")
    assert stream.record()["method"] == "stream+unfinished"
    stream.update([object()])
    stream.end_epoch()
    assert "rows" not in stream.record() and stream.record()["coverage"] == 0.5
    assert Stream().record()["coverage"] == 0


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(), st.text(max_size=3)), min_size=1, max_size=30), st.data())
def test_any_cuts_add_up_to_the_same(rows, data) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=4)))
    bounds = [0, *cuts, len(rows)]
    batches = [rows[start:stop] for start, stop in pairwise(bounds) if stop > start]
    found = passed(batches)
    assert found["rows"] == fingerprint(rows).rows
    assert found["order"] == passed([rows])["order"]


def test_a_loader_may_fill_the_same_memory_again() -> None:
    data = np.random.default_rng(3).normal(size=(100, 4))
    stream, memory = Stream(), np.empty((10, 4))
    for start in range(0, 100, 10):
        memory[:] = data[start : start + 10]
        stream.update(memory)
        memory[:] = 0
    stream.end_epoch()
    assert stream.record()["rows"] == fingerprint(data).rows


def test_batches_of_any_size_type_and_structure_in_turn_add_up() -> None:
    data = np.random.default_rng(4).normal(size=(60_000, 3)).astype(np.float32)
    together, apart = Stream(), Stream()
    together.update(data)
    cuts = [0, 1, 1, 9, 400, 40_000, 40_001, 40_002, 60_000]  # an empty one, and a large one between small ones
    for number, (start, stop) in enumerate(pairwise(cuts)):
        part = data[start:stop]
        apart.update(part.astype(np.float64) if number % 2 else part)
    together.end_epoch()
    apart.end_epoch()
    first, second = together.record(), apart.record()
    assert (first["rows"], first["order"], first["n_rows"]) == (second["rows"], second["order"], second["n_rows"])
    assert second["batches"] == len(cuts) - 1


def test_one_batch_that_cannot_be_read_among_small_ones_costs_the_digest_and_is_counted() -> None:
    stream = Stream()
    for batch in (np.zeros((2, 2)), object(), np.ones((2, 2))):
        stream.update(batch)
    stream.end_epoch()
    told = stream.record()
    assert "rows" not in told and told["batches"] == 3 and told["coverage"] == pytest.approx(2 / 3)
