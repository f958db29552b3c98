"""The backend `http`, read back from a receiver on loopback that verifies and deduplicates."""

from __future__ import annotations

import sys
from collections import defaultdict
from datetime import datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))  # test modules are not a package
sys.path.insert(0, str(Path(__file__).parent.parent.parent / "backends"))

from http_receiver import Receiver
from subject import EVERYTHING, ReadModel, ReadRun


class Subject:
    name = "http"
    carries = EVERYTHING
    url_variable = "AUTOTRACK_HTTP_URL"
    listens: str | None = None

    def __init__(self, folder: Path) -> None:
        pass

    def start(self) -> dict[str, str]:
        self._receiver = Receiver()
        self.listens = self._receiver.url
        return self._receiver.variables

    def read(self) -> dict[str, ReadRun]:
        found: dict[str, ReadRun] = defaultdict(lambda: ReadRun(name=""))
        for line in self._receiver.lines.values():
            _take(found[line["run"]], line, self._receiver.files)
        assert not self._receiver.refused
        return dict(found)

    def read_model(self, name: str) -> ReadModel:
        # A receiver that wants the model as it stands takes what the newest step says of it.
        lines = self._receiver.lines.values()
        steps = [one for one in lines if one["kind"] == "registry" and one["model"] == name]
        registered = [one for one in lines if one["kind"] == "model" and one["register"] == name]
        newest = max(steps, key=lambda one: one["time"])
        versions = {one["version"]: one["digest"] for one in steps if one["version"]}
        assert {one["digest"] for one in registered} <= set(versions.values())
        return ReadModel(
            [versions[number] for number in sorted(versions)],
            {alias: one["digest"] for alias, one in newest["after"]["aliases"].items()},
        )

    def stop(self) -> None:
        self._receiver.close()


def _take(read: ReadRun, line: dict[str, Any], files: dict[str, bytes]) -> None:
    match line["kind"]:
        case "run_started":
            read.name, read.parent, read.status = line["name"], line["parent"], "running"
        case "params":
            read.params |= line["params"]
        case "metrics":
            for key, value in line["values"].items():
                read.metrics.setdefault(key, []).append((str(line["step"]), float(value)))
                read.times.setdefault(key, []).append(_seconds(line["time"]))
        case "tags":
            read.tags |= line["tags"]
        case "dataset":
            read.datasets.append((line["role"], line["name"]))
        case "model":
            read.models[line["name"]] = files[line["digest"]]
        case "artifact":
            read.artifacts[line["name"]] = files[line["digest"]]
        case "run_ended":
            read.status, read.error = line["status"], (line["error"] or {}).get("message")


def _seconds(moment: str) -> float:
    whole, _, rest = moment.removesuffix("Z").partition(".")
    return datetime.fromisoformat(whole + "+00:00").timestamp() + int(rest) / 1e9
