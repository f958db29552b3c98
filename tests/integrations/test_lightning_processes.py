"""Trainings on several processes and in later ones: one job is one run, and nothing waits for a backend."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("lightning")

from autotrack.testing import Recorded

SCRIPT = """
import os, sys, warnings
warnings.filterwarnings("ignore")
sys.path.insert(0, {folder!r})
from pathlib import Path
import autotrack
from autotrack_lightning import AutotrackLogger
from lightning_trainings import Line, loader, trainer

class Synced(Line):
    def training_step(self, batch, batch_idx):
        if os.environ.get("RAISES_ON") == str(self.global_rank) and self.current_epoch == 1:
            raise ValueError("mine")
        loss = super().training_step(batch, batch_idx)
        self.log("synced", loss.detach(), on_step=False, on_epoch=True, sync_dist=True)
        return loss

if __name__ == "__main__":
    strategy, root = sys.argv[1], Path(sys.argv[2])
    if "ALONE" in os.environ:
        os.environ["AUTOTRACK_HOME"] = str(root / "home")
    else:
        autotrack.enable("lightning", project="told", home=root / "home")
    logger = AutotrackLogger() if "WITH_LOGGER" in os.environ else False
    own = trainer(root, strategy=strategy, devices=2, max_epochs=2, logger=logger)
    model = Synced()
    own.fit(model, loader(), loader(rows=16))
    if strategy != "ddp_spawn":  # spawning takes long
        own.test(model, loader(rows=8), verbose=False)
    if own.is_global_zero:
        print("synced", float(own.callback_metrics.get("synced", own.logged_metrics.get("synced", 0))))
"""


def launched(tmp_path: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    script = tmp_path / "train.py"
    script.write_text(SCRIPT.format(folder=str(Path(__file__).parent)))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "AUTOTRACK_FORWARDER": "off", "AUTOTRACK_STRICT": "1"}
    command = [str(script) if word == "train.py" else word for word in words]
    return subprocess.run(
        [sys.executable, *command, str(tmp_path)],
        env={**environment, **variables},
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )


def test_torchrun_with_a_backend_that_is_down(tmp_path) -> None:
    done = launched(
        tmp_path,
        *("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "train.py", "ddp"),
        AUTOTRACK_FORWARDER="process",
        AUTOTRACK_BACKENDS="local,mlflow",
        MLFLOW_TRACKING_URI="http://127.0.0.1:9",
        AUTOTRACK_EXIT_TIMEOUT="1",
    )
    assert done.returncode == 0, done.stderr
    (run,) = Recorded(tmp_path / "home").runs()
    assert (run.name, run.status, run.params["strategy"], run.params["num_devices"]) == (
        "Synced",
        "finished",
        "DDPStrategy",
        2,
    )
    assert [step for step, _ in run.metrics["synced"]] == [2, 5]
    assert len(run.metrics["test_loss"]) == 1 and len(run.models) == 1


def test_lightnings_own_launcher(tmp_path) -> None:
    done = launched(tmp_path, "train.py", "ddp")
    assert done.returncode == 0, done.stderr
    (run,) = Recorded(tmp_path / "home").runs()
    assert (run.status, len(run.metrics["synced"]), len(run.metrics["test_loss"])) == ("finished", 2, 1)


def test_spawned_processes_record_what_the_parent_enabled(tmp_path) -> None:
    done = launched(tmp_path, "train.py", "ddp_spawn")
    assert done.returncode == 0, done.stderr
    (run,) = Recorded(tmp_path / "home").runs()
    assert (run.status, run.ends, len(run.models)) == ("finished", 1, 1)
    assert f"synced {run.metrics['synced'][-1][1]}" in done.stdout


@pytest.mark.parametrize("strategy", ["ddp", "ddp_fork", "ddp_spawn"])
def test_the_folder_of_checkpoints_has_the_id_of_the_run(tmp_path, strategy) -> None:
    done = launched(tmp_path, "train.py", strategy, WITH_LOGGER="1")
    assert done.returncode == 0, done.stderr
    (run,) = Recorded(tmp_path / "home").runs()
    assert (run.status, len(run.metrics["synced"])) == ("finished", 2)
    assert {path.parent for path in tmp_path.rglob("*.ckpt")} == {tmp_path / "autotrack" / run.id / "checkpoints"}


def test_a_logger_alone_goes_on_in_the_next_launched_process(tmp_path) -> None:
    done = launched(tmp_path, "train.py", "ddp_fork", WITH_LOGGER="1", ALONE="1")
    assert done.returncode == 0, done.stderr
    (run,) = Recorded(tmp_path / "home").runs()
    assert (run.status, run.ends, len(run.metrics["synced"]), len(run.metrics["test_loss"])) == ("finished", 2, 2, 1)


@pytest.mark.parametrize("rank", ["0", "1"])
def test_a_launched_process_that_fails(tmp_path, rank) -> None:
    done = launched(tmp_path, "train.py", "ddp_fork", RAISES_ON=rank)
    assert done.returncode != 0
    (run,) = Recorded(tmp_path / "home").runs()
    assert len(run.metrics["synced"]) == 1
    # Parent and child each have a journal; the store goes by the time of what they say.
    told = subprocess.run(
        [sys.executable, "-m", "autotrack", "show", run.id, "--json"],
        env={**os.environ, "AUTOTRACK_HOME": str(tmp_path / "home")},
        capture_output=True,
        check=True,
    )
    shown = json.loads(told.stdout)
    assert (shown["status"], shown["error"]["type"]) == ("failed", "ProcessRaisedException")
    assert "ValueError: mine" in shown["error"]["message"]


RESUME = """
import os, signal, sys
sys.path.insert(0, {folder!r})
from pathlib import Path
import autotrack
from lightning_trainings import Line, loader, trainer
autotrack.enable("lightning", home=Path({root!r}) / "home")

class Stops(Line):
    def on_train_epoch_start(self):
        if self.current_epoch == 1 and "resume" not in sys.argv:
            os.kill(os.getpid(), signal.SIGTERM)

own = trainer(Path({root!r}), max_epochs=3)
(path,) = Path({root!r}).glob("checkpoints/*.ckpt") if "resume" in sys.argv else [None]
own.fit(Stops(), loader(), loader(rows=16), ckpt_path=path)
"""


def test_a_training_that_was_stopped_is_resumed_in_another_process(tmp_path) -> None:
    script = RESUME.format(folder=str(Path(__file__).parent), root=str(tmp_path))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "AUTOTRACK_FORWARDER": "off", "AUTOTRACK_STRICT": "1"}

    def python(*words: str) -> None:
        subprocess.run([sys.executable, "-c", script, *words], env=environment, capture_output=True, check=True)

    python()  # Lightning ends it with an exit status of 0
    (run,) = Recorded(tmp_path / "home").runs()
    assert (run.status, run.error["type"]) == ("killed", "SIGTERMException")
    python("resume")
    (resumed,) = Recorded(tmp_path / "home").runs()
    assert (resumed.id, resumed.status) == (run.id, "finished")
    assert [step for step, _ in resumed.metrics["loss_epoch"]][-2:] == [11, 17]
