"""W&B's files are read as what happened: files that the real SDK wrote, whole, torn and damaged."""

from __future__ import annotations

import hashlib
import math
import shutil
import sys
from pathlib import Path
from typing import Any, BinaryIO

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "backends"))  # test modules are not a package

from wandb_files import run_script

from autotrack.errors import UsageError
from autotrack.events import (
    ArtifactLogged,
    ConsoleLogged,
    MetricsLogged,
    ParamsLogged,
    RunEnded,
    RunStarted,
    TagsSet,
)
from autotrack.importing import run_id
from autotrack_wandb.importer import Importer
from autotrack_wandb.log import BLOCK, HEADER, framed, payloads

SCRIPT = """
import math, wandb
run = wandb.init(project="churn", name="first", id="abc123", mode="offline", config={"lr": 0.1, "model": {"depth": 3}},
                 tags=["x", "y"], notes="a note", group="g", job_type="train")
run.define_metric("eval/step")
run.define_metric("eval/*", step_metric="eval/step")
run.define_metric("acc", summary="max")
for step in range(3):
    run.log({"loss": 1.0 / (step + 1), "acc": step * 0.1})
run.log({"eval/step": 100, "eval/loss": 0.5})
run.log({"eval/step": 0.25, "eval/loss": 0.75})
run.log({"nan": math.nan, "up": math.inf, "down": -math.inf}, step=10)
run.log({"a": 1}, commit=False)
run.log({"b": True, "layers": {"one": {"norm": 2.5}}})
run.log({"weights": wandb.Histogram([1, 2, 3]), "words": "hello", "picture": wandb.Html("<b>hi</b>")})
run.config.update({"late": None, "sizes": [1, 2]})
run.summary["best"] = 3.25
run.summary["verdict"] = "good"
open("table.csv", "w").write("a,b")
artifact = wandb.Artifact("rows", "dataset")
artifact.add_file("table.csv")
artifact.add_reference("https://example.org/big.bin", checksum=False)
run.log_artifact(artifact)
open("saved.txt", "w").write("kept")
run.save("saved.txt", policy="now")
print("hello console")
run.finish()
second = wandb.init(project="churn", id="failed1", mode="offline")
second.log({"loss": 1.5})
second.finish(exit_code=3)
"""


class Kept:
    """Keeps in memory what an importer gives."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.missing: dict[str, list[Any]] = {}

    def keep(self, source: Path | bytes | BinaryIO) -> tuple[str, int]:
        data = (
            source if isinstance(source, bytes) else source.read_bytes() if isinstance(source, Path) else source.read()
        )
        digest = hashlib.sha256(data).hexdigest()
        self.blobs[digest] = data
        return digest, len(data)

    def not_carried(self, what: str, why: str, count: int = 1) -> None:
        self.missing.setdefault(what, [0, why])[0] += count


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the real SDK has written two runs, offline."""
    folder = tmp_path_factory.mktemp("sdk")
    run_script(folder, SCRIPT)
    return folder


def told(place: Path, number: int = 0) -> tuple[list[Any], Kept]:
    kept = Kept()
    run = list(Importer().runs(str(place), {}))[number]
    return list(run.events(kept)), kept


def series(events: list[Any]) -> dict[str, list[tuple[Any, float]]]:
    found: dict[str, list[tuple[Any, float]]] = {}
    for event in events:
        if isinstance(event, MetricsLogged):
            for key, value in event.values.items():
                found.setdefault(key, []).append((event.step, value))
    return found


def test_points_have_their_values_and_the_steps_that_define_metric_names(written: Path) -> None:
    events, _ = told(written)
    points = series(events)
    assert points["loss"] == [(0, 1.0), (1, 0.5), (2, 1 / 3)]
    assert points["eval/loss"] == [(100, 0.5), ("0.25", 0.75)]
    assert points["up"] == [(10, math.inf)] and points["down"] == [(10, -math.inf)]
    assert math.isnan(points["nan"][0][1])
    assert points["a"] == [(10, 1.0)] and points["b"] == [(10, 1.0)], "a row that was not committed is one row"
    assert points["layers.one.norm"] == [(10, 2.5)]
    assert points["best"] == [(11, 3.25)], "what was put into the summary is a point at the last step"


