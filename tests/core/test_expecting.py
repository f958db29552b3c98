"""Inside a rerun: which recorded run each run repeats, and that training does not begin with other data."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autotrack
from autotrack.patching import scope
from autotrack.provenance.expecting import DataDiffers
from autotrack.testing import Recorded, recording


@pytest.fixture
def data() -> np.ndarray:
    return np.arange(12.0).reshape(4, 3)


def expected(folder: Path, *runs: dict[str, Any]) -> Path:
    told = [{"integration": None, "stops": True, "datasets": [], **run} for run in runs]
    file = folder / "expected.json"
    file.write_text(json.dumps({"run": told[0]["id"], "runs": told}))
    return file


def dataset(folder: Path, data: Any) -> dict[str, Any]:
    """What a run has recorded of this data."""
    with recording(folder) as recorded:
        with autotrack.start_run() as run:
            run.log_dataset(data, role="train", name="table")
        return {"role": "train", "name": "table", "fingerprint": recorded.runs()[0].datasets[0].record}


@pytest.fixture
def rerun(tmp_path: Path, data: np.ndarray) -> Iterator[Recorded]:
    """A process that runs again for two runs of one name, each with `data`."""
    was = dataset(tmp_path / "then", data)
    runs = [{"id": "first", "name": "fold", "datasets": [was]}, {"id": "second", "name": "fold", "datasets": [was]}]
    with recording(tmp_path / "now", reproduce=expected(tmp_path, *runs)) as recorded:
        yield recorded


def claims(folder: Path) -> dict[str, str]:
    told = [json.loads(file.read_text()) for file in folder.glob("claim-*.json")]
    return {one["repeats"]: one["run"] for one in told}


def test_runs_repeat_recorded_ones_in_the_order_of_their_starts(rerun: Recorded, tmp_path: Path) -> None:
    ids = []
    for name in ("other", "fold", "fold", "fold"):
        with autotrack.start_run(name) as run:
            ids.append(run.id)
    assert claims(tmp_path) == {"first": ids[1], "second": ids[2]}


@pytest.mark.parametrize(
    ("names", "name"), [(["fold at 9:12", "fold at 9:17"], "fold at 17:04"), (["happy-fox"], "sad-crow")]
)
def test_a_name_that_is_another_each_time_is_matched_by_its_place(tmp_path: Path, names: list[str], name: str) -> None:
    file = expected(tmp_path, *({"id": f"run {at}", "name": one} for at, one in enumerate(names)))
    with recording(tmp_path / "now", reproduce=file):
        run = autotrack.start_run(name)
        run.end()
    assert claims(tmp_path) == {"run 0": run.id}


def test_the_same_data_are_let_pass(rerun: Recorded, tmp_path: Path, data: np.ndarray) -> None:
    with autotrack.start_run("fold") as run:
        run.log_dataset(data.copy(), role="train", name="table")
        run.log_dataset(data + 1, role="test", name="not recorded")
    assert rerun.runs()[0].status == "finished"
    assert not (tmp_path / "mismatch.json").exists()


def test_other_data_end_the_run_before_it_trains(rerun: Recorded, tmp_path: Path, data: np.ndarray) -> None:
    data[2, 1] = -1
    run = autotrack.start_run("fold")
    with pytest.raises(DataDiffers):
        run.log_dataset(data, role="train", name="table")
    told = json.loads((tmp_path / "mismatch.json").read_text())
    assert (told["run"], told["repeats"], told["name"]) == (run.id, "first", "table")
    assert told["was"]["value"] != told["now"]["value"]
    assert (rerun.runs()[0].status, rerun.runs()[0].ends) == ("killed", 1)


def test_a_recorded_run_does_not_go_on_in_a_rerun_but_its_own_does(rerun: Recorded) -> None:
    def train(continues: str) -> str:
        leaf = scope.begin_leaf("acme", name="fold", explicit=True, continues=continues)
        assert leaf is not None
        with leaf:
            return leaf.run.id

    new = train("first")
    assert new != "first"
    assert train(new) == new
    assert [run.id for run in rerun.runs()] == [new]
