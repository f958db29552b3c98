"""What `Trainer.train`, `evaluate` and `predict` leave in a run, compared with what the trainer itself reports."""

import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import torch
from transformers import Trainer, TrainerCallback
from transformers_trainings import Endless, Sentences, arguments, described, history, model, trainer

import autotrack
from autotrack.patching.scope import begin_leaf
from autotrack.testing import recording


@pytest.fixture
def recorded(tmp_path):
    with recording(tmp_path / "home", "transformers") as recorded:
        yield recorded


def accuracy(predictions):
    return {"accuracy": float((predictions.predictions.argmax(-1) == predictions.label_ids).mean())}


def artifact(recorded, run, name):
    return json.loads(recorded.content(run.artifacts[name]))


def test_every_series_equals_log_history(recorded, tmp_path) -> None:
    own = trainer(tmp_path, eval_strategy="steps", eval_steps=4, compute_metrics=accuracy)
    own.train()
    (run,) = recorded.runs()
    assert (run.name, run.integration, run.status, run.ends) == ("Trainer", "transformers", "finished", 1)
    assert run.metrics == history(own)
    assert [step for step, _ in run.metrics["loss"]] == [2, 4, 6, 8]
    assert [step for step, _ in run.metrics["eval_accuracy"]] == [4, 8]
    assert len(run.metrics["train_loss"]) == 1 and "total_flos" in run.metrics


def test_params_are_the_difference_and_the_main_arguments(recorded, tmp_path) -> None:
    own = trainer(tmp_path, learning_rate=1e-3, gradient_accumulation_steps=2, adam_beta1=0.8, hub_token="hf_secret")
    own.train()
    (run,) = recorded.runs()
    given = {"learning_rate": 1e-3, "gradient_accumulation_steps": 2, "adam_beta1": 0.8, "max_steps": 8}
    assert {name: run.params[name] for name in given} == given
    assert (run.params["seed"], run.params["weight_decay"], run.params["optim"]) == (42, 0.0, "adamw_torch_fused")
    assert run.params["hub_token"] == "***"
    for name in ("adam_beta2", "adam_epsilon", "report_to", "debug", "accelerator_config", "logging_dir", "run_name"):
        assert name not in run.params, name
    assert len([name for name in run.params if "." not in name]) < 30
    assert (run.params["train_batch_size"], run.params["total_train_batch_size"]) == (4, 8)
    assert not any(" at 0x" in str(value) for value in run.params.values())


def test_the_arguments_in_full(recorded, tmp_path) -> None:
    own = trainer(tmp_path, hub_token="hf_secret", adam_beta1=0.8)
    own.train()
    (run,) = recorded.runs()
    kept = artifact(recorded, run, "training_args.json")
    assert kept.keys() == own.args.to_dict().keys()
    assert (kept["adam_beta1"], kept["adam_beta2"], kept["lr_scheduler_type"]) == (0.8, 0.999, "linear")
    assert "hf_secret" not in json.dumps(kept)
    assert artifact(recorded, run, "model_config.json")["hidden_size"] == 16


def test_facts_of_the_model(recorded, tmp_path) -> None:
    frozen = model()
    for parameter in frozen.bert.parameters():
        parameter.requires_grad = False
    trainer(tmp_path, model=frozen).train()
    (run,) = recorded.runs()
    assert run.params["model.class"] == "BertForSequenceClassification"
    assert (run.params["model.type"], run.params["model.hidden_size"], run.params["model.vocab_size"]) == (
        "bert",
        16,
        32,
    )
    assert run.params["model.parameters"] == frozen.num_parameters()
    assert run.params["model.trainable_parameters"] == frozen.num_parameters(only_trainable=True) == 34


def test_evaluate_and_predict_after_training_are_the_same_run(recorded, tmp_path) -> None:
    own = trainer(tmp_path)
    own.train()
    more = Sentences(4)
    own.evaluate()
    own.evaluate(more, metric_key_prefix="more")
    told = own.predict(Sentences(6)).metrics
    (run,) = recorded.runs()
    assert run.status == "finished"
    test = {name: points for name, points in run.metrics.items() if name.startswith("test_")}
    assert test == {name: [(8, value)] for name, value in told.items()}
    assert {name: points for name, points in run.metrics.items() if name not in test} == history(own)
    assert [step for step, _ in run.metrics["eval_loss"]] == [8] == [step for step, _ in run.metrics["more_loss"]]
    assert [(it.role, it.name) for it in described(run)] == [
        ("train", "train"),
        ("validation", "eval"),
        ("validation", "more"),
        ("test", "test"),
    ]


