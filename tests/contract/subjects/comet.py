"""Comet: offline experiments, read and checked by Comet's own uploader."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))  # test modules are not a package
sys.path.insert(0, str(Path(__file__).parents[2] / "backends"))

from comet_reader import Comet
from subject import EVERYTHING, ReadRun


class Subject:
    name = "comet"
    carries = EVERYTHING - {"fractional_steps", "registry"}
    url_variable = None
    listens = None

    def __init__(self, folder: Path) -> None:
        self._comet = Comet(folder)

    def start(self) -> dict[str, str]:
        return {"COMET_OFFLINE_DIRECTORY": str(self._comet.archives)}

    def read(self) -> dict[str, ReadRun]:
        found: dict[str, ReadRun] = {}
        for experiment in self._comet.read():
            run = experiment["others"]["autotrack.run_id"]
            assert run not in found and experiment["left"] == ["experiment.json", "messages.json"]
            found[run] = as_read(experiment)
        return found

    def stop(self) -> None:
        self._comet.stop()


def as_read(experiment: dict[str, Any]) -> ReadRun:
    """An experiment of Comet's in our words."""
    others = experiment["others"]
    status = others["autotrack.status"]
    assert ("error" in experiment) == (status == "failed"), experiment["error"]
    read = ReadRun(
        name=others["Name"],
        status=status,
        params=experiment["params"],
        tags={key: value for key, value in others.items() if not key.startswith("autotrack.") and key != "Name"},
        parent=others.get("autotrack.parent_id"),
        error=experiment.get("error"),
    )
    for key in others:
        if key.startswith("autotrack.dataset/"):
            _, role, name = key.split("/", 2)
            read.datasets.append((role, name))
    for kind, name, model, content in experiment["files"]:
        if kind == "model-element":
            read.models[model] = bytes.fromhex(content)
        else:
            read.artifacts[name] = bytes.fromhex(content)
    for point in experiment["metrics"]:
        read.metrics.setdefault(point["metricName"], []).append((str(point["step"]), float(point["metricValue"])))
        read.times.setdefault(point["metricName"], []).append(point["timestamp"] / 1000)
    return read
