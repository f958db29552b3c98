"""A change of any one thing changes the identity that answers for it, and no other."""

import pytest

pytest.importorskip("pandas")
pytest.importorskip("polars")
pytest.importorskip("pyarrow")
pytest.importorskip("torch")

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import autotrack
from autotrack.provenance.fingerprint import fingerprint, row_hashes
from autotrack.provenance.fingerprint.rows import RowSum
from autotrack.provenance.fingerprint.tables import ROWS_PER_LEAF

N = ROWS_PER_LEAF + 500
IDENTITIES = ("value", "schema", "rows", "strict")


def frame() -> pd.DataFrame:
    return FRAME.copy()


def made() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    table = pd.DataFrame(
        {
            "number": rng.normal(size=N),
            "count": rng.integers(0, 100, N),
            "flag": rng.random(N) < 0.5,
            "when": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 10**6, N), unit="s"),
            "where": pd.Categorical(rng.choice(["north", "south"], N), categories=["north", "south", "unused"]),
            "name": [f"name {number}" for number in rng.integers(0, 1000, N)],
        }
    )
    table.loc[7, "number"] = np.nan
    return table


FRAME = made()
BEFORE = fingerprint(FRAME)


def changed(after) -> set[str]:
    found = fingerprint(after)
    return {name for name in IDENTITIES if getattr(found, name) != getattr(BEFORE, name)}


def with_cell(row: int, column: str, value) -> pd.DataFrame:
    made = frame()
    made.iloc[row, made.columns.get_loc(column)] = value
    return made


@pytest.mark.parametrize("row", [0, ROWS_PER_LEAF, N - 1])
@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("number", 1e-300),
        ("number", np.nan),
        ("count", 101),
        ("when", pd.Timestamp("2025-01-01")),
        ("where", None),
        ("name", "Name 1"),
        ("name", None),
    ],
)
def test_a_cell_changes_the_values_and_the_rows(row, column, value) -> None:
    assert changed(with_cell(row, column, value)) == {"value", "rows", "strict"}


def test_a_flipped_boolean_changes_the_values_and_the_rows() -> None:
    after = frame()
    after.loc[N - 1, "flag"] = not after.loc[N - 1, "flag"]
    assert changed(after) == {"value", "rows", "strict"}


def test_the_smallest_step_of_a_number_is_seen() -> None:
    after = frame()
    after.loc[5, "number"] = np.nextafter(after.loc[5, "number"], np.inf)
    assert changed(after) == {"value", "rows", "strict"}


def test_all_labels_flipped_and_all_timestamps_moved_are_seen() -> None:
    assert changed(frame().assign(flag=lambda made: ~made.flag)) == {"value", "rows", "strict"}
    assert changed(frame().assign(when=lambda made: made.when + pd.Timedelta(days=365))) == {"value", "rows", "strict"}


def test_signs_flipped_in_two_columns_are_seen_in_the_rows() -> None:
    matrix = np.random.default_rng(0).normal(size=(1000, 4))
    other = matrix.copy()
    other[:, 1:3] *= -1
    assert not set(row_hashes(matrix).tolist()) & set(row_hashes(other).tolist())


def test_a_late_row_more_or_less_is_seen() -> None:
    made = frame()
    assert changed(made.iloc[:-1]) == {"value", "rows", "strict"}
    assert changed(pd.concat([made, made.tail(1)], ignore_index=True)) == {"value", "rows", "strict"}


def test_another_dtype_of_the_same_values_changes_the_schema_alone() -> None:
    assert changed(frame().astype({"count": "float64"})) == {"schema", "strict"}
    assert changed(frame().astype({"count": "Int64"})) == {"schema", "strict"}
    assert changed(frame().astype({"where": "object"})) == {"schema", "strict"}
    assert changed(frame().astype({"flag": "int8"})) == {"schema", "strict"}


