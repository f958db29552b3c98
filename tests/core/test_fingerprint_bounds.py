"""What is never done: a sparse matrix made dense, a stream consumed, a part passed off as the whole."""

import pytest

pytest.importorskip("datasets")
pytest.importorskip("pandas")
pytest.importorskip("scipy")
pytest.importorskip("torch")

import datetime as dt
import itertools
import tracemalloc

import datasets
import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch

import autotrack
from autotrack.provenance.fingerprint import Block, Column, Table, fingerprint
from autotrack.provenance.fingerprint.chunks import Chunk
from autotrack.provenance.fingerprint.grid import UNSEEN, Grid
from autotrack.provenance.fingerprint.tables import ROWS_PER_LEAF


@pytest.mark.parametrize("layout", ["csr", "csc", "coo"])
def test_a_sparse_matrix_is_never_made_dense(layout) -> None:
    rng = np.random.default_rng(0)
    shape, stored = (10**6, 10**5), 10**6
    places = rng.integers(0, shape[0], stored), rng.integers(0, shape[1], stored)
    matrix = sp.coo_matrix((rng.random(stored), places), shape).asformat(layout)
    tracemalloc.start()
    found = fingerprint(matrix)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.value and found.coverage == 1 and found.n_rows == shape[0]
    assert most < 200 << 20  # 10^11 cells would be 800 GB
    other = matrix.tocoo()
    other.data[-1] += 1
    assert fingerprint(other).value != found.value


def test_an_explicit_zero_is_not_the_same_as_nothing_and_sparse_is_never_dense() -> None:
    nothing = sp.csr_matrix((3, 3))
    zero = sp.csr_matrix(([0.0], ([1], [1])), (3, 3))
    assert fingerprint(nothing).value != fingerprint(zero).value
    assert fingerprint(nothing).value != fingerprint(nothing.toarray()).value
    assert fingerprint(zero).rows != fingerprint(zero.toarray()).rows
    assert fingerprint(sp.csr_matrix((3, 4))).value != fingerprint(nothing).value


def test_a_sparse_matrix_of_the_users_is_left_unsorted() -> None:
    unsorted = sp.csr_matrix((np.array([1.0, 2.0, 3.0]), np.array([2, 0, 0]), np.array([0, 3])), (1, 3))
    assert fingerprint(unsorted).value == fingerprint(sp.csr_matrix([[5.0, 0.0, 1.0]])).value
    assert unsorted.indices.tolist() == [2, 0, 0]


def test_a_stream_is_never_consumed() -> None:
    endless = itertools.count()
    generator = (number for number in range(3))
    hub = datasets.IterableDataset.from_generator(lambda: ({"a": number} for number in itertools.count()))
    for stream in (endless, generator, hub, iter([1, 2]), map(str, [1, 2])):
        found = autotrack.fingerprint(stream)
        assert (found.value, found.schema, found.rows, found.strict) == (None,) * 4
        assert (found.coverage, found.method) == (0, "opaque")
        assert autotrack.fingerprint({"X": stream}).value is None
    assert next(endless) == 0 and list(generator) == [0, 1, 2]


def test_what_nobody_can_read_has_no_digest_and_what_is_beside_it_is_not_passed_off_as_all() -> None:
    class Strange:
        pass

    assert fingerprint(Strange()).value is None
    assert fingerprint([Strange(), Strange()]).value is None
    numbers = np.arange(3)
    mixed = fingerprint(pd.DataFrame({"a": numbers, "b": [Strange(), Strange(), Strange()]}))
    assert mixed.value.startswith("x1p:") and mixed.strict.startswith("x1p:") and mixed.rows is None
    assert (mixed.coverage, mixed.method) == (0.5, "opaque")
    assert mixed.columns[0].value == fingerprint(pd.DataFrame({"a": numbers})).columns[0].value
    assert mixed.columns[1].value.startswith("x1p:")
    parts = fingerprint({"X": numbers, "y": Strange()})
    assert parts.value.startswith("x1p:") and parts.coverage == 0.5
    assert parts.parts["X"] == fingerprint(numbers)


def test_a_column_that_its_library_cannot_give_is_left_out_and_told() -> None:
    def read(start: int, stop: int) -> Chunk:
        raise NotImplementedError("not in this library")

    whole = Column("b", "blob", read, 8)
    found = fingerprint(Table(3, [Block(["a"], "int64", np.arange(3).reshape(-1, 1)), whole]))
    assert (found.coverage, found.method, found.value[:4]) == (0.5, "opaque", "x1p:")


