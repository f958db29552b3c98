"""Equal data have one fingerprint, whichever library trains on them, in whatever container; no source is kept alive."""

import gc
import time
import weakref

import pytest

pytest.importorskip("sklearn")
pytest.importorskip("xgboost")
pytest.importorskip("lightgbm")
pytest.importorskip("catboost")

import catboost
import lightgbm
import numpy as np
import pandas
import xgboost
from scipy.sparse import csr_matrix
from sklearn.linear_model import LinearRegression

from autotrack.testing import recording

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(120, 4)).astype(np.float32)
Y = (X[:, 0] * 2 + RANDOM.normal(size=120)).astype(np.float32)
WEIGHT = RANDOM.uniform(size=120).astype(np.float32)
PARAMS = {"verbosity": -1, "min_data_in_leaf": 1, "num_threads": 1}
CATBOOST = {"iterations": 2, "verbose": False, "allow_writing_files": False, "thread_count": 1}


@pytest.fixture
def recorded(tmp_path):
    with recording(tmp_path / "home", "sklearn", "xgboost", "lightgbm", "catboost") as found:
        yield found


def train_all(x, y, weight) -> None:
    LinearRegression().fit(x, y, sample_weight=weight)
    xgboost.train({}, xgboost.DMatrix(x, y, weight=weight), 2)
    xgboost.train({}, xgboost.QuantileDMatrix(x, label=y, weight=weight), 2)
    xgboost.XGBRegressor(n_estimators=2).fit(x, y, sample_weight=weight)
    lightgbm.train(PARAMS, lightgbm.Dataset(x, y, weight=weight), 2)
    lightgbm.LGBMRegressor(n_estimators=2, **PARAMS).fit(x, y, sample_weight=weight)
    catboost.CatBoostRegressor(**CATBOOST).fit(catboost.Pool(x, y, weight=weight))
    catboost.CatBoostRegressor(**CATBOOST).fit(x, y, sample_weight=weight)


def records(recorded, role="train"):
    return [it.record for run in recorded.runs() for it in run.datasets if it.role == role]


def test_equal_data_have_one_value_in_every_container(recorded) -> None:
    train_all(X, Y, WEIGHT)
    train_all(pandas.DataFrame(X.astype(np.float64)), pandas.Series(Y), WEIGHT)
    found = records(recorded)
    assert len(found) == 16
    for name in ("value", "rows"):
        assert len({it[name] for it in found}) == 1 and found[0][name].startswith("x1:")
    assert {frozenset(it["parts"]) for it in found} == {frozenset(("X", "y", "sample_weight"))}
    assert all(it["coverage"] == 1.0 and it["parts"]["X"]["value"] == found[0]["parts"]["X"]["value"] for it in found)
    with_blob = [it for it in found if it["grid"]["digest"]]
    assert len(with_blob) == 16


@pytest.mark.parametrize("part", ["x", "y", "weight"])
def test_one_changed_cell_changes_the_value_of_its_part_alone(recorded, part) -> None:
    train_all(X, Y, WEIGHT)
    changed = {"x": X.copy(), "y": Y.copy(), "weight": WEIGHT.copy()}
    changed[part][-1] += 1
    train_all(**changed)
    found = records(recorded)
    before, after = found[:8], found[8:]
    assert len({it["value"] for it in before}) == len({it["value"] for it in after}) == 1
    assert before[0]["value"] != after[0]["value"]
    named = {"x": "X", "y": "y", "weight": "sample_weight"}[part]
    for name, told in before[0]["parts"].items():
        assert (told["value"] == after[0]["parts"][name]["value"]) == (name != named)


def test_named_parts_of_sklearn(recorded) -> None:
    from sklearn.dummy import DummyRegressor
    from sklearn.model_selection import GridSearchCV, GroupKFold

    groups = np.arange(120) % 6
    GridSearchCV(DummyRegressor(), {"strategy": ["mean"]}, cv=GroupKFold(2)).fit(X, Y, groups=groups)
    parts = recorded.runs()[0].datasets[0].record["parts"]
    assert set(parts) == {"X", "y", "groups"} and all(it["value"].startswith("x1:") for it in parts.values())


def test_evaluation_sets_have_their_own(recorded) -> None:
    held = {"x": X[:40], "y": Y[:40]}
    xgboost.train({}, (d := xgboost.DMatrix(X, Y)), 2, evals=[(xgboost.DMatrix(held["x"], held["y"]), "v")])
    xgboost.XGBRegressor(n_estimators=2).fit(X, Y, eval_set=[(held["x"], held["y"])], verbose=False)
    train = lightgbm.Dataset(X, Y)
    lightgbm.train(PARAMS, train, 2, valid_sets=[lightgbm.Dataset(held["x"], held["y"], reference=train)])
    catboost.CatBoostRegressor(**CATBOOST).fit(X, Y, eval_set=(held["x"], held["y"]))
    validation = records(recorded, "validation")
    assert len(validation) == 4 and len({it["value"] for it in validation}) == 1
    assert validation[0]["value"] not in {it["value"] for it in records(recorded)}
    assert d.num_row() == 120


def test_the_source_is_what_was_passed_and_is_not_kept(recorded) -> None:
    class Watched(np.ndarray):
        pass

    source = X.view(Watched)
    gone = weakref.ref(source)
    matrix, data = xgboost.QuantileDMatrix(source, Y), lightgbm.Dataset(source, Y, params=PARAMS)
    data.construct()
    del source
    gc.collect()
    assert gone() is None
    xgboost.train({}, matrix, 2)
    lightgbm.train(PARAMS, data, 2)
    LinearRegression().fit(X, Y)
    assert len({it["value"] for it in records(recorded)}) == 1


