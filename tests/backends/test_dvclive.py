"""The DVCLive backend: its files are those that DVCLive writes, and DVC's own commands show them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # test modules are not a package: a folder's name could hide a product

from dvclive_files import interpreter, read
from mlflow_server import Journal, Lent

from autotrack.errors import UsageError
from autotrack.events import ArtifactLogged, MetricsLogged, ModelLogged, ParamsLogged, RunEnded, TagsSet
from autotrack_dvclive import yaml
from autotrack_dvclive.backend import DvcliveBackend
from autotrack_dvclive.ledger import NAME, Ledger

LIVE = """
import json, sys
from dvclive import Live
from dvclive.utils import read_history, read_latest
with Live(sys.argv[1], save_dvc_exp=False, dvcyaml=None, report=None) as live:
    live.log_params({"lr": 0.5, "name": "adam", "flag": True})
    for step in range(4):
        live.log_metric("loss", 1 / (step + 1), timestamp=True)
        live.log_metric("val/acc", step / 8, timestamp=True)
        live.next_step()
from types import SimpleNamespace
both = []
for folder in sys.argv[1:]:
    live = SimpleNamespace(plots_dir=folder + "/plots", metrics_file=folder + "/metrics.json")
    both.append([read_history(live, "loss"), read_latest(live, "loss"), json.load(open(live.metrics_file))])
print(json.dumps(both))
"""


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the folders go."""
    monkeypatch.setenv("AUTOTRACK_DVCLIVE_DIR", str(tmp_path / "dvclive"))
    return tmp_path / "dvclive"


@pytest.fixture
def lent(tmp_path: Path) -> Lent:
    """What the forwarder lends."""
    return Lent(tmp_path / "home")


def deliver(lent: Lent, *batches: Any) -> None:
    """Deliver batches in a process of its own, as far as the backend can tell."""
    backend = DvcliveBackend()
    backend.open(lent.context)
    for batch in batches:
        backend.deliver(batch)
    backend.close()


def training() -> Journal:
    """The run that LIVE makes."""
    journal = Journal(project="churn")
    journal.start("baseline")
    journal.add(ParamsLogged, {"lr": 0.5, "name": "adam", "flag": True})
    for step in range(4):
        journal.add(MetricsLogged, step, {"loss": 1 / (step + 1), "val/acc": step / 8})
    journal.add(TagsSet, {"team": "risk"})
    journal.add(RunEnded, "finished")
    return journal


def the_folder(runs: Path) -> Path:
    """The only run's."""
    (found,) = (path.parent for path in runs.rglob("dvc.yaml"))
    return found


