"""DVCLive: files, read by DVCLive's and DVC's own functions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))  # test modules are not a package
sys.path.insert(0, str(Path(__file__).parents[2] / "backends"))

from dvclive_files import interpreter, read
from subject import EVERYTHING, ReadRun


class Subject:
    name = "dvclive"
    carries = EVERYTHING - {"fractional_steps", "registry"}
    url_variable = None
    listens = None

    def __init__(self, folder: Path) -> None:
        interpreter()
        self._folder = folder / "dvclive"

    def start(self) -> dict[str, str]:
        return {"AUTOTRACK_DVCLIVE_DIR": str(self._folder)}

    def read(self) -> dict[str, ReadRun]:
        found: dict[str, ReadRun] = {}
        for run in read(self._folder):
            assert run["told"]["run_id"] not in found
            found[run["told"]["run_id"]] = as_read(run)
        return found

    def stop(self) -> None:
        pass


def as_read(run: dict[str, Any]) -> ReadRun:
    """A run of DVCLive's in our words."""
    told = run["told"]
    kinds: dict[str, dict[str, bytes]] = {"model": {}, "file": {}}
    for entry in run["files"].values():
        kinds[entry["type"]][entry["desc"]] = bytes.fromhex(entry["bytes"])
    return ReadRun(
        name=told["name"],
        status=told["status"],
        params=run["params"],
        metrics={key: [(step, float(value)) for _, step, value in rows] for key, rows in run["series"].items()},
        times={key: [int(time) / 1000 for time, _, _ in rows] for key, rows in run["series"].items()},
        tags=told.get("tags", {}),
        parent=told.get("parent"),
        datasets=[(one["role"], one["name"]) for one in told.get("datasets", [])],
        models=kinds["model"],
        artifacts=kinds["file"],
        error=told.get("error"),
    )
