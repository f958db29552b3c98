"""With autotrack, transformers trains, prints, warns and fails exactly as without it."""

import copy
import inspect
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
sys.path.insert(0, str(Path(__file__).parent))

import torch
from transformers import EarlyStoppingCallback, TrainerCallback, TrainingArguments
from transformers.trainer import DEFAULT_CALLBACKS, Trainer
from transformers_trainings import Sentences, history, model, trainer

import autotrack
from autotrack.events import MetricsLogged, RunStarted
from autotrack.journal.reader import Journal, journals
from autotrack.testing import recording
from autotrack_transformers import AutotrackCallback
from autotrack_transformers.recording import Recording

TIMES = ("_runtime", "_per_second")


def measured(series):
    return {name: points for name, points in series.items() if not name.endswith(TIMES)}


def trained(folder, **given):
    own = trainer(folder, eval_strategy="steps", eval_steps=4, save_strategy="steps", save_steps=4, **given)
    result = own.train()
    own.evaluate()
    return own, result, own.predict(Sentences(6))


@pytest.mark.parametrize("given", [{}, {"load_best_model_at_end": True}, {"model_init": model}])
def test_losses_weights_and_predictions_are_the_same(tmp_path, given) -> None:
    plain, plain_result, plain_told = trained(tmp_path / "plain", **given)
    with recording(tmp_path / "home", "transformers", models="all"):
        own, result, told = trained(tmp_path / "tracked", **given)
    assert measured(history(own)) == measured(history(plain))
    assert result.training_loss == plain_result.training_loss and result.global_step == plain_result.global_step
    assert (told.predictions == plain_told.predictions).all()
    for name, tensor in plain.model.state_dict().items():
        assert torch.equal(tensor, own.model.state_dict()[name]), name
    folders = [sorted(path.name for path in (tmp_path / it).rglob("*")) for it in ("plain", "tracked")]
    assert folders[0] == folders[1]


def test_every_attribute_looks_as_it_did_and_is_the_original_after_disable(tmp_path) -> None:
    names = ("train", "evaluate", "predict", "log", "hyperparameter_search")
    before = {name: vars(Trainer)[name] for name in names}
    with recording(tmp_path / "home", "transformers"):
        autotrack.enable("transformers", forwarder="off", home=tmp_path / "home", strict=True)
        for name, original in before.items():
            now = vars(Trainer)[name]
            assert now is not original
            assert (now.__name__, now.__doc__, now.__module__) == (name, original.__doc__, original.__module__)
            assert inspect.signature(now) == inspect.signature(original)
            assert pickle.loads(pickle.dumps(now)) is now
        assert len(DEFAULT_CALLBACKS) == 2
    assert {name: vars(Trainer)[name] for name in names} == before
    assert len(DEFAULT_CALLBACKS) == 1


def test_nothing_is_recorded_after_disable(tmp_path) -> None:
    with recording(tmp_path / "home", "transformers") as recorded:
        own = trainer(tmp_path, callbacks=[AutotrackCallback()])
        autotrack.disable()
        own.train()
        own.evaluate()
        trainer(tmp_path).train()
        assert recorded.runs() == []


def test_a_trainer_of_before_disable_goes_on_without_us(tmp_path) -> None:
    with recording(tmp_path / "home", "transformers") as recorded:
        own = trainer(tmp_path)
        own.train()
        (before,) = recorded.runs()
        autotrack.disable()
        own.evaluate()
        own.train()
        (run,) = recorded.runs()
        assert (run.metrics, run.ends) == (before.metrics, 1)


@pytest.mark.parametrize("where", ["begin_training", "train_begins", "saved", "finish", "describe", "dataset"])
def test_a_fault_of_ours_costs_the_training_nothing(tmp_path, monkeypatch, where) -> None:
    def fails(self, *args, **kwargs):
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(Recording, where, fails)
    with recording(tmp_path / "home", "transformers", strict=False) as recorded:
        own, result, _ = trained(tmp_path)
    assert result.global_step == 8
    (run,) = recorded.runs()
    assert run.status == "finished" and run.metrics["loss"] == history(own)["loss"]


def test_logs_are_not_changed_for_other_callbacks(tmp_path) -> None:
    class Keeps(TrainerCallback):
        def __init__(self):
            self.seen = []

        def on_log(self, args, state, control, logs=None, **kwargs):
            self.seen.append((id(logs), dict(logs)))

    keeps = Keeps()
    with recording(tmp_path / "home", "transformers"):
        own = trainer(tmp_path, callbacks=[keeps])
        own.train()
    rows = [{name: value for name, value in row.items() if name != "step"} for row in own.state.log_history]
    assert [logs for _, logs in keeps.seen] == rows


def test_a_callback_list_of_the_users_is_not_changed(tmp_path) -> None:
    callbacks = [EarlyStoppingCallback(2)]
    with recording(tmp_path / "home", "transformers"):
        trainer(
            tmp_path,
            callbacks=callbacks,
            eval_strategy="steps",
            eval_steps=2,
            metric_for_best_model="loss",
            save_strategy="best",
        ).train()
    assert [type(it) for it in callbacks] == [EarlyStoppingCallback]


