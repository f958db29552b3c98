"""What a script tells `Accelerator.log` is one run, with the values that it told and the true outcome."""

import gc
import inspect
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("accelerate")
sys.path.insert(0, str(Path(__file__).parent))

import torch
from accelerate import Accelerator
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, GeneralTracker
from accelerate.utils import ProjectConfiguration
from torch.utils.data import DataLoader, IterableDataset, TensorDataset
from torch_scripts import TORCHRUN, runs_of

import autotrack
from autotrack.plugin import begin_leaf
from autotrack.testing import recording
from autotrack_accelerate.hooks import _recordings
from autotrack_accelerate.recording import waiting

METHODS = ("init_trackers", "prepare", "backward", "log", "save_state", "load_state", "end_training")


@pytest.fixture
def recorded(tmp_path):
    with recording(tmp_path / "home", "accelerate") as recorded:
        yield recorded
    assert not waiting and not _recordings


class Told(GeneralTracker):
    """A tracker as accelerate's own: what it is told is what the run must hold."""

    name = "told"
    requires_logging_directory = False

    def __init__(self):
        super().__init__()
        self.rows = []
        self.config = None

    @property
    def tracker(self):
        return self.rows

    def store_init_configuration(self, values):
        self.config = values

    def log(self, values, step=None, **more):
        self.rows.append((step, dict(values)))


def begun(accelerator=None, config=None, **more):
    """An accelerator whose training is about to begin, with what it has prepared."""
    accelerator = accelerator or Accelerator(cpu=True, **more)
    accelerator.init_trackers("theirs", config=config)
    torch.manual_seed(0)
    module = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2)
    loaders = [DataLoader(TensorDataset(torch.rand(rows, 4)), 4, shuffle=rows > 9) for rows in (12, 8)]
    return accelerator, accelerator.prepare(module, optimizer, scheduler, *loaders)


def train(accelerator, prepared, epochs=1, first=0):
    module, optimizer, scheduler, fit, held_out = prepared
    step = first
    for _ in range(epochs):
        for (batch,) in fit:
            with accelerator.accumulate(module):
                loss = module(batch).pow(2).mean()
                accelerator.backward(loss)
                optimizer.step()
                scheduler.step()
                optimizer.zero_grad()
            accelerator.log({"loss": loss.item(), "lr": scheduler.get_last_lr()[0]}, step=step)
            step += 1
        with torch.no_grad():
            losses = [module(batch).mean() for (batch,) in held_out]
        accelerator.log({"held_out": torch.stack(losses).mean()}, step=step)


def series(rows):
    found = {}
    for step, values in rows:
        for key, value in values.items():
            found.setdefault(key, []).append((step, float(value)))
    return found


def test_a_training_is_one_run_with_what_its_trackers_are_told(recorded) -> None:
    told = Told()
    config = {"seed": 1, "optimizer": "mine", "deep": {"layers": 2}}
    accelerator, prepared = begun(config=config, log_with=told)
    assert recorded.runs() == []  # until it is known that no state is loaded
    train(accelerator, prepared, epochs=2)
    (run,) = recorded.runs()
    assert (run.status, run.integration) == ("running", "accelerate")
    assert autotrack.current_run().id == run.id
    accelerator.end_training()
    assert autotrack.current_run() is None
    (run,) = recorded.runs()
    assert (run.status, run.ends) == ("finished", 1)
    assert run.metrics == series(told.rows)
    assert told.config is config
    assert (run.params["seed"], run.params["optimizer"], run.params["deep.layers"]) == (1, "mine", 2)
    assert (run.params["optimizer.lr"], run.params["optimizer.momentum"]) == (0.1, 0.9)
    assert (run.params["lr_scheduler"], run.params["lr_scheduler.step_size"]) == ("StepLR", 2)
    assert (run.params["model.class"], run.params["model.parameters"]) == ("Linear", 5)
    assert run.params["accelerate.num_processes"] == 1
    assert [(it.role, it.name, it.record["n_rows"], it.record["shuffle"]) for it in run.datasets] == [
        ("train", "train", 12, True),
        ("validation", "validation", 8, False),
    ]
    (model,) = run.models
    assert (model.name, model.problem) == ("model", None)


