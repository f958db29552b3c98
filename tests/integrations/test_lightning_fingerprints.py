"""What a trainer of Lightning trains, validates and tests on is fingerprinted in its role, or hashed as it passes."""

import sys
from pathlib import Path

import pytest

pytest.importorskip("lightning.pytorch")
sys.path.insert(0, str(Path(__file__).parent))

import torch
from lightning.pytorch import Trainer
from lightning_trainings import QUIET, Line
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset, random_split

from autotrack.testing import recording

X = torch.randn(40, 4)
Y = X.sum(1, keepdim=True)


class Made(Dataset):
    asked = 0

    def __len__(self):
        return 40

    def __getitem__(self, index):
        Made.asked += 1
        return X[index], Y[index]


class Streamed(IterableDataset):
    def __iter__(self):
        yield from zip(X, Y, strict=True)


class Told(Streamed):
    """A stream that tells its length."""

    def __len__(self):
        return 40


@pytest.fixture
def recorded(tmp_path):
    with recording(tmp_path / "home", "lightning") as found:
        yield found


def trainer(tmp_path, epochs=2, **more):
    return Trainer(
        max_epochs=epochs, logger=False, enable_checkpointing=False, default_root_dir=tmp_path, **QUIET, **more
    )


def test_splits_have_their_own_fingerprints(recorded, tmp_path) -> None:
    fit, held_out = random_split(TensorDataset(X, Y), [30, 10])
    one = trainer(tmp_path)
    one.fit(Line(), DataLoader(fit, 8, shuffle=True), DataLoader(held_out, 8))
    one.test(Line(), DataLoader(TensorDataset(X[:5], Y[:5]), 8), verbose=False)
    found = {it.role: it.record for it in recorded.runs()[0].datasets}
    assert set(found) == {"train", "validation", "test"}
    assert len({it["value"] for it in found.values()}) == 3
    assert all(it["value"].startswith("x1:") and it["coverage"] == 1.0 for it in found.values())


@pytest.mark.parametrize("data", [Made, Streamed, Told])
def test_what_only_passes_is_hashed_in_the_first_epoch(recorded, tmp_path, data) -> None:
    trainer(tmp_path).fit(Line(), DataLoader(data(), 8), DataLoader(Made(), 8, shuffle=True))
    found = [it.record for it in recorded.runs()[0].datasets if "stream" in it.record]
    roles = [it.role for it in recorded.runs()[0].datasets if "stream" in it.record]
    assert sorted(roles) == ["train", "validation"]
    assert {it["method"] for it in found} == {"stream"} and {it["n_rows"] for it in found} == {40}
    assert len({it["rows"] for it in found}) == 1


def test_an_epoch_of_one_and_a_part_of_one(recorded, tmp_path) -> None:
    Made.asked = 0
    trainer(tmp_path, epochs=1).fit(Line(), DataLoader(Made(), 8))
    assert Made.asked == 40
    trainer(tmp_path, epochs=2, limit_train_batches=3).fit(Line(), DataLoader(Made(), 8))
    whole, part = (run.datasets[1].record for run in recorded.runs())
    assert whole["method"] == "stream" and whole["n_rows"] == 40
    assert part["method"] == "stream+unfinished" and part["n_rows"] == 24 and part["rows"].startswith("x1p:")


def test_nothing_is_watched_where_datasets_are_off(tmp_path) -> None:
    before = torch.utils.data.DataLoader.__iter__
    with recording(tmp_path / "home", "lightning", datasets=False) as recorded:
        trainer(tmp_path, epochs=1).fit(Line(), DataLoader(Made(), 8))
        assert torch.utils.data.DataLoader.__iter__ is before
    assert recorded.runs()[0].datasets == []
