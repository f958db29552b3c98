"""Types and layouts that few use are the same data too, or say that they cannot be read; never an address."""

import pytest

pytest.importorskip("ml_dtypes")
pytest.importorskip("polars")
pytest.importorskip("pyarrow")
pytest.importorskip("torch")

import itertools

import ml_dtypes
import numpy as np
import polars as pl
import pyarrow as pa
import torch

import autotrack

ENTRIES = [[{"key": "a", "value": 1}, {"key": "b", "value": None}], None, [], [{"key": "c", "value": 3}]]
RECORDS = np.array([(1, "a"), (2, "b"), (3, "c")], [("n", "i4"), ("t", "U1")])

SAME = {
    "integers wider than 64 bits": {
        "list": [2**100, None, 7],
        "polars": pl.Series([2**100, None, 7], dtype=pl.Int128),
    },
    "integers in a wide type": {
        "list": [5, 7],
        "polars": pl.Series([5, 7], dtype=pl.Int128),
        "polars frame": pl.DataFrame({"a": pl.Series([5, 7], dtype=pl.Int128)}),
        "torch complex": torch.tensor([5 + 0j, 7], dtype=torch.complex32),
        **{
            f"numpy {name}": np.array([5, 7], getattr(ml_dtypes, name))
            for name in ("bfloat16", "float8_e5m2", "float8_e4m3fn", "int4", "uint4")
        },
    },
    "complex numbers": {
        "numpy": np.array([1 + 2j, 3]),
        "torch": torch.tensor([1 + 2j, 3], dtype=torch.complex64),
        "torch of two halves": torch.tensor([1 + 2j, 3], dtype=torch.complex32),
    },
    "maps": {
        "arrow": pa.array([[("a", 1), ("b", None)], None, [], [("c", 3)]], pa.map_(pa.string(), pa.int64())),
        "arrow slice": pa.array(
            [[("z", 9)], [("a", 1), ("b", None)], None, [], [("c", 3)], None], pa.map_(pa.string(), pa.int64())
        )[1:5],
        "arrow records": pa.array(ENTRIES),
        "polars": pl.Series(ENTRIES),
    },
    "objects": {
        "list": [1, "ab", None, 2.5],
        "polars": pl.Series([1, "ab", None, 2.5], dtype=pl.Object),
        "polars slice": pl.Series(["z", 1, "ab", None, 2.5, "z"], dtype=pl.Object)[1:5],
    },
    "masked tensors": {
        "masked": np.ma.array(np.arange(24.0).reshape(4, 3, 2), mask=np.arange(24).reshape(4, 3, 2) % 7 == 3),
        "other numbers under the mask": np.ma.array(
            np.where(np.arange(24) % 7 == 3, -5, np.arange(24)).reshape(4, 3, 2),
            mask=np.arange(24).reshape(4, 3, 2) % 7 == 3,
        ),
        "numpy": np.where(np.arange(24) % 7 == 3, np.nan, np.arange(24)).reshape(4, 3, 2),
    },
    "masked numbers": {"masked": np.ma.array(3.0, mask=True), "the constant": np.ma.masked, "numpy": np.array(np.nan)},
    "masked records": {
        "masked": np.ma.array(RECORDS, mask=[(0, 1), (0, 0), (1, 0)]),
        "arrow": pa.table({"n": [1, 2, None], "t": [None, "b", "c"]}),
    },
    "masked fields of rows": {
        "masked": np.ma.array(
            np.array([([1.0, 2.0],), ([3.0, 4.0],)], [("p", "f8", (2,))]), mask=[([False, True],), ([True, True],)]
        ),
        "arrow": pa.table({"p": [[1.0, None], [None, None]]}),
    },
}


@pytest.mark.parametrize("what", SAME)
def test_equal_data_agrees(what) -> None:
    found = {name: autotrack.fingerprint(data) for name, data in SAME[what].items()}
    values = {name: (one.value, one.coverage) for name, one in found.items()}
    assert len(set(values.values())) == 1, values
    assert next(iter(found.values())).value is not None
    assert len({one.rows for one in found.values()}) == 1


def test_what_is_masked_in_a_tensor_is_seen() -> None:
    plain = np.ma.array(np.arange(24.0).reshape(2, 3, 4))
    masked = plain.copy()
    masked[1, 2, 3] = np.ma.masked
    assert autotrack.fingerprint(plain).value != autotrack.fingerprint(masked).value
    assert autotrack.fingerprint(plain).schema == autotrack.fingerprint(masked).schema


def test_objects_of_polars_are_told_by_what_they_are_and_never_by_where_they_lie() -> None:
    class Strange:
        pass

    once, again = (pl.DataFrame({"o": pl.Series([1.5, "".join(["a", "b"])], dtype=pl.Object)}) for _ in range(2))
    assert autotrack.fingerprint(once).value == autotrack.fingerprint(again).value
    strange = autotrack.fingerprint(pl.Series([Strange(), Strange()], dtype=pl.Object))
    assert (strange.value, strange.coverage, strange.method) == (None, 0.0, "opaque")


@pytest.mark.parametrize("dtype", ["f8", "f4", "i8", "u1", "?"])
def test_any_strides_are_the_same_data(dtype) -> None:
    base = np.arange(200).astype(dtype)
    item = base.itemsize
    for shape in ((5, 2), (1, 3), (3, 1), (2, 5, 2)):
        for steps in itertools.product((-2, 0, 1, 3), repeat=len(shape)):
            view = np.lib.stride_tricks.as_strided(base[60:], shape, [step * item for step in steps])
            found, expected = autotrack.fingerprint(view), autotrack.fingerprint(view.copy())
            assert (found.value, found.rows) == (expected.value, expected.rows), (shape, steps)


def test_a_relation_of_duckdb_is_the_table_that_it_gives() -> None:
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect() as connection:
        query = "select range as n, 'x' || range as t, range % 2 = 0 as b, range / 7.0 as f from range(5000)"
        relation, table = connection.sql(query), connection.sql(query).to_arrow_table()
        found, expected = autotrack.fingerprint(relation), autotrack.fingerprint(table)
        assert (found.value, found.rows, found.schema) == (expected.value, expected.rows, expected.schema)
        assert found.coverage == 1 and found.n_rows == 5000
        assert relation.fetchall()[-1][0] == 4999
