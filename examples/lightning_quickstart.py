"""Lightning with autotrack: run this file, then `autotrack ls` and `autotrack show RUN`."""

import logging
import tempfile
import warnings

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from torch.utils.data import DataLoader, TensorDataset

import autotrack
from autotrack_lightning import AutotrackLogger

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
warnings.filterwarnings("ignore", module="lightning")

autotrack.enable("lightning")


class Net(LightningModule):
    """A small network for a curve."""

    def __init__(self, width: int = 32, lr: float = 0.01) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.layers = torch.nn.Sequential(torch.nn.Linear(4, width), torch.nn.ReLU(), torch.nn.Linear(width, 1))

    def training_step(self, batch: list[torch.Tensor], index: int) -> torch.Tensor:
        """One step."""
        loss = torch.nn.functional.mse_loss(self.layers(batch[0]), batch[1])
        self.log("loss", loss, on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch: list[torch.Tensor], index: int) -> None:
        """One batch of validation."""
        self.log("val_loss", torch.nn.functional.mse_loss(self.layers(batch[0]), batch[1]))

    def test_step(self, batch: list[torch.Tensor], index: int) -> None:
        """One batch of the test."""
        self.log("test_loss", torch.nn.functional.mse_loss(self.layers(batch[0]), batch[1]))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam, at the learning rate of the hyperparameters."""
        return torch.optim.Adam(self.parameters(), lr=self.hparams["lr"])


torch.manual_seed(0)
inputs = torch.randn(512, 4)
data = TensorDataset(inputs, inputs[:, :1] * inputs[:, 1:2])
train, validation, test = torch.utils.data.random_split(data, [384, 64, 64])
folder = tempfile.mkdtemp()
options = {
    "default_root_dir": folder,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "accelerator": "cpu",
}

# A training with checkpoints that stops early, and its test: one run.
trainer = Trainer(
    max_epochs=10,
    log_every_n_steps=5,
    logger=False,
    callbacks=[ModelCheckpoint(monitor="val_loss"), EarlyStopping("val_loss", patience=2)],
    **options,
)
trainer.fit(Net(), DataLoader(train, batch_size=32), DataLoader(validation, batch_size=64))
trainer.test(trainer.lightning_module, DataLoader(test, batch_size=64), verbose=False)

# It goes on from its best checkpoint: the same run.
best = trainer.checkpoint_callback.best_model_path
again = Trainer(max_epochs=12, log_every_n_steps=5, logger=False, **options)
again.fit(Net(), DataLoader(train, batch_size=32), DataLoader(validation, batch_size=64), ckpt_path=best)

# As a logger, which user code can log through.
logger = AutotrackLogger(name="wide")
Trainer(max_epochs=2, log_every_n_steps=5, logger=logger, enable_checkpointing=False, **options).fit(
    Net(width=128), DataLoader(train, batch_size=32), DataLoader(validation, batch_size=64)
)
