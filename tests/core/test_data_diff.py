"""What differs between two datasets: named by column, row, type and order."""

import time
from typing import Any

import numpy as np
import pytest

from autotrack.provenance.fingerprint import fingerprint
from autotrack.provenance.fingerprint.diff import Difference, difference
from autotrack.provenance.fingerprint.sides import Side

N = 200_000
RNG = np.random.default_rng(0)
AGE = RNG.integers(0, 90, N)
C = RNG.normal(size=N)


def side(data: Any, at_hand: bool = True) -> Side:
    return Side.of_fingerprint(fingerprint(data, keep_rows=True), data if at_hand else None)


def diff(a: Any, b: Any, at_hand: bool = True) -> Difference:
    return difference(side(a, at_hand), side(b, at_hand))


def table(**columns: Any) -> Any:
    made = np.empty(len(next(iter(columns.values()))), [(name, values.dtype) for name, values in columns.items()])
    for name, values in columns.items():
        made[name] = values
    return made


@pytest.fixture(scope="module")
def base() -> Any:
    return table(age=AGE, c=C)


def test_the_same_data_is_the_same(base: Any) -> None:
    found = diff(base, base.copy())
    told = {"same": True, "value": True, "schema": True, "rows": True, "columns": []}
    assert found.record() == {**told, "n_rows": [N, N], "coverage": [1.0, 1.0]}
    assert str(found) == "the same data: same values, same schema"


def test_a_changed_cell_is_named_by_its_chunk_from_digests_alone_and_by_its_row_with_the_data(base: Any) -> None:
    changed = base.copy()
    changed["c"][150_000] += 1
    found = diff(base, changed, at_hand=False)
    assert (found.same, found.value, found.schema, found.rows) == (False, False, True, False)
    assert found.columns == [{"name": "c", "change": "values", "row_ranges": [[131_072, 196_608]]}]
    assert "c changed in rows 131072–196608" in str(found)
    found = diff(base, changed)
    assert found.columns == [{"name": "c", "change": "values", "row_ranges": [[150_000, 150_001]]}]
    assert (found.added, found.removed) == (1, 1)


def test_only_types_that_changed_leave_the_values_the_same(base: Any) -> None:
    found = diff(base, table(age=AGE.astype(float), c=C))
    assert (found.same, found.value, found.schema, found.rows) == (False, True, False, True)
    assert found.columns == [{"name": "age", "change": "type", "row_ranges": [], "type": ["int64", "float64"]}]
    assert str(found) == "same values, another schema\nage int64 → float64"


def test_the_same_rows_in_another_order_are_told(base: Any) -> None:
    found = diff(base, base[RNG.permutation(N)], at_hand=False)
    assert (found.value, found.rows, found.order, found.columns) == (False, True, "rows", [])
    assert str(found) == "same rows in another order"


def test_two_rows_that_changed_places_are_another_order_though_few_rows_differ(base: Any) -> None:
    swapped = base.copy()
    swapped[[3, 150_000]] = base[[150_000, 3]]
    sides = [Side.of_fingerprint(fingerprint(data, rows=False), data) for data in (base, swapped)]
    found = difference(*sides)  # no hashes of all rows: those of the rows that differ must do
    assert (found.value, found.rows, found.order, found.columns) == (False, True, "rows", [])


def test_another_order_of_the_columns_is_told(base: Any) -> None:
    found = diff(base, table(c=C, age=AGE), at_hand=False)
    assert (found.value, found.schema, found.order, found.columns) == (False, False, "columns", [])


def test_columns_that_came_went_and_were_renamed_are_told(base: Any) -> None:
    found = diff(base, table(age=AGE, d=C))
    assert found.value is True  # names are schema
    assert found.columns == [{"name": "d", "change": "renamed", "row_ranges": [], "was": "c"}]
    found = diff(base, table(c=C, z=np.ones(N)), at_hand=False)
    assert {(one["name"], one["change"]) for one in found.columns} == {("age", "removed"), ("z", "added")}


