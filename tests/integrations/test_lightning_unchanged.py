"""With autotrack a training is as without it: results, files, output, the user's lists and code that uses loggers."""

import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("lightning")
sys.path.insert(0, str(Path(__file__).parent))

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.callbacks.progress.progress_bar import get_standard_metrics
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.logger import DummyLogger
from lightning_trainings import Line, Points, fit, loader, trainer

import autotrack
from autotrack.testing import recording


def files(folder: Path) -> list[str]:
    """With TensorBoard's without the time and number in their names."""
    names = (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return sorted(re.sub(r"tfevents\.\d+\.(.*)\.\d+\.\d+$", r"tfevents.\1", name) for name in names)


FOLDERS = {
    "default": {"logger": True},
    "csv": {"logger": CSVLogger},
    "no logger": {"logger": False},
    "no logger, checkpoints": {"logger": False, "callbacks": [ModelCheckpoint]},
    "no checkpoints": {"logger": True, "enable_checkpointing": False},
    "fast_dev_run": {"logger": True, "fast_dev_run": True},
    "barebones": {
        "barebones": True,
        **dict.fromkeys(("logger", "enable_progress_bar", "enable_model_summary", "log_every_n_steps")),
    },
}


@pytest.mark.parametrize("options", FOLDERS.values(), ids=FOLDERS)
def test_files_and_weights_are_as_without_us(tmp_path, options) -> None:
    def train(folder: Path) -> Trainer:
        folder.mkdir()
        given = dict(options)
        if given.get("logger") is CSVLogger:
            given["logger"] = CSVLogger(folder)
        given["callbacks"] = [make(save_last=True) for make in given.get("callbacks", [])]
        own = fit(folder, max_epochs=2, **given)
        own.test(own.lightning_module, loader(rows=8), verbose=False)
        return own

    without = train(tmp_path / "without")
    with recording(tmp_path / "home", "lightning"):
        own = train(tmp_path / "with")
    assert files(tmp_path / "with") == files(tmp_path / "without")
    assert [type(it) for it in own.loggers] == [type(it) for it in without.loggers]
    assert own.log_dir == (without.log_dir and without.log_dir.replace("/without", "/with"))
    assert own.callback_metrics == without.callback_metrics
    for one, other in zip(own.lightning_module.parameters(), without.lightning_module.parameters(), strict=True):
        assert torch.equal(one, other)
    for name in files(tmp_path / "with"):
        if name.endswith(".ckpt"):
            kept = torch.load(tmp_path / "with" / name, weights_only=False)
            assert kept.keys() == torch.load(tmp_path / "without" / name, weights_only=False).keys()
            assert not any("Auto" in key for key in kept["callbacks"])


def test_code_that_goes_through_all_loggers_goes_on_working(tmp_path) -> None:
    class Draws(Line):
        def on_train_epoch_end(self):
            for logger in self.loggers:
                logger.log_image("image", [1])
                logger.experiment.add_scalar("x", 1.0)
                logger.experiment["x"].log(1)
            bars.append(get_standard_metrics(self.trainer))

    class Silent(CSVLogger):
        def log_image(self, *args):
            drawn.append(args)

        @property
        def experiment(self):
            return DummyLogger().experiment if drawn else super().experiment

        def save(self):
            pass

        def log_metrics(self, metrics, step=None):
            pass

    drawn: list[object] = []
    bars: list[object] = []
    fit(tmp_path / "without", Draws(), logger=Silent(tmp_path), enable_checkpointing=False)
    (bar, *_) = bars
    with recording(tmp_path / "home", "lightning") as recorded:
        fit(tmp_path / "with", Draws(), logger=Silent(tmp_path, version=0), enable_checkpointing=False)
    assert [run.status for run in recorded.runs()] == ["finished"]
    assert len(drawn) == 6
    assert {key: str(value) for key, value in bars[-1].items()} == {key: str(value) for key, value in bar.items()}


def test_lists_and_hyperparameters_of_the_user_are_left_alone(tmp_path) -> None:
    model, data = Line(), Points()
    before = dict(model.hparams), set(vars(model)), set(vars(data))
    logger = CSVLogger(tmp_path)
    loggers = [logger]
    with recording(tmp_path / "home", "lightning"):
        own = trainer(tmp_path, logger=loggers, max_epochs=1)
        names = set(vars(own))
        own.fit(model, datamodule=data)
    assert loggers == [logger] and own.loggers == [logger]
    assert set(vars(own)) - names <= {"_train_start_time", "_last_val_time", "val_check_batch"}
    plain = Line()
    trainer(tmp_path, max_epochs=1).fit(plain, datamodule=Points())
    assert dict(model.hparams) == before[0]
    assert set(vars(model)) == set(vars(plain))


@pytest.mark.parametrize("broken", ["params.flags", "checkpoints.facts", "rows.step_of", "data.datasets"])
def test_a_fault_of_ours_stays_ours(tmp_path, monkeypatch, broken) -> None:
    def breaks(*args):
        raise RuntimeError("ours")

    monkeypatch.setattr(f"autotrack_lightning.{broken}", breaks)
    monkeypatch.setattr("autotrack_lightning.recording.datasets", breaks)
    with recording(tmp_path / "home", "lightning", strict=False) as recorded:
        own = fit(tmp_path, logger=CSVLogger(tmp_path), max_epochs=1)
    (run,) = recorded.runs()
    assert own.state.finished and own.loggers == own.loggers[:1]
    assert (run.status, len(run.metrics["loss_epoch"]), len(run.models)) == ("finished", 1, 1)


def test_warnings_are_those_without_us(tmp_path) -> None:
    def told(folder, **options):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fit(folder, max_epochs=1, **options)
        return [str(it.message) for it in caught]

    told(tmp_path / "first")  # what is said once in a process
    without = told(tmp_path / "without")
    with recording(tmp_path / "home", "lightning"):
        assert told(tmp_path / "with") == without


def test_methods_are_the_originals_after_disable(tmp_path) -> None:
    names = ("fit", "validate", "test", "predict", "save_checkpoint")
    originals = {name: vars(Trainer)[name] for name in names}
    with recording(tmp_path / "home", "lightning"):
        autotrack.enable("lightning", forwarder="off", home=tmp_path / "home", strict=True)
        assert all(vars(Trainer)[name] is not originals[name] for name in names)
        assert Trainer.fit.__doc__ == originals["fit"].__doc__
    assert all(vars(Trainer)[name] is originals[name] for name in names)


SCRIPT = """
import sys
sys.path.insert(0, {folder!r})
from pathlib import Path
from lightning_trainings import Line, loader, trainer
import autotrack
if sys.argv[1] == "on":
    autotrack.enable("lightning")
own = trainer(Path({root!r}) / sys.argv[1], max_epochs=1, logger=True)
own.fit(Line(), loader(), loader(rows=16))
"""


def test_output_is_as_without_us(tmp_path) -> None:
    script = SCRIPT.format(folder=str(Path(__file__).parent), root=str(tmp_path))
    variables = {"AUTOTRACK_HOME": str(tmp_path / "home"), "AUTOTRACK_FORWARDER": "off", "AUTOTRACK_QUIET": "1"}
    told = [
        subprocess.run(
            [sys.executable, "-c", script, word],
            env={**os.environ, **variables, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=True,
        )
        for word in ("off", "on")
    ]
    assert told[0].stdout == told[1].stdout
    # TensorFlow's lines have the time in them; TensorBoard brings it along where both are installed.
    off, on = ([line for line in one.stderr.splitlines() if ".cc:" not in line] for one in told)
    assert [line.replace("/off", "/on") for line in off] == on
