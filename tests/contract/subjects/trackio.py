"""trackio: its real server on loopback, read by its own API."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))  # test modules are not a package
sys.path.insert(0, str(Path(__file__).parents[2] / "backends"))

from subject import EVERYTHING, ReadRun
from trackio_server import Trackio


class Subject:
    name = "trackio"
    carries = EVERYTHING - {"fractional_steps", "times", "registry"}
    url_variable = "TRACKIO_SERVER_URL"

    def __init__(self, folder: Path) -> None:
        self._trackio = Trackio(folder)
        self.listens: str | None = None

    def start(self) -> dict[str, str]:
        self._trackio.start()
        self.listens = self._trackio.url
        return {"TRACKIO_SERVER_URL": self._trackio.url, "TRACKIO_WRITE_TOKEN": self._trackio.token}

    def read(self) -> dict[str, ReadRun]:
        found: dict[str, ReadRun] = {}
        for run in self._trackio.read():
            assert run["config"]["autotrack"]["run_id"] == run["id"]
            assert run["id"] not in found
            found[run["id"]] = as_read(run)
        return found

    def stop(self) -> None:
        self._trackio.stop()


def as_read(run: dict[str, Any]) -> ReadRun:
    """A run of trackio's in our words."""
    ours = run["config"]["autotrack"]
    read = ReadRun(
        name=run["name"],
        status=ours.get("status"),
        params={
            key: value
            for key, value in run["config"].items()
            if key not in ("autotrack", "_Created", "_Username", "_Group")
        },
        tags=ours.get("tags", {}),
        parent=run["config"].get("_Group"),
        datasets=[(one["role"], one["name"]) for one in ours.get("datasets", [])],
        models={file["path"]: bytes.fromhex(file["bytes"]) for file in run["files"] if file["type"] == "model"},
        artifacts={file["path"]: bytes.fromhex(file["bytes"]) for file in run["files"] if file["type"] == "file"},
        error=(ours.get("error") or {}).get("message"),
    )
    for log in run["logs"]:
        for key, value in log.items():
            if key not in ("step", "timestamp"):
                read.metrics.setdefault(key, []).append((str(log["step"]), float(value)))
    return read
