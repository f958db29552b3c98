"""Aim: a local repository, indexed and read by Aim itself."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))  # test modules are not a package
sys.path.insert(0, str(Path(__file__).parents[2] / "backends"))

from aim_reader import Aim
from subject import EVERYTHING, ReadRun


class Subject:
    name = "aim"
    carries = EVERYTHING - {"fractional_steps", "equal_points", "repeated_steps", "registry"}
    url_variable = None
    listens = None

    def __init__(self, folder: Path) -> None:
        self._aim = Aim(folder)

    def start(self) -> dict[str, str]:
        return {"AUTOTRACK_AIM_REPO": str(self._aim.folder)}

    def read(self) -> dict[str, ReadRun]:
        found: dict[str, ReadRun] = {}
        for run in self._aim.read():
            ours = run["attributes"]["autotrack"]["run_id"]
            assert ours not in found
            found[ours] = as_read(run)
        return found

    def stop(self) -> None:
        self._aim.stop()


def as_read(run: dict[str, Any]) -> ReadRun:
    """A run of Aim's in our words."""
    attributes = run["attributes"]
    ours = attributes["autotrack"]
    assert (run["ended"] is None) == (ours["status"] == "running")
    files = {name: bytes.fromhex(content) for name, content in run["files"].items()}
    read = ReadRun(
        name=run["name"],
        status=ours["status"],
        params=attributes["hparams"],
        tags=attributes["tags"],
        parent=ours.get("parent_id"),
        datasets=[tuple(key.split("/", 1)) for key in attributes["datasets"]],
        models={name: files[path] for name, path in ours.get("models", {}).items()},
        artifacts={name: files[path] for name, path in ours.get("artifacts", {}).items()},
        error=ours.get("error", {}).get("message"),
    )
    for key, points in run["series"].items():
        read.metrics[key] = [(str(step), float(value)) for step, value, _ in points]
        read.times[key] = [time for _, _, time in points]
    return read
