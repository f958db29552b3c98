"""Plain PyTorch loops: what the optimizer did is in the run, and without `torch_loop` nothing is even looked at."""

import gc
import inspect
import os
import sys
import weakref
from pathlib import Path

import pytest

pytest.importorskip("torch")
sys.path.insert(0, str(Path(__file__).parent))

import torch
from torch.optim.optimizer import _global_optimizer_post_hooks
from torch.utils.data import DataLoader, TensorDataset
from torch_scripts import runs_of

import autotrack
from autotrack.plugin import begin_leaf
from autotrack.testing import recording
from autotrack_torch.loops import MOST_OPTIMIZERS

X = torch.linspace(-1, 1, 64).reshape(16, 4)
Y = X.sum(1, keepdim=True) + 0.5


@pytest.fixture
def recorded(tmp_path):
    with recording(tmp_path, "torch", torch_loop=True, torch_loss=True) as recorded:
        yield recorded


def places():
    return (
        torch.optim.Optimizer.__init__,
        DataLoader.__iter__,
        torch.Tensor.backward,
        torch.amp.GradScaler.scale,
        *_global_optimizer_post_hooks.values(),
    )


def model():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Tanh(), torch.nn.Linear(3, 1))


def train(steps, optimizer=torch.optim.Adam, schedule=True, **options):
    """A loop as users write it; gives what it saw itself."""
    trained = model()
    taking = optimizer(trained.parameters(), **{"lr": 0.1, **options})
    scheduler = torch.optim.lr_scheduler.ExponentialLR(taking, 0.99) if schedule else None
    seen = {"lr": [], "grad_norm": [], "loss": []}
    for step in range(1, steps + 1):
        taking.zero_grad()
        loss = torch.nn.functional.mse_loss(trained(X), Y)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(trained.parameters(), 1e9)
        if step <= 10 or step % (10 if step <= 100 else 100) == 0:
            seen["lr"].append((step, taking.param_groups[0]["lr"]))
            seen["grad_norm"].append((step, pytest.approx(float(norm), rel=1e-5)))
            seen["loss"].append((step, float(loss.detach())))
        taking.step()
        if scheduler:
            scheduler.step()
    return trained, seen


def test_a_loop_is_one_run_with_what_the_loop_itself_saw(recorded) -> None:
    trained, seen = train(305)
    (run,) = recorded.runs()
    assert (run.status, run.integration) == ("running", "torch")
    autotrack.disable()
    (run,) = recorded.runs()
    assert (run.status, run.ends) == ("finished", 1)
    assert run.metrics.pop("steps") == [(305, 305)]
    assert run.metrics == seen
    assert len(seen["lr"]) == 10 + 9 + 2
    assert run.params["optimizer"] == "Adam"
    assert (run.params["optimizer.lr"], run.params["optimizer.eps"]) == (0.1, 1e-8)
    assert run.params["optimizer.parameters"] == sum(parameter.numel() for parameter in trained.parameters())
    assert autotrack.current_run() is None


def test_it_ends_with_the_process_as_that_does(tmp_path) -> None:
    body = """
import torch
model = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
for _ in range(3):
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
"""
    for ending, status in (("1/0", "failed"), ("raise KeyboardInterrupt", "killed")):
        script = "import autotrack; autotrack.enable(torch_loop=True)" + body + ending
        (run,) = runs_of(script, tmp_path / status, fails=True)
        assert (run.name, run.status, run.ends) == ("train", status, 1)
        assert [step for step, _ in run.metrics["grad_norm"]] == [1, 2, 3]
        assert run.metrics["steps"] == [(3, 3)]
        if ending == "1/0":
            assert run.error["type"] == "ZeroDivisionError"
    # Without enable() and a line in the code, and asked for by variables alone.
    (run,) = runs_of(body, tmp_path / "variables", "-m", "autotrack", "run", AUTOTRACK_TORCH_LOOP="1")
    assert (run.name, run.status) == ("train", "finished")


def test_without_the_setting_nothing_is_placed(tmp_path) -> None:
    before = places()
    with recording(tmp_path, "torch") as recorded:
        assert places() == before
        train(2)
    assert recorded.runs() == []