def test_a_run_has_its_config_name_tags_and_outcome(written: Path) -> None:
    events, _ = told(written)
    start, end = events[0], events[-1]
    assert isinstance(start, RunStarted) and isinstance(end, RunEnded)
    assert (start.run, start.name, start.project) == (run_id("wandb:/churn/abc123"), "first", "churn")
    assert end.status == "finished"
    params: dict[str, Any] = {}
    tags: dict[str, str] = {}
    for event in events:
        if isinstance(event, ParamsLogged):
            params |= event.params
        elif isinstance(event, TagsSet):
            tags |= event.tags
    assert params == {"lr": 0.1, "model.depth": 3, "late": None, "sizes": "[1, 2]"}
    assert tags["x"] == tags["y"] == "true"
    assert tags["wandb.id"] == "abc123" and tags["wandb.group"] == "g" and tags["wandb.notes"] == "a note"
    assert tags["summary.verdict"] == "good"
    failed = told(written, 1)[0]
    assert failed[-1].status == "failed" and failed[0].name == "failed1"


def test_times_are_those_of_the_run_and_grow(written: Path) -> None:
    events, _ = told(written)
    times = [event.time for event in events if isinstance(event, MetricsLogged) and "loss" in event.values]
    assert times == sorted(times)
    assert 0 < times[0] - events[0].time < 60 * 10**9
    assert all(time % 1_000_000 for time in times), "not rounded to milliseconds"


def test_files_artifacts_and_console_come_along_and_what_does_not_is_told(written: Path) -> None:
    events, kept = told(written)
    files = {event.name: kept.blobs[event.digest] for event in events if isinstance(event, ArtifactLogged)}
    assert files["rows/table.csv"] == b"a,b" and files["saved.txt"] == b"kept"
    assert any(name.startswith("media/html/picture") and b"<b>hi</b>" in data for name, data in files.items())
    console = "".join(event.text for event in events if isinstance(event, ConsoleLogged) and event.stream == "stdout")
    assert "hello console" in console
    assert kept.missing["values of weights"] == [1, "a histogram is no number"]
    assert kept.missing["values of words"] == [1, "a str is no number"]
    assert kept.missing["artifact rows/big.bin"] == [1, "it is a reference"]


def test_the_same_source_gives_the_same_events(written: Path) -> None:
    assert told(written)[0] == told(written)[0]


def test_a_file_that_is_torn_off_gives_what_is_whole_and_a_run_that_was_killed(written: Path, tmp_path: Path) -> None:
    folder = next(written.glob("wandb/offline-run-*-abc123"))
    copy = tmp_path / folder.name
    shutil.copytree(folder, copy)
    file = next(copy.glob("*.wandb"))
    whole = series(told(written)[0])
    for size in range(file.stat().st_size - 1, 3000, -1501):
        with file.open("r+b") as opened:
            opened.truncate(size)
        events, kept = told(file)
        assert events[-1].status == "killed" and kept.missing["the end"]
        for key, points in series(events).items():
            if key not in ("nan", "best") and not key.startswith("system/"):
                assert whole[key][: len(points)] == points


def test_a_damaged_block_costs_its_own_records_alone(tmp_path: Path) -> None:
    file, data = tmp_path / "run-a.wandb", bytearray(HEADER)
    records = [bytes([number % 251]) * 9_000 for number in range(20)]
    for record in records:
        data += framed(record, len(data))
    data[BLOCK + 100] ^= 1
    file.write_bytes(data)
    problems: list[str] = []
    found = list(payloads(file, problems.append))
    assert problems and 10 < len(found) < len(records)
    assert [record for record in records if record in found] == found


def test_records_of_every_length_around_a_block_are_read_as_they_were_written(tmp_path: Path) -> None:
    file = tmp_path / "run-a.wandb"
    for length in [*range(BLOCK - 40, BLOCK + 10), 2 * BLOCK, 3 * BLOCK - 7]:
        records = [b"x" * length, b"", b"y", b"z" * 70_000]
        data = bytearray(HEADER)
        for record in records:
            data += framed(record, len(data))
        file.write_bytes(data)
        assert list(payloads(file, lambda what: pytest.fail(what))) == records


def test_what_is_no_file_of_wandb_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run-a.wandb").write_bytes(b"nothing of the kind")
    for place in (tmp_path, tmp_path / "run-a.wandb", tmp_path / "absent"):
        with pytest.raises(UsageError):
            list(Importer().runs(str(place), {}))
