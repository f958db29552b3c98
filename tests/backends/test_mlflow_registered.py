"""What is decided of a registered model reaches MLflow's registry: versions, aliases, approvals, in whatever order."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # test modules are not a package: a folder's name could hide a product

from mlflow_server import Server, no_mlflow_settings

__all__ = ["no_mlflow_settings"]

pytest.importorskip("xgboost")

TRAIN = """
import autotrack, xgboost, numpy as np
X = np.random.default_rng(0).normal(size=(50, 3))
for rounds in (1, 2, 3):
    with autotrack.start_run(f"train-{rounds}") as run:
        run.log_model(xgboost.train({}, xgboost.DMatrix(X, X[:, 0]), rounds), "clf")
"""


class Home:
    """A home whose programs send to one server."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.folder, self.server = folder, server
        self.variables = {"AUTOTRACK_BACKENDS": "local,mlflow", "AUTOTRACK_FORWARDER": "off", "AUTOTRACK_QUIET": "1"}

    def __call__(self, *arguments: str) -> Any:
        import os

        environment = {**os.environ, "AUTOTRACK_HOME": str(self.folder / "home"), **self.variables}
        program = [str(Path(sys.executable).with_name("autotrack"))] if arguments[0] != "-c" else [sys.executable]
        done = subprocess.run(
            [*program, *arguments], cwd=self.folder, env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if "--json" in arguments else done.stdout

    def there(self, name: str) -> dict[str, Any]:
        """The registered model as MLflow's own client gives it, with our digests in the place of its versions."""
        found = self.server.ask("versions", name)
        digests = {str(one["version"]): one["tags"]["autotrack.digest"] for one in found["versions"]}
        return {
            "versions": [digests[str(one["version"])] for one in found["versions"]],
            "aliases": {alias: digests[number] for alias, number in found["aliases"].items()},
            "tags": {one["tags"]["autotrack.digest"]: one["tags"] for one in found["versions"]},
        }


def test_the_registry_there_becomes_as_the_log_says(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
    home = Home(tmp_path, server)
    home("-c", TRAIN)
    home("sync", "--backends", "mlflow")
    for number in (1, 2, 3):
        home("models", "register", "decided", f"train-{number}")
    digests = [one["digest"] for one in reversed(home("models", "show", "decided", "--json")["versions"])]
    assert len(set(digests)) == 3
    home("models", "alias", "decided@production", "1", "--why", "the first")
    home("models", "alias", "decided@trial", "2")
    home("models", "alias", "decided@production", "2", "--why", "better")
    home("models", "alias", "decided@in its trial", "1")  # MLflow's aliases have no spaces
    home("models", "approve", "decided/2", "--why", "looked at it")
    home("models", "annotate", "decided/2", "owner=risk")
    home("sync", "--backends", "mlflow")  # eight journals, each with one step
    found = home.there("decided")
    assert found["versions"] == digests
    assert found["aliases"] == {"production": digests[1], "trial": digests[1]}
    assert found["tags"][digests[1]]["autotrack.approved_by"]
    assert found["tags"][digests[1]]["autotrack.annotation.owner"] == "risk"
    assert len({tags["autotrack.run_id"] for tags in found["tags"].values()}) == 3

    home("models", "unalias", "decided@trial")
    home("models", "rollback", "decided@production", "--why", "worse after all")
    home("models", "retire", "decided/3", "--why", "wrong data")
    home("sync", "--backends", "mlflow")
    again = home.there("decided")
    assert again["versions"] == digests
    assert again["aliases"] == {"production": digests[0]}
    assert again["tags"][digests[2]]["autotrack.retired"] == "wrong data"


def test_a_version_whose_run_was_never_sent_gets_there_with_its_file(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
    home = Home(tmp_path, server)
    home.variables["AUTOTRACK_BACKENDS"] = "local"
    home("-c", TRAIN)
    home.variables["AUTOTRACK_BACKENDS"] = "local,mlflow"
    home("models", "register", "late", "train-1", "--alias", "champion")
    home.variables["AUTOTRACK_FORWARDER"] = "process"  # the step goes there by itself
    home("models", "alias", "late@second", "1")
    home("sync", "--backends", "mlflow")
    (digest,) = home.there("late")["versions"]
    assert home.there("late")["aliases"] == {"champion": digest, "second": digest}
