"""Equal data is one value and one multiset of rows, whatever library, dtype, layout or byte order holds it."""

import pytest

pytest.importorskip("datasets")
pytest.importorskip("jax")
pytest.importorskip("pandas")
pytest.importorskip("polars")
pytest.importorskip("pyarrow")
pytest.importorskip("scipy")
pytest.importorskip("torch")

import array
import datetime as dt
import subprocess
import sys
from decimal import Decimal
from zoneinfo import ZoneInfo

import datasets
import jax.numpy as jnp
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import autotrack
from autotrack.provenance.fingerprint import Block, Column, Table, register_reader

INTEGERS = [1, 2, 3, 250]
TEXTS = ["a", "bé", "", "ccc"]
BYTES = [b"a", b"\x00\xff", b"cc"]
NAIVE = [dt.datetime(2020, 1, 1), dt.datetime(2021, 5, 6, 7, 8, 9)]
AWARE = [moment.replace(tzinfo=dt.UTC) for moment in NAIVE]
DECIMALS = [Decimal("0.1"), Decimal("1.10")]
LISTS = [[1, 2], [], None, [3]]
RECORDS = [{"a": 1, "b": "x"}, None, {"b": "y", "a": None}]
MATRIX = np.arange(12.0).reshape(4, 3)
NUMBERED = {str(place): MATRIX[:, place] for place in range(3)}
CUBE = np.arange(24.0).reshape(4, 3, 2)
WIDE = np.random.default_rng(0).integers(0, 9, (3, 5000))
SPARSE = sp.random(1000, 50, 0.1, format="csr", random_state=0)
COORDINATES = SPARSE.tocoo()

