"""Recording for the battery, by autotrack itself, and the run that most of its tests send: exact in 32 bits."""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from subject import ReadRun

import autotrack
from autotrack.plugin import ModelFormat, Saved, hookimpl
from autotrack.plugins import plugins
from autotrack.testing import Recorded, recording

PROJECT = "battery"
SERIES = {"loss": 0.5, "val/loss": 0.25, "accuracy": 0.125}
POINTS = 20


class Weights:
    """A model of a product that only this test knows."""

    __module__ = "contract_weights"

    def __init__(self, *numbers: float) -> None:
        # A safetensors file of one tensor (https://huggingface.co/docs/safetensors, "Format").
        header = {"w": {"dtype": "F32", "shape": [len(numbers)], "data_offsets": [0, 4 * len(numbers)]}}
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        self.file = struct.pack("<Q", len(text)) + text + struct.pack(f"<{len(numbers)}f", *numbers)


def save(model: Weights) -> Saved:
    return Saved("safetensors", data=model.file)


@hookimpl
def autotrack_register_formats(register: Callable[[ModelFormat], None]) -> None:
    register(
        ModelFormat("contract_weights", f"{__name__}:save", f"{__name__}:save", ("safetensors",), ("contract_weights",))
    )


plugins.register(sys.modules[__name__], "contract_weights")


@contextmanager
def recording_into(home: Path, **settings: Any) -> Iterator[Recorded]:
    """Record into a home as a training of its own: one journal, closed at the end."""
    with recording(home, "xgboost", project=PROJECT, console=False, **settings) as recorded:
        yield recorded


def writers(home: Path) -> list[str]:
    """The journals of a home, oldest first."""
    found = [folder for place in ("journals", "archive") for folder in (home / place).glob("[!.]*")]
    return [folder.name for folder in sorted(found, key=lambda folder: folder.stat().st_ctime)]


def points(run: autotrack.Run, first: int = 0, last: int = POINTS) -> None:
    """Several points a step."""
    for step in range(first, last):
        run.log_metrics({key: unit * step for key, unit in SERIES.items()}, step=step)


def series(first: int = 0, last: int = POINTS) -> dict[str, list[tuple[str, float]]]:
    """What `points` has recorded."""
    return {key: [(str(step), unit * step) for step in range(first, last)] for key, unit in SERIES.items()}


def small(run: autotrack.Run) -> None:
    """A run with a little of everything that all products have."""
    run.log_params({"lr": 0.5, "optimizer": "adam"})
    run.set_tags({"team": "risk"})
    points(run)


def assert_small(read: ReadRun, name: str) -> None:
    """The run that `small` recorded is there: whole, and once."""
    assert read.name == name
    assert says(read.params["lr"], 0.5) and read.params["optimizer"] == "adam"
    assert {key: sorted(read.metrics[key], key=by_step) for key in SERIES} == series()


def full(run: autotrack.Run) -> None:
    """A run with files as well."""
    small(run)
    run.log_dataset([[1.0, 2.0], [3.0, 4.0]], role="train", name="rows")
    run.log_model(Weights(1.0, 2.0), "clf", step=1)
    run.log_artifact("Grüße".encode(), "report.txt")


def assert_full(read: ReadRun, name: str, carries: frozenset[str]) -> None:
    """The run that `full` recorded is there: whole, and once, as far as it is carried."""
    assert_small(read, name)
    assert read.datasets == [("train", "rows")] or "datasets" not in carries
    assert read.models == {"clf": Weights(1.0, 2.0).file} or "models" not in carries
    assert read.artifacts.get("report.txt") == "Grüße".encode() or "artifacts" not in carries
    assert read.tags.get("team") == "risk" or "tags" not in carries
    assert read.status in ("finished", None) or "status" not in carries


def by_step(point: tuple[str, float]) -> float:
    return float(point[0])


def says(read: Any, value: Any) -> bool:
    """Whether `read` is the value, or a text that says it."""
    if isinstance(read, str) and isinstance(value, float):
        return float(read) == value
    same = read == value and isinstance(read, bool) == isinstance(value, bool)
    return same or str(read).lower() in {str(value).lower(), json.dumps(value), "null" if value is None else ""}
