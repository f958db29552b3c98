"""What Neptune's real clients leave on disk, imported: equal to what their own readers give of it.

The clients are those of this environment, or of the Python that AUTOTRACK_TEST_NEPTUNE names.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # test modules are not a package

from neptune_folders import Told

from autotrack.events import RunEnded, RunStarted
from autotrack_neptune.importer import Importer

PROGRAM = Path(__file__).parent / "neptune_program.py"


def written(client: str, folder: Path) -> list[Any]:
    """Have a client write into a folder; what the second witness reads there."""
    python = os.environ.get("AUTOTRACK_TEST_NEPTUNE")
    if not python:
        module = {"neptune": "neptune", "scale": "neptune_scale"}[client]
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed, and AUTOTRACK_TEST_NEPTUNE names no Python that has it")
        python = sys.executable
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("NEPTUNE_", "AUTOTRACK_"))}
    done = subprocess.run(
        [python, str(PROGRAM), client, str(folder)], env=clean, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    found: list[Any] = json.loads((folder / "witness.json").read_text())
    return found


def test_a_run_of_neptune_1_is_what_its_own_queue_says(tmp_path: Path) -> None:
    operations = written("neptune", tmp_path)
    (foreign,) = Importer().runs(str(tmp_path), {})
    run = Told(foreign)
    assert foreign.name == "mine"
    assigned = {
        "/".join(one["path"]): one["value"]
        for one, _ in operations
        if one["type"] in ("AssignFloat", "AssignInt", "AssignBool", "AssignString") and one["path"] != ["gone"]
    }
    ours = {path: value for path, value in assigned.items() if not path.startswith("sys/")}
    assert run.params == {**ours, "when": "2024-01-02T03:04:05.678Z"}
    logged = [
        (str(point["step"]), round(point["ts"] * 1e6) * 1000, point["value"])
        for one, _ in operations
        if one["type"] == "LogFloats" and one["path"] == ["train", "loss"]
        for point in one["values"]
    ]
    assert [(f"{float(at):g}", *rest) for at, *rest in run.points("train/loss")] == [
        (f"{float(at):g}", *rest) for at, *rest in logged
    ]
    assert [(at, value) for at, _, value in run.points("train/acc")] == [(0, 0.1), (1, 0.2), (2, 0.3)]
    files = run.artifacts()
    assert files["model.bin"] == b"weights" and files["memory.txt"] == b"inline"
    assert files["plots/plots/a.txt"] == b"a" and files["plots/plots/b.txt"] == b"b"
    notes = [json.loads(line) for line in files["notes.jsonl"].decode().splitlines()]
    assert [(one["step"], one["value"]) for one in notes] == [(0, "hello"), (7, "wörld")]
    assert json.loads(run.tags["sys/tags"]) == ["t2"]
    assert isinstance(run.ended, RunEnded) and run.ended.status == "finished"
    assert set(run.kept.told) == {("string series", "they are no metrics: kept whole as artifacts of JSON lines")}


def test_runs_of_neptune_scale_are_what_neptune_api_decodes(tmp_path: Path) -> None:
    witness = written("scale", tmp_path)
    runs = {run.name: Told(run) for run in Importer().runs(str(tmp_path), {})}
    assert set(runs) == {"exp", "r-2"}
    run, child = runs["exp"], runs["r-2"]
    first = [message for name, kind, message in witness if name == "r-1" and kind == 0]
    points = [
        (_step(one.get("step", {})), _ns(one["timestamp"]), _float(value["float64"]))
        for one in first
        for path, value in one.get("append", {}).items()
        if path == "loss"
    ]
    assert run.points("loss") == points and len(points) == 3
    assert [at for at, _, _ in points] == ["0.29", "1.29", "2.29"]
    assert all(math.isnan(value) for _, _, value in run.points("acc")) and len(run.points("acc")) == 3
    ((edge_step, _, edge),) = run.points("edge")
    assert (edge_step, edge) == ("999999999.25", -math.inf)
    assert run.params == {
        "lr": 0.1, "n": -3, "s": "ünï", "b": True, "d": "2024-05-06T07:08:09.123456001Z", "set": '["a", "b"]',
    }  # fmt: skip
    (created,) = (message for name, kind, message in witness if name == "r-1" and kind == 1)
    assert isinstance(run.started, RunStarted) and isinstance(child.started, RunStarted)
    assert run.started.time == _ns(created["creationTime"])
    assert child.started.parent == run.started.run and child.tags["neptune.fork_step"] == "1.29"
    files = run.artifacts()
    assert files["model.bin"] == files["shots/4.5.bin"] == b"weights" and b"inline" in files.values()
    histograms = [json.loads(line)["value"] for line in files["h.jsonl"].decode().splitlines()]
    assert histograms == [
        {"type": "COUNTING", "edges": [0.0, 1.0, 2.5], "values": [3, 4]},
        {"type": "DENSITY", "edges": [0.0, 1.0, 2.5], "values": [0.3, 0.4]},
    ]
    assert json.loads(run.tags["sys/tags"]) == ["t2"]


def _step(step: dict[str, str]) -> int | str:
    whole, micro = int(step.get("whole", 0)), int(step.get("micro", 0))
    return whole if not micro else f"{whole}.{micro:06d}".rstrip("0")


def _ns(stamp: str) -> int:
    head, _, rest = stamp.removesuffix("Z").partition(".")
    return int(datetime.fromisoformat(f"{head}+00:00").timestamp()) * 10**9 + int(rest.ljust(9, "0") or 0)


def _float(value: float | str) -> float:
    return float(value)