def test_the_order_of_categories_and_unused_ones_change_the_schema_alone() -> None:
    made = frame()
    for levels in (["south", "north", "unused"], ["north", "south"]):
        assert changed(made.assign(where=made["where"].cat.set_categories(levels))) == {"schema", "strict"}
    assert changed(made.assign(where=made["where"].cat.as_ordered())) == {"schema", "strict"}


def test_names_and_a_named_index_change_the_schema_alone() -> None:
    assert changed(frame().rename(columns={"count": "counts"})) == {"schema", "strict"}
    dated = frame().set_index(pd.date_range("2024-01-01", periods=N, freq="s", name="day"))
    assert changed(dated) == {"schema", "strict"}
    later = dated.set_index(dated.index + pd.Timedelta(days=365))
    assert fingerprint(later).schema != fingerprint(dated).schema
    assert fingerprint(later).value == fingerprint(dated).value


def test_another_zone_of_the_same_moments_changes_the_schema_alone() -> None:
    aware = frame().assign(when=lambda made: made.when.dt.tz_localize("UTC"))
    assert "value" in changed(aware)
    elsewhere = aware.assign(when=aware.when.dt.tz_convert("Asia/Tokyo"))
    one, other = fingerprint(aware), fingerprint(elsewhere)
    assert (one.value, one.rows) == (other.value, other.rows)
    assert one.schema != other.schema and one.strict != other.strict


def test_another_order_of_the_columns_changes_the_values() -> None:
    made = frame()
    assert changed(made[["count", "number", "flag", "when", "where", "name"]]) == set(IDENTITIES)


def test_a_shuffle_keeps_the_rows_and_the_schema() -> None:
    assert changed(frame().sample(frac=1, random_state=3)) == {"value", "strict"}
    assert changed(frame().iloc[::-1].reset_index(drop=True)) == {"value", "strict"}


def test_values_that_change_places_between_rows_are_not_a_shuffle() -> None:
    made = frame()
    made["count"] = made["count"].to_numpy()[::-1]
    assert changed(made) == {"value", "rows", "strict"}


def test_nan_and_null_are_one_in_the_values_and_apart_in_strict() -> None:
    held = {
        "NaN": pa.array([1.0, float("nan")]),
        "null": pa.array([1.0, None]),
        "both": pa.array([1.0, None, float("nan")])[:2],
    }
    found = {name: fingerprint(data) for name, data in held.items()}
    assert len({one.value for one in found.values()}) == 1
    assert len({one.schema for one in found.values()}) == 1
    assert found["NaN"].strict != found["null"].strict == found["both"].strict
    objects = [np.array(["a", missing], object) for missing in (None, np.nan, pd.NA, pd.NaT)]
    assert len({fingerprint(one).value for one in objects}) == 1
    assert len({fingerprint(one).strict for one in objects}) == 4
    assert fingerprint(np.array([1.0, np.nan])).strict == found["NaN"].strict
    assert fingerprint(pl.Series([1.0, None])).strict == found["null"].strict


def test_texts_numbers_and_bytes_that_look_alike_differ() -> None:
    held = [["1", "2"], [1, 2], [b"1", b"2"], ["12", ""], ["", "12"], ["1", "2", ""], [["1", "2"], []], [1, 2, None]]
    assert len({fingerprint(data).value for data in held}) == len(held)
    assert len({fingerprint(data).rows for data in held}) == len(held) - 1  # two differ in their order alone
    assert fingerprint([2**64 - 1]).rows != fingerprint([-1]).rows
    assert fingerprint(np.array([2**63 + 1], "u8")).rows != fingerprint(np.array([-(2**63) + 1])).rows


def test_negative_zero_is_zero() -> None:
    assert fingerprint(np.array([-0.0, 0.5])) == fingerprint(np.array([0.0, 0.5]))
    assert fingerprint(np.array([-0.0, 0.1], "f4")).rows == fingerprint([0, np.float32(0.1)]).rows


def test_the_smallest_numbers_count_even_where_the_processor_takes_them_for_zero() -> None:
    tiny = np.array([0.0, 5e-324, 1e-310])
    ordinary = fingerprint(tiny)
    try:
        torch.set_flush_denormal(True)
        assert fingerprint(tiny) == ordinary
        assert fingerprint(tiny).value != fingerprint(np.zeros(3)).value
    finally:
        torch.set_flush_denormal(False)


