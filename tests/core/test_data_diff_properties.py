"""Whatever is changed in a table, a diff says exactly that: cells, rows that came and went, and order."""

from collections import Counter
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from autotrack.provenance.fingerprint import fingerprint
from autotrack.provenance.fingerprint.diff import Difference, difference
from autotrack.provenance.fingerprint.sides import Side

DTYPE = [("a", "i4"), ("b", "f8"), ("c", "O")]
CELLS = (st.integers(0, 3), st.sampled_from([0.0, -0.0, 0.5, float("nan")]), st.sampled_from(["", "x", "y", None]))
ROWS = st.lists(st.tuples(*CELLS), min_size=1, max_size=12)


def table(rows: list[tuple]) -> Any:
    return np.array(rows, DTYPE)


def plain(row: tuple) -> tuple:
    """The row with what the canon takes for one as one."""
    a, b, c = row
    return (a, None if b != b else b + 0.0, c)


def compare(before: list[tuple], after: list[tuple], rows: bool, at_hand: bool) -> Difference:
    tables = table(before), table(after)
    return difference(
        *(
            Side.of_fingerprint(fingerprint(data, rows=rows, keep_rows=rows), data if at_hand else None)
            for data in tables
        )
    )


@settings(deadline=None, max_examples=150)
@given(ROWS, st.data(), st.booleans())
def test_exactly_the_cells_that_changed_are_named(before: list[tuple], data: st.DataObject, rows: bool) -> None:
    after = [data.draw(st.tuples(*CELLS)) if data.draw(st.booleans()) else row for row in before]
    found = compare(before, after, rows, at_hand=True)
    same = [plain(row) for row in before] == [plain(row) for row in after]
    alike = Counter(map(plain, before)) == Counter(map(plain, after))
    assert found.value is same
    if same or alike:
        assert found.rows in (True, None) if not rows else found.rows is True
    if found.rows is None or not alike:
        for place, name in enumerate("abc"):
            changed = {at for at in range(len(before)) if plain(before[at])[place] != plain(after[at])[place]}
            told = [one["row_ranges"] for one in found.columns if (one["name"], one["change"]) == (name, "values")]
            assert {at for ranges in told for start, stop in ranges for at in range(start, stop)} == changed


@settings(deadline=None, max_examples=150)
@given(ROWS, ROWS, st.booleans())
def test_rows_that_came_and_went_are_counted(before: list[tuple], after: list[tuple], at_hand: bool) -> None:
    found = compare(before, after, True, at_hand)
    was, now = Counter(map(plain, before)), Counter(map(plain, after))
    assert found.rows is (was == now)
    if was != now and found.added is not None:
        assert (found.added, found.removed) == ((now - was).total(), (was - now).total())
    assert found.value is ([plain(row) for row in before] == [plain(row) for row in after])


@settings(deadline=None, max_examples=100)
@given(ROWS, st.randoms(use_true_random=False), st.booleans())
def test_rows_in_another_order_are_only_that(before: list[tuple], random: Any, at_hand: bool) -> None:
    after = random.sample(before, len(before))
    found = compare(before, after, True, at_hand)
    assert found.rows is True
    assert found.columns == []
    assert found.order == (None if found.value else "rows")
