"""What the stages of a `Trainer` leave in its run, compared with what Lightning itself reports."""

import contextlib
import contextvars
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("lightning")
sys.path.insert(0, str(Path(__file__).parent))

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.callbacks import EarlyStopping, LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.tuner import Tuner
from lightning_trainings import OURS, Line, Points, Raises, fit, loader, near, series, trainer

import autotrack
from autotrack.events import MetricsLogged, RunStarted
from autotrack.journal.reader import Journal, journals
from autotrack.patching.scope import begin_leaf
from autotrack.testing import recording
from autotrack_lightning import AutotrackLogger


@pytest.fixture
def recorded(tmp_path):
    with recording(tmp_path / "home", "lightning") as recorded:
        yield recorded


def table(tmp_path):
    return near(series(tmp_path / "csv" / "lightning_logs" / "version_0" / "metrics.csv"))


def theirs(run):
    return near({key: points for key, points in run.metrics.items() if key.partition("/")[0] not in OURS})


OPTIONS = {
    "plain": {},
    "every third step": {"log_every_n_steps": 3},
    "accumulated gradients": {"accumulate_grad_batches": 2},
    "validation within the epoch": {"val_check_interval": 3},
    "validation every second epoch": {"check_val_every_n_epoch": 2},
    "steps": {"max_epochs": -1, "max_steps": 8},
    "limited": {"limit_train_batches": 3, "limit_val_batches": 1},
    "no validation": {"limit_val_batches": 0},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("logger", [True, False], ids=["with a logger", "without loggers"])
def test_series_are_those_of_lightnings_own_logger(tmp_path, options, logger) -> None:
    own = fit(tmp_path / "csv", logger=CSVLogger(tmp_path / "csv"), enable_checkpointing=False, **options)
    own.validate(own.lightning_module, loader(rows=16), verbose=False)
    own.test(own.lightning_module, loader(rows=8), verbose=False)
    with recording(tmp_path / "home", "lightning") as recorded:
        loggers = CSVLogger(tmp_path / "own") if logger else False
        again = fit(tmp_path / "own", logger=loggers, enable_checkpointing=False, **options)
        again.validate(again.lightning_module, loader(rows=16), verbose=False)
        again.test(again.lightning_module, loader(rows=8), verbose=False)
    (run,) = recorded.runs()
    assert (run.name, run.integration, run.status) == ("Line", "lightning", "finished")
    assert theirs(run) == table(tmp_path)
    assert "hidden" not in run.metrics
    for key in ("loss_epoch", "step_only", "val_loss", "val_both_epoch", "test_loss"):
        if key in own.callback_metrics:
            assert run.metrics[key][-1][1] == pytest.approx(float(own.callback_metrics[key]))


@pytest.mark.parametrize("logger", [True, False])
def test_several_dataloaders(tmp_path, logger) -> None:
    def stages(folder, **options):
        torch.manual_seed(0)
        own = trainer(folder, enable_checkpointing=False, max_epochs=2, **options)
        model = Line()
        own.fit(model, {"a": loader(), "b": loader(2)}["a"], [loader(rows=16), loader(rows=8)])
        own.validate(model, [loader(rows=8), loader(rows=16)], verbose=False)

    stages(tmp_path / "csv", logger=CSVLogger(tmp_path / "csv"))
    with recording(tmp_path / "home", "lightning") as recorded:
        stages(tmp_path / "own", logger=CSVLogger(tmp_path / "own") if logger else False)
    (run,) = recorded.runs()
    assert "val_loss/dataloader_idx_1" in run.metrics
    assert theirs(run) == table(tmp_path)
    names = [(it.role, it.name) for it in run.datasets]
    assert names[:3] == [("train", "train"), ("validation", "validation_0"), ("validation", "validation_1")]


class Two(LightningModule):
    """Two optimizers, stepped by hand, one of them with two groups of parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.first, self.second = torch.nn.Linear(4, 4), torch.nn.Linear(4, 1)

    def training_step(self, batch, batch_idx):
        loss = torch.nn.functional.mse_loss(self.second(self.first(batch[0])), batch[1])
        self.manual_backward(loss)
        for optimizer in self.optimizers():
            optimizer.step()
            optimizer.zero_grad()
        self.log("loss", loss)

    def configure_optimizers(self):
        groups = [{"params": [self.first.weight]}, {"params": [self.first.bias], "lr": 0.5}]
        return torch.optim.SGD(groups, lr=0.1), torch.optim.Adam(self.second.parameters(), lr=0.01)


@pytest.mark.parametrize("logger", [True, False])
def test_two_optimizers(tmp_path, logger) -> None:
    fit(tmp_path / "csv", Two(), logger=CSVLogger(tmp_path / "csv"), enable_checkpointing=False)
    with recording(tmp_path / "home", "lightning") as recorded:
        fit(
            tmp_path,
            Two(),
            logger=CSVLogger(tmp_path / "own") if logger else False,
            enable_checkpointing=False,
        )
    (run,) = recorded.runs()
    assert [step for step, _ in theirs(run)["loss"]] == [step for step, _ in table(tmp_path)["loss"]]
    assert (run.params["optimizer_0"], run.params["optimizer_1"]) == ("SGD", "Adam")
    assert (run.params["optimizer_0.lr"], run.params["optimizer_1.lr"]) == (0.1, 0.01)
    assert run.params["optimizer_0.group_1.lr"] == 0.5
    assert "lr_scheduler" not in run.params


def test_params_are_hyperparameters_flags_optimizers_and_schedulers(recorded, tmp_path) -> None:
    own = trainer(
        tmp_path,
        accumulate_grad_batches=2,
        gradient_clip_val=0.5,
        limit_train_batches=4,
        callbacks=[EarlyStopping("val_loss", patience=7)],
    )
    own.fit(Line(lr=0.02), datamodule=Points(batch_size=2))
    (run,) = recorded.runs()
    expected = {
        "lr": 0.02,
        "batch_size": 2,
        "max_epochs": 3,
        "accumulate_grad_batches": 2,
        "gradient_clip_val": 0.5,
        "limit_train_batches": 4,
        "precision": "32-true",
        "strategy": "SingleDeviceStrategy",
        "num_devices": 1,
        "optimizer": "Adam",
        "optimizer.lr": 0.02,
        "lr_scheduler": "StepLR",
        "lr_scheduler.gamma": 0.5,
        "lr_scheduler.interval": "epoch",
        "early_stopping.monitor": "val_loss",
        "early_stopping.patience": 7,
        "model.class": "Line",
        "model.parameters": 5,
    }
    assert {key: run.params.get(key) for key in expected} == expected
    assert run.params["betas"] == "(0.9, 0.99)"


def test_hyperparameters_that_are_not_to_be_logged_are_not(recorded, tmp_path) -> None:
    class Shy(Line):
        def __init__(self) -> None:
            super().__init__()
            self.save_hyperparameters({"secret_sauce": 1}, logger=False)

    fit(tmp_path, Shy(), max_epochs=1)
    (run,) = recorded.runs()
    assert "secret_sauce" not in run.params


def test_a_metric_that_the_cadence_never_lets_through_has_its_last_value(recorded, tmp_path) -> None:
    own = fit(tmp_path, log_every_n_steps=50)
    (run,) = recorded.runs()
    assert run.metrics["step_only"] == [(17, pytest.approx(float(own.callback_metrics["step_only"])))]
    assert len(run.metrics["loss_epoch"]) == 3


class Paced(Line):
    """Says itself at which step its rows stand, by the key that Lightning has for it."""

    def on_train_epoch_end(self):
        self.log("step", float(self.current_epoch) * 100)
        self.log("paced", 1.0)


@pytest.mark.parametrize("logger", [True, False], ids=["with a logger", "without loggers"])
def test_a_step_that_the_module_logs_is_the_step_and_no_series(tmp_path, logger) -> None:
    torch.manual_seed(0)
    fit(tmp_path / "csv", Paced(), logger=CSVLogger(tmp_path / "csv"), enable_checkpointing=False)
    torch.manual_seed(0)
    with recording(tmp_path / "home", "lightning") as recorded:
        loggers = CSVLogger(tmp_path / "own") if logger else False
        fit(tmp_path / "own", Paced(), logger=loggers, enable_checkpointing=False)
    (run,) = recorded.runs()
    assert theirs(run) == table(tmp_path)
    assert [step for step, _ in run.metrics["paced"]] == [0, 100, 200]


def test_datasets_have_the_role_of_their_dataloader(recorded, tmp_path) -> None:
    own = fit(tmp_path, max_epochs=2)
    own.test(own.lightning_module, loader(rows=8), verbose=False)
    own.predict(own.lightning_module, {"one": loader(rows=8), "two": loader(rows=4)})
    (run,) = recorded.runs()
    assert [(it.role, it.name) for it in run.datasets] == [
        ("train", "train"),
        ("validation", "validation"),
        ("test", "test"),
        ("predict", "predict_one"),
        ("predict", "predict_two"),
    ]


def test_no_datasets_where_they_are_off(tmp_path) -> None:
    with recording(tmp_path / "home", "lightning", datasets=False) as recorded:
        fit(tmp_path, max_epochs=1)
    assert recorded.runs()[0].datasets == []


def test_checkpoints_and_early_stopping_tell_what_they_found(recorded, tmp_path) -> None:
    best = ModelCheckpoint(monitor="val_loss", save_last=True)
    stopping = EarlyStopping("loss_epoch", patience=1, min_delta=1e9)
    own = fit(tmp_path, callbacks=[best, stopping], max_epochs=9)
    (run,) = recorded.runs()
    assert run.tags["monitor"] == "val_loss"
    assert run.tags["best_model_path"] == best.best_model_path
    assert run.tags["last_model_path"] == best.last_model_path
    ((step, score),) = run.metrics["best_model_score"]
    assert (step, score) == (own.global_step - 1, pytest.approx(float(best.best_model_score)))
    assert run.metrics["best_score"] == [(step, pytest.approx(float(stopping.best_score)))]
    assert run.metrics["stopped_epoch"] == [(step, stopping.stopped_epoch)] and stopping.stopped_epoch == 1


def test_learning_rates_that_lightning_monitors_are_series(recorded, tmp_path) -> None:
    fit(tmp_path, logger=CSVLogger(tmp_path / "csv"), callbacks=[LearningRateMonitor("epoch")])
    assert [value for _, value in recorded.runs()[0].metrics["lr-Adam"]] == pytest.approx([0.01, 0.005, 0.0025])


CHECKPOINTS = ["epoch=0-step=6", "epoch=1-step=12", "epoch=2-step=18"]


@pytest.mark.parametrize(
    ("models", "names"),
    [("off", []), ("final", ["model"]), ("best", ["best"]), ("all", [*CHECKPOINTS, "model"])],
)
def test_weights_are_kept_as_asked(tmp_path, models, names) -> None:
    with recording(tmp_path / "home", "lightning", models=models) as recorded:
        model = Line()
        checkpoint = ModelCheckpoint(monitor="val_loss", mode="max", save_top_k=-1, save_last=True)
        own = fit(tmp_path, model, callbacks=[checkpoint])
        own.test(model, loader(rows=8), verbose=False)
    (run,) = recorded.runs()
    assert [it.name for it in run.models] == names
    assert all(it.problem is None and it.format == "safetensors" for it in run.models)
    if models == "best":
        assert run.models[0].step == torch.load(checkpoint.best_model_path, weights_only=True)["global_step"]
    if models == "all":
        assert [it.step for it in run.models] == [6, 12, 18, 18]


def test_a_checkpoint_that_only_code_can_read_leaves_the_final_weights(tmp_path) -> None:
    with recording(tmp_path / "home", "lightning", models="best") as recorded:
        model = Line()
        model.hparams["loss"] = torch.nn.MSELoss()
        fit(tmp_path, model, callbacks=[ModelCheckpoint(monitor="val_loss")])
    (run,) = recorded.runs()
    assert [it.name for it in run.models] == ["model"]
    assert "final weights" in run.notes[0].why


@pytest.mark.parametrize(("error", "status"), [(ValueError("mine"), "failed"), (KeyboardInterrupt(), "killed")])
@pytest.mark.parametrize("hook", ["setup", "on_fit_start", "on_train_batch_end", "on_validation_end", "on_train_end"])
def test_an_exception_ends_the_run_and_passes(recorded, tmp_path, error, status, hook) -> None:
    # For Ctrl-C Lightning ends the process itself.
    with pytest.raises(SystemExit if status == "killed" else ValueError) as caught:
        fit(tmp_path, callbacks=[Raises(hook, error)])
    assert status == "killed" or caught.value is error
    assert autotrack.current_run() is None
    fit(tmp_path, max_epochs=1)
    first, second = recorded.runs()
    assert (first.status, first.ends, first.error["type"]) == (status, 1, type(error).__name__)
    assert "Raises" in first.error["traceback"] or "raises" in first.error["traceback"]
    assert (second.status, first.models) == ("finished", [])


def test_a_callback_that_raises_while_it_is_told_of_an_exception(recorded, tmp_path) -> None:
    callbacks = [Raises("on_exception", RuntimeError("again")), Raises("on_train_start", ValueError("mine"))]
    with pytest.raises(RuntimeError):
        fit(tmp_path, callbacks=callbacks)
    fit(tmp_path, max_epochs=1)
    first, second = recorded.runs()
    assert (first.status, second.status, second.ends) == ("failed", "finished", 1)


def test_a_trainer_that_failed_may_go_on(recorded, tmp_path) -> None:
    error = Raises("on_train_epoch_end", ValueError("mine"))
    own = trainer(tmp_path, callbacks=[error])
    model = Line()
    with pytest.raises(ValueError):
        own.fit(model, loader(), loader(rows=16))
    own.callbacks.remove(error)
    own.fit(model, loader(), loader(rows=16))
    (run,) = recorded.runs()
    assert (run.status, run.error) == ("finished", None)


def test_a_second_fit_of_a_trainer_goes_on_with_its_run(recorded, tmp_path) -> None:
    own = fit(tmp_path, max_epochs=1)
    own.fit_loop.max_epochs = 3
    own.fit(own.lightning_module, loader(), loader(rows=16))
    (run,) = recorded.runs()
    assert [step for step, _ in run.metrics["loss_epoch"]] == [5, 11, 17]


@pytest.mark.parametrize("stage", ["validate", "test", "predict"])
def test_a_stage_without_a_fit_is_a_run(recorded, tmp_path, stage) -> None:
    own = trainer(tmp_path)
    getattr(own, stage)(Line(), loader(rows=8))
    (run,) = recorded.runs()
    assert (run.name, run.status, run.ends, run.params["lr"]) == ("Line", "finished", 1, 0.01)
    assert "optimizer" not in run.params and run.models == []
    assert ("test_loss" in run.metrics) == (stage == "test")


def test_each_trainer_has_its_run(recorded, tmp_path) -> None:
    model = Line()
    first, second = fit(tmp_path, model, max_epochs=1), fit(tmp_path, model, max_epochs=1)
    first.test(model, loader(rows=8), verbose=False)
    one, other = recorded.runs()
    assert ("test_loss" in one.metrics, "test_loss" in other.metrics) == (True, False)
    assert second.is_global_zero


def test_inside_a_run_of_the_users(recorded, tmp_path) -> None:
    with autotrack.start_run("mine"):
        own = fit(tmp_path, max_epochs=1)
        assert [run.status for run in recorded.runs()] == ["running"]
        own.test(own.lightning_module, loader(rows=8), verbose=False)
        with pytest.raises(ValueError):
            fit(tmp_path, callbacks=[Raises("on_train_start", ValueError())])
        assert [run.status for run in recorded.runs()] == ["running"]
    (run,) = recorded.runs()
    assert (run.name, run.status, run.ends) == ("mine", "finished", 1)
    assert "test_loss" in run.metrics


def test_inside_another_training_it_is_silent(recorded, tmp_path) -> None:
    with begin_leaf("search", name="search"):
        fit(tmp_path, max_epochs=1, logger=CSVLogger(tmp_path))
    (run,) = recorded.runs()
    assert (run.name, run.metrics, run.models) == ("search", {}, [])


def test_a_trainer_inside_a_trainer_is_part_of_it(recorded, tmp_path) -> None:
    class Outer(Line):
        def on_train_start(self):
            fit(tmp_path / "inner", max_epochs=1)

    fit(tmp_path, Outer(), max_epochs=2)
    (run,) = recorded.runs()
    assert [step for step, _ in run.metrics["loss_epoch"]] == [5, 11]


def test_what_a_tuner_tries_is_not_recorded(recorded, tmp_path) -> None:
    own = trainer(tmp_path, logger=CSVLogger(tmp_path), max_epochs=1)
    model = Line()
    Tuner(own).lr_find(model, loader(), loader(rows=16), num_training=8)
    assert recorded.runs() == [] and autotrack.current_run() is None
    own.fit(model, loader(), loader(rows=16))
    (run,) = recorded.runs()
    assert len(run.metrics["loss_epoch"]) == 1 and run.params["optimizer.lr"] == model.hparams.lr


UNSET = dict.fromkeys(("logger", "enable_progress_bar", "enable_model_summary", "log_every_n_steps"))


@pytest.mark.parametrize("options", [{"fast_dev_run": True}, {"barebones": True, **UNSET}], ids=["fast", "barebones"])
def test_a_trial_of_the_code_is_not_recorded(recorded, tmp_path, options) -> None:
    fit(tmp_path, max_epochs=1, **options)
    assert recorded.runs() == []


def test_resuming_goes_on_with_the_run_that_saved_the_checkpoint(recorded, tmp_path) -> None:
    fit(tmp_path, max_epochs=1).save_checkpoint(tmp_path / "mine.ckpt")
    first = fit(tmp_path, max_epochs=2)
    own = trainer(tmp_path, max_epochs=4)
    own.fit(Line(), loader(), loader(rows=16), ckpt_path=first.checkpoint_callback.best_model_path)
    _, run = recorded.runs()
    assert [step for step, _ in run.metrics["loss_epoch"]] == [5, 11, 17, 23]
    assert run.params["max_epochs"] == 4
    trainer(tmp_path).fit(Line(), loader(), loader(rows=16), ckpt_path=tmp_path / "mine.ckpt")
    run, _ = recorded.runs()
    assert [step for step, _ in run.metrics["loss_epoch"]] == [5, 11, 17]


def test_the_last_checkpoint_is_found_by_its_word(recorded, tmp_path) -> None:
    fit(tmp_path, max_epochs=1, callbacks=[ModelCheckpoint(save_last=True, dirpath=tmp_path / "kept")])
    own = trainer(tmp_path, callbacks=[ModelCheckpoint(save_last=True, dirpath=tmp_path / "kept")])
    own.fit(Line(), loader(), loader(rows=16), ckpt_path="last")
    (run,) = recorded.runs()
    assert [step for step, _ in run.metrics["loss_epoch"]] == [5, 11, 17]


def test_the_users_logger_resumes_too_and_names_the_run(recorded, tmp_path) -> None:
    first = fit(tmp_path, logger=AutotrackLogger(name="mine"), max_epochs=1)
    own = trainer(tmp_path, logger=AutotrackLogger())
    own.fit(Line(), loader(), loader(rows=16), ckpt_path=first.checkpoint_callback.best_model_path)
    (run,) = recorded.runs()
    assert (run.name, run.status, len(run.metrics["loss_epoch"])) == ("mine", "finished", 3)
    assert own.logger.version == run.id


@pytest.mark.parametrize("whose", ["its own", "given", "around"])
@pytest.mark.parametrize("enabled", [True, False])
def test_the_folder_of_checkpoints_has_the_id_of_the_run(recorded, tmp_path, whose, enabled) -> None:
    if not enabled:
        autotrack.disable()
    opened = contextvars.copy_context().run(autotrack.start_run) if whose == "given" else None
    with autotrack.start_run() if whose == "around" else contextlib.nullcontext():
        own = fit(tmp_path, logger=AutotrackLogger(run=opened), max_epochs=1)
    (run,) = recorded.runs()
    (path,) = tmp_path.rglob("*.ckpt")
    assert path.parent == tmp_path / "autotrack" / run.id / "checkpoints" == Path(own.checkpoint_callback.dirpath)


def test_a_tuner_leaves_nothing_of_a_logger(recorded, tmp_path) -> None:
    Tuner(trainer(tmp_path, logger=AutotrackLogger())).lr_find(Line(), loader(), loader(rows=16), num_training=8)
    assert recorded.runs() == []


def test_a_backend_that_lightnings_own_logger_feeds_gets_nothing_from_us(tmp_path) -> None:
    class MLFlowLogger(CSVLogger):
        """Stands for the one of Lightning, which needs MLflow itself."""

    with recording(tmp_path / "home", "lightning", backends=["local", "mlflow"]):
        fit(tmp_path, logger=[CSVLogger(tmp_path / "a"), MLFlowLogger(tmp_path / "b")], max_epochs=1)
        fit(tmp_path, logger=CSVLogger(tmp_path / "c"), max_epochs=1)
        with autotrack.start_run() as run:  # which goes there: but what its logger sends does not go twice
            fit(tmp_path, logger=[CSVLogger(tmp_path / "d"), MLFlowLogger(tmp_path / "e")], max_epochs=1)
            run.log_metrics({"mine": 1.5}, 0)
    (journal,) = journals(tmp_path / "home")
    events = [record.event for record in Journal(journal).records()]
    assert [event.not_to for event in events if isinstance(event, RunStarted)] == [["mlflow"], [], []]
    points = [event for event in events if isinstance(event, MetricsLogged) and event.run == run.id]
    assert {name for event in points if not event.not_to for name in event.values} == {"mine"}
    twice = [event for event in points if "loss_epoch" in event.values or "val_loss" in event.values]
    assert len(twice) == 2 and all(event.not_to == ("mlflow",) for event in twice)


def test_a_checkpoint_of_an_exception_can_be_resumed_from(recorded, tmp_path) -> None:
    checkpoint = ModelCheckpoint(save_on_exception=True, filename="saved")
    with pytest.raises(ValueError):
        fit(tmp_path, callbacks=[checkpoint, Raises("on_validation_start", ValueError())], num_sanity_val_steps=0)
    (path,) = (tmp_path / "checkpoints").glob("*.ckpt")
    trainer(tmp_path).fit(Line(), loader(), loader(rows=16), ckpt_path=path)
    (run,) = recorded.runs()
    assert run.status == "finished"


def test_a_trainer_made_before_enable_is_recorded(tmp_path) -> None:
    own = trainer(tmp_path, max_epochs=1)
    before = list(own.callbacks)
    with recording(tmp_path / "home", "lightning") as recorded:
        own.fit(Line(), loader(), loader(rows=16))
        assert [it for it in own.callbacks if it in before] == before
    own.fit_loop.max_epochs = 2
    own.fit(own.lightning_module, loader(), loader(rows=16))
    (run,) = recorded.runs()
    assert len(run.metrics["loss_epoch"]) == 1


def test_what_is_not_the_default_is_told(recorded, tmp_path) -> None:
    fit(tmp_path, Line(lr=0.02), accumulate_grad_batches=2)
    (run,) = autotrack.runs()
    record = autotrack.get_run(run["id"])
    told = record["defaults"]
    assert told["changed"] == {
        "lr": 0.01,
        "accumulate_grad_batches": 1,
        "optimizer.lr": 0.001,
        "optimizer.betas": [0.9, 0.999],
        "lr_scheduler.gamma": 0.1,
    }
    assert {"betas", "max_steps", "num_nodes", "optimizer.eps", "optimizer.amsgrad"} <= set(told["unchanged"])
    # What the trainer makes of None is kept in the same place as what was given.
    assert not {"max_epochs", "precision", "strategy"} & {*told["changed"], *told["unchanged"]}
    assert {*told["changed"], *told["unchanged"]} <= record["params"].keys()


def test_of_hyperparameters_that_are_no_arguments_nothing_is_said(recorded, tmp_path) -> None:
    class Given(Line):
        def __init__(self, config, lr=0.5) -> None:
            super().__init__()
            self.save_hyperparameters(config)

    fit(tmp_path, Given({"lr": 0.01, "betas": (0.9, 0.99)}))
    (run,) = autotrack.runs()
    told = autotrack.get_run(run["id"])["defaults"]
    assert not {"lr", "betas"} & {*told["changed"], *told["unchanged"]}
