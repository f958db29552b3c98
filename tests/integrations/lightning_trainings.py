"""Small trainings with Lightning, for several test files and the processes that they launch."""

import csv
import warnings
from pathlib import Path

import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch.utils.data import DataLoader, TensorDataset

warnings.filterwarnings("ignore", module="lightning")

OURS = {"best_model_score", "best_score", "stopped_epoch"}
"""The series that Lightning does not log itself."""

QUIET = {"enable_progress_bar": False, "enable_model_summary": False, "log_every_n_steps": 1, "accelerator": "cpu"}


class Line(LightningModule):
    """A line through points; it logs in every way that Lightning knows."""

    def __init__(self, lr: float = 0.01, betas: tuple[float, float] = (0.9, 0.99)) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.layer = torch.nn.Linear(4, 1)
        self.batches = 0

    def loss(self, batch):
        inputs, targets = batch
        return torch.nn.functional.mse_loss(self.layer(inputs), targets)

    def training_step(self, batch, batch_idx):
        loss = self.loss(batch)
        self.batches += 1
        self.log("loss", loss, on_step=True, on_epoch=True)
        self.log("step_only", loss.detach() * 2)
        self.log("hidden", loss.detach(), logger=False)
        return loss

    def on_train_batch_end(self, outputs, batch, batch_idx):
        self.log("late_in_batch", float(self.batches))

    def on_train_epoch_end(self):
        if self.current_epoch != 1:
            self.log("late_in_epoch", float(self.current_epoch))

    def validation_step(self, batch, batch_idx, dataloader_idx=0):
        loss = self.loss(batch)
        self.log("val_loss", loss)
        self.log("val_both", loss, on_step=True, on_epoch=True)

    def on_validation_epoch_end(self):
        self.log("val_late", float(self.batches))

    def test_step(self, batch, batch_idx):
        self.log("test_loss", self.loss(batch))

    def predict_step(self, batch, batch_idx, dataloader_idx=0):
        return self.layer(batch[0])

    def configure_optimizers(self):
        optimizer = torch.optim.Adam(self.parameters(), lr=self.hparams.lr, betas=self.hparams.betas)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)]


class Points(LightningDataModule):
    """The data of the line."""

    def __init__(self, batch_size: int = 4) -> None:
        super().__init__()
        self.save_hyperparameters()

    def train_dataloader(self):
        return loader(self.hparams.batch_size)

    def val_dataloader(self):
        return loader(self.hparams.batch_size, rows=16)


class Raises(Callback):
    """Raises an exception in one hook."""

    def __init__(self, hook: str, error: BaseException) -> None:
        self.error = error

        def raises(*args, **kwargs):
            raise error

        setattr(self, hook, raises)


def loader(batch_size: int = 4, rows: int = 24) -> DataLoader:
    generator = torch.Generator().manual_seed(rows)
    inputs = torch.randn(rows, 4, generator=generator)
    return DataLoader(TensorDataset(inputs, inputs[:, :1] * 2), batch_size=batch_size)


def trainer(folder: Path, **options) -> Trainer:
    return Trainer(**{**QUIET, "max_epochs": 3, "default_root_dir": folder, "logger": False, **options})


def fit(folder: Path, model: LightningModule | None = None, **options) -> Trainer:
    torch.manual_seed(0)
    own = trainer(folder, **options)
    own.fit(model or Line(), loader(), loader(rows=16))
    return own


def series(table: Path) -> dict[str, list[tuple[int, float]]]:
    """The series in the table of a CSVLogger."""
    found: dict[str, list[tuple[int, float]]] = {}
    with table.open() as file:
        for row in csv.DictReader(file):
            for key, value in row.items():
                if key != "step" and value:
                    found.setdefault(key, []).append((int(row["step"]), float(value)))
    return found


def near(points: dict[str, list[tuple[int, float]]]) -> dict[str, list[tuple[int, float]]]:
    """Series with as many digits as Lightning's tables have."""
    return {key: [(step, round(value, 5)) for step, value in values] for key, values in points.items()}
