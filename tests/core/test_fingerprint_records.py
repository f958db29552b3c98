"""What a run's record says of its data: identities with it, blobs beside it, and nothing that was not looked at."""

import pytest

pytest.importorskip("pandas")

import numpy as np
import pandas as pd

import autotrack
from autotrack.provenance import dataset
from autotrack.provenance.blobs import Blobs
from autotrack.provenance.fingerprint import fingerprint, register_reader
from autotrack.provenance.fingerprint.allowance import Allowance
from autotrack.provenance.fingerprint.grid import Grid
from autotrack.testing import recording

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(60, 3)), RNG.integers(0, 2, 60)
IDENTITIES = ("value", "schema", "rows", "strict")


@pytest.fixture
def recorded(tmp_path):
    with recording(tmp_path, "sklearn") as recorded:
        yield recorded


def logged(recorded, data, **details) -> dict:
    with autotrack.start_run() as run:
        run.log_dataset(data, **details)
    return recorded.runs()[-1].datasets[-1].record


def test_a_dataset_has_its_identities_and_its_grid(recorded) -> None:
    record = logged(recorded, pd.DataFrame(X))
    found = fingerprint(pd.DataFrame(X))
    assert [record[name] for name in IDENTITIES] == [getattr(found, name) for name in IDENTITIES]
    assert (record["coverage"], record["method"]) == (1, "full")
    with Blobs(recorded.home).open(record["grid"]["digest"]) as opened:
        data = opened.read()
    assert len(data) == record["grid"]["bytes"] and Grid.decode(data) == Grid.decode(found.grid.encode())


def test_named_parts_have_identities_each_and_together(recorded) -> None:
    record = logged(recorded, {"X": X, "y": Y, "sample_weight": None})
    found = fingerprint({"X": X, "y": Y})
    assert [record[name] for name in IDENTITIES] == [getattr(found, name) for name in IDENTITIES]
    assert record["parts"]["X"]["value"] == fingerprint(X).value
    assert record["parts"]["y"]["rows"] == fingerprint(Y).rows
    assert "grid" in record and "grid" not in record["parts"]["X"]
    with Blobs(recorded.home).open(record["grid"]["digest"]) as opened:
        assert [part.name for part in Grid.decode(opened.read()).parts] == ["X", "y"]


def test_what_nobody_knows_is_described_by_its_type_alone(recorded) -> None:
    record = logged(recorded, object())
    assert record == {"kind": "builtins.object", "coverage": 0, "method": "opaque"}
    record = logged(recorded, {"X": X, "y": iter([])})
    assert record["value"].startswith("x1p:") and record["coverage"] == 0.5
    assert record["parts"]["X"]["value"] == fingerprint(X).value and "value" not in record["parts"]["y"]


def test_data_that_a_plugin_describes_keeps_the_blobs_of_its_parts(recorded) -> None:
    class Container:
        pass

    name = f"{Container.__module__}.{Container.__qualname__}"
    dataset.register(name, lambda held: {"parts": {"data": dataset.describe(X)}})
    record = logged(recorded, Container())
    assert record["parts"]["data"]["value"] == fingerprint(X).value
    assert Blobs(recorded.home).has(record["parts"]["data"]["grid"]["digest"])


def test_past_its_budget_a_record_says_what_part_was_read(tmp_path) -> None:
    with recording(tmp_path, "sklearn", dataset_seconds=0.001) as recorded:
        record = logged(recorded, np.zeros(1_000_000))
    assert record["value"].startswith("x1p:") and record["strict"].startswith("x1p:") and "rows" not in record
    assert 0 < record["coverage"] < 1 and record["method"] == "head+strided"


def test_a_reader_that_fails_leaves_the_description(tmp_path, capsys) -> None:
    class Broken:
        shape, dtype = (3, 2), "float64"

    register_reader(f"{Broken.__module__}.{Broken.__qualname__}", lambda data: 1 / 0)
    with recording(tmp_path, "sklearn", strict=False) as recorded:
        record = logged(recorded, Broken())
    assert record["n_rows"] == 3 and "value" not in record
    assert "fingerprint could not record something" in capsys.readouterr().err


def test_a_run_that_keeps_nothing_hashes_nothing(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("autotrack.provenance.fingerprint.identity.at_training", None)
    with recording(tmp_path, "sklearn", enabled="0"), autotrack.start_run() as run:
        run.log_dataset(X)


def test_rows_of_large_data_wait_until_the_process_has_done_as_much(monkeypatch) -> None:
    used = [0.0]
    monkeypatch.setattr("time.process_time", lambda: used[0])
    allowance = Allowance()
    assert allowance.allows(1000) and allowance.allows(100_000)
    assert not allowance.allows(10**6)  # about 10 ms
    used[0] = 1.0
    assert allowance.allows(10**6) and allowance.allows(10**6)
    assert not allowance.allows(10**6)
    used[0] = 2.0
    assert allowance.allows(10**6)


def test_rows_of_data_that_is_known_are_not_hashed_again() -> None:
    allowance = Allowance()
    data = {"X": X, "y": Y}
    whole = fingerprint(data, keep_rows=True)
    allowance.remember(whole)
    without = fingerprint({"X": pd.DataFrame(X, columns=["a", "b", "c"]), "y": Y}, rows=False)
    assert without.rows is None
    found = allowance.known(without)
    assert found.rows == whole.rows and found.parts["X"].rows == whole.parts["X"].rows
    assert (found.row_hashes == whole.row_hashes).all()
    assert found.schema == without.schema != whole.schema
    assert allowance.known(fingerprint(X, rows=False)) is None


def test_where_no_blob_can_be_kept_the_identities_are_recorded_all_the_same(tmp_path) -> None:
    (tmp_path / "blobs").write_text("in the way of the folder")
    with recording(tmp_path) as recorded, autotrack.start_run() as run:
        run.log_dataset(np.arange(12.0).reshape(4, 3))
    (found,) = recorded.runs()[0].datasets
    assert found.record["value"] == autotrack.fingerprint(np.arange(12.0).reshape(4, 3)).value
    assert "grid" not in found.record and "File exists" in found.record["not_kept"]
