"""What a script tells `SummaryWriter` becomes a run, compared with what TensorBoard itself reads from its files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
import pytest

pytest.importorskip("tensorboard")
torch_writer = pytest.importorskip("torch.utils.tensorboard")
tensorboardx = pytest.importorskip("tensorboardX")

import autotrack  # noqa: E402
import autotrack_tensorboard  # noqa: E402
from autotrack.plugins import plugins  # noqa: E402
from autotrack.testing import Recorded, recording  # noqa: E402

plugins.load()
if "tensorboard" not in plugins.integrations:
    plugins.register(autotrack_tensorboard, "tensorboard")

WRITERS = [torch_writer.SummaryWriter, tensorboardx.SummaryWriter]


@pytest.fixture
def recorded(tmp_path: Path):
    with recording(tmp_path / "home", "tensorboard") as recorded:
        yield recorded


def tell(writer: Any) -> None:
    for step in range(3):
        writer.add_scalar("loss", 1 / (step + 1), step)
        writer.add_scalars("both", {"a": step, "b": numpy.float32(step / 2)}, step)
    writer.add_hparams({"lr": 0.5, "name": "adam"}, {"hparam/accuracy": 0.75})
    writer.add_text("notes", "**bold**", 1)
    writer.add_image("picture", numpy.zeros((3, 4, 5), dtype=numpy.uint8), 2)


def not_to(recorded: Recorded, run: str) -> list[str]:
    from autotrack.events import RunStarted
    from autotrack.journal.reader import Journal, journals

    events = [record.event for folder in journals(recorded.home) for record in Journal(folder).records()]
    return next(event.not_to for event in events if isinstance(event, RunStarted) and event.run == run)


@pytest.mark.parametrize("writer_class", WRITERS)
def test_a_writer_is_one_run_that_tensorboard_does_not_get_twice(writer_class: Any, recorded: Recorded, tmp_path: Path):
    with writer_class(str(tmp_path / "logs" / "first")) as writer:
        tell(writer)
    (run,) = recorded.runs()
    assert (run.name, run.integration, run.status, run.ends) == ("first", "tensorboard", "finished", 1)
    assert not_to(recorded, run.id) == ["tensorboard"]
    assert run.metrics["loss"] == [(step, 1 / (step + 1)) for step in range(3)]
    assert run.metrics["both/a"] == [(0, 0.0), (1, 1.0), (2, 2.0)] and run.metrics["both/b"][2] == (2, 1.0)
    assert run.metrics["hparam/accuracy"] == [(3, 0.75)]
    assert run.params["lr"] == 0.5 and run.params["name"] == "adam"
    assert recorded.content(run.artifacts["text/notes/1.md"]) == b"**bold**"
    assert recorded.content(run.artifacts["images/picture/2.png"]).startswith(b"\x89PNG")
    assert any("tfevents" in path.name for path in (tmp_path / "logs").rglob("*"))


@pytest.mark.parametrize("writer_class", WRITERS)
def test_two_writers_are_two_runs_and_one_that_writes_again_goes_on(
    writer_class: Any, recorded: Recorded, tmp_path: Path
):
    train, valid = writer_class(str(tmp_path / "train")), writer_class(str(tmp_path / "valid"))
    train.add_scalar("loss", 1.0, 0)
    valid.add_scalar("loss", 2.0, 0)
    train.close()
    train.add_scalar("loss", 0.5, 1)
    valid.close()
    first, second = recorded.runs()
    assert (first.name, second.name) == ("train", "valid")
    assert first.parent is None and second.parent is None
    assert first.metrics["loss"] == [(0, 1.0), (1, 0.5)] and second.metrics["loss"] == [(0, 2.0)]
    assert first.status == second.status == "finished"


def test_inside_a_run_of_the_users_it_adds_to_that(recorded: Recorded, tmp_path: Path):
    with autotrack.start_run("mine") as mine:
        writer = torch_writer.SummaryWriter(str(tmp_path / "logs"))
        writer.add_scalar("loss", 1.0, 0)
        writer.close()
        mine.log_metrics({"other": 2.0}, step=0)
    (run,) = recorded.runs()
    assert run.metrics == {"loss": [(0, 1.0)], "other": [(0, 2.0)]} and run.status == "finished"


def test_an_exception_in_the_block_is_how_the_run_ends(recorded: Recorded, tmp_path: Path):
    logs = str(tmp_path / "logs")
    with pytest.raises(ValueError, match="broke"), torch_writer.SummaryWriter(logs) as writer:  # noqa: PT012
        writer.add_scalar("loss", 1.0, 0)
        raise ValueError("broke")
    (run,) = recorded.runs()
    assert run.status == "failed" and run.error is not None and run.error["message"] == "broke"


def test_without_being_named_nothing_is_recorded(tmp_path: Path):
    with recording(tmp_path / "home") as recorded:
        with torch_writer.SummaryWriter(str(tmp_path / "logs")) as writer:
            writer.add_scalar("loss", 1.0, 0)
        assert recorded.runs() == []


def test_lightnings_own_logger_inside_a_recorded_training_is_left_to_the_integration(tmp_path: Path):
    lightning = pytest.importorskip("lightning.pytorch")
    import torch
    from lightning.pytorch.loggers import TensorBoardLogger

    class Small(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(2, 1)

        def training_step(self, batch: Any, index: int) -> Any:
            loss = self.layer(batch).mean()
            self.log("loss", loss, on_step=True)
            self.logger.experiment.add_scalar("mine", 7.0, index)
            return loss

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), 0.1)

    data = torch.utils.data.DataLoader(torch.ones(4, 2), batch_size=1)
    with recording(tmp_path / "home", "lightning", "tensorboard") as recorded:
        trainer = lightning.Trainer(
            max_epochs=1,
            logger=TensorBoardLogger(str(tmp_path / "logs")),
            log_every_n_steps=1,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            accelerator="cpu",
        )
        trainer.fit(Small(), data)
        (run,) = recorded.runs()
    assert run.integration == "lightning"
    assert [step for step, _ in run.metrics["loss"]] == [0, 1, 2, 3]
    assert run.metrics["mine"] == [(step, 7.0) for step in range(4)]


def test_what_trains_while_a_writer_is_open_belongs_to_its_run(tmp_path: Path):
    sklearn = pytest.importorskip("sklearn.linear_model")
    with recording(tmp_path / "home", "sklearn", "tensorboard") as recorded:
        with torch_writer.SummaryWriter(str(tmp_path / "logs")) as writer:
            writer.add_scalar("loss", 1.0, 0)
            sklearn.LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0])
        (run,) = recorded.runs()
    assert run.integration == "tensorboard" and "fit_intercept" in " ".join(run.params)