def test_the_setting_may_come_later_and_disable_puts_everything_back(tmp_path) -> None:
    before = places()
    signatures = [inspect.signature(place) for place in before[:4]]
    with recording(tmp_path, "torch") as recorded:
        often = {"forwarder": "off", "strict": True, "home": tmp_path}
        autotrack.enable("torch", torch_loop=True, **often)
        autotrack.enable("torch", torch_loop=True, **often)
        train(2)
        autotrack.enable("torch", torch_loop=True, torch_loss=True, **often)
        assert [inspect.signature(place) for place in places()[:4]] == signatures
        train(2)
        autotrack.enable("torch", **often)
        assert places() == before
        train(2)
        autotrack.enable("torch", torch_loop=True, **often)
        autotrack.disable()
        assert places() == before
        train(2)
    first, second = recorded.runs()
    assert (first.status, second.status) == ("finished", "finished")
    assert set(second.metrics) - set(first.metrics) == {"loss"}
    assert [step for step, _ in first.metrics["lr"]] == [1, 2]


def test_optimizers_are_numbered_as_they_were_made(recorded) -> None:
    generator, discriminator = model(), model()
    first = torch.optim.Adam(generator.parameters(), lr=0.1)
    second = torch.optim.SGD(discriminator.parameters(), lr=0.2)
    losses = {first: [], second: []}
    for _ in range(20):
        for module, optimizer, factor in ((discriminator, second, 1), (generator, first, 2)):  # the second steps first
            optimizer.zero_grad()
            for _ in range(2):
                loss = module(X).mean() * factor
                loss.backward()
            losses[optimizer].append(pytest.approx(2 * loss.item(), rel=1e-5))
            optimizer.step()
    autotrack.disable()
    (run,) = recorded.runs()
    assert (run.params["optimizer"], run.params["optimizer_1"]) == ("Adam", "SGD")
    steps = [*range(1, 11), 20]
    assert run.metrics["lr"] == [(step, 0.1) for step in steps]
    assert run.metrics["optimizer_1/lr"] == [(step, 0.2) for step in steps]
    assert run.metrics["optimizer_1/steps"] == [(20, 20)]
    assert run.metrics["loss"] == [(step, losses[first][step - 1]) for step in steps]
    assert run.metrics["optimizer_1/loss"] == [(step, losses[second][step - 1]) for step in steps]


def test_groups_have_rates_of_their_own(recorded) -> None:
    module = model()
    groups = [{"params": module[0].parameters()}, {"params": module[2].parameters(), "lr": 0.01}]
    optimizer = torch.optim.SGD(groups, lr=0.1, momentum=0.9)
    module(X).sum().backward()
    optimizer.step()
    autotrack.disable()
    (run,) = recorded.runs()
    assert (run.metrics["lr"], run.metrics["lr/group_1"]) == ([(1, 0.1)], [(1, 0.01)])
    assert (run.params["optimizer.lr"], run.params["optimizer.group_1.lr"]) == (0.1, 0.01)
    assert "optimizer.group_1.momentum" not in run.params


