"""The workflow among the examples does what its words say: its steps run here, in the shell that they ask for."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("yaml")
pytest.importorskip("sklearn")

sys.path.insert(0, str(Path(__file__).parents[1] / "core"))
import promotions
import yaml

from autotrack.registry import reading
from autotrack.registry.writing import opened

WORKFLOW = Path(__file__).parents[2] / "examples" / "promote.yml"


def steps(job: str, inputs: dict[str, str], folder: Path) -> list[subprocess.CompletedProcess[str]]:
    """Run the steps of a job that are ours, until one fails, as GitHub's runner does."""
    told = yaml.safe_load(WORKFLOW.read_text())
    known = {f"inputs.{name}": value for name, value in inputs.items()} | {"github.actor": "ann"}
    given = {name: re.sub(r"\$\{\{ (.+?) \}\}", lambda found: known.get(found[1], ""), str(value))
             for name, value in told["env"].items()}  # fmt: skip
    environment = {**os.environ, **{name: value for name, value in given.items() if value}}
    environment |= {"AUTOTRACK_HOME": str(folder / "home"), "AUTOTRACK_QUIET": "1"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    done: list[subprocess.CompletedProcess[str]] = []
    for step in told["jobs"][job]["steps"]:
        if "name" not in step:  # what the runner brings: the checkout, a Python, the installation
            continue
        shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail"] if step.get("shell") == "bash" else ["bash", "-e"]
        done.append(
            subprocess.run(
                [*shell, "-c", step["run"]],
                env=environment, cwd=folder, capture_output=True, text=True, timeout=120, check=False,
            )
        )  # fmt: skip
        if done[-1].returncode:
            break
    return done


def test_a_version_that_the_gates_allow_is_promoted_by_who_asked_and_a_worse_one_ends_the_job(tmp_path: Path) -> None:
    with promotions.home(tmp_path / "home"):
        promotions.train(6)
        promotions.train(1)

    def asked(version: str) -> dict[str, str]:
        return {"version": version, "alias": "production", "why": '$(touch broken); it\'s "better"'}

    (checked,) = steps("check", asked("clf/1"), tmp_path)
    assert checked.returncode == 0, checked.stderr
    said: Any = json.loads((tmp_path / "check.json").read_text())
    assert said == json.loads(checked.stdout)
    (promoted,) = steps("promote", asked("clf/1"), tmp_path)
    assert promoted.returncode == 0, promoted.stderr
    (refused,) = steps("check", asked("clf/2"), tmp_path)
    assert refused.returncode != 0 and json.loads(refused.stdout)
    with promotions.home(tmp_path / "home"), opened() as store:
        model = reading.model(store, "clf")
    pointed = model["aliases"]["production"]
    assert (pointed["version"], pointed["who"], pointed["why"]) == (1, "ann", asked("clf/1")["why"])
    assert not (tmp_path / "broken").exists(), "what somebody types is never run"