def test_moments_that_no_unit_can_count_together_are_not_wrapped_around() -> None:
    far = [pd.Timestamp("2020-01-01T00:00:00.000000001"), dt.datetime(9999, 1, 1)]
    assert fingerprint(far).coverage == 0
    near = [pd.Timestamp("2020-01-01T00:00:00.000000001"), dt.datetime(2021, 1, 1)]
    assert fingerprint(near).value == fingerprint(pd.Series(near, dtype="datetime64[ns]")).value


def test_shapes_without_a_cell_have_a_value_too() -> None:
    shapes = [(0,), (3, 0), (0, 3), (0, 3, 2), (3, 0, 2)]
    found = [fingerprint(np.zeros(shape)) for shape in shapes]
    assert all(one.value.startswith("x1:") and one.coverage == 1 for one in found)
    assert len({one.value for one in found}) == len(shapes)


def test_past_the_budget_a_part_is_read_and_called_one() -> None:
    values = np.random.default_rng(0).normal(size=20 * ROWS_PER_LEAF)
    whole = fingerprint(values)
    needed = values.nbytes / 2e9
    part = fingerprint(values, rows=False, seconds=needed / 4)
    assert part.value.startswith("x1p:") and part.strict.startswith("x1p:") and part.value[4:] != whole.value[3:]
    assert part.schema == whole.schema and part.rows is None
    assert 0.1 < part.coverage <= 0.25 and part.method == "head+strided"
    assert part == fingerprint(values.copy(), rows=False, seconds=needed / 4)
    leaves, all_leaves = part.grid.parts[0], whole.grid.parts[0]
    seen = [place for place in range(20) if leaves.leaf(0, place) != UNSEEN]
    assert 0 in seen and 19 in seen and len(seen) == round(part.coverage * 20)
    assert all(leaves.leaf(0, place) == all_leaves.leaf(0, place) for place in seen)
    assert fingerprint(values, seconds=60) == whole


def test_in_parts_each_has_its_share_of_the_budget() -> None:
    X, y = np.random.default_rng(0).normal(size=(10 * ROWS_PER_LEAF, 4)), np.zeros(10)
    found = fingerprint({"X": X, "y": y}, rows=False, seconds=X.nbytes / 2e9 / 2)
    assert found.value.startswith("x1p:") and found.parts["X"].coverage < 1 == found.parts["y"].coverage
    assert found.parts["y"].value == fingerprint(y).value
    assert found.method == "head+strided"


def test_the_grid_names_the_leaf_of_a_change_and_survives_its_file() -> None:
    matrix = np.random.default_rng(0).normal(size=(3 * ROWS_PER_LEAF + 7, 5))
    other = matrix.copy()
    other[2 * ROWS_PER_LEAF + 1, 3] += 1
    was, now = (Grid.decode(fingerprint({"X": data}).grid.encode()).parts[0] for data in (matrix, other))
    assert (was.name, was.n_rows, was.leaves_each, len(was.columns)) == ("X", len(matrix), 4, 5)
    differing = [(c, place) for c in range(5) for place in range(4) if was.leaf(c, place) != now.leaf(c, place)]
    assert differing == [(3, 2)]
    with pytest.raises(ValueError, match="not a grid"):
        Grid.decode(b"something else")
    with pytest.raises(ValueError, match="cut off"):
        Grid.decode(fingerprint(matrix).grid.encode()[:-1])


def test_tensors_elsewhere_are_not_fetched() -> None:
    assert fingerprint(torch.empty(3, device="meta")).value is None


def test_nothing_heavy_is_imported_to_recognise_a_type(tmp_path) -> None:
    import subprocess
    import sys

    script = (
        "import sys, autotrack; assert 'numpy' not in sys.modules\n"
        "autotrack.enable(home=sys.argv[1], forwarder='off', quiet=True); assert 'numpy' not in sys.modules\n"
        "import numpy as np; autotrack.fingerprint({'X': np.ones((3, 2)), 'y': [1, 2, 3], 'z': object()})\n"
        "heavy = {'pandas', 'polars', 'pyarrow', 'torch', 'jax', 'scipy', 'datasets'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)
