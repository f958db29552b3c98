"""Datasets of torch are fingerprinted by what they hold, and those that hold nothing by what passes; none is asked."""

import itertools

import pytest

pytest.importorskip("torch")

import torch
from torch.utils.data import (
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    TensorDataset,
    random_split,
)

import autotrack
from autotrack.testing import recording

torch.manual_seed(0)
X, Y = torch.randn(96, 4), torch.arange(96)


class Images(Dataset):
    """As torchvision's: arrays in memory."""

    def __init__(self) -> None:
        self.data = torch.randint(0, 255, (96, 3, 5, 5), dtype=torch.uint8)
        self.targets = Y.tolist()

    def __len__(self):
        return 96

    def __getitem__(self, index):
        raise AssertionError("asked")


class Made(Dataset):
    """Makes its elements, and counts how often it is asked."""

    asked = 0

    def __len__(self):
        return 96

    def __getitem__(self, index):
        Made.asked += 1
        return X[index], Y[index]


class Streamed(IterableDataset):
    def __init__(self, rows=96) -> None:
        self.rows = rows

    def __iter__(self):
        info = torch.utils.data.get_worker_info()
        start, step = (0, 1) if info is None else (info.id, info.num_workers)
        for index in range(start, self.rows, step):
            yield X[index % 96], Y[index % 96]


class Endless(IterableDataset):
    def __iter__(self):
        for index in itertools.count():
            yield X[index % 96], Y[index % 96]


@pytest.fixture
def told(tmp_path):
    """The record of data in a run."""
    with recording(tmp_path, "torch") as recorded:

        def tell(data):
            with autotrack.start_run() as run:
                run.log_dataset(data)
            return recorded.runs()[-1].datasets[0].record

        yield tell


def same(a, b):
    return a["value"] == b["value"] and a["rows"] == b["rows"] and a["value"].startswith("x1:")


def test_a_subset_equals_the_rows_that_it_chooses(told) -> None:
    whole = TensorDataset(X, Y)
    fit, held_out = random_split(whole, [70, 26])
    chosen = torch.tensor(fit.indices)
    assert same(told(fit), told(TensorDataset(X[chosen], Y[chosen])))
    assert not same(told(fit), told(held_out))
    inner = Subset(fit, [5, -1, 7, 5])
    rows = chosen[[5, -1, 7, 5]]
    assert same(told(inner), told({"0": X[rows].numpy(), "1": Y[rows].numpy()}))
    assert told(fit)["parts"]["of"]["n_rows"] == 96


def test_datasets_of_datasets(told) -> None:
    first, second = TensorDataset(X[:40], Y[:40]), TensorDataset(X[40:], Y[40:])
    assert same(told(ConcatDataset([first, second])), told(TensorDataset(X, Y)))
    places = torch.randperm(96)
    mixed = Subset(ConcatDataset([first, Subset(second, range(56))]), places.tolist())
    assert same(told(mixed), told(TensorDataset(X[places], Y[places])))
    assert told(mixed)["rows"] == told(TensorDataset(X, Y))["rows"]
    assert same(told(StackDataset(a=X, b=Y)), told({"a": X, "b": Y}))
    assert same(told(DataLoader(first, batch_size=7, shuffle=True)), told(first))


def test_arrays_that_a_dataset_keeps(told) -> None:
    images = Images()
    assert same(told(images), told({"data": images.data.numpy(), "targets": Y}))
    assert same(told(Subset(images, range(10, 90))), told({"data": images.data[10:90], "targets": Y[10:90]}))


def test_a_table_of_hugging_face_and_a_part_of_it(told) -> None:
    datasets = pytest.importorskip("datasets")
    table = datasets.Dataset.from_dict({"text": [f"row {index}" for index in range(96)], "label": Y.tolist()})
    assert same(told(Subset(table, [3, 1, 2])), told(table.select([3, 1, 2])))
    assert same(told(DataLoader(table)), told(table.to_pandas()))


def test_one_changed_element_is_another_dataset(told) -> None:
    other = X.clone()
    other[95, 3] += 1
    assert not same(told(TensorDataset(X, Y)), told(TensorDataset(other, Y)))
    assert not same(told(Subset(TensorDataset(X, Y), [95])), told(Subset(TensorDataset(other, Y), [95])))


def test_what_changes_the_elements_that_it_inherits_is_not_taken_for_them(told) -> None:
    class Doubled(TensorDataset):
        def __getitem__(self, index):
            raise AssertionError("asked")

    assert "value" not in told(Doubled(X, Y))


