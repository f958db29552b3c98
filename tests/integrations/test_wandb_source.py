"""What a script tells W&B becomes a run of ours, once, and W&B gets what it got before."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "backends"))  # test modules are not a package

from wandb_files import read_folder, run_script

from autotrack.events import MetricsLogged
from autotrack_wandb.importer import Importer

RECORDING = """
import contextlib, json
from pathlib import Path
import autotrack, autotrack_wandb
from autotrack.plugins import plugins
from autotrack.testing import recording
import wandb
with contextlib.suppress(ValueError):  # where it is not installed, its entry point is not found
    plugins.register(autotrack_wandb, "wandb")
home = Path("home").absolute()
with recording(home, "wandb") as recorded:
{body}
out = []
for run in recorded.runs():
    out.append({{
        "name": run.name, "status": run.status, "integration": run.integration, "parent": run.parent,
        "params": run.params, "tags": run.tags, "ends": run.ends, "error": run.error,
        "metrics": {{key: [[str(step), repr(value)] for step, value in points] for key, points in run.metrics.items()}},
        "artifacts": {{name: recorded.content(one).decode("utf-8", "replace") for name, one in run.artifacts.items()}},
        "notes": {{note.what: note.why for note in run.notes}},
    }})
from autotrack.journal.reader import Journal, journals
from autotrack.events import RunStarted
starts = [r.event for f in journals(home) for r in Journal(f).records() if isinstance(r.event, RunStarted)]
told = {{"not_to": [one.not_to for one in starts], "projects": [one.project for one in starts]}}
print(json.dumps({{"runs": out, **told}}))
"""


def record(folder: Path, body: str, mode: str = "offline") -> dict[str, Any]:
    """Run a script's body under `enable("wandb")`; gives what was recorded."""
    lines = "".join(f"    {line}\n" for line in body.strip("\n").splitlines())
    script = RECORDING.format(body=lines)
    printed = run_script(folder, script, WANDB_MODE=mode, WANDB_CONSOLE="off")
    told: dict[str, Any] = json.loads(printed.strip().splitlines()[-1])
    return told


TRAINING = """
run = wandb.init(project="churn", name="mine", config={"lr": 0.1, "model": {"depth": 3}}, tags=["x"], group="g")
run.define_metric("eval/*", step_metric="eval/step")
for step in range(3):
    wandb.log({"loss": 1.0 / (step + 1)})
run.log({"eval/step": 100, "eval/acc": 0.5})
wandb.log({"a": 1}, commit=False)
wandb.log({"b": 2.5})
run.log({"at": 1.5}, step=50)
run.log({"more": 2.5}, step=50)
run.log({"eval/late": 0.25}, step=60)
run.log({"eval/step": 200}, step=60, commit=True)
wandb.log({"after": 1.0})
wandb.config.update({"late": [1, 2]})
wandb.config.batch = 32
wandb.config["seed"] = 7
run.summary["best"] = 3.25
run.summary.update({"verdict": "good"})
wandb.finish()
"""


@pytest.mark.parametrize("mode", ["offline", "disabled"])
def test_a_run_of_wandbs_is_a_run_of_ours_in_every_mode(mode: str, tmp_path: Path) -> None:
    told = record(tmp_path, TRAINING, mode)
    (run,) = told["runs"]
    assert (run["name"], run["status"], run["integration"], run["ends"]) == ("mine", "finished", "wandb", 1)
    assert told["not_to"] == [["wandb"]] and told["projects"] == ["churn"]
    assert run["params"] == {"lr": 0.1, "model.depth": 3, "late": "[1, 2]", "batch": 32, "seed": 7}
    assert run["tags"]["x"] == "true" and run["tags"]["wandb.group"] == "g" and run["tags"]["summary.verdict"] == "good"
    points = run["metrics"]
    assert points["loss"] == [["0", "1.0"], ["1", "0.5"], ["2", repr(1 / 3)]]
    assert points["eval/acc"] == [["100", "0.5"]] and points["eval/step"] == [["3", "100.0"], ["60", "200.0"]]
    assert points["a"] == [["4", "1.0"]] and points["b"] == [["4", "2.5"]]
    assert points["at"] == [["50", "1.5"]] and points["more"] == [["50", "2.5"]]
    assert points["eval/late"] == [["200", "0.25"]], "its x-axis came later in the same row"
    assert points["after"] == [["61", "1.0"]]
    assert points["best"] == [["61", "3.25"]]
    if mode == "offline":
        assert {key: [tuple(point) for point in found] for key, found in points.items()} == imported(tmp_path)


