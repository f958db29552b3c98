"""Checkpoints, the best model, what is kept of weights, and trainings that go on from a checkpoint."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
sys.path.insert(0, str(Path(__file__).parent))

import torch
from safetensors.torch import load, load_file
from transformers import TrainerCallback
from transformers_trainings import history, logged, trainer

import autotrack
from autotrack.plugin import run_behind_checkpoint
from autotrack.testing import Recorded, recording


def with_best(folder, **given):
    """A trainer of four checkpoints of which the second is the best, by a score that is dealt out."""
    scores = iter([0.1, 0.9, 0.5, 0.3])
    steps = {"eval_strategy": "steps", "eval_steps": 2, "save_strategy": "steps", "save_steps": 2}
    return trainer(
        folder,
        compute_metrics=lambda predictions: {"score": next(scores)},
        metric_for_best_model="score",
        greater_is_better=True,
        **{**steps, **given},
    )


@pytest.fixture
def recorded(tmp_path):
    with recording(tmp_path / "home", "transformers") as recorded:
        yield recorded


def same(kept, tensors):
    return kept.keys() == tensors.keys() and all(torch.equal(kept[name], tensors[name]) for name in kept)


def contents(recorded, run):
    return {it.name: load(recorded.content(it)) for it in run.models}


def test_each_checkpoint_is_remembered_as_the_run_s(recorded, tmp_path) -> None:
    own = trainer(tmp_path, save_strategy="steps", save_steps=3, save_total_limit=2)
    own.train()
    (run,) = recorded.runs()
    folders = sorted((tmp_path / "out").glob("checkpoint-*"))
    assert [it.name for it in folders] == ["checkpoint-6", "checkpoint-8"]
    for folder in folders:
        assert run_behind_checkpoint(folder) == run.id
    moved = folders[0].rename(tmp_path / "checkpoint-6")
    assert run_behind_checkpoint(moved) == run.id


def test_the_best_checkpoint_is_told(recorded, tmp_path) -> None:
    own = with_best(tmp_path)
    own.train()
    (run,) = recorded.runs()
    assert run.tags["best_model_checkpoint"] == own.state.best_model_checkpoint == str(tmp_path / "out/checkpoint-4")
    assert run.metrics["best_metric"] == [(4, 0.9)] == [(4, own.state.best_metric)]
    assert logged(run.metrics) == history(own)


def test_the_final_model_is_the_one_in_memory(recorded, tmp_path) -> None:
    own = with_best(tmp_path)
    own.train()
    (run,) = recorded.runs()
    (kept,) = run.models
    assert (kept.name, kept.format) == ("model", "safetensors")
    assert same(load(recorded.content(kept)), own.model.state_dict())
    assert not same(load(recorded.content(kept)), load_file(Path(own.state.best_model_checkpoint, "model.safetensors")))


def test_with_load_best_model_at_end_the_final_model_is_the_best(recorded, tmp_path) -> None:
    own = with_best(tmp_path, load_best_model_at_end=True)
    own.train()
    (run,) = recorded.runs()
    (kept,) = run.models
    assert same(load(recorded.content(kept)), load_file(Path(own.state.best_model_checkpoint, "model.safetensors")))


@pytest.mark.parametrize("load_best", [True, False])
@pytest.mark.parametrize(
    ("models", "names"),
    [
        ("off", []),
        ("best", ["best"]),
        ("all", ["checkpoint-2", "checkpoint-4", "checkpoint-6", "checkpoint-8", "model", "best"]),
    ],
)
def test_which_models_are_kept(tmp_path, models, names, load_best) -> None:
    with recording(tmp_path / "home", "transformers", models=models) as recorded:
        own = with_best(tmp_path, load_best_model_at_end=load_best)
        own.train()
    (run,) = recorded.runs()
    assert [it.name for it in run.models] == names
    kept = contents(recorded, run)
    if names:
        best = load_file(Path(own.state.best_model_checkpoint, "model.safetensors"))
        assert same(kept["best"], best)
        assert run.models[-1].step == 4
    for name in names[:4] if models == "all" else []:
        assert same(kept[name], load_file(tmp_path / "out" / name / "model.safetensors"))


def test_without_a_best_checkpoint_best_is_the_final_one(tmp_path) -> None:
    with recording(tmp_path / "home", "transformers", models="best") as recorded:
        own = trainer(tmp_path)
        own.train()
    (run,) = recorded.runs()
    assert [it.name for it in run.models] == ["model"]
    assert same(contents(recorded, run)["model"], own.model.state_dict())


class Stops(TrainerCallback):
    """Interrupts a training at its fourth step."""

    def __init__(self, error):
        self.error = error

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == 4:
            raise self.error


@pytest.mark.parametrize("resume", [True, "checkpoint-4"])
def test_a_training_that_resumes_goes_on_with_its_run(recorded, tmp_path, resume) -> None:
    given = {"save_strategy": "steps", "save_steps": 2}
    with pytest.raises(KeyboardInterrupt):
        trainer(tmp_path, callbacks=[Stops(KeyboardInterrupt())], **given).train()
    (run,) = recorded.runs()
    assert run.status == "killed"
    own = trainer(tmp_path, learning_rate=1e-3, **given)  # other arguments do not matter
    own.train(resume_from_checkpoint=resume if resume is True else str(tmp_path / "out" / resume))
    (again,) = recorded.runs()
    assert (again.id, again.status, again.ends) == (run.id, "finished", 2)
    assert again.metrics["loss"] == history(own)["loss"]
    assert [step for step, _ in again.metrics["loss"]] == [2, 4, 6, 8]
    assert again.params["learning_rate"] == 1e-3
    assert again.tags["resumed_at_step"] == "4"


def test_the_same_trainer_resumes(recorded, tmp_path) -> None:
    stops = Stops(KeyboardInterrupt())
    own = trainer(tmp_path, callbacks=[stops], save_strategy="steps", save_steps=2)
    with pytest.raises(KeyboardInterrupt):
        own.train()
    own.remove_callback(stops)
    own.train(resume_from_checkpoint=True)
    (run,) = recorded.runs()
    assert (run.status, run.metrics["loss"]) == ("finished", history(own)["loss"])


def test_a_checkpoint_of_nobody_s_begins_a_run(recorded, tmp_path) -> None:
    autotrack.disable()
    trainer(tmp_path, max_steps=4, save_strategy="steps", save_steps=4).train()
    autotrack.enable("transformers", forwarder="off", home=recorded.home, strict=True)
    own = trainer(tmp_path)
    own.train(resume_from_checkpoint=str(tmp_path / "out" / "checkpoint-4"))
    (run,) = recorded.runs()
    assert [step for step, _ in run.metrics["loss"]] == [6, 8]


def test_a_checkpoint_that_is_not_there_raises_as_without_us(recorded, tmp_path) -> None:
    own = trainer(tmp_path)
    with pytest.raises(ValueError, match="No valid checkpoint"):
        own.train(resume_from_checkpoint=True)
    (run,) = recorded.runs()
    assert run.status == "failed"


SCRIPT = """
import os, sys
sys.path.insert(0, {folder!r})
import autotrack
autotrack.enable("transformers")
from pathlib import Path
from transformers import TrainerCallback
from transformers_trainings import trainer

class Dies(TrainerCallback):
    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == 4 and sys.argv[2] == "dies":
            os._exit(9)

own = trainer(Path(sys.argv[1]), callbacks=[Dies()], save_strategy="steps", save_steps=2)
own.train(resume_from_checkpoint=None if sys.argv[2] == "dies" else True)
"""


def test_another_process_goes_on_with_the_run(tmp_path) -> None:
    variables = {"AUTOTRACK_HOME": str(tmp_path / "home"), "AUTOTRACK_FORWARDER": "off", "AUTOTRACK_STRICT": "1"}
    for what, code in (("dies", 9), ("resumes", 0)):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT.format(folder=str(Path(__file__).parent)), str(tmp_path), what],
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
    (run,) = Recorded(tmp_path / "home").runs()
    assert (run.name, run.status, run.ends) == ("Trainer", "finished", 1)
    assert [step for step, _ in run.metrics["loss"]] == [2, 4, 6, 8]
