"""Datasets and loaders of torch are described as they are, in any run, and neither read nor consumed."""

import pytest

pytest.importorskip("torch")

import torch
from torch.utils.data import (
    BatchSampler,
    ChainDataset,
    ConcatDataset,
    DataLoader,
    Dataset,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    StackDataset,
    Subset,
    TensorDataset,
    random_split,
)

import autotrack
from autotrack.testing import recording

X, Y = torch.zeros(12, 4), torch.zeros(12, dtype=torch.int64)


class Squares(Dataset):
    """Whoever reads it is found out."""

    def __len__(self):
        return 12

    def __getitem__(self, index):
        raise AssertionError("read")


class Endless(IterableDataset):
    def __iter__(self):
        raise AssertionError("read")


@pytest.fixture(params=["enabled", "alone"])
def described(tmp_path, request):
    """Describes data in a run, with `enable()` and in a run of the user's without."""
    with recording(tmp_path, "torch") as recorded:
        if request.param == "alone":
            autotrack.disable()

        def describe(data):
            with autotrack.start_run() as run:
                run.log_dataset(data)
            return recorded.runs()[-1].datasets[0].record

        yield describe


def test_tensors(described) -> None:
    told = {
        "kind": "torch.Tensor",
        "shape": [12, 4],
        "n_rows": 12,
        "n_columns": 4,
        "dtype": "torch.float32",
        "bytes": 12 * 4 * 4,
    }
    assert described(X) == {**described(X), **told}
    record = described(TensorDataset(X, Y))
    assert (record["kind"], record["n_rows"], record["bytes"]) == ("torch.TensorDataset", 12, 12 * 4 * 4 + 12 * 8)
    assert [part["dtype"] for part in record["parts"].values()] == ["torch.float32", "torch.int64"]


def test_parts_of_datasets_and_datasets_of_parts(described) -> None:
    whole = TensorDataset(X, Y)
    fit, _ = random_split(whole, [9, 3])
    record = described(fit)
    assert (record["kind"], record["n_rows"], record["parts"]["of"]["n_rows"]) == ("torch.Subset", 9, 12)
    assert described(Subset(Squares(), [1, 2]))["n_rows"] == 2
    record = described(ConcatDataset([whole, Squares()]))
    assert (record["n_rows"], [part["kind"] for part in record["parts"].values()]) == (
        24,
        ["torch.TensorDataset", described(Squares())["kind"]],
    )
    record = described(StackDataset(a=whole, b=Squares()))
    assert (record["n_rows"], list(record["parts"])) == (12, ["a", "b"])
    record = described(ChainDataset([Endless(), Endless()]))
    assert "n_rows" not in record and len(record["parts"]) == 2


def test_datasets_of_the_users_own(described) -> None:
    assert described(Squares())["n_rows"] == 12
    unread = {"coverage": 0.0, "method": "opaque"}
    assert described(Endless()) == {"kind": described(Endless())["kind"], **unread}

    class Shy(Squares):
        def __len__(self):
            raise NotImplementedError

    assert described(Shy()) == {"kind": described(Shy())["kind"], **unread}


def test_loaders(described) -> None:
    record = described(DataLoader(Squares(), batch_size=5, shuffle=True, drop_last=True))
    assert record["kind"] == "torch.DataLoader"
    assert [record[key] for key in ("n_rows", "batch_size", "sampler", "shuffle", "drop_last")] == [
        12,
        5,
        "RandomSampler",
        True,
        True,
    ]
    assert record["parts"]["dataset"]["n_rows"] == 12
    assert described(DataLoader(Squares()))["shuffle"] is False
    record = described(DataLoader(Squares(), batch_sampler=BatchSampler(RandomSampler(Squares()), 3, False)))
    assert (record["batch_size"], record["sampler"]) == (3, "RandomSampler")
    record = described(DataLoader(Squares(), sampler=DistributedSampler(Squares(), 2, 0, shuffle=True)))
    assert (record["sampler"], record["shuffle"]) == ("DistributedSampler", True)
    assert "n_rows" not in described(DataLoader(Endless(), batch_size=4))


def test_datasets_of_hugging_face(described) -> None:
    datasets = pytest.importorskip("datasets")
    table = datasets.Dataset.from_dict({"text": ["a", "b", "c"], "label": [0, 1, 0]})
    record = described(table)
    assert (record["n_rows"], record["n_columns"], record["hf_fingerprint"]) == (3, 2, table._fingerprint)
    assert record["columns"] == [{"name": "text", "dtype": "string"}, {"name": "label", "dtype": "int64"}]
    assert described(table.to_iterable_dataset())["columns"] == record["columns"]
    assert described(DataLoader(table, batch_size=2))["columns"] == record["columns"]


def train(loader, optimizer, module, *more):
    for batch, *_ in zip(loader, *more, strict=False) if more else ((batch[0],) for batch in loader):
        module(batch[0] if more else batch).sum().backward()
        optimizer.step()


def test_a_loop_tells_its_loaders_in_their_roles(tmp_path) -> None:
    module = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.0)
    fit, held_out = DataLoader(TensorDataset(X), 4), DataLoader(TensorDataset(X[:3]), 3)
    also, last = DataLoader(TensorDataset(X[:8]), 4), DataLoader(TensorDataset(X[:2]), 1)
    with recording(tmp_path, "torch", torch_loop=True) as recorded:
        with torch.no_grad():
            for _ in held_out:  # before the training
                pass
        for _ in range(2):
            train(fit, optimizer, module)
            for _ in held_out:
                pass
        train(fit, optimizer, module, also)
        for _ in last:  # after it
            pass
    (run,) = recorded.runs()
    assert [(it.role, it.name, it.record["n_rows"]) for it in run.datasets] == [
        ("validation", "validation", 3),
        ("train", "train", 12),
        ("train", "train-2", 8),
        ("validation", "validation-2", 2),
    ]


def test_a_loop_is_not_asked_for_data_where_that_is_off(tmp_path) -> None:
    module = torch.nn.Linear(4, 1)
    with recording(tmp_path, "torch", torch_loop=True, datasets=False) as recorded:
        train(DataLoader(TensorDataset(X), 4), torch.optim.SGD(module.parameters(), lr=0.0), module)
    assert recorded.runs()[0].datasets == []