def test_the_shape_of_tensors_counts() -> None:
    values = np.arange(24)
    shapes = [(4, 3, 2), (4, 2, 3), (2, 4, 3), (4, 6), (24,), (2, 3, 2, 2)]
    assert len({fingerprint(values.reshape(shape)).value for shape in shapes}) == len(shapes)
    images = np.random.default_rng(0).random((10, 3, 8, 8), "f4")
    other = images.copy()
    other[9, 2, 7, 7] += 1
    assert fingerprint(images).value != fingerprint(other).value
    assert fingerprint(images).rows == fingerprint(images[::-1].copy()).rows != fingerprint(other).rows


def test_parts_have_identities_of_their_own_and_together() -> None:
    features, labels = np.random.default_rng(0).normal(size=(50, 3)), np.arange(50) % 2
    whole = fingerprint({"X": features, "y": labels})
    assert whole.parts["X"] == fingerprint(features) and whole.parts["y"] == fingerprint(labels)
    assert (
        whole.value
        == fingerprint({"y": labels, "X": features}).value
        != fingerprint({"X": labels, "y": features}).value
    )
    order = np.random.default_rng(1).permutation(50)
    together = fingerprint({"X": features[order], "y": labels[order]})
    apart = fingerprint({"X": features[order], "y": labels})
    assert whole.rows == together.rows != apart.rows
    assert whole.value != together.value
    assert fingerprint({"X": features, "y": labels[:-1]}).rows is None


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(-5, 5), st.one_of(st.none(), st.text(max_size=2))), min_size=1), st.data())
def test_shards_add_up_to_the_whole_in_any_order(rows, data) -> None:
    table = pd.DataFrame(rows)
    shuffled = table.iloc[data.draw(st.permutations(range(len(rows))))]
    cut = data.draw(st.integers(0, len(rows)))
    shards = [fingerprint(shuffled.iloc[:cut]), fingerprint(shuffled.iloc[cut:])]
    total = RowSum.of(shards[0].rows, cut) + RowSum.of(shards[1].rows, len(rows) - cut)
    assert total.digest == fingerprint(table).rows and total.count == len(rows)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.lists(st.sampled_from([0, 1, -1, 0.5, None, "a", "", True, 2**60]), min_size=3, max_size=3),
        min_size=1,
        max_size=8,
    ),
    st.data(),
)
def test_any_single_change_is_seen_and_nothing_else(rows, data) -> None:
    before = fingerprint(rows)
    row, column = data.draw(st.integers(0, len(rows) - 1)), data.draw(st.integers(0, 2))
    value = data.draw(st.sampled_from([0, 1, 1.5, None, "a", "b", -1, 2**60 + 1]))
    after = [list(one) for one in rows]
    after[row][column] = value
    found = fingerprint(after)
    assert (found.value == before.value) == (value == rows[row][column]) == (found.rows == before.rows)
    assert found.schema == before.schema


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(width=32), min_size=1, max_size=30), st.data())
def test_a_float_that_fits_is_the_same_in_half_the_width_and_no_other_is(values, data) -> None:
    wide = np.array(values, "f8")
    assert fingerprint(wide).value == fingerprint(wide.astype("f4")).value
    place = data.draw(st.integers(0, len(values) - 1))
    other = wide.copy()
    other[place] = 0.1  # has no exact float32
    assert fingerprint(other).value != fingerprint(other.astype("f4")).value


def test_data_is_left_as_it_was() -> None:
    made = frame()
    before = made.copy(deep=True)
    matrix = np.array([[-0.0, np.nan], [3.0, 2.0]])
    bits = matrix.tobytes()
    autotrack.fingerprint({"X": made, "y": matrix, "z": matrix.T})
    pd.testing.assert_frame_equal(made, before)
    assert matrix.tobytes() == bits
