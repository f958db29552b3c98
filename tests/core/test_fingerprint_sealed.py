"""`sealed`: the cryptographic identity, where it is asked for."""

import sys

import numpy as np
import pytest

import autotrack
from autotrack.errors import UsageError
from autotrack.testing import recording

pytest.importorskip("blake3")

X = np.random.default_rng(0).normal(size=(70_000, 3))


def sealed(data) -> str:
    found = autotrack.fingerprint(data, integrity="blake3").sealed
    assert found is not None and len(found) == len("x1b3:") + 64
    return found


def test_equal_data_have_one_seal_and_any_change_has_another() -> None:
    assert sealed(X) == sealed(np.asfortranarray(X)) == sealed(X.copy())
    changed = X.copy()
    changed[-1, -1] = np.nextafter(changed[-1, -1], 9)
    assert sealed(changed) != sealed(X)
    assert sealed(X.astype(np.float32)) != sealed(X)
    assert sealed({"X": X, "y": X[:, 0]}) == sealed({"y": X[:, 0], "X": X}) != sealed(X)
    assert sealed(["a", None, "b"]) != sealed(["a", "b", None])


def test_the_other_identities_stay_as_they_are() -> None:
    plain, with_seal = autotrack.fingerprint(X), autotrack.fingerprint(X, integrity="blake3")
    assert plain.sealed is None
    assert (plain.value, plain.schema, plain.rows, plain.strict) == (
        with_seal.value, with_seal.schema, with_seal.rows, with_seal.strict,
    )  # fmt: skip


def test_records_are_sealed_by_the_setting_alone(tmp_path) -> None:
    with recording(tmp_path / "on", integrity="blake3") as recorded, autotrack.start_run() as run:
        run.log_dataset({"X": X, "y": X[:, 0]})
    (one,) = recorded.runs()
    assert one.datasets[0].record["sealed"] == sealed({"X": X, "y": X[:, 0]})
    with recording(tmp_path / "off") as recorded, autotrack.start_run() as run:
        run.log_dataset(X)
    (one,) = recorded.runs()
    assert "sealed" not in one.datasets[0].record


def test_data_that_nobody_can_read_are_not_sealed_and_the_record_says_so(tmp_path) -> None:
    with recording(tmp_path, integrity="blake3") as recorded, autotrack.start_run() as run:
        run.log_dataset(np.array([object(), object()]))
    (one,) = recorded.runs()
    assert "sealed" not in one.datasets[0].record and one.datasets[0].record["not_sealed"]


def test_without_the_package_it_is_told_and_training_goes_on(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, "blake3", None)
    with recording(tmp_path, integrity="blake3") as recorded, autotrack.start_run() as run:
        run.log_dataset(X)
    (one,) = recorded.runs()
    assert "autotrack-ml[integrity]" in one.datasets[0].record["not_sealed"] and one.datasets[0].record["value"]
    assert "datasets are not sealed" in capsys.readouterr().err


def test_another_word_is_refused() -> None:
    with pytest.raises(UsageError, match="blake3"):
        autotrack.fingerprint(X, integrity="md5")