SAME = {
    "integers": {
        **{
            f"numpy {kind}": np.array(INTEGERS, kind)
            for kind in ("i8", "u1", ">i4", "f4", "f8", "f2", ">f8", "g", "c16")
        },
        "objects": np.array(INTEGERS, object),
        "strided": np.repeat(INTEGERS, 2)[::2],
        "one column": np.array(INTEGERS).reshape(-1, 1),
        "list": INTEGERS,
        "tuple": tuple(INTEGERS),
        "floats in a list": [float(number) for number in INTEGERS],
        "decimals": [Decimal(number) for number in INTEGERS],
        "array": array.array("i", INTEGERS),
        **{
            f"pandas {kind}": pd.Series(INTEGERS, dtype=kind)
            for kind in ("int64", "Int64", "Float32", "int32[pyarrow]", "category", "object", "Sparse[int64]")
        },
        "pandas index": pd.Index(INTEGERS),
        "pandas categorical": pd.Categorical(INTEGERS),
        "polars": pl.Series(INTEGERS),
        "polars float": pl.Series(INTEGERS, dtype=pl.Float64),
        "arrow": pa.array(INTEGERS),
        "arrow chunked": pa.chunked_array([[1, 2], [3, 250]]),
        "arrow slice": pa.array([9, *INTEGERS, 9])[1:5],
        "arrow decimal": pa.array([Decimal(number) for number in INTEGERS]),
        "arrow dictionary": pa.array(INTEGERS).dictionary_encode(),
        "torch": torch.tensor(INTEGERS),
        "torch bfloat16": torch.tensor(INTEGERS, dtype=torch.bfloat16),
        "torch float16": torch.tensor(INTEGERS, dtype=torch.float16),
        "torch with gradients": torch.tensor(INTEGERS, dtype=torch.float64, requires_grad=True),
        "jax": jnp.array(INTEGERS),
        "jax bfloat16": jnp.array(INTEGERS, dtype=jnp.bfloat16),
        "datasets": datasets.Dataset.from_dict({"a": INTEGERS}),
    },
    "booleans": {
        "numpy": np.array([True, False, True]),
        "integers": [1, 0, 1],
        "list": [True, False, True],
        "pandas": pd.Series([True, False, True], dtype="boolean"),
        "polars": pl.Series([True, False, True]),
        "arrow": pa.array([True, False, True]),
        "arrow slice": pa.array([None, True, False, True])[1:],
        "torch": torch.tensor([True, False, True]),
    },
    "numbers with one missing": {
        "numpy": np.array([1.5, np.nan, 3]),
        "list": [1.5, None, 3],
        "list with NaN": [1.5, float("nan"), 3],
        "decimals": [Decimal("1.5"), None, 3],
        **{
            f"pandas {kind}": pd.Series([1.5, None, 3], dtype=kind)
            for kind in ("float64", "Float64", "double[pyarrow]")
        },
        "pandas objects": pd.Series([1.5, pd.NA, 3], dtype=object),
        "polars": pl.Series([1.5, None, 3]),
        "polars NaN": pl.Series([1.5, float("nan"), 3.0]),
        "arrow": pa.array([1.5, None, 3]),
        "arrow NaN": pa.array([1.5, float("nan"), 3]),
        "torch": torch.tensor([1.5, float("nan"), 3]),
        "masked": np.ma.array([1.5, 7, 3], mask=[0, 1, 0]),
    },
    "integers with one missing": {
        "list": [1, None, 3],
        "numpy": np.array([1, np.nan, 3]),
        "pandas": pd.Series([1, None, 3], dtype="Int64"),
        "polars": pl.Series([1, None, 3]),
        "arrow": pa.chunked_array([[1], [None, 3]]),
    },
    "texts": {
        "list": TEXTS,
        "numpy": np.array(TEXTS),
        "numpy big-endian": np.array(TEXTS).astype(">U3"),
        "numpy objects": np.array(TEXTS, object),
        **{
            f"pandas {kind}": pd.Series(TEXTS, dtype=kind)
            for kind in ("object", "str", "string", "string[python]", "string[pyarrow]", "category")
        },
        "polars": pl.Series(TEXTS),
        "polars categorical": pl.Series(TEXTS, dtype=pl.Categorical),
        "polars enum": pl.Series(TEXTS, dtype=pl.Enum(["z", *sorted(TEXTS)])),
        "arrow": pa.array(TEXTS),
        "arrow large": pa.array(TEXTS, pa.large_string()),
        "arrow view": pa.array(TEXTS, pa.string_view()),
        "arrow dictionary": pa.array(TEXTS).dictionary_encode(),
        "datasets": datasets.Dataset.from_dict({"x": TEXTS}),
    },
    "texts with one missing": {
        "list": ["a", None, "c"],
        **{
            f"pandas {kind}": pd.Series(["a", None, "c"], dtype=kind)
            for kind in ("object", "str", "string", "category")
        },
        "pandas NaN": pd.Series(["a", np.nan, "c"], dtype=object),
        "polars": pl.Series(["a", None, "c"]),
        "polars categorical": pl.Series(["a", None, "c"], dtype=pl.Categorical),
        "arrow": pa.array(["a", None, "c"]),
        "arrow slice": pa.array(["z", "a", None, "c", "q"])[1:4],
        "arrow view": pa.array(["a", None, "c"], pa.string_view()),
        "arrow dictionary": pa.array(["a", None, "c"]).dictionary_encode(),
    },
    "bytes": {
        "list": BYTES,
        "numpy": np.array(BYTES, object),
        "pandas": pd.Series(BYTES),
        "polars": pl.Series(BYTES),
        "arrow": pa.array(BYTES),
        "arrow large": pa.array(BYTES, pa.large_binary()),
    },
    "moments without a zone": {
        "list": NAIVE,
        **{f"numpy {unit}": np.array(NAIVE, f"M8[{unit}]") for unit in ("s", "ms", "us", "ns")},
        "numpy big-endian": np.array(NAIVE, ">M8[us]"),
        "pandas": pd.Series(NAIVE),
        "pandas objects": pd.Series(NAIVE, dtype=object),
        "pandas timestamps": [pd.Timestamp(moment) for moment in NAIVE],
        "polars": pl.Series(NAIVE),
        "polars ms": pl.Series(NAIVE, dtype=pl.Datetime("ms")),
        "arrow": pa.array(NAIVE),
        "arrow s": pa.array(NAIVE, pa.timestamp("s")),
    },
    "dates": {
        "list": [dt.date(2020, 1, 2), None],
        "midnights": [dt.datetime(2020, 1, 2), None],
        "numpy": np.array(["2020-01-02", "NaT"], "M8[D]"),
        "numpy hours": np.array(["2020-01-02", "NaT"], "M8[h]"),
        "pandas": pd.Series(pd.to_datetime(["2020-01-02", None])),
        "polars": pl.Series([dt.date(2020, 1, 2), None]),
        "arrow": pa.array([dt.date(2020, 1, 2), None]),
        "arrow ms": pa.array([dt.date(2020, 1, 2), None], pa.date64()),
    },
    "moments in a zone": {
        "list": AWARE,
        "elsewhere": [moment.astimezone(ZoneInfo("Asia/Tokyo")) for moment in AWARE],
        "pandas": pd.Series(AWARE),
        "pandas elsewhere": pd.Series(AWARE).dt.tz_convert("America/New_York"),
        "pandas objects": pd.Series(AWARE, dtype=object),
        "pandas categorical": pd.Series(pd.Categorical(pd.Series(AWARE))),
        "polars": pl.Series(AWARE),
        "arrow": pa.array(AWARE, pa.timestamp("us", tz="Europe/Berlin")),
    },
    "durations": {
        "list": [dt.timedelta(days=1), dt.timedelta(seconds=1)],
        "numpy": np.array([86_400_000, 1000], "m8[ms]"),
        "pandas": pd.Series([dt.timedelta(days=1), dt.timedelta(seconds=1)]),
        "polars": pl.Series([dt.timedelta(days=1), dt.timedelta(seconds=1)]),
        "arrow": pa.array([dt.timedelta(days=1), dt.timedelta(seconds=1)]),
    },
    "times of day": {
        "list": [dt.time(1, 2, 3), dt.time(4, 5, 6, 7)],
        "polars": pl.Series([dt.time(1, 2, 3), dt.time(4, 5, 6, 7)]),
        "arrow": pa.array([dt.time(1, 2, 3), dt.time(4, 5, 6, 7)]),
    },
    "decimals": {
        "list": DECIMALS,
        "arrow": pa.array(DECIMALS, pa.decimal128(5, 3)),
        "polars": pl.Series(DECIMALS),
    },
    "lists": {
        "list": LISTS,
        "pandas": pd.Series(LISTS),
        "arrays": pd.Series([np.array([1, 2]), np.array([], "i4"), None, np.array([3.0])]),
        "polars": pl.Series(LISTS),
        "arrow": pa.array(LISTS),
        "arrow large": pa.array(LISTS, pa.large_list(pa.int16())),
        "datasets": datasets.Dataset.from_dict({"x": LISTS}),
    },
    "lists of one length": {
        "arrow fixed": pa.array([[1, 2], [3, 4]], pa.list_(pa.int8(), 2)),
        "arrow": pa.array([[1, 2], [3, 4]]),
        "polars": pl.Series([[1, 2], [3, 4]], dtype=pl.Array(pl.Int8, 2)),
        "pandas": pd.Series([[1, 2], [3, 4]]),
    },
    "records": {
        "pandas": pd.Series(RECORDS),
        "list": RECORDS,
        "polars": pl.Series(RECORDS),
        "arrow": pa.array(RECORDS),
    },
    "matrices": {
        "numpy": MATRIX,
        "numpy in columns": np.asfortranarray(MATRIX),
        "numpy reversed twice": MATRIX[::-1][::-1],
        "numpy with negative strides": np.ascontiguousarray(MATRIX[:, ::-1])[:, ::-1],
        "numpy big-endian": MATRIX.astype(">f4"),
        "numpy records": np.rec.fromarrays(MATRIX.T),
        "lists": MATRIX.tolist(),
        "torch": torch.tensor(MATRIX),
        "jax": jnp.array(MATRIX),
        "pandas": pd.DataFrame(MATRIX),
        "pandas, several dtypes": pd.DataFrame(MATRIX).astype({0: "int8", 1: "Int64"}),
        "pandas big-endian": pd.DataFrame(MATRIX.astype(">f8")),
        "polars": pl.DataFrame(MATRIX),
        "arrow": pa.table(NUMBERED),
        "datasets": datasets.Dataset.from_dict(NUMBERED),
        "datasets in another order": datasets.Dataset.from_dict({k: v[::-1] for k, v in NUMBERED.items()}).select(
            [3, 2, 1, 0]
        ),
    },
    "tensors": {
        "numpy": CUBE,
        "numpy in columns": np.asfortranarray(CUBE),
        "lists": CUBE.astype(int).tolist(),
        "torch": torch.tensor(CUBE),
        "torch bfloat16": torch.tensor(CUBE).bfloat16(),
    },
    "more columns than are hashed one by one": {
        "numpy": WIDE,
        "torch": torch.tensor(WIDE),
        "pandas": pd.DataFrame(WIDE),
        "pandas, several dtypes": pd.DataFrame(WIDE).astype({3: "float64", 7: "Int64"}),
        "polars": pl.DataFrame(WIDE.astype("f4")),
        "arrow": pa.table({str(place): WIDE[:, place] for place in range(5000)}),
        "lists": WIDE.tolist(),
        "numpy records": np.rec.fromarrays(list(WIDE.T)),
    },
    "sparse matrices": {
        "csr": SPARSE,
        "csr array": sp.csr_array(SPARSE),
        "csc": SPARSE.tocsc(),
        "coo": COORDINATES,
        "coo with halves": sp.coo_matrix(
            (
                np.tile(COORDINATES.data / 2, 2),
                (np.tile(COORDINATES.row, 2), np.tile(COORDINATES.col, 2)),
            ),
            SPARSE.shape,
        ),
        "lil": SPARSE.tolil(),
        "dok": SPARSE.todok(),
        "bsr": SPARSE.tobsr(),
    },
    "long integers": {
        "list": [2**60 + 1, 5],
        "numpy": np.array([2**60 + 1, 5], "u8"),
        "arrow": pa.array([2**60 + 1, 5]),
        "decimals": [Decimal(2**60 + 1), Decimal(5)],
    },
    "several kinds": {"list": [1, "a", None, 2.5], "pandas": pd.Series([1, "a", None, 2.5])},
    "nothing": {
        "list": [],
        "numpy": np.array([]),
        "pandas": pd.Series([], dtype=object),
        "arrow": pa.array([]),
        "polars": pl.Series([], dtype=pl.String),
    },
    "all missing": {
        "list": [None, None],
        "numpy": np.array([np.nan] * 2),
        "arrow": pa.array([None, None]),
        "arrow texts": pa.array([None, None], pa.string()),
        "polars": pl.Series([None, None]),
    },
}