def test_the_files_are_those_that_dvclive_writes_and_its_readers_read_them(lent: Lent, runs: Path, tmp_path: Path):
    deliver(lent, training().records)
    ours, theirs = the_folder(runs), tmp_path / "theirs"
    done = subprocess.run(
        [interpreter(), "-c", LIVE, str(theirs), str(ours)], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = json.loads(done.stdout.splitlines()[-1])
    assert first == second
    names = {path.relative_to(theirs).as_posix() for path in theirs.rglob("*") if path.is_file()}
    assert names <= {path.relative_to(ours).as_posix() for path in ours.rglob("*")}
    assert (ours / "metrics.json").read_text().rstrip() == (theirs / "metrics.json").read_text().rstrip()
    for name in ("plots/metrics/loss.tsv", "plots/metrics/val/acc.tsv"):
        rows, expected = ([line.split("\t")[1:] for line in (at / name).open()] for at in (ours, theirs))
        assert rows == expected  # all but the times, which are those of the recording


def test_dvcs_own_commands_show_metrics_params_and_plots(lent: Lent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    dvc = Path(interpreter()).with_name("dvc")
    if not dvc.exists():
        pytest.skip("needs the program dvc beside that python")
    monkeypatch.setenv("AUTOTRACK_DVCLIVE_DIR", str(tmp_path / "work" / "dvclive"))
    (tmp_path / "work").mkdir()
    deliver(lent, training().records)
    folder = the_folder(tmp_path / "work" / "dvclive").relative_to(tmp_path / "work").as_posix()

    def run(*command: str) -> str:
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path / "work", check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    run(str(dvc), "init", "-q", "--no-scm")
    metrics = json.loads(run(str(dvc), "metrics", "show", "--json"))
    assert metrics[""]["data"][f"{folder}/metrics.json"]["data"]["val"] == {"acc": 0.375}
    plots = json.loads(run(str(dvc), "plots", "show", "--json"))["data"]
    points = plots[f"{folder}/plots/metrics/loss.tsv"][0]["content"]["data"]["values"]
    assert [(point["step"], float(point["loss"])) for point in points] == [
        (str(step), 1 / (step + 1)) for step in range(4)
    ]


def test_models_images_and_files_are_named_in_dvc_yaml(lent: Lent, runs: Path):
    journal = training()
    for name, content in (("Grüße/ä b.txt", b"text"), ("roc.png", b"\x89PNG"), ("../up", b"up")):
        journal.add(ArtifactLogged, name, lent.keep(content), len(content))
    journal.add(ModelLogged, "Clf", "safetensors", lent.keep(b"weights"), 7, 4)
    deliver(lent, journal.records)
    (run,) = read(runs)
    found = {entry["desc"]: (entry["type"], bytes.fromhex(entry["bytes"])) for entry in run["files"].values()}
    assert found == {
        "Grüße/ä b.txt": ("file", b"text"),
        "roc.png": ("file", b"\x89PNG"),
        "../up": ("file", b"up"),
        "Clf": ("model", b"weights"),
    }
    assert run["plots"] == [{"plots/metrics": {"x": "step"}}, "plots/images"]
    assert all(Path(run["folder"]) in path.resolve().parents for path in Path(run["folder"]).rglob("*"))


def test_rows_that_were_written_when_the_process_died_are_there_once(lent: Lent, runs: Path):
    journal = training()
    deliver(lent, journal.records[:4])
    folder = the_folder(runs)
    before = Ledger.of(folder)
    before.lengths = {"plots/metrics/loss.tsv": (folder / "plots/metrics/loss.tsv").stat().st_size}
    before.keep(folder)
    with (folder / "plots/metrics/loss.tsv").open("a") as file:
        file.write("1\t2\t0.33")  # half a row, and the ledger still says that rows are being written
    deliver(lent, journal.records[2:5], journal.records[3:])  # cut otherwise, from before
    (run,) = read(runs)
    assert [step for _, step, _ in run["series"]["loss"]] == ["0", "1", "2", "3"]
    assert json.loads((folder / NAME).read_text())["held"] == {journal.writer: journal.records[-1].sequence}


def test_two_names_that_some_systems_take_for_one_have_two_files_and_it_is_told(lent: Lent, runs: Path):
    journal = Journal()
    journal.start()
    journal.add(MetricsLogged, 1, {"Loss": 1.0, "loss": 2.0, "a//b": 3.0, "con": 4.0, "..": 5.0, "a": 6.0, "a/b": 7.0})
    deliver(lent, journal.records)
    (run,) = read(runs)
    assert sorted(float(rows[0][2]) for rows in run["series"].values()) == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    assert {what for _, what, _ in lent.notes} == {"name 'loss'", "name 'a//b'", "name 'con'", "name '..'"}
    assert run["latest"]["a"] == 6.0 and run["latest"]["a/b"] == 7.0


def test_the_yaml_that_is_written_is_read_as_it_was():
    pyyaml = pytest.importorskip("yaml")
    value = {
        "a b": "no",
        "yes": True,
        "x": [1, 2.5, {"k": None, "l": "ü\n\t🙂 \x85\u2028\x7f"}, {}],
        "empty": {},
        "nan": float("inf"),
        "text": "007",
        "nested": {"on": [[]], "tab\t": -1},
    }
    assert pyyaml.safe_load(yaml.dumped(value)) == value


def test_a_remote_address_is_refused_with_the_variable(lent: Lent, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AUTOTRACK_DVCLIVE_DIR", "s3://bucket/runs")
    with pytest.raises(UsageError, match="AUTOTRACK_DVCLIVE_DIR"):
        deliver(lent)
