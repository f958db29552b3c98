"""`AutotrackCallback` and `AutotrackLogger`: what they are passed to is recorded once, with and without `enable()`."""

import contextvars
import copy
import os
import pickle
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("torch")
pytest.importorskip("lightning")
pytest.importorskip("pytorch_lightning")
sys.path.insert(0, str(Path(__file__).parent))

import cloudpickle
import lightning.pytorch
import lightning.pytorch.loggers
import pytorch_lightning
import pytorch_lightning.loggers
import torch
from lightning_trainings import QUIET, Line, Raises, fit, loader, near, series, trainer

import autotrack
import autotrack_lightning
from autotrack.testing import Recorded, recording
from autotrack_lightning import for_lightning, for_pytorch_lightning


@pytest.fixture(params=["alone", "enabled"])
def recorded(tmp_path, request):
    with recording(tmp_path / "home", "lightning") as recorded:
        if request.param == "alone":
            autotrack.disable()
        yield recorded


@pytest.fixture(params=["lightning.pytorch", "pytorch_lightning"])
def space(request):
    """One of the namespaces: its Trainer, a module of its own, its CSVLogger, our classes for it, and the other's."""
    lightnings = request.param == "lightning.pytorch"
    theirs = lightning.pytorch if lightnings else pytorch_lightning
    ours, others = (for_lightning, for_pytorch_lightning)[:: 1 if lightnings else -1]

    class Module(theirs.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.save_hyperparameters({"width": 4})
            self.layer = torch.nn.Linear(4, 1)

        def training_step(self, batch, batch_idx):
            loss = torch.nn.functional.mse_loss(self.layer(batch[0]), batch[1])
            self.log("loss", loss, on_step=True, on_epoch=True)
            return loss

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.01)

    def run(folder, **options):
        torch.manual_seed(0)
        options = {**QUIET, "max_epochs": 2, "default_root_dir": folder, "enable_checkpointing": False, **options}
        own = theirs.Trainer(**options)
        own.fit(Module(), loader())
        return own

    return SimpleNamespace(
        run=run,
        pl=theirs,
        Callback=ours.AutotrackCallback,
        Logger=ours.AutotrackLogger,
        Other=others.AutotrackCallback,
        CSVLogger=theirs.loggers.CSVLogger,
        name=request.param,
    )


def rows(run):
    return near({key: points for key, points in run.metrics.items() if key.startswith("loss")})


@pytest.mark.parametrize("loggers", [True, False])
def test_the_callback_records_once(recorded, tmp_path, space, loggers) -> None:
    space.run(tmp_path / "without", logger=space.CSVLogger(tmp_path / "csv"), callbacks=None if loggers else [])
    before = len(recorded.runs())
    space.run(
        tmp_path,
        logger=space.CSVLogger(tmp_path / "own") if loggers else False,
        callbacks=[space.Callback(name="baseline")],
    )
    run = recorded.runs()[-1]
    assert len(recorded.runs()) == before + 1
    assert (run.name, run.status, run.ends, run.integration) == ("baseline", "finished", 1, "lightning")
    table = near(series(tmp_path / "csv" / "lightning_logs" / "version_0" / "metrics.csv"))
    assert rows(run) == {key: table[key] for key in ("loss_step", "loss_epoch")}
    assert (run.params["width"], run.params["optimizer.lr"], len(run.models)) == (4, 0.01, 1)
    assert [it.role for it in run.datasets] == ["train"]
    assert autotrack.current_run() is None


def test_the_logger_records_metrics_and_hyperparameters_once(recorded, tmp_path, space) -> None:
    table = space.CSVLogger(tmp_path / "csv")
    own = space.Logger(name="baseline")
    assert own.name == "baseline"
    space.run(tmp_path, logger=[table, own])
    (run,) = recorded.runs()
    assert (run.status, run.ends, own.version, own.name) == ("finished", 1, run.id, run.name)
    written = near(series(tmp_path / "csv" / "lightning_logs" / "version_0" / "metrics.csv"))
    assert near({key: run.metrics[key] for key in written}) == written
    assert run.params["width"] == 4
    assert own.experiment.id == run.id


def test_the_logger_may_be_the_only_one(recorded, tmp_path, space) -> None:
    own = space.Logger()
    made = space.run(tmp_path, logger=own, enable_checkpointing=True)
    (run,) = recorded.runs()
    assert len(run.metrics["loss_epoch"]) == 2
    assert made.logger is own and made.loggers == [own]


def test_what_is_written_beside_the_logger_goes_to_the_folder_of_the_trainer(recorded, tmp_path, space) -> None:
    # `LightningCLI` saves its configuration into `trainer.log_dir`, and asserts that there is one.
    seen = []

    class Asks(space.pl.Callback):
        def setup(self, trainer, pl_module, stage):
            seen.append(trainer.log_dir)

    made = space.run(tmp_path, logger=space.Logger(), callbacks=[Asks()], enable_checkpointing=True)
    assert len(recorded.runs()) == 1
    assert seen == [str(tmp_path)]
    assert Path(made.checkpoint_callback.dirpath).parents[1] == tmp_path / "autotrack"