def test_an_optimizer_that_is_made_anew_goes_on(recorded) -> None:
    module = model()
    for epoch in range(3):
        optimizer = torch.optim.SGD(module.parameters(), lr=0.1 / (epoch + 1))
        for _ in range(2):
            module(X).sum().backward()
            optimizer.step()
        del optimizer
        gc.collect()
    autotrack.disable()
    (run,) = recorded.runs()
    assert [(step, value) for step, value in run.metrics["lr"]] == [
        (step, 0.1 / ((step - 1) // 2 + 1)) for step in range(1, 7)
    ]
    assert not [key for key in run.metrics if key.startswith("optimizer_")]


def test_many_optimizers_are_cut_off(recorded) -> None:
    made = [torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1) for _ in range(MOST_OPTIMIZERS + 4)]
    for optimizer in made:
        optimizer.param_groups[0]["params"][0].sum().backward()
        optimizer.step()
    autotrack.disable()
    (run,) = recorded.runs()
    assert len([key for key in run.metrics if key.endswith("/lr") or key == "lr"]) == MOST_OPTIMIZERS


def test_inside_a_run_of_the_users_it_is_that_run(recorded) -> None:
    for name in ("a", "b"):
        with autotrack.start_run(name):
            train(3)
    assert [(run.name, run.status, run.ends, len(run.metrics["lr"])) for run in recorded.runs()] == [
        ("a", "finished", 1, 3),
        ("b", "finished", 1, 3),
    ]
    assert all(run.metrics["steps"] == [(3, 3)] for run in recorded.runs())
    train(1)
    assert [run.name for run in recorded.runs()][:2] == ["a", "b"]
    assert len(recorded.runs()) == 3


def test_inside_another_training_it_is_silent(recorded) -> None:
    with begin_leaf("trainer", name="fit"):
        train(3)
        for _ in DataLoader(TensorDataset(X), 4):
            pass
    (run,) = recorded.runs()
    assert (run.name, run.metrics, run.params, run.datasets) == ("fit", {}, {}, [])


def test_what_trains_after_a_loop_has_a_run_of_its_own(recorded) -> None:
    train(3)
    with begin_leaf("torch", name="fit"):
        pass
    assert [(run.name, run.status) for run in recorded.runs()][1:] == [("fit", "finished")]


def test_other_threads_are_heard(recorded) -> None:
    import threading

    thread = threading.Thread(target=train, args=(3,))
    thread.start()
    thread.join()
    autotrack.disable()
    (run,) = recorded.runs()
    assert len(run.metrics["loss"]) == 3


def test_neither_optimizer_nor_tensors_are_kept(recorded) -> None:
    module = model()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    loss = module(X).sum()
    loss.backward()
    optimizer.step()
    module(X).sum().backward()  # and one that no step follows
    references = [weakref.ref(it) for it in (optimizer, loss, *module.parameters())]
    del optimizer, loss, module
    gc.collect()
    assert [reference() for reference in references] == [None] * len(references)


def test_training_is_as_without_us(tmp_path) -> None:
    without, _ = train(30)
    random = torch.rand(1)
    with recording(tmp_path, "torch", torch_loop=True, torch_loss=True):
        with_us, _ = train(30)
        assert torch.equal(torch.rand(1), random)
    for one, other in zip(without.parameters(), with_us.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_fault_of_ours_costs_the_loop_nothing(tmp_path, capsys) -> None:
    class Odd(torch.optim.SGD):
        @property
        def defaults(self):
            if sys._getframe(1).f_code.co_name == "settings_of":
                raise RuntimeError("odd")
            return self._defaults

        @defaults.setter
        def defaults(self, value):
            self._defaults = value

    with recording(tmp_path, "torch", torch_loop=True, strict=False) as recorded:
        optimizer = Odd([torch.nn.Parameter(torch.ones(1))], lr=0.1)
        for _ in range(3):
            optimizer.param_groups[0]["params"][0].sum().backward()
            optimizer.step()
    (run,) = recorded.runs()
    assert len(run.metrics["lr"]) == 3
    assert capsys.readouterr().err.count("could not record") == 1


@pytest.mark.parametrize("compiled", ["model", "step"])
def test_with_compilation(recorded, compiled) -> None:
    module = model()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    forward = torch.compile(module, backend="eager") if compiled == "model" else module
    step = torch.compile(optimizer.step, backend="eager") if compiled == "step" else optimizer.step
    for _ in range(3):
        optimizer.zero_grad()
        forward(X).sum().backward()
        step()
    assert torch.isfinite(module(X)).all()
    assert len(recorded.runs()) == (1 if compiled == "model" else 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_forked_child_of_a_loop_is_silent(recorded) -> None:
    train(1)
    pid = os.fork()
    if pid == 0:
        train(2)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    (run,) = recorded.runs()
    assert len(run.metrics["lr"]) == 1


def test_a_framework_that_steps_is_recorded_as_that_framework(tmp_path) -> None:
    lightning = pytest.importorskip("lightning.pytorch")

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.inside = model()

        def training_step(self, batch, _):
            return self.inside(batch[0]).mean()

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    with recording(tmp_path, "torch", "lightning", torch_loop=True, torch_loss=True) as recorded:
        lightning.Trainer(
            max_epochs=1,
            accelerator="cpu",
            default_root_dir=tmp_path,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        ).fit(Module(), DataLoader(TensorDataset(X), 4))
    (run,) = recorded.runs()
    assert run.integration == "lightning"
    assert not {"grad_norm", "steps", "loss"} & set(run.metrics)


def test_which_settings_are_not_the_defaults_of_the_class_is_told(recorded) -> None:
    train(2, weight_decay=0.0, betas=(0.8, 0.999))
    gc.collect()
    (run,) = autotrack.runs()
    told = autotrack.get_run(run["id"])["defaults"]
    assert told["changed"] == {"optimizer.lr": 0.001, "optimizer.betas": [0.9, 0.999]}
    assert {"optimizer.weight_decay", "optimizer.eps", "optimizer.foreach"} <= set(told["unchanged"])