def imported(folder: Path) -> dict[str, list[tuple[str, str]]]:
    """The series that the importer finds in what W&B itself has written."""
    found: dict[str, list[tuple[str, str]]] = {}

    class Nothing:
        def keep(self, source: Any) -> tuple[str, int]:
            return "", 0

        def not_carried(self, what: str, why: str, count: int = 1) -> None:
            pass

    (run,) = Importer().runs(str(folder), {})
    for event in run.events(Nothing()):
        if isinstance(event, MetricsLogged):
            for key, value in event.values.items():
                if not key.startswith("system/"):
                    found.setdefault(key, []).append((str(event.step), repr(value)))
    return found


def test_wandb_itself_writes_what_it_writes_without_us(tmp_path: Path) -> None:
    files = []
    for name in ("with", "without"):
        folder = tmp_path / name
        folder.mkdir()
        if name == "with":
            record(folder, TRAINING)
        else:
            run_script(folder, f"import wandb\n{TRAINING}", WANDB_MODE="offline", WANDB_CONSOLE="off")
        files += read_folder(folder)
    ours, theirs = files
    for field in ("config", "summary", "metrics", "tags", "name", "exit"):
        if field == "config":
            ours[field].pop("_wandb"), theirs[field].pop("_wandb")
        drop = ("_timestamp", "_runtime", "_wandb")
        left, right = ours[field], theirs[field]
        if field == "summary":
            left, right = ({key: value for key, value in one.items() if key not in drop} for one in (left, right))
        assert left == right
    rows = [[{key: row[key] for key in row if key[:2] not in ("_t", "_r")} for row in one["history"]] for one in files]
    assert rows[0] == rows[1]


def test_files_of_artifacts_and_saved_ones_are_kept_and_what_is_no_number_is_told(tmp_path: Path) -> None:
    told = record(
        tmp_path,
        """
open("rows.csv", "w").write("a,b")
open("saved.txt", "w").write("kept")
run = wandb.init(project="p")
artifact = wandb.Artifact("rows", "dataset")
artifact.add_file("rows.csv")
artifact.add_reference("https://example.org/big.bin", checksum=False)
run.log_artifact(artifact)
run.save("saved.txt", policy="now")
run.log({"words": "hello", "weights": wandb.Histogram([1, 2]), "page": wandb.Html("<b>hi</b>"), "n": 1})
run.finish()
""",
    )
    (run,) = told["runs"]
    assert run["artifacts"]["rows/rows.csv"] == "a,b" and run["artifacts"]["saved.txt"] == "kept"
    assert "<b>hi</b>" in next(content for name, content in run["artifacts"].items() if name.startswith("media/page"))
    assert run["metrics"] == {"n": [["0", "1.0"]]}
    assert run["notes"]["values of words"] == "a str is not a number"
    assert "values of weights" in run["notes"] and run["notes"]["artifact rows/big.bin"] == "it is a reference"


def test_how_it_ends_is_how_the_run_ends(tmp_path: Path) -> None:
    told = record(
        tmp_path,
        """
try:
    with wandb.init(project="p", name="raises") as run:
        run.log({"a": 1})
        raise ValueError("it broke")
except ValueError:
    pass
run = wandb.init(project="p", name="code")
run.finish(exit_code=3)
first = wandb.init(project="p", name="first")
second = wandb.init(project="p", name="second", reinit="create_new")
second.log({"a": 2})
first.log({"a": 1})
second.finish()
first.finish()
with autotrack.start_run("the user's own") as own:
    inner = wandb.init(project="p", name="inner")
    inner.log({"a": 3})
    inner.finish()
    own.log_metrics({"b": 4}, step=0)
again = wandb.init(project="p", name="left open")
""",
        "disabled",
    )
    by_name = {run["name"]: run for run in told["runs"]}
    assert by_name["raises"]["status"] == "failed" and by_name["raises"]["error"]["message"] == "it broke"
    assert by_name["code"]["status"] == "failed"
    assert by_name["first"]["metrics"] == {"a": [["0", "1.0"]]} and by_name["first"]["parent"] is None
    assert by_name["second"]["metrics"] == {"a": [["0", "2.0"]]} and by_name["second"]["parent"] is None
    own = by_name["the user's own"]
    assert own["metrics"] == {"a": [["0", "3.0"]], "b": [["0", "4.0"]]} and own["status"] == "finished"
    assert "inner" not in by_name and told["not_to"].count(["wandb"]) == len(told["not_to"]) - 1
    assert all(run["ends"] <= 1 for run in told["runs"])