@pytest.mark.parametrize("what", SAME)
def test_equal_data_agrees_in_every_library(what) -> None:
    found = {name: autotrack.fingerprint(data) for name, data in SAME[what].items()}
    values = {name: (one.value, one.rows, one.coverage) for name, one in found.items()}
    assert len(set(values.values())) == 1, values
    assert all(one.value.startswith("x1:") and one.rows.startswith("x1:") for one in found.values())


def test_no_two_of_these_are_the_same() -> None:
    one_each = {what: autotrack.fingerprint(next(iter(held.values()))) for what, held in SAME.items()}
    for identity in ("value", "rows"):
        found = [getattr(one, identity) for one in one_each.values()]
        assert len(set(found)) == len(found), identity


def test_polars_agrees_where_pyarrow_is_not_there() -> None:
    script = """
import datetime as dt, sys
import polars as pl
import autotrack
frame = pl.DataFrame({
    "text": ["a", None, "é"], "n": [1, None, 3],
    "t": [dt.datetime(2020, 1, 1, 0, 0, 0, 7), None, dt.datetime(1960, 1, 1)],
    "c": pl.Series(["x", "y", None], dtype=pl.Categorical), "l": [[1], None, []], "b": [True, None, False],
})
found = autotrack.fingerprint(frame)
assert "pyarrow" not in sys.modules and "pandas" not in sys.modules and "torch" not in sys.modules
print(found.value, found.rows)
"""
    frame = pa.table(
        {
            "text": ["a", None, "é"],
            "n": [1, None, 3],
            "t": [dt.datetime(2020, 1, 1, 0, 0, 0, 7), None, dt.datetime(1960, 1, 1)],
            "c": ["x", "y", None],
            "l": pa.array([[1], None, []]),
            "b": [True, None, False],
        }
    )
    here = autotrack.fingerprint(frame)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [here.value, here.rows]


