"""Online, W&B's own client uploads what we have written: to a stand-in for the server that keeps lines as that does."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # test modules are not a package

from wandb_double import Double
from wandb_files import run_script

from autotrack.errors import UsageError
from autotrack_wandb.online import Uploader
from autotrack_wandb.place import place_from

KEY = "local" + "0" * 40
SYNC = """
import contextlib, sys
from pathlib import Path
import autotrack, autotrack_wandb
from autotrack.forward.catching_up import sync
from autotrack.plugins import plugins
from autotrack.session import session
from autotrack.settings import load
from autotrack.testing import recording
with contextlib.suppress(ValueError):  # where it is not installed, its entry point is not found
    plugins.register(autotrack_wandb, "wandb")
home = Path("home").absolute()
def deliver():
    return [one.problem for one in sync(home, load(home=home, backends="wandb"), ("wandb",)) if one.problem]
"""
RECORD = """
with recording(home, project="churn"), autotrack.start_run("first") as run:
    run.log_params({"lr": 0.1, "model.depth": 3})
    for step in range(50):
        run.log_metrics({"loss": step / 4}, step=step * 10)
    run.log_artifact(b"hello", "notes/hello.txt")
    run.end("failed", ValueError("it broke"))
"""


def upload(folder: Path, double: Double, script: str) -> str:
    """Run a script that records and delivers; gives what it printed."""
    variables = {"WANDB_BASE_URL": double.url, "WANDB_API_KEY": KEY, "AUTOTRACK_KEEP": "all"}
    return run_script(folder, SYNC + script, **variables).strip()


def rows(run: dict[str, Any]) -> list[dict[str, Any]]:
    lines = run["lines"]["wandb-history.jsonl"]
    assert sorted(lines) == list(range(len(lines)))
    return [json.loads(lines[number]) for number in sorted(lines)]


def test_a_run_that_has_ended_is_there_whole_and_sent_again_it_is_there_once(tmp_path: Path) -> None:
    with Double() as double:
        assert upload(tmp_path, double, RECORD + "print(deliver())") == "[]"
        ((name, run),) = double.runs.items()
        for _ in range(2):
            assert [(row["autotrack/step"], row["loss"]) for row in rows(run)] == [(n * 10, n / 4) for n in range(50)]
            summary = run["lines"]["wandb-summary.json"]
            assert json.loads(summary[max(summary)])["loss"] == 49 / 4
            assert run["exit"] == 1
            assert run["displayName"] == "first" and run["config"]["model"]["value"] == {"depth": 3}
            assert run["config"]["autotrack"]["value"]["error"]["message"] == "it broke"
            assert run["files"]["notes/hello.txt"] == b"hello"
            run["exit"] = None
            chunks = run["chunks"]
            shutil.rmtree(tmp_path / "home" / "delivery")  # as if nothing had ever been delivered
            (mark,) = (tmp_path / "home").rglob("*.synced")
            mark.unlink()
            assert upload(tmp_path, double, "print(deliver())") == "[]"
            assert run["chunks"] > chunks and list(double.runs) == [name]


SECOND = f"""
{RECORD}
with recording(home, project="churn"):
    again = session.open_run("first", run_id=run.id, resumed=True)
    again.log_metrics({{"loss": 100.0}}, step=1000)
    again.end()
first, second = sorted((home / "journals").iterdir())
"""


@pytest.mark.parametrize("order", ["first", "second"])
def test_whichever_part_of_a_run_is_delivered_first_no_row_replaces_another(order: str, tmp_path: Path) -> None:
    script = f"""
{SECOND}
other = second if {order!r} == "first" else first
other.rename(home / "aside")
print(deliver())
(home / "aside").rename(other)
print(deliver())
"""
    with Double() as double:
        assert upload(tmp_path, double, script).splitlines() == ["[]", "[]"]
        (run,) = double.runs.values()
    found = [(row["autotrack/step"], row["loss"]) for row in rows(run)]
    assert sorted(found) == sorted([*((n * 10, n / 4) for n in range(50)), (1000, 100.0)])


def test_a_later_part_waits_for_the_first_one(tmp_path: Path) -> None:
    script = f"""
{SECOND}
print(deliver())
for mark in home.rglob("*.synced"):
    mark.unlink()
import os
from autotrack_wandb.online import Uploader
from autotrack_wandb.place import place_from
from autotrack_wandb.reading import files_in
place = place_from(os.environ, home)
files = files_in(place.folder)
try:
    Uploader(place).upload(files[1].path)
except Exception as problem:
    print(problem)
"""
    with Double() as double:
        delivered, waits = upload(tmp_path, double, script).splitlines()
    assert delivered == "[]" and "waits for" in waits


def test_wrong_credentials_and_a_server_that_is_away_are_said_and_cost_no_data(tmp_path: Path) -> None:
    with Double() as double:
        double.status = 401
        problem = upload(tmp_path, double, RECORD + "print(deliver())")
        assert "WANDB_API_KEY" in problem and KEY not in problem
        double.status = 200
        away = run_script(tmp_path, SYNC + "print(deliver())", WANDB_BASE_URL="http://127.0.0.1:1", WANDB_API_KEY=KEY)
        assert "no answer from http://127.0.0.1:1" in away
        assert upload(tmp_path, double, "print(deliver())") == "[]"
        (run,) = double.runs.values()
        assert len(rows(run)) == 50


def test_online_without_a_key_names_the_variable(tmp_path: Path) -> None:
    script = SYNC + RECORD + "print(deliver())"
    assert "WANDB_API_KEY" in run_script(tmp_path, script, WANDB_MODE="online")


def test_online_without_the_sdk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="WANDB_MODE=offline"):
        Uploader(place_from({"WANDB_API_KEY": KEY}, tmp_path))
