"""Modules and state dicts are kept as safetensors: the library of that name reads them, and every value comes back."""

import itertools
import json
import os
import pickle
import socket
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import safetensors.torch as reference  # noqa: E402
from torch import nn  # noqa: E402

import autotrack  # noqa: E402
from autotrack.testing import Recorded, recording  # noqa: E402
from autotrack_torch import weights  # noqa: E402


class House:
    """A home with a run that is open."""

    def __init__(self, recorded: Recorded, run: Any) -> None:
        self.recorded, self.run = recorded, run

    def keep(self, model: Any) -> bytes:
        """The file that a model is kept as."""
        self.run.log_model(model)
        return self.recorded.content(self.recorded.runs()[0].models[-1])

    def refused(self, model: Any) -> str:
        """Why a model is not kept."""
        self.run.log_model(model)
        problem = self.recorded.runs()[0].models[-1].problem
        assert problem is not None
        return problem

    def file(self, model: Any) -> Path:
        path = self.recorded.home / "kept.safetensors"
        path.write_bytes(self.keep(model))
        return path


@pytest.fixture
def house(tmp_path: Path) -> Any:
    with recording(tmp_path, strict=False) as recorded, autotrack.start_run("kept") as run:
        yield House(recorded, run)


def same(found: dict[str, Any], wanted: dict[str, Any]) -> bool:
    return found.keys() == wanted.keys() and all(
        found[name].dtype == tensor.dtype
        and found[name].shape == tensor.shape
        and bytes(flat(found[name])) == bytes(flat(tensor))
        for name, tensor in wanted.items()
    )


def flat(tensor: Any) -> memoryview:
    if not tensor.numel():
        return memoryview(b"")
    return memoryview(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy())


def net() -> Any:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(40, 30), nn.BatchNorm1d(30), nn.ReLU(), nn.Linear(30, 2, bias=False))


def test_a_module_is_the_file_that_safetensors_writes_and_loads_again(house: House) -> None:
    model = net()
    content = house.keep(model)
    assert content == reference.save(model.state_dict(), metadata={"format": "pt"})
    assert house.keep(model.state_dict()) == content
    assert same(house.run.load_model(), model.state_dict())
    other = nn.Sequential(nn.Linear(40, 30), nn.BatchNorm1d(30), nn.ReLU(), nn.Linear(30, 2, bias=False))
    other.load_state_dict(house.run.load_model())
    assert torch.equal(other.eval()(torch.ones(1, 40)), model.eval()(torch.ones(1, 40)))


def test_the_signature_tells_class_parameters_and_types(house: House) -> None:
    house.keep(net())
    house.keep(net().half().state_dict())
    first, second = autotrack.get_run(house.run.id)["models"]
    assert first["signature"] == {
        "class": "torch.nn.modules.container.Sequential",
        "parameters": 40 * 30 + 30 + 30 + 30 + 60,
        "dtypes": {"float32": 7, "int64": 1},
        "package": "torch",
    }
    assert second["signature"]["class"] == "state_dict"
    assert second["signature"]["dtypes"] == {"float16": 7, "int64": 1}
    assert first["format"] == "safetensors" and first["bytes"] == len(house.recorded.content(models(house)[0]))


def models(house: House) -> Any:
    return house.recorded.runs()[0].models


@pytest.mark.parametrize("name", [str(dtype).removeprefix("torch.") for dtype in weights.NAMES])
def test_every_type_of_tensor_comes_back(house: House, name: str) -> None:
    tensor = torch.arange(16, dtype=torch.uint8)
    tensor = tensor.view(getattr(torch, name)) if name != "bool" else tensor > 7
    state = {"it": tensor, "more": tensor[:1], "none": tensor[:0].reshape(0, 3)}
    content = house.keep({key: value.clone() for key, value in state.items()})
    assert content == reference.save({key: value.clone() for key, value in state.items()}, metadata={"format": "pt"})
    assert same(house.run.load_model(), state)


def test_odd_shapes_and_layouts_come_back(house: House) -> None:
    base = torch.arange(24.0).reshape(2, 3, 4)
    state = {
        "0-d": torch.tensor(3.5),
        "empty": torch.empty(0),
        "empty-2d": torch.empty(3, 0),
        "turned": base.clone().permute(2, 0, 1),
        "every other": torch.arange(10)[::2],
        "spread": torch.tensor([1.5]).expand(7),
        "channels last": torch.rand(2, 3, 4, 5).to(memory_format=torch.channels_last),
        "conjugate": torch.tensor([1 + 2j, 3 - 4j], dtype=torch.complex64).conj(),
        "with gradient": torch.rand(3, requires_grad=True) * 2,
        "parameter": nn.Parameter(torch.rand(2)),
        "nan": torch.tensor([float("nan"), float("inf"), -0.0]),
        'a "name" of 名': torch.tensor([1.0]),
        "format": torch.tensor([2.0]),
    }
    path = house.file(state)
    wanted = {name: tensor.detach().resolve_conj() for name, tensor in state.items()}
    assert same(reference.load_file(path), wanted)
    assert same(house.run.load_model(), wanted)


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(50, 8)
        self.head = nn.Linear(8, 50, bias=False)
        self.head.weight = self.embedding.weight
        self.again = self.head
        self.scale = nn.Parameter(torch.rand(3))


