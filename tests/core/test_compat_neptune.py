"""The drop-in for neptune 1.x: code in the product's patterns, and what the runs that it makes hold."""

from __future__ import annotations

import argparse
import json
import logging
import math
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

import autotrack
import autotrack.compat.neptune as neptune
from autotrack.compat.neptune.exceptions import (
    MissingFieldException,
    NeptuneModelKeyAlreadyExistsError,
    NeptuneRunResumeAndCustomIdCollision,
    RunNotFound,
)
from autotrack.compat.neptune.integrations import __getattr__ as integration
from autotrack.compat.neptune.python_logger import NeptuneHandler
from autotrack.compat.neptune.types import File
from autotrack.compat.neptune.utils import stringify_unsupported
from autotrack.testing import Recorded, RecordedRun, recording


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorded]:
    for name in ("NEPTUNE_PROJECT", "NEPTUNE_MODE", "NEPTUNE_CUSTOM_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    with recording(tmp_path / "home") as found:
        yield found


def only(recorded: Recorded) -> RecordedRun:
    (run,) = recorded.runs()
    return run


def lines(recorded: Recorded, run: RecordedRun, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in recorded.content(run.artifacts[name]).splitlines()]


def test_a_training_script_is_one_run_with_all_that_it_logs(recorded: Recorded) -> None:
    run = neptune.init_run(
        project="team/churn", api_token=neptune.ANONYMOUS_API_TOKEN, name="first", tags=["baseline", "cpu"]
    )
    run["parameters"] = {"lr": 0.1, "layers": {"first": 64}, "optimizer": "adam", "nesterov": True}
    run["seed"] = 7
    for epoch in range(3):
        run["train/loss"].append(1 / (epoch + 1))
        run["train"].append({"accuracy": epoch / 3}, step=epoch * 10)
    run["status"].append("done")
    run.stop()
    found = only(recorded)
    assert (found.name, found.status, found.integration, found.parent) == ("first", "finished", "neptune", None)
    assert found.params == {
        "parameters/lr": 0.1,
        "parameters/layers/first": 64,
        "parameters/optimizer": "adam",
        "parameters/nesterov": True,
        "seed": 7,
    }
    assert found.metrics["train/loss"] == [(0, 1.0), (1, 0.5), (2, 1 / 3)]
    assert found.metrics["train/accuracy"] == [(0, 0.0), (10, 1 / 3), (20, 2 / 3)]
    assert json.loads(found.tags["sys/tags"]) == ["baseline", "cpu"]
    assert [(line["step"], line["value"]) for line in lines(recorded, found, "status.jsonl")] == [(0, "done")]
    assert found.artifacts["status.jsonl"].media_type == "application/x-neptune-string-series+jsonl"


def test_steps_are_exact_and_go_on_after_the_last(recorded: Recorded) -> None:
    with neptune.init_run() as run:
        run["a"].append(1.0, step=0.25)
        run["a"].append(2.0)
        run["a"].append(3.0, step=7)
        run["a"].append(4.0)
        run["b"].extend([1, 2, 3], steps=[0.1, 0.2, 0.3])
        run["c"].log([5, 6])
        run["d"].append(float("nan"))
        run["d"].append(float("inf"))
    found = only(recorded)
    assert found.metrics["a"] == [("0.25", 1.0), ("1.25", 2.0), (7, 3.0), (8, 4.0)]
    assert found.metrics["b"] == [("0.1", 1.0), ("0.2", 2.0), ("0.3", 3.0)]
    assert found.metrics["c"] == [(0, 5.0), (1, 6.0)]
    assert math.isnan(found.metrics["d"][0][1]) and found.metrics["d"][1] == (1, float("inf"))


def test_times_of_the_caller_are_kept(recorded: Recorded) -> None:
    with neptune.init_run() as run:
        run["a"].append(1.0, step=3, timestamp=1_600_000_000.5)
    (point,) = autotrack_points(only(recorded).id, "a")
    assert (point["step"], point["time"], point["value"]) == (3, "2020-09-13T12:26:40.500000Z", 1.0)


def autotrack_points(run: str, key: str) -> list[dict[str, Any]]:
    from autotrack.reading import open_store

    return open_store().series_dicts(run, key)


def test_an_exception_in_the_block_fails_the_run(recorded: Recorded, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="it broke"), neptune.init_run():
        raise ValueError("it broke")
    found = only(recorded)
    assert found.status == "failed" and found.error is not None and found.error["message"] == "it broke"


def test_runs_that_are_open_together_are_independent(recorded: Recorded) -> None:
    sweep = neptune.init_run(name="sweep")
    for trial in range(2):
        with neptune.init_run(name=f"trial-{trial}") as run:
            run["loss"].append(trial)
            sweep["best"] = trial
    sweep.stop()
    assert [(one.name, one.parent, one.status) for one in recorded.runs()] == [
        ("sweep", None, "finished"),
        ("trial-0", None, "finished"),
        ("trial-1", None, "finished"),
    ]
    assert recorded.runs()[0].params == {"best": 1}


def test_within_a_run_of_the_users_own_it_is_a_part_of_that(recorded: Recorded) -> None:
    with autotrack.start_run("outer") as outer, neptune.init_run(name="inner"):
        pass
    assert recorded.runs()[1].parent == outer.id


def test_what_was_logged_can_be_fetched(recorded: Recorded) -> None:
    run = neptune.init_run(name="n", description="about it", tags="one")
    run["p"] = {"a": 1, "b": {"c": "x"}}
    run["m"].extend([0.5, 0.25])
    assert run["p/a"].fetch() == 1
    assert run["p"].fetch() == {"a": 1, "b": {"c": "x"}}
    assert run["p"]["b/c"].fetch() == "x"
    assert run["m"].fetch_last() == 0.25
    assert run["sys/tags"].fetch() == {"one"}
    assert (run["sys/name"].fetch(), run["sys/description"].fetch()) == ("n", "about it")
    assert isinstance(run["sys/creation_time"].fetch(), datetime)
    assert run.exists("p/b") and run.exists("p/b/c") and not run.exists("p/b/d")
    assert sorted(run.get_structure()["p"]) == ["a", "b"]
    assert type(run.get_structure()["m"]).__name__ == "FloatSeries"
    with pytest.raises(MissingFieldException):
        run["nothing"].fetch()
    with pytest.raises(KeyError):
        run["nothing"].fetch_last()
    assert run["sys/id"].fetch().endswith(run.get_url().rpartition("/")[2])
    pandas = pytest.importorskip("pandas")
    frame = run["m"].fetch_values()
    assert isinstance(frame, pandas.DataFrame)
    assert frame["value"].tolist() == [0.5, 0.25] and frame["step"].tolist() == [0.0, 1.0]
    run.stop()


def test_a_run_goes_on_under_its_id(recorded: Recorded) -> None:
    first = neptune.init_run(project="team/churn", name="first", tags=["a"])
    first["lr"] = 0.5
    first["loss"].extend([3, 2])
    identity = first["sys/id"].fetch()
    first.stop()
    with neptune.init_run(with_id=identity, mode="read-only") as reading:
        assert reading["lr"].fetch() == 0.5
        reading["lr"] = 9
    again = neptune.init_run(with_id=identity)
    again["loss"].append(1)
    again["sys/tags"].add("b")
    again.stop()
    found = only(recorded)
    assert found.metrics["loss"] == [(0, 3.0), (1, 2.0), (2, 1.0)]
    assert (found.name, found.params, json.loads(found.tags["sys/tags"])) == ("first", {"lr": 0.5}, ["a", "b"])


def test_processes_with_one_custom_id_record_one_run(recorded: Recorded) -> None:
    for part in range(2):
        with neptune.init_run(custom_run_id="pipeline-7", project="team/churn") as run:
            run[f"stage/{part}"] = "done"
            run["loss"].append(part)
    found = only(recorded)
    assert found.params == {"stage/0": "done", "stage/1": "done"}
    assert found.metrics["loss"] == [(0, 0.0), (1, 1.0)]
    assert found.tags["sys/custom_run_id"] == "pipeline-7"
    with pytest.raises(NeptuneRunResumeAndCustomIdCollision):
        neptune.init_run(with_id="A-1", custom_run_id="b")


def test_an_id_that_is_not_recorded_is_told_and_its_logs_are_kept(
    recorded: Recorded, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(RunNotFound):
        neptune.init_run(with_id="SAN-111", mode="read-only")
    with neptune.init_run(with_id="SAN-111") as run:
        run["a"] = 1
    found = only(recorded)
    assert found.params == {"a": 1} and found.tags["sys/custom_run_id"] == "SAN-111"
    assert "SAN-111 is not in the local record" in capfd.readouterr().err


def test_files_are_artifacts_and_come_back(recorded: Recorded, tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(b"weights")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text("a")
    (tmp_path / "data" / "b.csv").write_text("b")
    run = neptune.init_run(source_files=["data/*.csv"])
    run["model"].upload("model.pt")
    run["report"] = File.from_content("<p>hi</p>", extension="html")
    run["pickled"].upload(File.as_pickle({"a": 1}))
    run["all"].upload_files("data")
    run["images"].append(File.from_content(b"png", extension="png"), name="first")
    run["gone"].upload("nowhere.bin")
    assert run["model"].fetch_extension() == "pt"
    assert [entry.name for entry in run["all"].list_fileset_files()] == ["data"]
    assert [entry.name for entry in run["all"].list_fileset_files("data")] == ["a.csv", "b.csv"]
    run["model"].download(str(tmp_path / "back.pt"))
    run["images"].download_last(str(tmp_path / "pictures"))
    assert (tmp_path / "back.pt").read_bytes() == b"weights"
    assert (tmp_path / "pictures" / "0.png").read_bytes() == b"png"
    run.stop()
    found = only(recorded)
    assert recorded.content(found.artifacts["report.html"]) == b"<p>hi</p>"
    assert sorted(found.artifacts) == [
        "all/data/a.csv",
        "all/data/b.csv",
        "images.jsonl",
        "images/0.png",
        "model.pt",
        "pickled.pkl",
        "report.html",
        "source_code/files/data/a.csv",
        "source_code/files/data/b.csv",
    ]
    assert [note.what for note in found.notes if "nowhere.bin" in note.why] == ["file gone.bin"]


def test_tracked_files_are_told_apart_by_their_hash(recorded: Recorded, tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("1")
    with neptune.init_run(project="p/q") as run:
        run["data"].track_files("train.csv")
        before = run["data"].fetch_hash()
        assert [one.file_path for one in run["data"].fetch_files_list()] == ["train.csv"]
        identity = run["sys/id"].fetch()
    (tmp_path / "train.csv").write_text("2")
    with neptune.init_run(project="p/q") as other:
        other["data"].track_files("train.csv")
        assert other["data"].fetch_hash() != before
        other["copy"].assign(other["data"].fetch())
        assert other["copy"].fetch_hash() == other["data"].fetch_hash()
    with neptune.init_run(with_id=identity, mode="read-only") as again:
        assert again["data"].fetch_hash() == before
    assert recorded.runs()[0].params == {"data": f"sha256:{before}"}


def test_values_without_a_type_of_their_own_are_kept_as_text(recorded: Recorded) -> None:
    with neptune.init_run() as run:
        run["p"] = stringify_unsupported({"shape": (3, 32), "none": None, "lr": 0.1, "deep": {"x": [1]}})
        run["list"] = [1, 2]
        run["args"] = argparse.Namespace(a=1, b="x")
        run["each"] = stringify_unsupported({"t": ("hi", 1)}, expand=True)
    assert only(recorded).params == {
        "p/shape": "(3, 32)",
        "p/none": "None",
        "p/lr": 0.1,
        "p/deep/x": "[1]",
        "list": "[1, 2]",
        "args/a": 1,
        "args/b": "x",
        "each/t/0": "hi",
        "each/t/1": 1,
    }


def test_scalars_of_numpy_are_numbers_and_figures_pictures(recorded: Recorded) -> None:
    numpy = pytest.importorskip("numpy")

    with neptune.init_run() as run:
        run["a"] = numpy.float32(0.5)
        run["m"].append(numpy.float64(0.25))
        run["m"].append(numpy.array([0.75]))
        pytest.importorskip("PIL")
        run["picture"].append(File.as_image(numpy.zeros((4, 4, 3))))
    found = only(recorded)
    assert found.params == {"a": 0.5} and found.metrics["m"] == [(0, 0.25), (1, 0.75)]
    assert recorded.content(found.artifacts["picture/0.png"]).startswith(b"\x89PNG")


def test_sets_of_words_are_tags(recorded: Recorded) -> None:
    with neptune.init_run() as run:
        run["sys/tags"].add(["b", "a"])
        run["sys/tags"].remove("b")
        run["sys/group_tags"].add("sweep-1")
    found = only(recorded)
    assert (found.tags["sys/tags"], found.tags["sys/group_tags"]) == ('["a"]', '["sweep-1"]')


def test_deleting_is_told_and_the_record_keeps_it(recorded: Recorded) -> None:
    with neptune.init_run() as run:
        run["a/b"] = 1
        del run["a"]
        assert not run.exists("a/b")
    found = only(recorded)
    assert found.params == {"a/b": 1} and [note.what for note in found.notes] == ["deleting fields"]


def test_log_records_go_to_a_path(recorded: Recorded) -> None:
    run = neptune.init_run()
    logger = logging.getLogger("compat-test")
    handler = NeptuneHandler(run=run, path="logs")
    logger.addHandler(handler)
    try:
        logger.warning("first")
        logger.warning("second")
    finally:
        logger.removeHandler(handler)
    run.stop()
    found = only(recorded)
    assert [line["value"] for line in lines(recorded, found, "logs.jsonl")] == ["first", "second"]


def test_debug_mode_records_nothing_and_answers_all_the_same(recorded: Recorded) -> None:
    with neptune.init_run(mode="debug") as run:
        run["a"] = 1
        run["m"].append(0.5)
        run["f"].upload(File.from_content("x"))
        assert run["a"].fetch() == 1 and run["m"].fetch_last() == 0.5
    assert recorded.runs() == []


def test_models_have_versions_with_stages(recorded: Recorded) -> None:
    model = neptune.init_model(key="CLF", name="classifier", project="team/churn")
    identity = model["sys/id"].fetch()
    for _ in range(2):
        version = neptune.init_model_version(model=identity, project="team/churn")
        version["metrics/f1"] = 0.5
        version.change_stage("staging")
        version.stop()
    model.stop()
    with pytest.raises(NeptuneModelKeyAlreadyExistsError):
        neptune.init_model(key="CLF", project="team/churn")
    with neptune.init_model(with_id=identity, project="team/churn") as again:
        rows = again.fetch_model_versions_table(ascending=True).to_rows()
    assert [row.get_attribute_value("sys/id") for row in rows] == [f"{identity}-1", f"{identity}-2"]
    assert {row.get_attribute_value("sys/stage") for row in rows} == {"staging"}
    with neptune.init_model_version(with_id=f"{identity}-2", project="team/churn") as second:
        assert second["metrics/f1"].fetch() == 0.5


def test_a_project_lists_its_runs(recorded: Recorded) -> None:
    for number in range(3):
        with neptune.init_run(project="team/churn", tags=["best"] if number == 1 else []) as run:
            run["lr"] = number
            run["loss"].append(number)
    with neptune.init_project(project="team/churn", mode="read-only") as project:
        (row,) = project.fetch_runs_table(tag="best", columns=["lr"]).to_rows()
        assert row.get_attribute_value("lr") == 1
        assert len(project.fetch_runs_table(limit=2).to_rows()) == 2
        identity = row.get_attribute_value("sys/id")
    with neptune.init_run(with_id=identity, mode="read-only") as best:
        assert best["loss"].fetch_last() == 1


def test_what_is_left_out_says_so(recorded: Recorded) -> None:
    with pytest.raises(AttributeError, match=r"autotrack\.enable\(\)"):
        integration("sklearn")
    run = neptune.init_run()
    run.stop()
    with pytest.raises(neptune.exceptions.InactiveRunException):
        run["a"] = 1