def test_a_tensor_on_a_device_is_added_up_there(monkeypatch) -> None:
    from autotrack.plugin import describe
    from autotrack.provenance.fingerprint import on_device, registry

    kinds = {"x": X, "y": Y, "half": X.half(), "large": Y + 2**60, "scalar": X[0, 0]}
    here = {name: describe(value) for name, value in kinds.items()}
    copied = []

    def watched(tensor, tolist=torch.Tensor.tolist):
        copied.append(tensor.numel())
        return tolist(tensor)

    monkeypatch.setitem(registry._registered, "torch.Tensor", on_device.identified)
    monkeypatch.setattr(torch.Tensor, "numpy", lambda self: pytest.fail("the tensor was copied"))
    monkeypatch.setattr(torch.Tensor, "tolist", watched)
    for name, value in kinds.items():
        there = describe(value)
        assert there["rows"] == here[name]["rows"] and there["method"] == "device"
        assert there["value"].startswith("x1d:")
        if value.dim():
            turned = describe(value.flip(0))
            assert there["value"] != turned["value"] and there["rows"] == turned["rows"]
    assert set(copied) == {4}
    joined = describe(TensorDataset(X, Y))
    assert joined["value"].startswith("x1d:") and joined["coverage"] == 1.0


def train(loader, epochs=2, batches=None) -> None:
    module = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.0)
    for _ in range(epochs):
        for x, _ in itertools.islice(loader, batches):
            module(x).sum().backward()
            optimizer.step()


def streams(tmp_path, loader, **how):
    """What a loop with this loader leaves in its run beside the first description."""
    with recording(tmp_path, "torch", torch_loop=True) as recorded:
        train(loader, **how)
    first, *more = recorded.runs()[-1].datasets
    assert (first.role, first.name) == ("train", "train") and "value" not in first.record
    assert all((it.role, it.name) == ("train", "train") for it in more)
    return [it.record for it in more]


def test_batches_are_hashed_as_they_pass(tmp_path) -> None:
    Made.asked = 0
    train(DataLoader(Made(), batch_size=16), epochs=3)
    alone, Made.asked = Made.asked, 0
    (plain,) = streams(tmp_path, DataLoader(Made(), batch_size=16), epochs=3)
    assert Made.asked == alone
    assert plain["stream"] is True and plain["coverage"] == 1.0 and (plain["n_rows"], plain["batches"]) == (96, 6)
    with recording(tmp_path, "torch") as recorded, autotrack.start_run() as run:
        run.log_dataset({"0": X, "1": Y})
    assert plain["rows"] == recorded.runs()[-1].datasets[0].record["rows"]


def test_the_same_rows_for_any_batch_size_sampler_and_number_of_workers(tmp_path) -> None:
    (plain,) = streams(tmp_path, DataLoader(Made(), batch_size=16))
    (smaller,) = streams(tmp_path, DataLoader(Made(), batch_size=5))
    (shuffled,) = streams(tmp_path, DataLoader(Made(), batch_size=16, shuffle=True))
    (worked,) = streams(tmp_path, DataLoader(Made(), batch_size=16, num_workers=2, persistent_workers=True))
    (streamed,) = streams(tmp_path, DataLoader(Streamed(), batch_size=16))
    (shared,) = streams(tmp_path, DataLoader(Streamed(), batch_size=16, num_workers=2))
    found = [plain, smaller, shuffled, worked, streamed, shared]
    assert len({it["rows"] for it in found}) == 1
    assert smaller["order"] == worked["order"] == plain["order"] == streamed["order"]
    assert plain["order"] not in (shuffled["order"], shared["order"])


def test_an_endless_stream_is_partial_and_never_consumed(tmp_path) -> None:
    (one,) = streams(tmp_path, DataLoader(Endless(), batch_size=16), epochs=1, batches=4)
    assert one["method"] == "stream+unfinished" and one["rows"].startswith("x1p:") and one["n_rows"] == 64


def test_a_look_at_the_first_batch_is_no_epoch(tmp_path) -> None:
    loader = DataLoader(Made(), batch_size=16)
    with recording(tmp_path, "torch", torch_loop=True) as recorded:
        next(iter(loader))
        train(loader)
    assert [it.record.get("n_rows") for it in recorded.runs()[-1].datasets] == [96, 96]
    assert recorded.runs()[-1].datasets[1].record["method"] == "stream"


