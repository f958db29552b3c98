"""Small trainings with the Trainer of transformers, for several test files: weights and data are made on the spot."""

import os
from collections.abc import Mapping
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

import autotrack_transformers
from autotrack.plugins import plugins

plugins.load()
if "transformers" not in plugins.integrations:
    plugins.register(autotrack_transformers, "transformers")

OURS = ("best_metric",)
"""The series that the trainer does not log itself."""


class Sentences(torch.utils.data.Dataset[Any]):
    """`n` sentences of six words, the label of each in its first."""

    def __init__(self, n: int) -> None:
        self.words = torch.arange(n * 6).reshape(n, 6) % 30

    def __len__(self) -> int:
        return len(self.words)

    def __getitem__(self, index: int) -> dict[str, Any]:
        words = self.words[index]
        return {"input_ids": words, "attention_mask": torch.ones(6, dtype=torch.long), "labels": int(words[0]) % 2}


class Endless(torch.utils.data.IterableDataset[Any]):
    """Sentences without end, and how many of them anybody has taken."""

    taken = 0

    def __iter__(self) -> Any:
        source = Sentences(8)
        while True:
            self.taken += 1
            yield source[self.taken % 8]


def model() -> Any:
    """A BERT of some thousand parameters, the same at every call."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    return BertForSequenceClassification(BertConfig(vocab_size=32, max_position_embeddings=8, **sizes))


def arguments(folder: Any, **given: Any) -> TrainingArguments:
    """Eight steps on the CPU with a line at every second, no checkpoint and no progress bar."""
    quiet = {"use_cpu": True, "disable_tqdm": True, "save_strategy": "no", "report_to": "none"}
    steps = {"max_steps": 8, "logging_steps": 2, "per_device_train_batch_size": 4}
    return TrainingArguments(output_dir=str(folder / "out"), **{**quiet, **steps, **given})


def trainer(folder: Any, *, callbacks: Any = None, kind: Any = Trainer, **given: Any) -> Any:
    """A trainer of the model above; what is no training argument goes to the trainer."""
    own = {"model", "model_init", "train_dataset", "eval_dataset", "compute_metrics"}
    parts: dict[str, Any] = {"train_dataset": Sentences(16), "eval_dataset": Sentences(8)}
    parts |= {name: given.pop(name) for name in own & given.keys()}
    if "model" not in parts and "model_init" not in parts:
        parts["model"] = model()
    return kind(args=arguments(folder, **given), callbacks=callbacks, **parts)


def history(of: Any) -> dict[str, list[tuple[int, float]]]:
    """`state.log_history` as series."""
    found: dict[str, list[tuple[int, float]]] = {}
    for row in of.state.log_history:
        for name, value in row.items():
            if name != "step":
                found.setdefault(name, []).append((row["step"], value))
    return found


def described(run: Any) -> list[Any]:
    """The datasets of a run as they were before training, without what is told of them when they have passed."""
    return [it for it in run.datasets if "stream" not in it.record]


def logged(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The series of a run without those that the trainer does not log itself."""
    return {name: points for name, points in metrics.items() if name not in OURS}