def test_callback_and_logger_together_record_once(recorded, tmp_path, space) -> None:
    space.run(tmp_path, logger=space.Logger(), callbacks=[space.Callback(), space.Callback()])
    (run,) = recorded.runs()
    assert (run.status, run.ends, len(run.metrics["loss_epoch"]), len(run.datasets)) == ("finished", 1, 2, 1)


def test_a_list_of_callbacks_that_two_trainers_share(recorded, tmp_path, space) -> None:
    callbacks = [space.Callback()]
    for _ in range(2):
        space.run(tmp_path, logger=False, callbacks=callbacks)
    assert [(run.status, len(run.metrics["loss_epoch"])) for run in recorded.runs()] == [("finished", 2)] * 2


def test_a_callback_of_the_other_namespace_is_refused(recorded, tmp_path, space) -> None:
    with pytest.raises(TypeError, match=rf"not for that of {space.name}"):
        space.run(tmp_path, logger=False, callbacks=[space.Other()])


@pytest.mark.parametrize("made", ["callback", "logger"])
def test_a_run_that_is_given_stays_open(recorded, tmp_path, space, made) -> None:
    # Started in another context, so that nothing but the callback leads to it.
    run = contextvars.copy_context().run(autotrack.start_run, "given")
    options = {"callbacks": [space.Callback(run)]} if made == "callback" else {"logger": space.Logger(run)}
    space.run(tmp_path, **{"logger": False, **options})
    found = recorded.runs()[0]
    assert (found.name, found.status, len(found.metrics["loss_epoch"])) == ("given", "running", 2)
    assert len(recorded.runs()) == 1
    run.end()


@pytest.mark.parametrize("made", ["callback", "logger"])
def test_inside_a_run_of_the_users(recorded, tmp_path, space, made) -> None:
    options = {"callbacks": [space.Callback()]} if made == "callback" else {"logger": space.Logger()}
    with autotrack.start_run("mine"):
        space.run(tmp_path, **{"logger": False, **options})
        assert [run.status for run in recorded.runs()] == ["running"]
    (run,) = recorded.runs()
    assert (run.name, run.ends, len(run.metrics["loss_epoch"])) == ("mine", 1, 2)


@pytest.mark.parametrize(("error", "status"), [(ValueError("mine"), "failed"), (KeyboardInterrupt(), "killed")])
@pytest.mark.parametrize("made", ["callback", "logger"])
def test_an_exception_ends_the_run(recorded, tmp_path, made, error, status) -> None:
    def options():
        if made == "callback":
            return {"callbacks": [for_lightning.AutotrackCallback(), Raises("on_train_epoch_end", error)]}
        return {"logger": for_lightning.AutotrackLogger(), "callbacks": [Raises("on_train_epoch_end", error)]}

    with pytest.raises((ValueError, SystemExit)):
        fit(tmp_path, **options())
    (run,) = recorded.runs()
    assert (run.status, run.ends, run.error["type"]) == (status, 1, type(error).__name__)
    assert autotrack.current_run() is None


def test_later_stages_go_on_with_the_run_of_the_logger(recorded, tmp_path) -> None:
    own = fit(tmp_path, logger=for_lightning.AutotrackLogger(), max_epochs=1)
    own.test(own.lightning_module, loader(rows=8), verbose=False)
    own.logger.log_metrics({"afterwards": 1.0})
    (run,) = recorded.runs()
    assert (run.status, "test_loss" in run.metrics, "afterwards" in run.metrics) == ("finished", True, True)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])
@pytest.mark.parametrize("trained", [False, True])
def test_both_pickle_and_copy_before_and_after_training(recorded, tmp_path, space, copied, trained) -> None:
    callback, own = space.Callback(name="mine"), space.Logger(name="mine")
    if trained:
        space.run(tmp_path, logger=own, callbacks=[callback])
    for it in (callback, own):
        assert type(pickle.loads(cloudpickle.dumps(it))) is type(it)
    again = copied(callback)
    assert (type(again), again.name) == (space.Callback, "mine")
    before = len(recorded.runs())
    space.run(tmp_path, logger=copied(own), callbacks=[again])
    run = recorded.runs()[-1]
    assert len(recorded.runs()) == before + 1
    assert (run.name, run.status, len(run.metrics["loss_epoch"])) == ("mine", "finished", 2)


class Pickles(Line):
    """Pickles what belongs to its trainer while it trains."""

    def on_train_epoch_end(self):
        copy.deepcopy(self.trainer.callbacks)
        cloudpickle.dumps(self.trainer.callbacks)
        assert [type(it) for it in pickle.loads(pickle.dumps(self.trainer.loggers))] == [
            type(it) for it in self.trainer.loggers
        ]


