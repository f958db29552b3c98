"""Sets of rows: whole and as sketches, in files, and what is answered from them."""

import numpy as np
import pytest

from autotrack.provenance.fingerprint import fingerprint, rowsets
from autotrack.provenance.fingerprint.membership import contains
from autotrack.provenance.fingerprint.rowsets import NO, UNKNOWN, YES, RowSet, Share


def hashes(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**64, count, dtype=np.uint64)


def rows_of(data: object, **more: object) -> RowSet:
    found = fingerprint(data, keep_rows=True)
    return RowSet.of(found.row_hashes, columns=[(one.name, one.declared) for one in found.columns], **more)


@pytest.mark.parametrize("count", [0, 1, 5, 70_000])
def test_a_set_is_read_as_it_was_written(count: int) -> None:
    rows = RowSet.of(np.concatenate([hashes(count), hashes(count)]), part="X", columns=[("a", "int64")])
    again = RowSet.decode(rows.encode())
    assert (again.hashes == rows.hashes).all()
    assert (again.n_rows, again.whole, again.covered, again.part) == (2 * count, True, True, "X")
    assert list(again.columns) == [("a", "int64")]


def test_a_set_takes_less_than_its_hashes() -> None:
    assert len(RowSet.of(hashes(100_000)).encode()) < 7.1 * 100_000


@pytest.mark.parametrize("data", [b"", b"x1rows\r\n", b"x1rows\r\n\x00\x00\x00\x00", b"other"])
def test_what_is_no_set_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        RowSet.decode(data)


def test_a_set_that_was_cut_off_is_refused() -> None:
    with pytest.raises(ValueError, match="cut off"):
        RowSet.decode(RowSet.of(hashes(10)).encode()[:-1])


def test_a_whole_set_knows_every_row() -> None:
    rows = RowSet.of(hashes(1000))
    assert (rows.look_up(hashes(1000)) == YES).all()
    assert (rows.look_up(hashes(1000, seed=1)) == NO).all()
    assert (RowSet.of(hashes(0)).look_up(hashes(3)) == NO).all()


def test_a_sketch_never_says_no_to_a_row_that_was_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rowsets, "MOST_ROWS", 10_000)
    monkeypatch.setattr(rowsets, "SKETCH", 1000)
    everything = hashes(50_000)
    rows = RowSet.of(np.concatenate([everything, everything]))
    assert (rows.whole, len(rows.hashes)) == (False, 1000)
    answers = rows.look_up(everything)
    assert set(answers.tolist()) == {YES, UNKNOWN}
    assert np.count_nonzero(answers == YES) == 1000
    foreign = rows.look_up(hashes(50_000, seed=1))
    assert set(foreign.tolist()) == {NO, UNKNOWN}


def test_the_interval_of_a_sketch_holds_the_true_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rowsets, "MOST_ROWS", 10_000)
    monkeypatch.setattr(rowsets, "SKETCH", 2000)
    held = 0
    for seed in range(40):
        train = hashes(40_000, seed=seed)
        asked = np.concatenate([train[:6000], hashes(14_000, seed=1000 + seed)])
        low, high = Share.count(RowSet.of(train).look_up(asked)).interval
        held += low <= 0.3 <= high
    assert held >= 34  # 38 are expected


def test_few_distinct_rows_are_known_however_often_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rowsets, "MOST_ROWS", 1000)
    monkeypatch.setattr(rowsets, "SKETCH", 100)
    few = hashes(7)
    rows = RowSet.of(np.repeat(few, 1000))
    assert rows.whole
    assert (rows.look_up(few) == YES).all()
    assert (rows.look_up(hashes(50, seed=1)) == NO).all()


def test_of_rows_that_were_not_all_looked_at_nothing_is_denied() -> None:
    rows = RowSet.of(hashes(100), covered=False)
    assert set(rows.look_up(hashes(5, seed=9)).tolist()) == {UNKNOWN}
    assert (rows.look_up(hashes(5)) == YES).all()


def test_rows_are_found_by_the_names_of_their_columns_whatever_else_there_is() -> None:
    train = np.array([(1, 0.5), (2, 1.5)], [("a", "i8"), ("b", "f8")])
    asked = np.array([(9.0, 0.5, 1), (9.0, 9.5, 1)], [("z", "f8"), ("b", "f8"), ("a", "i4")])
    assert contains(rows_of(train), asked).answers.tolist() == [YES, NO]


def test_doubles_are_rounded_as_the_training_data_was() -> None:
    values = np.random.default_rng(0).normal(size=(50, 3))
    found = contains(rows_of(values.astype(np.float32)), values)
    assert (found.answers == YES).all()


def test_what_cannot_be_compared_is_unknown_and_says_why() -> None:
    train = rows_of(np.array([(1, 0.5)], [("zip", "i8"), ("b", "f8")]))
    lacking = contains(train, np.array([(1,)], [("zip", "i8")]))
    assert lacking.answers.tolist() == [UNKNOWN]
    assert "no column 'b'" in lacking.why
    texts = contains(train, np.array([("01", 0.5)], [("zip", "U2"), ("b", "f8")]))
    assert texts.answers.tolist() == [UNKNOWN]
    assert "'zip' holds texts" in texts.why
    assert contains(rows_of(np.ones((2, 3))), np.ones((2, 4))).answers.tolist() == [UNKNOWN, UNKNOWN]