def test_the_first_log_begins_a_run_too_and_steps_are_counted(recorded) -> None:
    accelerator = Accelerator(cpu=True)
    for value in (1.0, 2.0):
        accelerator.log({"loss": value, "parts": {"a": value, "b": {"c": value}}})
    accelerator.log({"loss": 3.0}, 7)
    accelerator.log(values={"loss": 4.0})
    accelerator.end_training()
    (run,) = recorded.runs()
    assert run.metrics["loss"] == [(0, 1.0), (1, 2.0), (7, 3.0), (8, 4.0)]
    assert run.metrics["parts/a"] == run.metrics["parts/b/c"] == [(0, 1.0), (1, 2.0)]
    assert (run.status, run.models) == ("finished", [])


def test_the_projects_name_is_taken_unless_ours_is_set(tmp_path) -> None:
    from autotrack.events import RunStarted
    from autotrack.journal.reader import Journal, journals

    def projects(home):
        events = [record.event for folder in journals(home) for record in Journal(folder).records()]
        return [event.project for event in events if isinstance(event, RunStarted)]

    for name, settings, expected in (("a", {}, "theirs"), ("b", {"project": "ours"}, "ours")):
        with recording(tmp_path / name, "accelerate", **settings):
            accelerator, _ = begun()
            accelerator.log({"loss": 1.0})
            accelerator.end_training()
        assert projects(tmp_path / name) == [expected]


def test_a_state_that_is_loaded_goes_on_with_its_run(recorded, tmp_path) -> None:
    accelerator, prepared = begun(config={"lr": 1})
    train(accelerator, prepared)
    accelerator.save_state(str(tmp_path / "state"))
    accelerator.end_training()
    again, prepared = begun(config={"lr": 2})
    again.load_state(str(tmp_path / "state"))
    train(again, prepared, first=4)
    again.end_training()
    (run,) = recorded.runs()
    assert (run.ends, run.status, run.params["lr"]) == (2, "finished", 2)
    assert [step for step, _ in run.metrics["loss"]] == [0, 1, 2, 4, 5, 6]
    # A state of nobody's begins a run of its own, and so does one that is loaded too late.
    late, prepared = begun()
    train(late, prepared)
    late.load_state(str(tmp_path / "state"))
    late.end_training()
    assert len(recorded.runs()) == 2


def test_states_that_accelerate_names_itself(recorded, tmp_path) -> None:
    def configured():
        naming = ProjectConfiguration(project_dir=str(tmp_path), automatic_checkpoint_naming=True, iteration=saved)
        return begun(Accelerator(cpu=True, project_config=naming))

    saved = 0
    accelerator, prepared = configured()
    train(accelerator, prepared)
    accelerator.save_state()
    accelerator.save_state()
    accelerator.end_training()
    saved = 2
    accelerator, prepared = configured()
    accelerator.load_state()
    train(accelerator, prepared, first=4)
    accelerator.end_training()
    assert [run.ends for run in recorded.runs()] == [2]


@pytest.mark.parametrize(("models", "names"), [("off", []), ("final", ["model"]), ("all", ["model", "model-2"])])
def test_the_weights_that_are_kept(tmp_path, models, names) -> None:
    with recording(tmp_path / "home", "accelerate", models=models) as recorded:
        accelerator, prepared = begun()
        train(accelerator, prepared)
        accelerator.save_state(str(tmp_path / "state"))
        accelerator.end_training()
    (run,) = recorded.runs()
    assert [model.name for model in run.models] == names
    assert [model.step for model in run.models] == [3, None][: len(names)] if models == "all" else True


def test_an_exception_that_ends_the_training_in_an_orderly_way(recorded) -> None:
    accelerator, prepared = begun()
    error = ValueError("mine")

    def script():
        try:
            train(accelerator, prepared)
            raise error
        finally:
            accelerator.end_training()

    with pytest.raises(ValueError) as caught:
        script()
    assert caught.value is error
    (run,) = recorded.runs()
    assert (run.status, run.error["message"], run.models) == ("failed", "mine", [])


def test_inside_a_run_of_the_users_it_is_that_run(recorded) -> None:
    with autotrack.start_run("mine"):
        accelerator, prepared = begun()
        train(accelerator, prepared)
        accelerator.end_training()
        assert recorded.runs()[0].status == "running"
    (run,) = recorded.runs()
    assert (run.name, run.ends, len(run.metrics["loss"])) == ("mine", 1, 3)