def test_a_trainer_pickles_while_and_after_it_trains(recorded, tmp_path) -> None:
    own = fit(
        tmp_path,
        Pickles(),
        logger=lightning.pytorch.loggers.CSVLogger(tmp_path),
        callbacks=[for_lightning.AutotrackCallback()],
    )
    cloudpickle.dumps(own)
    assert [run.status for run in recorded.runs()] == ["finished"]


def test_the_namespace_is_the_one_that_the_user_imported(tmp_path) -> None:
    script = """
import sys
{imports}
from autotrack_lightning import AutotrackCallback, AutotrackLogger
print(AutotrackCallback.__mro__[2].__module__.partition(".")[0], AutotrackLogger.__module__)
"""
    for imports, told in (
        ("import lightning", "lightning autotrack_lightning.for_lightning"),
        ("import pytorch_lightning", "pytorch_lightning autotrack_lightning.for_pytorch_lightning"),
    ):
        code = script.format(imports=imports)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.split()[1] == told.split()[1], done.stdout


WAYS = {
    "callback": ({}, "from autotrack_lightning import AutotrackCallback\ncallbacks = [AutotrackCallback()]", 1),
    "environment": ({"AUTOTRACK_ENABLED": "1"}, "", 1),
    "environment and disable": ({"AUTOTRACK_ENABLED": "1"}, "import autotrack\nautotrack.disable()", 0),
    "switched off": (
        {"AUTOTRACK_ENABLED": "0"},
        "import autotrack\nautotrack.enable()\nfrom autotrack_lightning import AutotrackCallback\n"
        "callbacks = [AutotrackCallback()]",
        0,
    ),
}

SCRIPT = """
import sys
sys.path.insert(0, {folder!r})
callbacks = None
{way}
from pathlib import Path
from lightning_trainings import fit
fit(Path({root!r}), max_epochs=1, callbacks=callbacks, enable_checkpointing=False)
"""


@pytest.mark.parametrize(("environment", "way", "runs"), WAYS.values(), ids=WAYS)
def test_the_ways_to_record_a_script(tmp_path, environment, way, runs) -> None:
    from autotrack.testing import Recorded

    script = SCRIPT.format(folder=str(Path(__file__).parent), root=str(tmp_path), way=way)
    variables = {"AUTOTRACK_HOME": str(tmp_path / "home"), "AUTOTRACK_FORWARDER": "off", "AUTOTRACK_QUIET": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **variables, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "autotrack" not in (done.stdout + done.stderr).lower()
    found = Recorded(tmp_path / "home").runs()
    assert [(run.status, len(run.metrics["loss_epoch"])) for run in found] == [("finished", 1)] * runs


def test_enable_for_another_product_records_nothing(tmp_path) -> None:
    with recording(tmp_path / "home", "xgboost") as recorded:
        fit(tmp_path, max_epochs=1)
    assert recorded.runs() == []


def test_after_disable_nothing_is_recorded(tmp_path) -> None:
    with recording(tmp_path / "home", "lightning") as recorded:
        made = trainer(tmp_path, max_epochs=1)
        autotrack.disable()
        made.fit(Line(), loader(), loader(rows=16))
        fit(tmp_path, max_epochs=1)
    assert recorded.runs() == []
    assert "observed" not in lightning.pytorch.Trainer.fit.__code__.co_name
    assert not hasattr(lightning.pytorch.Trainer.save_checkpoint, "__wrapped__")


def test_the_factories_never_raise(monkeypatch) -> None:
    def breaks(namespace):
        raise RuntimeError

    assert list(autotrack_lightning.lightning_callbacks()) == []
    monkeypatch.setattr(autotrack_lightning, "is_enabled", lambda name: True)
    assert [type(it).__name__ for it in autotrack_lightning.pytorch_lightning_callbacks()] == ["AutomaticCallback"]
    monkeypatch.setattr(autotrack_lightning, "_part", breaks)
    assert list(autotrack_lightning.lightning_callbacks()) == []


def test_a_callback_is_made_before_a_trainer_of_its_own(tmp_path) -> None:
    assert trainer(tmp_path, callbacks=for_lightning.AutotrackCallback()).callbacks


REPLACED = """
import autotrack, torch
import lightning.pytorch as pl
from lightning.pytorch.demos.boring_classes import BoringModel

original = pl.Trainer
pl.Trainer = lambda **given: original(**given)  # before anything of autotrack_lightning looks at it
autotrack.enable("lightning")
pl.Trainer(max_steps=2, logger=False, enable_checkpointing=False, enable_progress_bar=False).fit(BoringModel())
"""


def test_a_script_that_replaces_the_trainer_class_trains_and_is_recorded(tmp_path: Path) -> None:
    home = tmp_path / "home"
    done = subprocess.run(
        [sys.executable, "-c", REPLACED],
        env={**os.environ, "AUTOTRACK_HOME": str(home), "AUTOTRACK_FORWARDER": "off"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [run.status for run in Recorded(home).runs()] == ["finished"]
