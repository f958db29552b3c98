"""MLflow: its real server on loopback, read by its own client from the server's database and folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, ClassVar

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))  # test modules are not a package
sys.path.insert(0, str(Path(__file__).parents[2] / "backends"))

from mlflow_server import Server, executable
from subject import EVERYTHING, ReadModel, ReadRun

STATUSES = {"RUNNING": "running", "FINISHED": "finished", "FAILED": "failed", "KILLED": "killed"}


class Subject:
    name = "mlflow"
    carries = EVERYTHING - {"infinities", "fractional_steps", "equal_points", "changed_params", "param_types"}
    url_variable: str | None = "MLFLOW_TRACKING_URI"
    options: ClassVar[tuple[str, ...]] = ()
    """Of the server, further ones."""

    def __init__(self, folder: Path) -> None:
        program = executable()
        if program is None:
            pytest.skip("needs a real MLflow: set AUTOTRACK_TEST_MLFLOW to the path of an `mlflow` executable")
        self.server = Server(program, folder, *self.options)
        self.listens: str | None = self.server.url

    def start(self) -> dict[str, str]:
        self.server.start()
        return self.variables()

    def variables(self) -> dict[str, str]:
        return {"MLFLOW_TRACKING_URI": self.server.url}

    def read(self) -> dict[str, ReadRun]:
        found: dict[str, ReadRun] = {}
        answer = self.server.ask("everything", self.server.database, str(self.server.folder / "artifacts"))
        for run in answer:
            ours = run["tags"]["autotrack.run_id"]
            assert ours not in found
            found[ours] = as_read(run)
        return found

    def read_model(self, name: str) -> ReadModel:
        found = self.server.ask("versions", name, self.server.database)
        digests = {str(one["version"]): one["tags"]["autotrack.digest"] for one in found["versions"]}
        return ReadModel(list(digests.values()), {key: digests[held] for key, held in found["aliases"].items()})

    def stop(self) -> None:
        self.server.stop()


def as_read(run: dict[str, Any]) -> ReadRun:
    """A run of MLflow's in our words."""
    tags = run["tags"]
    return ReadRun(
        name=run["name"],
        status=tags.get("autotrack.status", STATUSES[run["status"]]),
        params=run["params"],
        metrics={key: [(str(step), value) for step, _, value in points] for key, points in run["metrics"].items()},
        times={key: [time / 1e3 for _, time, _ in points] for key, points in run["metrics"].items()},
        tags={key: value for key, value in tags.items() if not key.startswith(("mlflow.", "autotrack."))},
        parent=tags.get("autotrack.parent_id"),
        datasets=[(role, name) for role, name in run["datasets"]],
        models={name: bytes.fromhex(content) for name, content in run["models"].items()},
        artifacts={
            name: bytes.fromhex(content)
            for name, content in run["artifacts"].items()
            if not name.startswith("autotrack/")
        },
        error=tags.get("autotrack.error"),
    )