class Measures(Trainer):
    """Logs a value of its own after each evaluation, as many subclasses do."""

    def evaluate(self, *args, **kwargs):
        found = super().evaluate(*args, **kwargs)
        self.log({"eval_own": 7.0})
        return found


def test_what_is_logged_after_the_training_is_in_its_run(recorded, tmp_path) -> None:
    own = Measures(model(), arguments(tmp_path), train_dataset=Sentences(16), eval_dataset=Sentences(8))
    own.log({"too_early": 1.0})  # there is no run yet; the trainer forgets it too
    own.train()
    own.evaluate()
    own.log({"by_hand": 3.0})
    (run,) = recorded.runs()
    assert run.status == "finished"
    assert (run.metrics["eval_own"], run.metrics["by_hand"]) == ([(8, 7.0)], [(8, 3.0)])
    assert run.metrics == history(own)
    own.callback_handler.callbacks.append(Stops())
    with pytest.raises(ZeroDivisionError):
        own.train()
    own.log({"after_a_failure": 1.0})
    failed = recorded.runs()[-1]
    assert failed.status == "failed" and len(failed.metrics["after_a_failure"]) == 1


class Stops(TrainerCallback):
    def on_step_begin(self, *args, **kwargs):
        raise ZeroDivisionError


def test_evaluate_and_predict_without_training(recorded, tmp_path) -> None:
    own = trainer(tmp_path)
    told = own.evaluate()
    own.predict(Sentences(4))
    (run,) = recorded.runs()
    assert (run.name, run.status) == ("Trainer", "finished")
    assert run.metrics["eval_loss"] == [(0, told["eval_loss"])]
    assert "test_loss" in run.metrics and "loss" not in run.metrics
    assert run.params["model.class"] == "BertForSequenceClassification"
    assert run.models == []


def test_what_is_evaluated_before_a_training_belongs_to_it(recorded, tmp_path) -> None:
    own = trainer(tmp_path, eval_strategy="steps", eval_steps=8)
    before = own.evaluate()
    own.train()
    (run,) = recorded.runs()
    assert [step for step, _ in run.metrics["eval_loss"]] == [0, 8]
    assert run.metrics["eval_loss"][0][1] == before["eval_loss"]
    assert [(it.role, it.name) for it in described(run)] == [("validation", "eval"), ("train", "train")]
    assert run.params["max_steps"] == 8


def test_a_second_training_is_a_second_run(recorded, tmp_path) -> None:
    own = trainer(tmp_path)
    own.train()
    own.train()
    own.evaluate()
    first, second = recorded.runs()
    assert "eval_loss" not in first.metrics and "eval_loss" in second.metrics
    assert len(first.metrics["loss"]) == len(second.metrics["loss"]) == 4


def test_several_eval_datasets(recorded, tmp_path) -> None:
    several = {"near": Sentences(8), "far": Sentences(4)}
    own = trainer(tmp_path, eval_dataset=several, eval_strategy="steps", eval_steps=4)
    own.train()
    own.evaluate()
    (run,) = recorded.runs()
    assert run.metrics == history(own)
    assert [step for step, _ in run.metrics["eval_near_loss"]] == [4, 8, 8]
    assert [(it.role, it.name) for it in described(run)] == [
        ("train", "train"),
        ("validation", "near"),
        ("validation", "far"),
    ]


def test_an_iterable_dataset_is_only_read_by_the_trainer(recorded, tmp_path) -> None:
    plain, tracked = Endless(), Endless()
    own = trainer(tmp_path, train_dataset=tracked)
    own.train()
    autotrack.disable()
    trainer(tmp_path, train_dataset=plain).train()
    assert plain.taken == tracked.taken
    (run,) = recorded.runs()
    assert run.metrics == history(own)
    assert [it.role for it in described(run)] == ["train"]