def test_a_users_run_that_ends_first_leaves_nothing_behind(recorded) -> None:
    with autotrack.start_run("mine"):
        accelerator, prepared = begun()
        train(accelerator, prepared)
    assert autotrack.current_run() is None
    with begin_leaf("accelerate", name="next"):
        pass
    assert [(run.name, run.ends) for run in recorded.runs()] == [("mine", 1), ("next", 1)]


def test_inside_another_training_it_is_silent(recorded, tmp_path) -> None:
    with begin_leaf("trainer", name="fit"):
        accelerator, prepared = begun(config={"a": 1})
        train(accelerator, prepared)
        accelerator.save_state(str(tmp_path / "state"))
        accelerator.end_training()
    (run,) = recorded.runs()
    assert (run.name, run.metrics, run.params, run.models) == ("fit", {}, {}, [])


def test_trainings_one_after_the_other(recorded) -> None:
    for _ in range(2):
        accelerator, prepared = begun()  # the one before was never told to end
        train(accelerator, prepared)
    accelerator.end_training()
    accelerator.init_trackers("again")
    accelerator.log({"loss": 0.5})
    accelerator.end_training()
    accelerator.log({"late": 1.0})
    runs = recorded.runs()
    assert [(run.status, len(run.metrics["loss"])) for run in runs] == [("finished", n) for n in (3, 3, 1)]
    assert runs[2].metrics["late"] == [(0, 1.0)]


def test_an_accelerator_that_is_let_go_of_ends_its_run(recorded) -> None:
    accelerator, prepared = begun()
    train(accelerator, prepared)
    del accelerator, prepared
    gc.collect()
    assert [run.status for run in recorded.runs()] == ["finished"]
    assert autotrack.current_run() is None


def test_streams_are_not_consumed(recorded) -> None:
    class Endless(IterableDataset):
        def __iter__(self):
            raise AssertionError("read")

    accelerator = Accelerator(cpu=True)
    accelerator.init_trackers("p")
    accelerator.prepare(DataLoader(Endless(), batch_size=2))
    accelerator.log({"loss": 1.0})
    accelerator.end_training()
    (data,) = recorded.runs()[0].datasets
    assert "n_rows" not in data.record and data.record["batch_size"] == 2


def test_disable_puts_everything_back_and_ends_what_is_open(tmp_path) -> None:
    before = [vars(Accelerator)[name] for name in METHODS]
    signatures = [inspect.signature(method) for method in before]
    names = set(LOGGER_TYPE_TO_CLASS)
    with recording(tmp_path, "accelerate") as recorded:
        autotrack.enable("accelerate", forwarder="off", home=tmp_path, strict=True)
        assert [inspect.signature(vars(Accelerator)[name]) for name in METHODS] == signatures
        accelerator, prepared = begun()
        train(accelerator, prepared)
        autotrack.disable()
        assert [vars(Accelerator)[name] for name in METHODS] == before
        assert set(LOGGER_TYPE_TO_CLASS) == names - {"autotrack"}
        train(accelerator, prepared)
        accelerator.end_training()
    (run,) = recorded.runs()
    assert (run.status, len(run.metrics["loss"])) == ("finished", 3)


def test_what_they_are_given_is_left_as_it_is(recorded) -> None:
    config, values = {"a": {"b": 1}}, {"loss": torch.tensor(1.0), "x": {"y": 2}}
    accelerator = Accelerator(cpu=True)
    accelerator.init_trackers("p", config)
    assert accelerator.log(values, step=1) is None
    accelerator.end_training()
    assert (config, values) == ({"a": {"b": 1}}, {"loss": torch.tensor(1.0), "x": {"y": 2}})
    assert accelerator.trackers == []
    assert not [name for name in vars(accelerator) if "autotrack" in name]


SCRIPT = """
import sys, torch
{first}
from accelerate import Accelerator
from torch.utils.data import DataLoader, TensorDataset

accelerator = Accelerator(cpu=True{more})
accelerator.init_trackers("p", config={{"lr": 0.1}})
model = torch.nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
loader = DataLoader(TensorDataset(torch.rand(16, 4)), 4)
model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
{before}
for step, (batch,) in enumerate(loader):
    loss = model(batch).mean()
    accelerator.backward(loss)
    optimizer.step()
    accelerator.log({{"loss": loss.item(), "rank": accelerator.process_index}}, step=step)
{after}
"""


