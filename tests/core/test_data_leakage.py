"""Rows that a run is trained on and judged by: counted, recorded and warned about; unknown where they are not known."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autotrack
from autotrack.provenance.blobs import Blobs
from autotrack.provenance.fingerprint import leakage, rowsets
from autotrack.provenance.fingerprint.membership import contains
from autotrack.provenance.fingerprint.rowsets import NO, YES, RowSet
from autotrack.testing import recording

RNG = np.random.default_rng(0)
TRAIN = RNG.normal(size=(500, 4))
FRESH = RNG.normal(size=(100, 4))
LEAKED = np.concatenate([TRAIN[:30], FRESH[:70]])


def logged(home: Path, *datasets: tuple[Any, str]) -> tuple[list[dict], list[Any], list[dict]]:
    """The `leakage` of each dataset, the notes of the run, and the records."""
    with recording(home) as recorded:
        with autotrack.start_run("training") as run:
            for index, (data, role) in enumerate(datasets):
                run.log_dataset(data, role=role, name=f"{role}{index}")
        (found,) = recorded.runs()
    records = [one.record for one in found.datasets]
    return [record.get("leakage") for record in records], found.notes, records


def test_rows_that_train_and_test_share_are_counted_and_warned_about(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told, notes, _ = logged(tmp_path, (TRAIN, "train"), (LEAKED, "test"), (FRESH, "validation"))
    assert told[0] is None
    assert told[1] == {"with": "train/train0", "rows": 30, "of": 100, "repeated_in_train": 0.0}
    assert told[2] == {"with": "train/train0", "rows": 0, "of": 100}
    assert [(note.what, note.count) for note in notes] == [("leakage", 30)]
    assert capsys.readouterr().err.count("30 of the 100 rows of test/test1 are also in train/train0") == 1


def test_labels_do_not_hide_rows_that_leak(tmp_path: Path) -> None:
    told, _, _ = logged(
        tmp_path, ({"X": TRAIN, "y": TRAIN[:, 0]}, "train"), ({"X": LEAKED, "y": np.zeros(100)}, "test")
    )
    assert (told[1]["rows"], told[1]["of"]) == (30, 100)


def test_the_training_data_may_come_last(tmp_path: Path) -> None:
    told, notes, _ = logged(tmp_path, (LEAKED, "test"), (TRAIN, "train"))
    assert told[1] == {"with": "test/test0", "rows": 30, "of": 100, "repeated_in_train": 0.0}
    assert len(notes) == 1


def test_data_for_predictions_is_not_judged(tmp_path: Path) -> None:
    told, notes, _ = logged(tmp_path, (TRAIN, "train"), (LEAKED, "predict"))
    assert told == [None, None]
    assert notes == []


def test_the_training_data_itself_is_told_and_not_warned_about(tmp_path: Path) -> None:
    told, notes, _ = logged(tmp_path, (TRAIN, "train"), (TRAIN.copy(), "validation"))
    assert told[1] == {"with": "train/train0", "rows": 500, "of": 500, "same_data": True}
    assert notes == []


def test_rows_that_are_alike_by_their_nature_are_counted_and_not_warned_about(tmp_path: Path) -> None:
    few = RNG.integers(0, 2, (500, 2))
    told, notes, _ = logged(tmp_path, (few, "train"), (RNG.integers(0, 2, (100, 2)), "test"))
    assert told[1]["rows"] == 100
    assert notes == []


def test_what_cannot_be_compared_is_unknown_and_never_zero(tmp_path: Path) -> None:
    told, _, _ = logged(tmp_path, (TRAIN, "train"), (LEAKED[:, :3], "test"), (LEAKED.astype(np.float32), "test"))
    assert (told[1]["rows"], told[2]["rows"]) == (None, None)
    assert "numbers of columns" in told[1]["why"]
    assert "rounded" in told[2]["why"]
    opaque = np.array([object() for _ in range(5)], dtype=object)
    told, _, _ = logged(tmp_path / "other", (opaque, "train"), (opaque, "test"))
    assert told[1]["rows"] is None


def test_of_large_data_the_rows_are_estimated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rowsets, "MOST_ROWS", 10_000)
    monkeypatch.setattr(rowsets, "SKETCH", 4000)
    train = RNG.normal(size=(20_000, 2))
    test = np.concatenate([train[:1500], RNG.normal(size=(3500, 2))])
    told, notes, records = logged(tmp_path, (train, "train"), (test, "test"), (RNG.normal(size=(5000, 2)), "test"))
    found = told[1]
    assert found["estimated"] is True
    low, high = found["interval"]
    assert low <= found["rows"] <= high
    assert 1200 < found["rows"] < 1800
    assert told[2]["rows"] is None  # none among the sampled: not known to be none
    assert told[2]["interval"][0] == 0
    assert len(notes) == 1
    assert records[0]["row_set"]["whole"] is False


def test_sets_beyond_the_bound_of_memory_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leakage, "IN_MEMORY", 0)
    told, _, _ = logged(tmp_path, (TRAIN, "train"), (LEAKED, "test"))
    assert (told[1]["rows"], told[1]["of"]) == (30, 100)
    newest = list(leakage._seen.values())[-1]
    assert [one.rows for one in newest] == [None, None]


def test_a_later_run_does_not_know_the_rows_of_the_one_before(tmp_path: Path) -> None:
    with recording(tmp_path) as recorded:
        for data, role in ((TRAIN, "train"), (LEAKED, "test")):
            with autotrack.start_run(role) as run:
                run.log_dataset(data, role=role)
        assert all("leakage" not in run.datasets[0].record for run in recorded.runs())


def test_the_record_names_the_set_of_its_rows(tmp_path: Path) -> None:
    _, _, records = logged(tmp_path, ({"X": TRAIN, "y": TRAIN[:, 0]}, "train"))
    kept = records[0]["row_set"]
    assert (kept["rows"], kept["whole"], kept["part"]) == (500, True, "X")
    with Blobs(tmp_path).open(kept["digest"]) as opened:
        rows = RowSet.decode(opened.read())
    assert (rows.n_rows, len(rows.columns)) == (500, 4)


def test_several_datasets_that_leak_are_all_told(tmp_path: Path) -> None:
    told, notes, _ = logged(tmp_path, (FRESH, "test"), (LEAKED, "test"), (TRAIN, "train"))
    assert (told[2]["with"], told[2]["rows"]) == ("test/test1", 30)
    assert told[2]["others"] == [{"with": "test/test0", "rows": 0, "of": 100}]
    assert len(notes) == 1


def test_files_that_are_trained_on_and_tested_with_are_found_by_their_contents(tmp_path: Path) -> None:
    for folder, texts in {"train": "abc", "test": "xbz"}.items():
        (tmp_path / folder).mkdir()
        for index, text in enumerate(texts):
            (tmp_path / folder / f"{folder}{index}.png").write_text(text)
    told, notes, records = logged(tmp_path / "home", (tmp_path / "train", "train"), (tmp_path / "test", "test"))
    assert told[1] == {"with": "train/train0", "rows": 1, "of": 3, "repeated_in_train": 0.0}
    assert len(notes) == 1
    assert (records[0]["n_rows"], records[0]["bytes"]) == (3, 3)
    assert records[0]["source"]["kind"] == "folder"
    with Blobs(tmp_path / "home").open(records[0]["row_set"]["digest"]) as opened:
        found = contains(RowSet.decode(opened.read()), tmp_path / "test")
    assert found.answers.tolist() == [NO, YES, NO]
    with Blobs(tmp_path / "home").open(records[0]["manifest"]["digest"]) as opened:
        assert json.loads(opened.readline()) == ["train0.png", 1, hashlib.sha256(b"a").hexdigest()]