def test_datasets_of_the_datasets_library(recorded, tmp_path) -> None:
    datasets = pytest.importorskip("datasets")
    rows = [Sentences(16)[index] for index in range(16)]
    table = datasets.Dataset.from_list(
        [{"input_ids": row["input_ids"].tolist(), "labels": row["labels"], "unused": "text"} for row in rows]
    )
    stream = table.select_columns(["input_ids", "labels"]).to_iterable_dataset()
    own = trainer(tmp_path, train_dataset=table, eval_dataset=stream, eval_strategy="steps", eval_steps=8)
    own.train()
    (run,) = recorded.runs()
    train, validation = (it.record for it in described(run))
    assert (train["kind"], train["n_rows"], train["n_columns"]) == ("datasets.Dataset", 16, 3)
    assert [column["name"] for column in train["columns"]] == ["input_ids", "labels", "unused"]
    assert train["hf_fingerprint"] == table._fingerprint
    assert (validation["kind"], validation["n_columns"]) == ("datasets.IterableDataset", 2)
    assert run.metrics == history(own)


def test_a_dataset_is_recorded_once_whatever_it_is(recorded, tmp_path) -> None:
    rows = [Sentences(8)[index] for index in range(8)]
    own = trainer(tmp_path, train_dataset=Sentences(12), eval_dataset=rows)
    own.train()
    own.evaluate()
    own.evaluate()
    own.predict(rows)
    (run,) = recorded.runs()
    assert [(it.role, it.record["n_rows"]) for it in described(run)] == [("train", 12), ("validation", 8), ("test", 8)]


def test_datasets_are_left_out_when_they_are_not_wanted(tmp_path) -> None:
    with recording(tmp_path / "home", "transformers", datasets="off") as recorded:
        trainer(tmp_path).train()
    assert recorded.runs()[0].datasets == []


def test_a_training_is_named_by_its_run_name_or_its_class(recorded, tmp_path) -> None:
    trainer(tmp_path, run_name="first try").train()
    trainer(tmp_path, kind=Louder).train()
    assert [run.name for run in recorded.runs()] == ["first try", "Louder"]


class Louder(Trainer):
    """A subclass that overrides what is observed, and logs more."""

    def train(self, *args, **kwargs):
        return super().train(*args, **kwargs)

    def log(self, logs, *args, **kwargs):
        logs["doubled"] = 2 * logs.get("loss", 0.0)
        super().log(logs, *args, **kwargs)

    def evaluate(self, *args, **kwargs):
        return super().evaluate(*args, **kwargs)


def test_a_subclass_records_once_and_what_it_adds(recorded, tmp_path) -> None:
    own = trainer(tmp_path, kind=Louder, eval_strategy="steps", eval_steps=4)
    own.train()
    (run,) = recorded.runs()
    assert run.metrics == history(own) and len(run.metrics["doubled"]) == 7


def test_a_trainer_that_was_made_before_enable(recorded, tmp_path) -> None:
    autotrack.disable()
    own = trainer(tmp_path)
    callbacks = list(own.callback_handler.callbacks)
    autotrack.enable("transformers", forwarder="off", home=recorded.home, strict=True)
    own.train()
    (run,) = recorded.runs()
    assert run.metrics == history(own)
    assert own.callback_handler.callbacks == callbacks


def test_auto_find_batch_size_is_one_run_with_the_size_that_was_found(recorded, tmp_path) -> None:
    class Small(TrainerCallback):
        def on_step_begin(self, args, state, control, **kwargs):
            if state.train_batch_size > 4:
                raise RuntimeError("CUDA out of memory.")

    own = trainer(tmp_path, callbacks=[Small()], auto_find_batch_size=True, per_device_train_batch_size=16)
    own.train()
    (run,) = recorded.runs()
    assert (run.status, run.ends) == ("finished", 1)
    assert run.params["per_device_train_batch_size"] == 16
    assert run.params["train_batch_size"] == run.params["total_train_batch_size"] == own.state.train_batch_size <= 4
    assert run.metrics == history(own)


