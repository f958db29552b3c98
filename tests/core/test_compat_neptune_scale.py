"""The drop-in for neptune_scale: code in the product's patterns, and what the runs that it makes hold."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from autotrack.compat.neptune_scale import NeptuneLoggingHandler, Run, legacy
from autotrack.compat.neptune_scale.projects import create_project, list_projects
from autotrack.compat.neptune_scale.run import SourceTrackingConfig
from autotrack.compat.neptune_scale.types import File, Histogram
from autotrack.reading import open_store
from autotrack.testing import Recorded, RecordedRun, recording


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorded]:
    monkeypatch.delenv("NEPTUNE_PROJECT", raising=False)
    monkeypatch.delenv("NEPTUNE_MODE", raising=False)
    monkeypatch.chdir(tmp_path)
    with recording(tmp_path / "home") as found:
        yield found


def only(recorded: Recorded) -> RecordedRun:
    (run,) = recorded.runs()
    return run


def lines(recorded: Recorded, run: RecordedRun, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in recorded.content(run.artifacts[name]).splitlines()]


@dataclass
class Config:
    lr: float = 0.5
    name: str = "adam"


def test_a_training_script_is_one_run_with_all_that_it_logs(recorded: Recorded) -> None:
    run = Run(experiment_name="base", project="team/churn", source_tracking_config=SourceTrackingConfig())
    run.log_configs({"parameters/lr": 0.1, "parameters/use": True})
    run.log_configs({"config": Config(), "other": {"x": None}}, flatten=True, cast_unsupported=True)
    for step in range(3):
        run.log_metrics({"loss": 1 / (step + 1), "acc": step}, step=step / 2)
    run.add_tags(["a", "b"])
    run.remove_tags(["a"])
    run.add_tags({"sweep"}, group_tags=True)
    assert run.wait_for_processing(timeout=1.0) is True
    run.close()
    run.log_metrics({"late": 1}, step=9)
    found = only(recorded)
    assert (found.name, found.status, found.integration) == ("base", "finished", "neptune_scale")
    assert found.params == {
        "parameters/lr": 0.1,
        "parameters/use": True,
        "config/lr": 0.5,
        "config/name": "adam",
        "other/x": None,
    }
    assert found.metrics["loss"] == [(0, 1.0), ("0.5", 0.5), (1, 1 / 3)]
    assert found.metrics["acc"] == [(0, 0.0), ("0.5", 1.0), (1, 2.0)]
    assert (found.tags["sys/tags"], found.tags["sys/group_tags"]) == ('["b"]', '["sweep"]')
    assert "late" not in found.metrics


def test_texts_histograms_and_files_are_artifacts(recorded: Recorded, tmp_path: Path) -> None:
    numpy = pytest.importorskip("numpy")
    (tmp_path / "plot.png").write_bytes(b"png")
    moment = datetime(2025, 1, 2, tzinfo=UTC)
    with Run(experiment_name="files", project="a/b") as run:
        run.log_string_series({"status": "begun"}, step=0, timestamp=moment)
        run.log_string_series({"status": "Grüße"}, step=1.5)
        counts, edges = numpy.histogram([0.5, 1.5, 1.6], bins=2, range=(0, 2))
        run.log_histograms({"h": Histogram(bin_edges=edges, counts=counts)}, step=1)
        run.log_histograms({"h": Histogram([0.0, 1.0], densities=[1.0])}, step=2)
        run.assign_files({"plot": tmp_path / "plot.png", "raw": b"bytes", "html": File(b"<p>", mime_type="text/html")})
        run.log_files({"series": str(tmp_path / "plot.png")}, step=3)
        run.assign_files({"gone": "nowhere.bin"})
    found = only(recorded)
    texts = lines(recorded, found, "status.jsonl")
    assert texts[0] == {"step": 0, "time": "2025-01-02T00:00:00.000000Z", "value": "begun"}
    assert (texts[1]["step"], texts[1]["value"]) == ("1.5", "Grüße")
    assert [line["value"] for line in lines(recorded, found, "h.jsonl")] == [
        {"type": "COUNTING", "edges": [0.0, 1.0, 2.0], "values": [1, 2]},
        {"type": "DENSITY", "edges": [0.0, 1.0], "values": [1.0]},
    ]
    assert {name for name in found.artifacts if not name.endswith(".jsonl")} == {
        "plot.png",
        "raw",
        "html.html",
        "series/3.png",
    }
    assert [note.what for note in found.notes] == ["file gone.bin"]


def test_times_of_the_caller_are_kept(recorded: Recorded) -> None:
    with Run(project="a/b") as run:
        run.log_metrics({"loss": 0.5}, step=1, timestamp=datetime(2020, 9, 13, 12, 26, 40, 500_000, UTC))
    (point,) = open_store().series_dicts(only(recorded).id, "loss")
    assert (point["step"], point["time"]) == (1, "2020-09-13T12:26:40.500000Z")


def test_processes_with_one_run_id_record_one_run(recorded: Recorded) -> None:
    for rank in range(2):
        with Run(run_id="job-1", experiment_name="ddp", project="a/b") as run:
            run.log_metrics({f"rank/{rank}": 1.0}, step=rank)
            run.add_tags([f"rank-{rank}"])
    found = only(recorded)
    assert set(found.metrics) == {"rank/0", "rank/1"}
    assert json.loads(found.tags["sys/tags"]) == ["rank-0", "rank-1"]
    assert found.tags["sys/custom_run_id"] == "job-1"


def test_a_fork_has_the_configs_of_its_parent_and_says_where_its_points_begin(recorded: Recorded) -> None:
    with Run(run_id="base", project="a/b") as base:
        base.log_configs({"lr": 0.5})
        base.log_metrics({"loss": 1.0}, step=10)
    with Run(run_id="fork", project="a/b", fork_run_id="base", fork_step=10) as fork:
        fork.log_metrics({"loss": 0.5}, step=11)
    found = recorded.runs()[1]
    assert found.params == {"lr": 0.5} and found.metrics["loss"] == [(11, 0.5)]
    assert (found.tags["sys/fork_run_id"], found.tags["sys/fork_step"]) == ("base", "10")
    assert [note.what for note in found.notes] == ["series of a fork"]
    with pytest.raises(ValueError, match="fork_step"):
        Run(project="a/b", fork_run_id="base")


def test_previews_are_told_and_not_kept(recorded: Recorded) -> None:
    with Run(project="a/b") as run:
        run.log_metrics({"loss": 9.0}, step=1, preview=True, preview_completion=0.5)
        run.log_metrics({"loss": 1.0}, step=1)
    found = only(recorded)
    assert found.metrics["loss"] == [(1, 1.0)] and [note.what for note in found.notes] == ["previews of metrics"]


def test_an_exception_in_the_block_fails_the_run(recorded: Recorded) -> None:
    with pytest.raises(ValueError, match="it broke"), Run(project="a/b"):
        raise ValueError("it broke")
    found = only(recorded)
    assert found.status == "failed" and found.error is not None and found.error["message"] == "it broke"


def test_disabled_records_nothing(recorded: Recorded) -> None:
    with Run(project="a/b", mode="disabled") as run:
        run.log_metrics({"loss": 1.0}, step=1)
        run.log_string_series({"s": "x"}, step=1)
        run.add_tags(["a"])
    assert recorded.runs() == []


def test_paths_in_brackets(recorded: Recorded) -> None:
    with legacy.Run(project="a/b") as run:
        run["p"] = {"lr": 0.5, "deep": {"x": 1}}
        run["loss"].append(0.5, step=1)
        run["m"].append({"a": 1, "b": 2}, step=2)
        run["loss"].extend([1, 2], steps=[2, 3])
        run["sys/tags"].add("t")
    found = only(recorded)
    assert found.params == {"p/lr": 0.5, "p/deep/x": 1}
    assert found.metrics == {"loss": [(1, 0.5), (2, 1.0), (3, 2.0)], "m/a": [(2, 1.0)], "m/b": [(2, 2.0)]}
    assert found.tags["sys/tags"] == '["t"]'


def test_log_records_and_projects(recorded: Recorded) -> None:
    run = Run(project=create_project("b", workspace="a"), experiment_name="x")
    logger = logging.getLogger("compat-scale-test")
    handler = NeptuneLoggingHandler(run=run)
    logger.addHandler(handler)
    try:
        logger.warning("one\ntwo")
    finally:
        logger.removeHandler(handler)
    assert run.get_experiment_url() == run.get_run_url()
    run.close()
    found = only(recorded)
    assert [(line["step"], line["value"]) for line in lines(recorded, found, "runtime/logs.jsonl")] == [
        (0, "one"),
        (1, "two"),
    ]
    assert list_projects() == ["a/b"]