def test_another_process_finds_the_same_digests() -> None:
    script = """
import numpy as np, autotrack
rng = np.random.default_rng(5)
data = {"X": rng.normal(size=(70_000, 3)), "y": rng.integers(0, 2, 70_000), "names": [f"é{i}" for i in range(70_000)]}
found = autotrack.fingerprint(data)
print(found.value, found.schema, found.rows, found.strict)
"""
    told = {
        subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert len(told) == 1 and "x1:" in told.pop()


def test_stretches_of_arrow_agree_whatever_lies_around_and_under_them() -> None:
    numbers = pa.array([1.5, None, 2.5, 4.0, None, 8.0, 1.0, 2.0, 3.0, None])
    texts = pa.array(["aa", None, "b", "", None, "ccc", "d", "e", "f", None])
    under = pa.Array.from_buffers(pa.string(), 10, [texts.buffers()[0], *pa.array(["junk"] * 10).buffers()[1:]])
    for start in range(10):
        for stop in range(start, 11):
            data = numbers[start:stop].to_pylist()
            assert autotrack.fingerprint(numbers[start:stop]).value == autotrack.fingerprint(data).value
            texts_here = under[start:stop]
            assert autotrack.fingerprint(texts_here).value == autotrack.fingerprint(texts_here.to_pylist()).value


numbers = st.one_of(
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.booleans(),
    st.none(),
    st.sampled_from([0.0, -0.0, 2.0**63, 2.0**64, -(2.0**63), 2**53 + 1, 2**63, 2**64 - 1, 1e300, 5e-324, 0.1]),
)


@settings(max_examples=80, deadline=None)
@given(st.lists(numbers, max_size=20))
def test_numbers_in_a_list_agree_with_objects_in_an_array_and_a_series(values) -> None:
    found = {
        autotrack.fingerprint(values).value,
        autotrack.fingerprint(np.array([*values, "x"], object)[:-1]).value,
        autotrack.fingerprint(pd.Series(values, dtype=object)).value,
    }
    assert len(found) == 1


@settings(max_examples=80, deadline=None)
@given(
    hnp.arrays(
        st.sampled_from(["f8", "f4", "f2", "i8", "i2", "u8", "u1", "?"]), hnp.array_shapes(max_dims=2, max_side=6)
    )
)
def test_arrays_agree_with_themselves_in_another_library_and_byte_order(values) -> None:
    matrix = values.reshape(len(values), -1)
    expected = autotrack.fingerprint(matrix)
    frame = pd.DataFrame(matrix)
    for other in (
        matrix.astype(matrix.dtype.newbyteorder()),
        np.asfortranarray(matrix),
        matrix.tolist(),
        torch.tensor(matrix.astype("i8") if matrix.dtype.kind == "u" and matrix.max(initial=0) < 2**63 else matrix),
        frame,
        pl.DataFrame(matrix.astype("f4") if matrix.dtype == "f2" else matrix),
        pa.Table.from_pandas(frame),
    ):
        found = autotrack.fingerprint(other)
        assert (found.value, found.rows) == (expected.value, expected.rows), type(other)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.one_of(st.text(max_size=5), st.none()), max_size=12))