@pytest.mark.parametrize(("error", "status"), [(ValueError("mine"), "failed"), (KeyboardInterrupt(), "killed")])
def test_an_exception_passes_and_ends_the_run(recorded, tmp_path, error, status) -> None:
    def raises(predictions):
        raise error

    own = trainer(tmp_path, compute_metrics=raises, eval_strategy="steps", eval_steps=4)
    with pytest.raises(type(error)) as caught:
        own.train()
    assert caught.value is error
    assert autotrack.current_run() is None
    (run,) = recorded.runs()
    assert (run.status, run.ends, run.error["type"], run.models) == (status, 1, type(error).__name__, [])
    assert "raises" in run.error["traceback"]
    assert [step for step, _ in run.metrics["loss"]] == [2, 4]
    own.compute_metrics = None
    own.evaluate()  # what is measured after does not mend it
    (run,) = recorded.runs()
    assert (run.status, run.ends) == (status, 1) and "eval_loss" in run.metrics


def test_inside_a_run_of_the_users(recorded, tmp_path) -> None:
    own = trainer(tmp_path)
    with autotrack.start_run("mine"):
        own.train()
        own.evaluate()
        assert [run.status for run in recorded.runs()] == ["running"]
    own.predict(Sentences(4))
    (run,) = recorded.runs()
    assert (run.name, run.status, run.ends, run.params["max_steps"]) == ("mine", "finished", 1, 8)
    assert "eval_loss" in run.metrics and "test_loss" in run.metrics


def test_a_later_run_of_the_users_gets_what_is_measured_in_it(recorded, tmp_path) -> None:
    own = trainer(tmp_path)
    own.train()
    with autotrack.start_run("later"):
        own.evaluate()
    first, later = recorded.runs()
    assert "eval_loss" in later.metrics and "eval_loss" not in first.metrics


def test_inside_another_training_it_is_silent(recorded, tmp_path) -> None:
    own = trainer(tmp_path)
    with begin_leaf("search", name="search"):
        own.train()
        own.evaluate()
    (run,) = recorded.runs()
    assert (run.name, run.metrics, run.models, run.params) == ("search", {}, [], {})


def test_a_trainer_inside_a_trainer_is_silent(recorded, tmp_path) -> None:
    class Inner(TrainerCallback):
        def on_epoch_begin(self, args, state, control, **kwargs):
            inner = trainer(tmp_path / "inner", max_steps=2, logging_steps=1)
            inner.train()
            inner.evaluate()

    own = trainer(tmp_path, callbacks=[Inner()])
    own.train()
    (run,) = recorded.runs()
    assert run.metrics == history(own)


def test_metrics_that_are_no_numbers(recorded, tmp_path) -> None:
    def odd(predictions):
        return {"nan": float("nan"), "array": np.float32(0.5), "text": "good", "損失": 1}

    own = trainer(tmp_path, compute_metrics=odd, eval_strategy="steps", eval_steps=8)
    own.train()
    (run,) = recorded.runs()
    assert np.isnan(run.metrics["eval_nan"][0][1])
    assert run.metrics["eval_array"] == [(8, 0.5)] and run.metrics["eval_損失"] == [(8, 1)]
    assert "eval_text" not in run.metrics and len(run.notes) == 1
    assert len(run.metrics["eval_loss"]) == 1


def test_arguments_are_only_read(recorded, tmp_path) -> None:
    given = {"inside": {"dtype": torch.float32}}  # `to_dict` of transformers makes texts of the types in it, in place
    own = trainer(tmp_path)
    own.args.lr_scheduler_kwargs = given
    before = dict(vars(own.args))
    own.evaluate()
    assert {name: value for name, value in vars(own.args).items() if before[name] is not value} == {}
    assert given == {"inside": {"dtype": torch.float32}}
    (run,) = recorded.runs()
    assert run.params["lr_scheduler_kwargs.inside.dtype"] == "float32"


def test_what_those_that_differ_would_have_been_is_told(recorded, tmp_path) -> None:
    trainer(tmp_path, learning_rate=1e-3, adam_beta1=0.8, hub_token="hf_secret", seed=42).train()
    (run,) = autotrack.runs()
    record = autotrack.get_run(run["id"])
    told = record["defaults"]
    expected = {"learning_rate": 5e-5, "adam_beta1": 0.9, "hub_token": None}
    assert {name: told["changed"][name] for name in expected} == expected
    assert {"seed", "optim", "weight_decay", "lr_scheduler_type"} <= set(told["unchanged"])
    assert {*told["changed"], *told["unchanged"]} <= record["params"].keys()