def test_a_loader_that_is_made_anew_is_told_once(tmp_path) -> None:
    module = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.0)
    whole = TensorDataset(X, Y)
    with recording(tmp_path, "torch", torch_loop=True) as recorded:
        for _ in range(3):
            for x, _ in DataLoader(whole, batch_size=16):
                module(x).sum().backward()
                optimizer.step()
    (one,) = recorded.runs()[-1].datasets
    assert one.record["value"].startswith("x1:")


def test_an_exception_of_the_data_passes_and_what_passed_is_told(tmp_path) -> None:
    class Broken(Made):
        def __getitem__(self, index):
            if index == 40:
                raise RuntimeError("broken")
            return X[index], Y[index]

    with recording(tmp_path, "torch", torch_loop=True) as recorded, pytest.raises(RuntimeError, match="broken"):
        train(DataLoader(Broken(), batch_size=8))
    assert recorded.runs()[-1].datasets[1].record["n_rows"] == 40


def test_nothing_is_hashed_where_datasets_are_off(tmp_path) -> None:
    with recording(tmp_path, "torch", torch_loop=True, datasets=False) as recorded:
        before = torch.utils.data.dataloader._BaseDataLoaderIter.__next__
        train(DataLoader(Made(), batch_size=16))
        assert before is torch.utils.data.dataloader._BaseDataLoaderIter.__next__
    assert recorded.runs()[-1].datasets == []


class Folder(Dataset):
    """As torchvision's ImageFolder: files below a root, each with its class, read when they are asked for."""

    def __init__(self, root) -> None:
        self.root = str(root)
        self.classes = sorted(path.name for path in root.iterdir())
        self.samples = [
            (str(path), index) for index, name in enumerate(self.classes) for path in sorted((root / name).iterdir())
        ]
        self.targets = [index for _, index in self.samples]

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        raise AssertionError("asked")


def folder(root, letters="abc", count=4):
    for letter in letters:
        (root / letter).mkdir(parents=True)
        for number in range(count):
            (root / letter / f"{number}.png").write_bytes(f"{letter}{number}".encode() * 50)
    return root


def logged(home, *datasets):
    with recording(home, "torch") as recorded, autotrack.start_run() as run:
        for number, dataset in enumerate(datasets):
            run.log_dataset(dataset, role="train", name=str(number))
    return [it.record for it in recorded.runs()[0].datasets]


def test_a_folder_of_classes_is_known_by_its_files(tmp_path) -> None:
    here = Folder(folder(tmp_path / "here"))
    there = Folder(folder(tmp_path / "there"))
    changed = Folder(folder(tmp_path / "changed"))
    (tmp_path / "changed" / "b" / "2.png").write_bytes(b"other")
    labelled = Folder(tmp_path / "here")
    labelled.samples = [(path, 0) for path, _ in labelled.samples]
    home = tmp_path / "home"
    first, same, loader, other, classes = logged(home, here, there, DataLoader(here, 2), changed, labelled)
    assert first["value"].startswith("x1:") and first["coverage"] == 1.0 and first["n_rows"] == 12
    assert first["value"] == same["value"] == loader["value"]
    assert len({first["value"], other["value"], classes["value"]}) == 3
    assert first["parts"]["files"]["value"] == classes["parts"]["files"]["value"] != other["parts"]["files"]["value"]
    assert (
        first["parts"]["targets"]["value"] == other["parts"]["targets"]["value"] != classes["parts"]["targets"]["value"]
    )
    (again,) = logged(tmp_path / "again", there)
    assert again["value"] == first["value"]


def test_a_subset_of_a_folder_is_known_by_its_own_files(tmp_path) -> None:
    whole = Folder(folder(tmp_path / "here"))
    fewer = Folder(folder(tmp_path / "fewer", count=2))
    subset, small, turned = logged(
        tmp_path / "home", Subset(whole, [0, 1, 4, 5, 8, 9]), fewer, Subset(whole, [9, 8, 5, 4, 1, 0])
    )
    assert subset["value"] == small["value"] != turned["value"]
    assert subset["coverage"] == 1.0 and subset["n_rows"] == 6


def test_a_folder_whose_files_are_gone_or_that_holds_something_else_is_not_made_up(tmp_path) -> None:
    gone = Folder(folder(tmp_path / "gone"))
    (tmp_path / "gone" / "a" / "0.png").unlink()
    odd = Folder(folder(tmp_path / "odd"))
    odd.samples = [path for path, _ in odd.samples]
    short = Folder(folder(tmp_path / "short"))
    short.samples = [*short.samples[:3], ("x", "y", "z")]
    for record in logged(tmp_path / "home", gone, odd, short):
        assert "value" not in record
