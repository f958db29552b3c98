"""Loss and gradient norm of plain loops are those that the step went down on, however the loop came by them."""

import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
sys.path.insert(0, str(Path(__file__).parent))

import torch
from torch_scripts import recorded_in

import autotrack
from autotrack.plugin import begin_leaf
from autotrack.testing import recording
from autotrack_torch.reading import gradient_norm


@pytest.fixture
def recorded(tmp_path):
    torch.manual_seed(0)
    with recording(tmp_path, "torch", torch_loop=True, torch_loss=True) as recorded:
        yield recorded


def only_run(recorded):
    autotrack.disable()
    (run,) = recorded.runs()
    return run


def values(run, key):
    return [value for _, value in run.metrics[key]]


def test_gradient_accumulation_adds_up(recorded) -> None:
    module = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    batches = [torch.rand(8, 4) for _ in range(6)]
    expected = []
    for first in range(0, 6, 3):
        expected.append(module(torch.cat(batches[first : first + 3])).mean().item())
        optimizer.zero_grad()
        for batch in batches[first : first + 3]:
            (module(batch).mean() / 3).backward()
        optimizer.step()
    assert values(only_run(recorded), "loss") == pytest.approx(expected, rel=1e-5)


def test_a_closure_is_told_as_step_returns_it(recorded) -> None:
    weight = torch.nn.Parameter(torch.tensor([3.0, -2.0]))
    optimizer = torch.optim.LBFGS([weight], lr=0.1, max_iter=5)
    calls = []

    def closure():
        optimizer.zero_grad()
        loss = (weight**4).sum()
        loss.backward()
        calls.append(loss)
        return loss

    returned = [optimizer.step(closure).item(), optimizer.step(closure=closure).item()]
    run = only_run(recorded)
    assert len(calls) > 4
    assert values(run, "loss") == returned
    assert run.metrics["steps"] == [(2, 2)]
    assert run.params["optimizer.max_iter"] == 5


def test_a_gradient_scaler_is_looked_through(recorded) -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    expected = []
    for step in range(4):
        optimizer.zero_grad()
        loss = (weight**2).sum()
        if step == 1:
            loss = loss * float("inf")  # this step is skipped by the scaler
        else:
            expected.append((float(loss.detach()), float((2 * weight.detach()).norm())))
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
    run = only_run(recorded)
    assert run.metrics["steps"] == [(3, 3)]
    assert values(run, "grad_norm") == pytest.approx([norm for _, norm in expected])
    # The loss of the step that was skipped is told with the next one: nobody stepped in between.
    assert values(run, "loss")[0] == pytest.approx(expected[0][0])
    assert values(run, "loss")[2] == pytest.approx(expected[2][0])


def test_what_is_no_loss_is_left_alone(recorded) -> None:
    module = torch.nn.Linear(4, 2)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    module(torch.ones(3, 4)).backward(torch.ones(3, 2))
    optimizer.step()
    run = only_run(recorded)
    assert "loss" not in run.metrics
    assert len(run.metrics["grad_norm"]) == 1


def test_losses_inside_another_training_are_not_ours(recorded) -> None:
    module = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    with begin_leaf("trainer", name="fit"):
        module(torch.full((1, 4), 100.0)).sum().backward()
        optimizer.step()
    optimizer.zero_grad()
    loss = module(torch.ones(1, 4)).sum()
    loss.backward()
    optimizer.step()
    autotrack.disable()
    _, run = recorded.runs()
    assert values(run, "loss") == [float(loss.detach())]


def test_sparse_gradients_and_none_at_all(recorded) -> None:
    table = torch.nn.Embedding(5, 3, sparse=True)
    unused = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([*table.parameters(), unused], lr=0.1)
    table(torch.tensor([1, 1, 4])).sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    optimizer.step()
    run = only_run(recorded)
    assert run.metrics["grad_norm"] == [(1, pytest.approx((3 * 4 + 3 * 1) ** 0.5))]
    assert len(run.metrics["lr"]) == 2


def test_gradients_of_several_types_have_one_norm() -> None:
    parameters = [torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(3, dtype=torch.float64))]
    for parameter in parameters:
        parameter.grad = torch.full_like(parameter, 2.0)
    norm = gradient_norm(torch.optim.SGD(parameters, lr=0.1))
    assert float(norm) == pytest.approx(20**0.5)


def test_parts_of_a_sharded_parameter_have_none() -> None:
    class Shard(torch.nn.Parameter):
        pass

    parameter = Shard(torch.ones(2))
    parameter.grad = torch.ones(2)
    assert gradient_norm(torch.optim.SGD([parameter], lr=0.1)) is None


def test_a_rate_that_is_a_tensor(recorded) -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.Adam([weight], lr=torch.tensor(0.25), capturable=False, foreach=False)
    weight.sum().backward()
    optimizer.step()
    run = only_run(recorded)
    assert (run.metrics["lr"], run.params["optimizer.lr"]) == ([(1, 0.25)], 0.25)


def test_in_a_notebook_a_run_ends_with_its_cell(tmp_path) -> None:
    shells = pytest.importorskip("IPython.core.interactiveshell")
    shell = shells.InteractiveShell.instance()
    cell = """
weight = torch.nn.Parameter(torch.ones(3))
optimizer = torch.optim.SGD([weight], lr=0.1)
for _ in range(2):
    weight.sum().backward()
    optimizer.step()
"""
    try:
        with recording(tmp_path, "torch", torch_loop=True):
            shell.run_cell("import torch")
            shell.run_cell(cell)
            assert [run.status for run in recorded_in(tmp_path)] == ["finished"]
            shell.run_cell(cell + "1/0")
            shell.run_cell(cell + "raise KeyboardInterrupt")
            shell.run_cell("pass")
            found = recorded_in(tmp_path)
        assert [run.status for run in found] == ["finished", "failed", "killed"]
        assert [len(run.metrics["lr"]) for run in found] == [2, 2, 2]
        assert shell.events.callbacks["post_run_cell"] == []
    finally:
        shells.InteractiveShell.clear_instance()