def test_a_forked_child_has_no_part_in_the_training_of_its_parent(tmp_path) -> None:
    body = """
import os
import autotrack
from accelerate import Accelerator
autotrack.enable("accelerate")
accelerator = Accelerator(cpu=True)
accelerator.init_trackers("p")
accelerator.log({"loss": 1.0}, step=0)
pid = os.fork()
if pid == 0:
    accelerator.log({"loss": 2.0}, step=1)
    accelerator.end_training()
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
accelerator.log({"loss": 3.0}, step=1)
accelerator.end_training()
"""
    (run,) = runs_of(body, tmp_path)
    assert (run.status, run.ends, run.metrics["loss"]) == ("finished", 1, [(0, 1.0), (1, 3.0)])


def test_two_processes_are_one_run(tmp_path) -> None:
    script = SCRIPT.format(
        first="import autotrack; autotrack.enable()",
        more="",
        before="",
        after='accelerator.save_state(sys.argv[0] + ".state")\naccelerator.end_training()',
    )
    (run,) = runs_of(script, tmp_path, *TORCHRUN)
    assert (run.name, run.status, run.ends, run.integration) == ("train", "finished", 1, "accelerate")
    assert run.params["accelerate.num_processes"] == 2
    assert run.metrics["rank"] == [(0, 0), (1, 0)]
    assert len(run.models) == 1
    assert run.models[0].signature["class"].endswith("Linear")


def test_the_way_a_script_ends_is_the_way_its_run_ends(tmp_path) -> None:
    by_name = {"first": "import autotrack_accelerate", "more": ", log_with='autotrack'"}
    enabled = {"first": "import autotrack; autotrack.enable()", "more": ""}
    for name, first, before, after, status in (
        ("a", enabled, "raise MemoryError", "", "failed"),  # before there was a run
        ("b", by_name, "", "raise KeyboardInterrupt", "killed"),
    ):
        (run,) = runs_of(SCRIPT.format(**first, before=before, after=after), tmp_path / name, fails=True)
        assert (run.status, run.ends, run.params["lr"]) == (status, 1, 0.1)
        assert len(run.metrics.get("loss", ())) == (0 if before else 4)
    # And without a line in the script.
    plain = SCRIPT.format(first="", more="", before="", after="")
    (run,) = runs_of(plain, tmp_path / "c", "-m", "autotrack", "run", AUTOTRACK_INTEGRATIONS="accelerate")
    assert (run.status, len(run.metrics["loss"])) == ("finished", 4)


@pytest.mark.parametrize("init", [True, False])
def test_with_plain_loops_recorded_too_it_is_one_run(tmp_path, init) -> None:
    with recording(tmp_path, "accelerate", "torch", torch_loop=True) as recorded:
        accelerator = Accelerator(cpu=True)
        if init:
            accelerator.init_trackers("p")
        module = torch.nn.Linear(4, 1)
        module, optimizer = accelerator.prepare(module, torch.optim.SGD(module.parameters(), lr=0.1))
        for step in range(3):
            accelerator.backward(module(torch.ones(2, 4)).sum())
            optimizer.step()
            optimizer.zero_grad()
            accelerator.log({"loss": 1.0}, step=step)
        accelerator.end_training()
    (run,) = recorded.runs()
    assert (run.status, len(run.metrics["loss"])) == ("finished", 3)
    # Where the loop was there first, it goes on; where accelerate was, the loop is silent.
    assert ("grad_norm" in run.metrics) != init
    assert init or len(run.metrics["grad_norm"]) == 3


def test_which_settings_of_the_optimizer_are_not_the_defaults_of_its_class_is_told(recorded) -> None:
    accelerator, _prepared = begun()
    accelerator.log({"loss": 1.0})
    accelerator.end_training()
    (run,) = autotrack.runs()
    told = autotrack.get_run(run["id"])["defaults"]
    assert told["changed"] == {"optimizer.lr": 0.001, "optimizer.momentum": 0}
    assert {"optimizer.nesterov", "optimizer.weight_decay"} <= set(told["unchanged"])
