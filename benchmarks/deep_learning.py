"""Loops of deep-learning frameworks with autotrack off and on, and with the framework's own CSV logger beside it.

Each loop runs on one thread, so that what autotrack adds is not hidden by how two threads happen to be scheduled; see
`turns.py` for what is printed. Where a framework has no CSV logger, the line beside is a callback or tracker that does
nothing; a loop of plain PyTorch writes the same rows with `csv`.

What a run costs once and what it costs per step are told apart by the same loops `--longer=5` times. Rows are logged
as often as the framework does by default, every 50 steps in Lightning and every 500 in transformers, or every so many
with `--every=`; where a script decides, at every step, which is the most.

    python benchmarks/deep_learning.py [--peers | --alone] [--rounds=5] [--longer=1] [--every=N] [lightning] [...]
"""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from turns import PEERS, Train, measure, option

LONGER = option(sys.argv, "longer", 1)
"""How many times the epochs, or steps, that are told with each loop."""
EVERY = option(sys.argv, "every", 0)
"""How many steps a row stands for; 0 for the framework's own default. Keras logs once an epoch."""


def lightning(folder: Path) -> tuple[Train, list[str]]:
    """600 steps of a small network in three epochs, each with its validation."""
    import lightning.pytorch as pl
    import torch
    from lightning.pytorch import loggers

    class Net(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layers = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 1))

        def training_step(self, batch: Any, index: int) -> Any:
            loss = torch.nn.functional.mse_loss(self.layers(batch[0]), batch[1])
            self.log_dict({"loss": loss, "rmse": loss.sqrt()})
            return loss

        def validation_step(self, batch: Any, index: int) -> None:
            self.log("val_loss", torch.nn.functional.mse_loss(self.layers(batch[0]), batch[1]))

        def configure_optimizers(self) -> Any:
            return torch.optim.Adam(self.parameters())

    features = torch.randn(200 * 64, 64)
    data = torch.utils.data.TensorDataset(features, features[:, :1])
    made: dict[str, Callable[[], Any]] = {
        "CSVLogger": lambda: loggers.CSVLogger(folder),
        "MLflow": lambda: loggers.MLFlowLogger("loops", tracking_uri=f"sqlite:///{folder}/mlflow.db"),
        "W&B": lambda: loggers.WandbLogger(save_dir=folder, offline=True),
    }

    def train(tool: str) -> None:
        torch.manual_seed(0)
        loader = torch.utils.data.DataLoader(data, 64)
        trainer = pl.Trainer(
            max_epochs=3 * LONGER,
            accelerator="cpu",
            # Loggers decide whether rows are made at all: off has the one that keeps nothing.
            logger=made[tool]() if tool in made else loggers.logger.DummyLogger(),
            log_every_n_steps=EVERY or 50,
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,
        )
        trainer.fit(Net(), loader, torch.utils.data.DataLoader(data, 1024))

    return train, list(made)