def test_callbacks_restored_from_a_checkpoint(tmp_path) -> None:
    given = {
        "callbacks": [EarlyStoppingCallback(5)],
        "eval_strategy": "steps",
        "eval_steps": 2,
        "save_strategy": "steps",
        "save_steps": 4,
        "metric_for_best_model": "loss",
        "load_best_model_at_end": True,
        "restore_callback_states_from_checkpoint": True,
    }
    with recording(tmp_path / "home", "transformers") as recorded:
        trainer(tmp_path, max_steps=4, **given).train()
        own = trainer(tmp_path, **given)
        own.train(resume_from_checkpoint=True)
        (run,) = recorded.runs()
    assert run.status == "finished" and own.state.global_step == 8
    rows = [points for name, points in history(own).items() if name == "loss"]
    assert run.metrics["loss"] == rows[0]


def test_nothing_is_stored_on_what_belongs_to_the_user(tmp_path) -> None:
    with recording(tmp_path / "home", "transformers"):
        own = trainer(tmp_path, eval_strategy="steps", eval_steps=4)
        own.train()
        own.evaluate()
    plain = trainer(tmp_path, eval_strategy="steps", eval_steps=4)
    plain.train()
    plain.evaluate()
    for part in ("model", "args", "state", "control", "callback_handler", "accelerator", "train_dataset"):
        assert set(vars(getattr(own, part))) == set(vars(getattr(plain, part))), part
    assert set(vars(own)) == set(vars(plain))
    assert len(copy.deepcopy(own.callback_handler.callbacks)) == len(plain.callback_handler.callbacks) + 1


SCRIPT = """
import sys, warnings
show = warnings.showwarning
if sys.argv[2] == "on":
    import autotrack
    autotrack.enable("transformers")
sys.path.insert(0, {folder!r})
from pathlib import Path
from transformers_trainings import trainer, Sentences
own = trainer(Path(sys.argv[1]), max_steps=4, disable_tqdm=True, eval_strategy="no")
own.log = lambda logs, *a: type(own).log(own, {{k: v for k, v in logs.items() if "run" not in k and "per_s" not in k}})
own.train()
own.evaluate()
assert warnings.showwarning is show
"""


def test_what_is_printed_is_the_same(tmp_path) -> None:
    printed = []
    for switch in ("on", "off"):
        variables = {"AUTOTRACK_HOME": str(tmp_path / "home"), "AUTOTRACK_FORWARDER": "off", "AUTOTRACK_QUIET": "1"}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT.format(folder=str(Path(__file__).parent)), str(tmp_path), switch],
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        printed.append((done.stdout, done.stderr))
    assert printed[0] == printed[1]
    assert "'loss'" in printed[0][0]


def test_a_backend_that_the_trainer_feeds_gets_the_run_once(tmp_path, monkeypatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "theirs")
    monkeypatch.chdir(tmp_path)
    with recording(tmp_path / "home", "transformers") as recorded:
        for report_to in (["mlflow"], "all", "none"):
            own = trainer(tmp_path, report_to=report_to)
            own.train()
            assert recorded.runs()[-1].metrics == history(own)
            mlflow.end_run()
        with autotrack.start_run() as run:  # which goes there: but what the trainer sends does not go twice
            trainer(tmp_path, report_to=["mlflow"]).train()
            run.log_metrics({"mine": 1.5}, 0)
            mlflow.end_run()
    events = [record.event for folder in journals(tmp_path / "home") for record in Journal(folder).records()]
    told = [event.not_to for event in events if isinstance(event, RunStarted)]
    assert ["mlflow" in names for names in told] == [True, True, False, False] and told[0] == ["mlflow"]
    points = [event for event in events if isinstance(event, MetricsLogged) and event.run == run.id]
    assert [event.values for event in points if not event.not_to] == [{"mine": 1.5}]
    assert {event.not_to for event in points} == {(), ("mlflow",)} and "train_loss" in points[-2].values
    theirs = mlflow.search_runs(experiment_names=["theirs"])
    assert len(theirs) == 3 and theirs["metrics.train_loss"].notna().all()


def test_secrets_are_masked_wherever_they_are(tmp_path) -> None:
    args = TrainingArguments(output_dir=str(tmp_path), use_cpu=True, lr_scheduler_kwargs={"api_key": "sk-1234"})
    args.lr_scheduler_kwargs = {"api_key": "sk-1234", "at": "https://me:word@host/x"}
    with recording(tmp_path / "home", "transformers") as recorded:
        own = trainer(tmp_path)
        own.args.lr_scheduler_kwargs = args.lr_scheduler_kwargs
        own.evaluate()
        (run,) = recorded.runs()
        kept = recorded.content(run.artifacts["training_args.json"]).decode()
    assert run.params["lr_scheduler_kwargs.api_key"] == "***"
    for text in (kept, str(run.params)):
        assert "sk-1234" not in text and "me:word" not in text
