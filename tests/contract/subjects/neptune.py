"""neptune: what the real client for Neptune 3 leaves on disk, decoded with the client's own messages."""

from __future__ import annotations

import json
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))  # test modules are not a package

from subject import EVERYTHING, ReadRun

NOT_CARRIED = {"equal_points", "repeated_steps"}


class Subject:
    name = "neptune"
    carries = EVERYTHING - NOT_CARRIED - {"registry"}
    url_variable = None
    listens = None

    def __init__(self, folder: Path) -> None:
        pytest.importorskip("neptune_scale")
        self._folder = folder / "logs"

    def start(self) -> dict[str, str]:
        return {
            "NEPTUNE_MODE": "offline",
            "NEPTUNE_PROJECT": "team/churn",
            "NEPTUNE_LOG_DIRECTORY": str(self._folder),
            "AUTOTRACK_NEPTUNE_CLIENT": "neptune-scale",
        }

    def read(self) -> dict[str, ReadRun]:
        return read_folder(self._folder)

    def stop(self) -> None:
        """There is no server."""


def read_folder(folder: Path) -> dict[str, ReadRun]:
    """The runs below a folder of the client's; the parts that several processes wrote are one run."""
    found: dict[str, ReadRun] = {}
    for path in sorted(folder.glob("*/*/run_operations.sqlite3"), key=lambda path: path.parent.name.rpartition("_")[2]):
        run, read = read_database(path, found)
        found[run] = read
    return found


def read_database(path: Path, found: dict[str, ReadRun]) -> tuple[str, ReadRun]:
    from neptune_api.proto.neptune_pb.ingest.v1.common_pb2 import Run, UpdateRunSnapshot

    with sqlite3.connect(path) as database:
        ((version, project, run),) = database.execute("SELECT version, project, run_id FROM metadata")
        operations = database.execute("SELECT operation_type, operation FROM run_operations ORDER BY sequence_id")
        rows = operations.fetchall()
        files = dict(database.execute("SELECT destination, source_path FROM file_upload_requests"))
    assert version == "v5" and project.count("/") == 1
    read = found.get(run) or ReadRun(name="")
    models: dict[str, dict[str, Any]] = {}
    for kind, blob in rows:
        if kind == 1:
            made = Run.FromString(blob)
            assert made.family == run
            read.name = read.name or made.experiment_id
            continue
        update = UpdateRunSnapshot.FromString(blob)
        for name, value in update.append.items():
            if value.WhichOneof("value") != "float64":
                continue
            step = f"{update.step.whole}.{update.step.micro:06d}".rstrip("0").rstrip(".")
            name = name.removeprefix("autotrack/metrics/")
            read.metrics.setdefault(name, []).append((step, value.float64))
            read.times.setdefault(name, []).append(update.timestamp.seconds + update.timestamp.nanos / 1e9)
        for name, value in update.assign.items():
            held = getattr(value, value.WhichOneof("value"))
            if value.WhichOneof("value") == "file_ref":
                content = Path(files[held.path]).read_bytes()
                if name.startswith("models/"):
                    read.models[name.removeprefix("models/")] = content
                else:
                    read.artifacts[name.removeprefix("autotrack/files/")] = content
            elif name == "autotrack/name":
                read.name = held
            elif name == "autotrack/parent_id":
                read.parent = held
            elif name == "autotrack/status":
                read.status = held
            elif name == "autotrack/error":
                read.error = json.loads(held)["message"]
            elif name.startswith("autotrack/tags/"):
                read.tags[name.removeprefix("autotrack/tags/")] = held
            elif name.startswith("autotrack/datasets/"):
                told = json.loads(held)
                read.datasets.append((told["role"], told["name"]))
            elif name.startswith("autotrack/models/"):
                models[name] = json.loads(held)
            elif name.startswith("autotrack/params/") or not name.startswith("autotrack/"):
                read.params[name.removeprefix("autotrack/params/")] = held
    return run, read