@pytest.mark.parametrize("at", [0, 100, N])
def test_rows_that_were_added_are_counted_and_nothing_else_is_said_to_have_changed(base: Any, at: int) -> None:
    new = np.array([(1, 0.5), (2, 0.5), (3, 0.5)], base.dtype)
    longer = np.concatenate([base[:at], new, base[at:]])
    found = diff(base, longer)
    assert (found.added, found.removed, found.columns) == (3, 0, [])
    assert found.added_rows == [[at, at + 3]]
    found = diff(longer, base, at_hand=False)
    assert (found.added, found.removed, found.columns) == (0, 3, [])
    assert str(found) == "3 rows removed"


def test_a_row_that_came_twice_and_comes_once_was_removed() -> None:
    found = diff(np.array([1.0, 2.0, 2.0]), np.array([1.0, 2.0]))
    assert (found.added, found.removed) == (0, 1)


def test_what_chunks_cannot_tell_is_not_said_to_have_changed() -> None:
    a, b = np.arange(100.0), np.arange(101.0)
    sides = [Side.of_fingerprint(fingerprint(data, rows=False)) for data in (a, b)]
    found = difference(*sides)
    assert found.columns == []
    assert found.not_compared == [[0, 100]]
    assert found.same is False


def test_columns_are_found_in_whatever_part_they_are(base: Any) -> None:
    changed = C.copy()
    changed[7] = 0
    found = diff({"X": table(age=AGE, c=C), "y": C * 2}, {"X": table(age=AGE, c=changed), "y": C * 2})
    assert found.columns == [{"name": "c", "change": "values", "row_ranges": [[7, 8]], "part": "X"}]
    found = diff({"X": table(age=AGE), "c": C}, base)
    assert found.parts == [["X", "c"], [""]]
    assert found.columns == []


def test_marks_of_missing_values_are_told_apart_from_values() -> None:
    a = np.array([1.0, None], object)
    b = np.array([1.0, np.nan], object)
    found = diff(a, b)
    assert (found.same, found.value, found.schema) == (False, True, True)
    assert "other marks" in str(found)


def test_a_partial_fingerprint_is_never_the_same() -> None:
    data = np.arange(3_000_000.0)
    partial = Side.of_fingerprint(fingerprint(data, rows=False, seconds=1e-4))
    assert partial.coverage < 1
    found = difference(partial, side(data))
    assert found.same is None
    assert found.value is None
    assert "looked at" in str(found)
    other = data.copy()
    other[0] = -1
    found = difference(partial, Side.of_fingerprint(fingerprint(other, rows=False)))
    assert found.columns[0]["row_ranges"] == [[0, 65_536]]


def test_a_fingerprint_has_the_same_answer(base: Any) -> None:
    found = fingerprint(base).diff(table(age=AGE.astype(float), c=C))
    assert found.columns[0]["type"] == ["int64", "float64"]
    assert fingerprint(base).diff(fingerprint(base)).same is True


def test_one_cell_among_two_million_rows_is_found_quickly() -> None:
    a = np.random.default_rng(1).normal(size=(2_000_000, 4))
    b = a.copy()
    b[1_234_567, 2] = 7
    began = time.perf_counter()
    found = difference(*(Side.of_fingerprint(fingerprint(data, rows=False), data) for data in (a, b)))
    assert time.perf_counter() - began < 5
    assert found.columns == [{"name": "2", "change": "values", "row_ranges": [[1_234_567, 1_234_568]]}]
    assert found.rows is False


def test_of_a_stream_only_the_rows_are_known(base: Any) -> None:
    found = fingerprint(base)
    stream = Side.of_record({"rows": found.rows, "n_rows": N, "stream": True, "coverage": 1}, open_nothing)
    same = difference(stream, side(base))
    assert (same.same, same.value, same.rows) == (None, None, True)
    assert str(same) == "the same rows, in an order that is not known"
    other = difference(stream, side(base[:-1]))
    assert (other.same, other.rows) == (False, False)


def test_a_record_whose_blobs_are_gone_still_tells_whether_it_is_the_same(base: Any) -> None:
    record = {**fingerprint(base).record(), "n_rows": N, "grid": {"digest": "0" * 64, "bytes": 1}}
    changed = base.copy()
    changed["c"][0] = 9
    assert difference(Side.of_record(record, open_nothing), side(base)).same is True
    found = difference(Side.of_record(record, open_nothing), side(changed))
    assert (found.same, found.columns) == (False, [])
    assert str(found) == "the values differ; the record does not tell where"


def open_nothing(digest: str) -> Any:
    raise FileNotFoundError(digest)
