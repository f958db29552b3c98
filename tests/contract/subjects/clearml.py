"""ClearML: offline sessions, read and checked by ClearML's own classes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))  # test modules are not a package
sys.path.insert(0, str(Path(__file__).parents[2] / "backends"))

from clearml_reader import Clearml
from subject import EVERYTHING, ReadRun


class Subject:
    name = "clearml"
    carries = EVERYTHING - {"nan", "infinities", "fractional_steps", "equal_points", "repeated_steps", "registry"}
    url_variable = None
    listens = None

    def __init__(self, folder: Path) -> None:
        self._clearml = Clearml(folder)

    def start(self) -> dict[str, str]:
        return {"CLEARML_CACHE_DIR": str(self._clearml.cache), "CLEARML_OFFLINE_MODE": "1"}

    def read(self) -> dict[str, ReadRun]:
        found: dict[str, ReadRun] = {}
        for task in self._clearml.read():
            run = task["params"]["autotrack"]["run_id"]
            assert run not in found and task["id"] == f"offline-{run}"
            found[run] = as_read(task)
        return found

    def stop(self) -> None:
        self._clearml.stop()


def as_read(task: dict[str, Any]) -> ReadRun:
    """A task of ClearML's in our words."""
    ours = task["params"]["autotrack"]
    read = ReadRun(
        name=task["name"],
        status=ours["status"],
        params=task["params"].get("General", {}),
        tags=task["params"].get("Tags", {}),
        parent=ours.get("parent_id"),
        error=ours.get("error.message"),
    )
    for key in task["params"].get("Datasets", {}):
        role, _, name = key.partition("/")
        read.datasets.append((role, name))
    for key, (kind, content) in task["artifacts"].items():
        if kind == "model":
            read.models[key.removeprefix("models/")] = bytes.fromhex(content)
        else:
            read.artifacts[key] = bytes.fromhex(content)
    for title, series, step, value, time in task["points"]:
        key = title if title == series else f"{title}/{series}"
        read.metrics.setdefault(key, []).append((str(step), value))
        read.times.setdefault(key, []).append(time / 1000)
    return read
