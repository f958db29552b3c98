"""Loops of deep-learning frameworks with autotrack off and on, and with the framework's own CSV logger beside it.

Each ratio is of the fastest rounds, `with / off`, in one process: of time on the clock, and of the processor time
of that process, which what else runs disturbs less. The first round is not counted, since it pays for imports.
`with` is one tool at a time: autotrack at its defaults (its forwarder runs as it does for users); the framework's
CSV logger, or a callback that does nothing where it has none; and with `--peers` MLflow's and W&B's own
integrations, where they are installed (MLflow to SQLite, W&B offline).

    python benchmarks/deep_learning.py [--peers] [lightning] [keras] [transformers]
"""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROUNDS = 5
PEERS = {"MLflow": "mlflow", "W&B": "wandb"}

Train = Callable[[str], Any]
"""Trains once, recorded by the tool of that name."""


def lightning(folder: Path) -> tuple[Train, list[str]]:
    """600 steps of a small network, a row of metrics each step, and its validation each epoch."""
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
            max_epochs=3,
            accelerator="cpu",
            # Loggers decide whether rows are made at all: off has the one that keeps nothing.
            logger=made[tool]() if tool in made else loggers.logger.DummyLogger(),
            log_every_n_steps=1,
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
        model.fit(features, features[:, :1], epochs=20, batch_size=32, verbose=0, callbacks=callbacks(tool))
        for end in around:
            end()

    return train, ["CSVLogger", "MLflow", "W&B"]


def transformers(folder: Path) -> tuple[Train, list[str]]:
    """150 steps of a small GPT-2 of random weights, a row each step; `CSVLogger` is a callback that does nothing."""
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
            max_steps=150,
            per_device_train_batch_size=4,
            logging_steps=1,
            save_strategy="no",
            report_to={"MLflow": ["mlflow"], "W&B": ["wandb"]}.get(tool, "none"),
            use_cpu=True,
            disable_tqdm=True,
        )
        trainer = product.Trainer(product.GPT2LMHeadModel(config), arguments, train_dataset=rows)
        trainer.remove_callback(product.PrinterCallback)
        if tool == "CSVLogger":
            trainer.add_callback(Nothing)
        trainer.train()
        if tool == "MLflow":
            import mlflow

            mlflow.end_run()

    return train, ["CSVLogger", "MLflow", "W&B"]


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


def seconds(train: Train, tool: str) -> tuple[float, float]:
    """How long one training takes with a tool: on the clock, and of processor time in all threads."""
    import autotrack

    (autotrack.enable if tool == "autotrack" else autotrack.disable)()
    begun, used = time.perf_counter(), time.process_time()
    train(tool)
    return time.perf_counter() - begun, time.process_time() - used


def main(arguments: list[str]) -> None:
    """Measure and print."""
    warnings.simplefilter("ignore")
    loops = {"lightning": lightning, "keras": keras, "transformers": transformers}
    peers = [tool for tool, module in PEERS.items() if "--peers" in arguments and importlib.util.find_spec(module)]
    wanted = [name for name in arguments if name in loops] or list(loops)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        os.environ.update(
            AUTOTRACK_HOME=str(folder / "home"),
            AUTOTRACK_QUIET="1",
            MLFLOW_TRACKING_URI=f"sqlite:///{folder}/mlflow.db",
            WANDB_MODE="offline",
            WANDB_SILENT="true",
            WANDB_DIR=temporary,
        )
        os.chdir(folder)
        print(f"{'':14} {'off':>8} {'added':>12} {'with / off':>11} {'processor':>10}")
        for name in wanted:
            train, offered = loops[name](folder)
            tools = ["autotrack", *(tool for tool in offered if tool not in PEERS or tool in peers)]
            times: dict[str, list[tuple[float, float]]] = {tool: [] for tool in ["off", *tools]}
            for number in range(ROUNDS + 1):
                for tool, kept in times.items():
                    took = seconds(train, tool)
                    if number:
                        kept.append(took)
            off, used = (min(column) for column in zip(*times["off"], strict=True))
            for tool in tools:
                on, busy = (min(column) for column in zip(*times[tool], strict=True))
                print(
                    f"{name:14} {off:6.2f} s {(on - off) * 1e3:9.1f} ms {on / off:11.3f} {busy / used:10.3f}  {tool}",
                    flush=True,
                )


if __name__ == "__main__":
    main(sys.argv[1:])