def test_tied_weights_are_written_once_and_come_back_tied(house: House) -> None:
    model = Tied()
    path = house.file(model)
    beside = path.with_name("reference.safetensors")
    reference.save_model(model, str(beside))
    assert reference.load_file(path).keys() == reference.load_file(beside).keys()
    assert metadata(path) == {"format": "pt", **metadata(beside)}
    assert metadata(path)["head.weight"] == "again.weight"
    other = Tied()
    reference.load_model(other, str(path))
    assert torch.equal(other.head.weight, model.embedding.weight)
    loaded = house.run.load_model()
    assert same(loaded, model.state_dict())
    assert loaded["head.weight"].data_ptr() == loaded["embedding.weight"].data_ptr()
    assert Tied().load_state_dict(loaded).missing_keys == []


def metadata(path: Path) -> dict[str, str]:
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return header["__metadata__"]


class Turned(nn.Module):
    """Shares memory in another shape: an autoencoder that decodes with the encoder's matrix turned round."""

    def __init__(self, *, turned: bool) -> None:
        super().__init__()
        self.encoder = nn.Parameter(torch.rand(4, 6))
        if turned:
            self.decoder = nn.Parameter(self.encoder.detach().t())
        self.register_buffer("row", self.encoder.detach()[2])


def test_views_of_another_tensor_come_back_as_views(house: House) -> None:
    model, other = Turned(turned=False), Turned(turned=False)
    path = house.file(model)
    assert list(reference.load_file(path)) == ["encoder"]
    reference.load_model(other, str(path))
    assert torch.equal(other.row, model.row)
    model = Turned(turned=True)  # which safetensors itself refuses
    house.keep(model)
    loaded = house.run.load_model()
    assert same(loaded, model.state_dict())
    loaded["encoder"][2, 0] = 7.0
    assert loaded["row"][0] == loaded["decoder"][0, 2] == 7.0


def test_parts_of_one_memory_that_do_not_overlap_are_all_written(house: House) -> None:
    memory = torch.arange(12.0)
    state = {"a": memory[:5], "b": memory[5:], "again": memory[:5], "middle": memory[3:7]}
    assert same(house.run.load_model() if house.keep(state) else {}, state)
    assert set(reference.load(house.keep({"a": memory[:5], "b": memory[5:]}))) == {"a", "b"}


def test_a_name_that_the_format_uses_itself_is_not_taken_for_a_tie(house: House) -> None:
    shared = torch.rand(4)
    state = {"kept": shared, "format": shared, "autotrack.entries": shared, "pt": torch.rand(1)}
    assert metadata(house.file(state))["format"] == "pt"
    assert same(house.run.load_model(), state)
    assert "'__metadata__' has the name of the metadata" in house.refused({"__metadata__": shared})


class Counting(nn.Module):
    def __init__(self, state: Any) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(2))
        self.state = state

    def get_extra_state(self) -> Any:
        return self.state

    def set_extra_state(self, state: Any) -> None:
        self.state = state


@pytest.mark.parametrize("state", [None, 7, 0.1, "text", {"steps": [1, 2, {"best": None}]}, True])
def test_plain_extra_state_comes_back(house: House, state: Any) -> None:
    house.keep(Counting(state))
    other = Counting("other")
    other.load_state_dict(house.run.load_model())
    assert other.state == state and type(other.state) is type(state)


@pytest.mark.parametrize(
    ("state", "kind"), [((1, 2), "tuple"), ({1: 2}, "dict"), (object(), "object"), (b"x", "bytes")]
)
def test_extra_state_that_json_does_not_give_back_is_told_and_not_pickled(house: House, state: Any, kind: str) -> None:
    problem = house.refused(nn.Sequential(Counting(state)))
    assert problem.startswith(f"'0._extra_state' is a builtins.{kind}, which safetensors cannot hold")