def test_sparse_data_are_not_made_dense(recorded) -> None:
    sparse = csr_matrix(np.where(X > 1, X, 0))
    xgboost.train({}, xgboost.DMatrix(sparse, Y), 2)
    lightgbm.train(PARAMS, lightgbm.Dataset(sparse, Y), 2)
    catboost.CatBoostRegressor(**CATBOOST).fit(catboost.Pool(sparse, Y))
    LinearRegression().fit(sparse, Y)
    assert len({it["value"] for it in records(recorded)}) == 1


class Batches(xgboost.DataIter):
    def __init__(self, size) -> None:
        self.parts = [slice(at, at + size) for at in range(0, 120, size)]
        self.at = self.passes = 0
        super().__init__()

    def next(self, input_data):
        if self.at == len(self.parts):
            return False
        input_data(data=X[self.parts[self.at]], label=Y[self.parts[self.at]])
        self.at += 1
        return True

    def reset(self):
        self.at = 0
        self.passes += 1


def test_batches_of_an_iterator_are_hashed_as_they_pass(recorded, tmp_path) -> None:
    for size in (30, 50):
        plain, watched = Batches(size), Batches(size)
        with recording(tmp_path / "off", "xgboost", datasets=False):
            xgboost.QuantileDMatrix(plain)
        with recording(tmp_path / "home", "xgboost") as again:
            xgboost.train({}, xgboost.QuantileDMatrix(watched), 2)
        assert plain.passes == watched.passes
    with recording(tmp_path / "home", "sklearn") as again:
        LinearRegression().fit(X, Y)
    first, second, whole = records(again)
    assert first["stream"] and first["rows"] == second["rows"] == whole["rows"] and first["order"] == second["order"]
    assert "value" not in first and (first["n_rows"], first["batches"], second["batches"]) == (120, 4, 3)


def test_a_file_is_known_by_its_content(recorded, tmp_path) -> None:
    path = tmp_path / "data.csv"
    np.savetxt(path, np.c_[Y, X], delimiter=",")
    values = set()
    for _ in range(2):
        lightgbm.train({**PARAMS, "label_column": "0"}, lightgbm.Dataset(str(path)), 2)
        values.add(records(recorded)[-1]["parts"]["X"]["value"])
    path.write_text(path.read_text() + "1,2,3,4,5\n")
    lightgbm.train({**PARAMS, "label_column": "0"}, lightgbm.Dataset(str(path)), 2)
    assert len(values) == 1 and records(recorded)[-1]["parts"]["X"]["value"] not in values


def test_nothing_is_looked_at_where_datasets_are_off(tmp_path) -> None:
    with recording(tmp_path, "sklearn", "xgboost", "lightgbm", "catboost", datasets=False) as recorded:
        train_all(X, Y, WEIGHT)
    assert len(recorded.runs()) == 8 and not any(run.datasets for run in recorded.runs())


class Rows(lightgbm.Sequence):
    """Rows that are read a few at a time, as from a file; it counts them."""

    def __init__(self, rows, batch_size=7) -> None:
        # LightGBM takes nothing but doubles from a sequence.
        self.rows, self.batch_size, self.longest = rows.astype(np.float64), batch_size, 0

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index):
        if isinstance(index, slice):
            self.longest = max(self.longest, index.stop - index.start)
        return self.rows[index]


def test_sequences_of_lightgbm_are_read_in_their_own_batches(recorded) -> None:
    several = [Rows(X[:50]), Rows(X[50:], batch_size=11)]
    lightgbm.train(PARAMS, lightgbm.Dataset(X, Y), 2)
    lightgbm.train(PARAMS, lightgbm.Dataset(several, Y), 2)
    lightgbm.train(PARAMS, lightgbm.Dataset(Rows(X), Y), 2)
    changed = X.copy()
    changed[77, 2] += 1
    lightgbm.train(PARAMS, lightgbm.Dataset([Rows(changed[:50]), Rows(changed[50:])], Y), 2)
    whole, joined, alone, other = records(recorded)
    assert whole["value"] == joined["value"] == alone["value"] != other["value"]
    assert [one.longest for one in several] == [7, 11], "LightGBM asks for no more at once either"
    part = joined["parts"]["X"]
    assert part["kind"].endswith(".Rows") and (part["n_rows"], part["coverage"]) == (120, 1.0)


class Slow(Rows):
    def __getitem__(self, index):
        time.sleep(0.002 * (index.stop - index.start if isinstance(index, slice) else 0))
        return super().__getitem__(index)


class Broken(Rows):
    def __getitem__(self, index):
        raise RuntimeError("its file is gone")


def test_a_sequence_that_is_slow_or_raises_costs_no_training(tmp_path) -> None:
    with recording(tmp_path / "home", "lightgbm", dataset_seconds=0.1) as found:
        begun = time.monotonic()
        data = lightgbm.Dataset(Slow(X, batch_size=10), Y)
        assert time.monotonic() - begun < 0.24, "not all of it was read"
        lightgbm.train(PARAMS, data, 2)
        with pytest.raises(RuntimeError, match="its file is gone"):
            lightgbm.Dataset(Broken(X), Y).construct()
    (record,) = records(found)
    assert "value" not in record["parts"]["X"] and "AUTOTRACK_DATASET_SECONDS" in record["parts"]["X"]["not_read"]
    assert record["parts"]["y"]["value"].startswith("x1:")