def keras(folder: Path) -> tuple[Train, list[str]]:
    """20 epochs of 100 steps on the torch backend."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras as product
    import numpy as np

    features = np.random.default_rng(0).normal(size=(3200, 32)).astype("float32")

    def callbacks(tool: str) -> list[Any]:
        if tool == "CSVLogger":
            return [product.callbacks.CSVLogger(str(folder / "log.csv"))]
        if tool == "W&B":
            from wandb.integration.keras import WandbMetricsLogger

            return [WandbMetricsLogger()]
        return []

    def train(tool: str) -> None:
        product.utils.set_random_seed(0)
        model = product.Sequential([product.layers.Dense(64, activation="relu"), product.layers.Dense(1)])
        model.compile(optimizer="adam", loss="mse", metrics=["mae"])
        around = [_started(tool, folder)] if tool in PEERS else []
        model.fit(features, features[:, :1], epochs=20 * LONGER, batch_size=32, verbose=0, callbacks=callbacks(tool))
        for end in around:
            end()

    return train, ["CSVLogger", "MLflow", "W&B"]


def transformers(folder: Path) -> tuple[Train, list[str]]:
    """600 steps of a small GPT-2 of random weights."""
    import torch
    import transformers as product

    product.utils.logging.disable_progress_bar()
    product.utils.logging.set_verbosity_error()
    tokens = torch.randint(0, 100, (600, 32))
    rows = [{"input_ids": row, "labels": row} for row in tokens]

    class Nothing(product.TrainerCallback):  # type: ignore[misc]
        pass

    def train(tool: str) -> None:
        product.set_seed(0)
        config = product.GPT2Config(vocab_size=100, n_positions=32, n_embd=64, n_layer=2, n_head=2)
        arguments = product.TrainingArguments(
            output_dir=str(folder / "out"),
            max_steps=600 * LONGER,
            per_device_train_batch_size=4,
            logging_steps=EVERY or 500,
            save_strategy="no",
            report_to={"MLflow": ["mlflow"], "W&B": ["wandb"]}.get(tool, "none"),
            use_cpu=True,
            disable_tqdm=True,
        )
        trainer = product.Trainer(product.GPT2LMHeadModel(config), arguments, train_dataset=rows)
        trainer.remove_callback(product.PrinterCallback)
        if tool == "no-op":
            trainer.add_callback(Nothing)
        trainer.train()
        if tool == "MLflow":
            import mlflow

            mlflow.end_run()

    return train, ["no-op", "MLflow", "W&B"]


def _started(tool: str, folder: Path) -> Callable[[], Any]:
    """What ends the run that a peer needs around a training of Keras."""
    if tool == "W&B":
        import wandb

        run = wandb.init(project="loops", dir=str(folder), mode="offline", settings=wandb.Settings(silent=True))
        return run.finish
    import mlflow

    mlflow.keras.autolog(silent=True)

    def end() -> None:
        mlflow.keras.autolog(disable=True, silent=True)
        mlflow.end_run()

    return end


def accelerate(folder: Path) -> tuple[Train, list[str]]:
    """200 steps of a network in four epochs, a row each step by `Accelerator.log`."""
    import torch
    from accelerate import Accelerator
    from accelerate.tracking import GeneralTracker

    class Nothing(GeneralTracker):  # type: ignore[misc]
        name = "nothing"
        requires_logging_directory = False
        tracker = None

        def store_init_configuration(self, values: Any) -> None:
            pass

        def log(self, values: Any, step: Any, **more: Any) -> None:
            pass

    def train(tool: str) -> None:
        torch.manual_seed(0)
        trackers = {"no-op": [Nothing()], "MLflow": ["mlflow"], "W&B": ["wandb"]}.get(tool)
        accelerator = Accelerator(cpu=True, log_with=trackers, project_dir=str(folder))
        accelerator.init_trackers("loops", config={"lr": 1e-3})
        network, optimizer, batches = _network(torch)
        network, optimizer, batches = accelerator.prepare(network, optimizer, batches)
        for step, (features, target) in enumerate(_epochs(batches)):
            optimizer.zero_grad()
            loss = torch.nn.functional.mse_loss(network(features), target)
            accelerator.backward(loss)
            optimizer.step()
            if step % (EVERY or 1) == 0:
                accelerator.log({"loss": loss.item()}, step=step)
        accelerator.end_training()

    return train, ["no-op", "MLflow", "W&B"]


def plain_torch(folder: Path) -> tuple[Train, list[str]]:
    """200 steps of the same network in a loop of its own; its loss is logged each step."""
    import torch

    import autotrack

    def train(tool: str) -> None:
        torch.manual_seed(0)
        network, optimizer, batches = _network(torch)
        run = autotrack.start_run("plain") if tool == "autotrack" else None
        with open(folder / "plain.csv", "w", newline="") as file:
            rows = csv.writer(file)
            for step, (features, target) in enumerate(_epochs(batches)):
                optimizer.zero_grad()
                loss = torch.nn.functional.mse_loss(network(features), target)
                loss.backward()
                optimizer.step()
                if step % (EVERY or 1):
                    continue
                value = loss.item()
                if run is not None:
                    run.log_metrics({"loss": value}, step=step)
                elif tool == "csv":
                    rows.writerow([step, value])
        if run is not None:
            run.end()

    return train, ["csv"]


def _network(torch: Any) -> tuple[Any, Any, Any]:
    network = torch.nn.Sequential(torch.nn.Linear(128, 4096), torch.nn.ReLU(), torch.nn.Linear(4096, 1))
    features = torch.randn(50 * 256, 128)
    data = torch.utils.data.TensorDataset(features, features[:, :1])
    return network, torch.optim.Adam(network.parameters()), torch.utils.data.DataLoader(data, 256)


def _epochs(batches: Any) -> Iterator[Any]:
    for _ in range(4 * LONGER):
        yield from batches


def main(arguments: list[str]) -> None:
    """Measure and print."""
    import torch

    torch.set_num_threads(1)
    loops = {
        "lightning": lightning,
        "keras": keras,
        "transformers": transformers,
        "accelerate": accelerate,
        "torch": plain_torch,
    }
    measure(loops, arguments, {"torch": {"torch_loop": True}})


if __name__ == "__main__":
    main(sys.argv[1:])
