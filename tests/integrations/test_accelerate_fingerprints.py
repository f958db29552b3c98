"""What an accelerator has prepared is fingerprinted in its role, or hashed as it passes from the first batch on."""

import pytest

pytest.importorskip("torch")
pytest.importorskip("accelerate")

import torch
from accelerate import Accelerator
from torch.utils.data import DataLoader, Dataset, TensorDataset

from autotrack.testing import recording

X = torch.randn(32, 4)


class Made(Dataset):
    def __len__(self):
        return 32

    def __getitem__(self, index):
        return (X[index],)


def train(accelerator, loaders, epochs=2, *, late=False) -> None:
    module = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.0)
    if not late:
        accelerator.init_trackers("test")
    module, optimizer, *loaders = accelerator.prepare(module, optimizer, *loaders)
    if late:
        accelerator.init_trackers("test")
    for _ in range(epochs):
        for (x,) in loaders[0]:
            accelerator.backward(module(x).sum())
            optimizer.step()
        for loader in loaders[1:]:
            for (x,) in loader:
                module(x)
    accelerator.end_training()


@pytest.mark.parametrize("late", [False, True])
def test_loaders_in_their_roles(tmp_path, late) -> None:
    with recording(tmp_path, "accelerate") as recorded:
        loaders = [DataLoader(Made(), 8, shuffle=True), DataLoader(TensorDataset(X[:8]), 8)]
        train(Accelerator(cpu=True), loaders, epochs=1, late=late)
    (run,) = recorded.runs()
    described, held_out, passed = run.datasets
    assert (described.role, held_out.role, passed.role, passed.name) == ("train", "validation", "train", "train")
    assert held_out.record["value"].startswith("x1:") and "value" not in described.record
    assert passed.record["method"] == "stream" and passed.record["n_rows"] == 32


def test_nothing_is_hashed_where_datasets_are_off(tmp_path) -> None:
    before = DataLoader.__iter__
    with recording(tmp_path, "accelerate", datasets=False) as recorded:
        train(Accelerator(cpu=True), [DataLoader(Made(), 8)])
        assert DataLoader.__iter__ is before
    assert recorded.runs()[0].datasets == []