def test_a_training_within_is_recorded_in_it_and_the_frameworks_logger_adds_nothing_twice(tmp_path: Path) -> None:
    """A framework of our own making: its logger feeds W&B with what its integration records."""
    told = record(
        tmp_path,
        """
import types
from autotrack.plugin import begin_leaf
logger = types.ModuleType("lightning.fake")
exec("def log(run, row, step): run.log(row, step=step)", logger.__dict__)
run = wandb.init(project="p", name="outer")
leaf = begin_leaf("lightning", name="fit", not_to=["wandb"])
assert leaf.run.name == "outer"
with leaf:
    leaf.run.log_metrics({"loss": 0.5}, step=1, not_to=leaf.not_to)
    logger.log(run, {"loss": 0.5}, 1)
    run.log({"own": 2.0}, step=1)
run.finish()
leaf = begin_leaf("lightning", name="alone")
with leaf:
    inner = wandb.init(project="p", name="of the logger")
    leaf.run.log_metrics({"loss": 0.25}, step=7)
    logger.log(inner, {"loss": 0.25}, 7)
    inner.log({"own": 3.0}, step=7)
    inner.finish()
""",
        "disabled",
    )
    outer, alone = told["runs"]
    assert outer["name"] == "outer" and outer["metrics"] == {"loss": [["1", "0.5"]], "own": [["1", "2.0"]]}
    assert alone["name"] == "alone" and alone["metrics"] == {"loss": [["7", "0.25"]], "own": [["7", "3.0"]]}
    assert outer["ends"] == alone["ends"] == 1


def test_it_is_not_used_where_it_is_not_named(tmp_path: Path) -> None:
    script = RECORDING.format(body='    wandb.init(project="p").log({"a": 1})\n    wandb.finish()\n')
    script = script.replace('recording(home, "wandb")', "recording(home)")
    printed = run_script(tmp_path, script, WANDB_MODE="disabled")
    assert json.loads(printed.strip().splitlines()[-1])["runs"] == []


LIGHTNING = """
import importlib.util, sys
if importlib.util.find_spec("lightning") is None:
    print("skip")
    sys.exit()
import torch, lightning, wandb
from lightning.pytorch.loggers import WandbLogger
import autotrack
from pathlib import Path
from autotrack.testing import recording


class Model(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)

    def training_step(self, batch, index):
        loss = self.layer(batch[0]).pow(2).mean()
        self.log("loss", loss)
        if index == 0:
            wandb.log({"own": 1.0})
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


data = torch.utils.data.TensorDataset(torch.ones(6, 2))
with recording(Path("home").absolute(), "lightning", "wandb") as recorded:
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    logger = WandbLogger(project="p", name="lit", offline=True)
    trainer = lightning.Trainer(max_epochs=2, logger=logger, log_every_n_steps=1, accelerator="cpu", **quiet)
    trainer.fit(Model(), torch.utils.data.DataLoader(data, batch_size=2))
    wandb.finish()
(run,) = recorded.runs()
print([run.name, run.ends, [step for step, _ in run.metrics["loss"]], len(run.metrics["own"])])
"""


def test_lightnings_own_logger_within_a_recorded_training_adds_nothing_twice(tmp_path: Path) -> None:
    printed = run_script(tmp_path, LIGHTNING, WANDB_CONSOLE="off").strip().splitlines()[-1]
    if printed == "skip":
        pytest.skip("the python that has wandb has no lightning")
    assert printed == "['lit', 1, [0, 1, 2, 3, 4, 5], 2]"