def test_what_safetensors_cannot_hold_is_told_by_its_name(house: House) -> None:
    fine = torch.rand(3)
    for name, tensor, reason in [
        ("sparse", torch.eye(3).to_sparse(), "is sparse, quantised or nested"),
        ("meta", torch.empty(3, device="meta"), "is on the device meta"),
        ("complex", torch.zeros(2, dtype=torch.complex128), "is of the type torch.complex128"),
        ("lazy", nn.LazyLinear(3).weight, "has no values yet"),
        ("step", {"nested": fine}, "is a builtins.dict"),
    ]:
        problem = house.refused({"fine": fine, name: tensor})
        assert problem.startswith(f"'{name}' {reason}"), problem
    assert "the key 0 of a state dict is no text" in house.refused({0: fine})
    assert "neither a torch.nn.Module nor a mapping" in house.refused(torch.optim.SGD([nn.Parameter(fine)]))
    assert "neither a torch.nn.Module nor a mapping" in house.refused(fine)
    assert "there is no tensor in it" in house.refused(nn.ReLU())
    sharded = nn.Linear(2, 2)
    sharded.weight.ds_tensor = fine
    assert "is sharded over processes" in house.refused(sharded)


def test_compiled_modules_are_kept_under_the_names_of_the_plain_ones(house: House) -> None:
    model = net()
    plain = house.keep(model)
    assert house.keep(torch.compile(model, backend="eager")) == plain
    nested = nn.Sequential(OrderedDict(first=nn.Linear(2, 3), second=nn.Sequential(nn.Linear(3, 3))))
    wanted = nested.state_dict()
    nested.second[0] = torch.compile(nested.second[0], backend="eager")
    nested.second = torch.compile(nested.second, backend="eager")
    assert any("_orig_mod" in name for name in nested.state_dict())
    house.keep(torch.compile(nested, backend="eager"))
    assert same(house.run.load_model(), wanted)
    assert models(house)[-1].signature["class"] == "torch.nn.modules.container.Sequential"


def test_a_module_that_is_parallel_over_processes_is_kept_as_the_plain_one(house: House) -> None:
    model = net()
    plain = house.keep(model)
    assert house.keep(nn.DataParallel(model)) == plain
    if not torch.distributed.is_available():
        pytest.skip("this torch has no torch.distributed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=0, world_size=1)
    try:
        wrapped = nn.parallel.DistributedDataParallel(torch.compile(model, backend="eager"))
        assert house.keep(wrapped) == plain
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        sharded = fully_shard(net(), mesh=init_device_mesh("cpu", (1,)))
        assert "is a DTensor, whose values are elsewhere" in house.refused(sharded)
    finally:
        torch.distributed.destroy_process_group()


def test_a_module_called_module_keeps_its_name(house: House) -> None:
    averaged = torch.optim.swa_utils.AveragedModel(nn.Linear(2, 2))
    house.keep(averaged)
    assert set(house.run.load_model()) == {"n_averaged", "module.weight", "module.bias"}


def test_nothing_of_the_model_is_changed(house: House) -> None:
    model = net()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    attributes = {name: set(vars(part)) for name, part in model.named_modules()}
    pickled = pickle.dumps(model)
    house.keep(model)
    state = model.state_dict()
    keys = list(state)
    house.keep(state)
    assert list(state) == keys and same(model.state_dict(), before)
    assert {name: set(vars(part)) for name, part in model.named_modules()} == attributes
    assert pickle.dumps(model) == pickled
    loaded = house.run.load_model()
    loaded["0.weight"].zero_()
    assert same(house.run.load_model(), before), "what was loaded is a copy"


def test_of_successive_checkpoints_what_is_frozen_is_stored_once(house: House) -> None:
    model = nn.Sequential(*(nn.Linear(200, 200) for _ in range(6)))
    for layer in model[:5]:
        layer.requires_grad_(False)
    optimizer = torch.optim.SGD([one for one in model.parameters() if one.requires_grad], lr=0.1)
    sizes, wanted = [], []
    for _ in range(4):
        house.keep(model)
        wanted.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
        sizes.append(sum(path.stat().st_size for path in (house.recorded.home / "parts").iterdir()))
        optimizer.zero_grad()
        model(torch.ones(1, 200)).sum().backward()
        optimizer.step()
    changed = sum(tensor.nbytes for tensor in model[5].parameters())
    grown = [after - before for before, after in itertools.pairwise(sizes)]
    assert all(changed <= one <= changed * 1.01 for one in grown), grown
    for number, state in enumerate(wanted):
        name = f"model-{number + 1}" if number else "model"
        assert same(house.run.load_model(name), state)


def test_models_are_kept_without_enable_and_no_safetensors_in_training(tmp_path: Path) -> None:
    script = """
import sys, torch
import autotrack
with autotrack.start_run("plain") as run:
    run.log_model(torch.nn.Linear(3, 2))
assert "safetensors" not in sys.modules and "sqlalchemy" not in sys.modules
print(sorted(run.load_model()))
"""
    environment = {**os.environ, "AUTOTRACK_HOME": str(tmp_path), "AUTOTRACK_QUIET": "1"}
    for forwarder in ("off", "process"):
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={**environment, "AUTOTRACK_FORWARDER": forwarder},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.stdout == "['bias', 'weight']\n" and done.stderr == "", done.stderr