def test_texts_agree_in_every_library(values) -> None:
    found = {autotrack.fingerprint(values).value, autotrack.fingerprint(pd.Series(values, dtype=object)).value}
    try:
        found |= {
            autotrack.fingerprint(held).value
            for held in (pa.array(values, pa.string()), pl.Series(values, dtype=pl.String))
        }
    except UnicodeEncodeError:  # a lone surrogate, which only Python's own texts can hold
        pass
    assert len(found) == 1


@settings(max_examples=50, deadline=None)
@given(st.lists(st.one_of(st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1)), st.none()), max_size=12))
def test_moments_agree_in_every_library(values) -> None:
    held = [
        values,
        np.array(values, "M8[us]"),
        pa.array(values, pa.timestamp("ns")),
        pl.Series(values, dtype=pl.Datetime("us")),
    ]
    held.append(pd.Series(values, dtype="datetime64[ns]"))
    assert len({autotrack.fingerprint(one).value for one in held}) == 1


def test_a_type_of_somebody_else_is_read_by_the_reader_that_was_registered_for_it() -> None:
    class Frame:
        def __init__(self, values: np.ndarray) -> None:
            self.values = values

    register_reader(f"{Frame.__module__}.{Frame.__qualname__}", lambda frame: frame.values)
    assert autotrack.fingerprint(Frame(MATRIX)) == autotrack.fingerprint(MATRIX)

    class Columns(Frame):
        pass

    def read(frame: Columns) -> Table:
        from autotrack.provenance.fingerprint.chunks import NAN, Numbers

        first = Column("0", "float64", lambda a, b: Numbers(b - a, None, NAN, frame.values[a:b, 0]), 8)
        return Table(len(frame.values), [first, Block(["1", "2"], "float64", frame.values[:, 1:])])

    register_reader(f"{Columns.__module__}.{Columns.__qualname__}", read)
    assert autotrack.fingerprint(Columns(MATRIX)) == autotrack.fingerprint(MATRIX)
