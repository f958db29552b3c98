"""Runs out of the folders of `neptune` 1.x and the SQLite files of `neptune-scale`, and how they are found."""

from __future__ import annotations

import base64
import json
import math
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # test modules are not a package

from neptune_folders import OfflineFolder, ScaleFile, Told, entry, field, stamp, step

from autotrack.errors import AutotrackError, UsageError
from autotrack.events import ArtifactLogged, ConsoleLogged, RunEnded, RunStarted
from autotrack.importing import run_id
from autotrack_neptune.importer import Importer

RUN = "21ffcab3-b882-4091-a82b-f63603bfb2f2"
OTHER = "31ffcab3-b882-4091-a82b-f63603bfb2f2"


def told(place: Path, **options: str) -> Told:
    """The only run in a place."""
    (foreign,) = Importer().runs(str(place), options)
    return Told(foreign)


# neptune 1.x


def test_an_offline_run_keeps_its_dates_steps_types_and_name(tmp_path: Path) -> None:
    folder = OfflineFolder(tmp_path / ".neptune", RUN)
    folder.add("AssignString", "sys/name", value="my run")
    folder.add("AddStrings", "sys/tags", values=["b", "a"])
    folder.add("AssignFloat", "parameters/lr", value=0.1)
    folder.add("AssignInt", "parameters/n", value=3)
    folder.add("AssignBool", "parameters/flag", value=True)
    folder.add("AssignString", "parameters/text", value="ünï")
    folder.add("AssignDatetime", "when", value=1704164645678)
    folder.add("LogFloats", "loss", values=[{"value": 0.5, "step": 0.29, "ts": 1700000000.125}])
    folder.add("LogFloats", "loss", at=1700000009.5, values=[{"value": float("nan"), "step": 2.0, "ts": 1700000001.5}])
    run = told(tmp_path)
    start = run.started
    assert isinstance(start, RunStarted)
    assert (start.run, start.name, start.integration) == (run_id(f"neptune:{RUN}"), "my run", "neptune")
    assert start.time == 1682935200_250_000_000
    assert start.environment == {"python": "3.9.1", "platform": "Linux", "neptune": "1.10.0"}
    assert run.params == {
        "parameters/lr": 0.1,
        "parameters/n": 3,
        "parameters/flag": True,
        "parameters/text": "ünï",
        "when": "2024-01-02T03:04:05.678Z",
    }
    assert type(run.params["parameters/flag"]) is bool
    first, second = run.points("loss")
    assert first == ("0.29", 1700000000_125_000_000, 0.5)
    assert second[:2] == (2, 1700000001_500_000_000) and math.isnan(second[2])
    assert run.tags["neptune.id"] == RUN and json.loads(run.tags["sys/tags"]) == ["a", "b"]
    assert isinstance(run.ended, RunEnded)
    assert (run.ended.status, run.ended.time) == ("finished", 1700000009_500_000_000)
    assert not run.kept.told


def test_points_without_a_step_are_counted_as_neptune_counts_them(tmp_path: Path) -> None:
    folder = OfflineFolder(tmp_path, RUN)
    one = {"step": None, "ts": 1700000000.0}
    folder.add("LogFloats", "a", values=[{"value": 1.0, **one}, {"value": 2.0, **one}])
    folder.add("LogFloats", "a", values=[{"value": 3.0, "step": 7, "ts": 1700000001.0}, {"value": 4.0, **one}])
    points = told(tmp_path).points("a")
    assert sorted((value, at) for at, _, value in points) == [(1.0, 0), (2.0, 1), (3.0, 7), (4.0, 8)]


def test_what_was_cleared_or_deleted_is_gone_and_what_came_after_is_there(tmp_path: Path) -> None:
    folder = OfflineFolder(tmp_path, RUN)
    point = {"step": 1, "ts": 1700000000.0}
    for name in ("ClearFloatLog", "DeleteAttribute"):
        folder.add("LogFloats", name, values=[{"value": 1.0, **point}])
        folder.add(name, name)
        folder.add("LogFloats", name, values=[{"value": 2.0, **point}])
    folder.add("LogStrings", "text", values=[{"value": "old", **point}])
    folder.add("ClearStringLog", "text")
    folder.add("AssignInt", "gone", value=1)
    folder.add("DeleteAttribute", "gone")
    folder.add("AddStrings", "set", values=["a", "b"])
    folder.add("RemoveStrings", "set", values=["a"])
    folder.add("ClearStringSet", "cleared")
    run = told(tmp_path)
    assert [value for _, _, value in run.points("ClearFloatLog") + run.points("DeleteAttribute")] == [2.0, 2.0]
    assert run.params == {"set": '["b"]', "cleared": "[]"}
    assert not run.artifacts()


def test_a_value_that_was_assigned_again_replaces_the_first(tmp_path: Path) -> None:
    folder = OfflineFolder(tmp_path, RUN)
    folder.add("AssignInt", "n", value=1)
    folder.add("AssignInt", "n", value=2)
    run = told(tmp_path)
    assert run.params == {"n": 2}
    assert sum("n" in getattr(event, "params", ()) for event in run.events) == 2


def test_files_of_all_kinds_are_kept(tmp_path: Path) -> None:
    work = tmp_path / "work"
    (work / "plots" / "deep").mkdir(parents=True)
    (work / "model.bin").write_bytes(b"weights")
    (work / "plots" / "a.txt").write_text("A")
    (work / "plots" / "deep" / "b.txt").write_text("B")
    folder = OfflineFolder(work / ".neptune", RUN)
    (folder.path / "upload_path" / "mem-1.txt").write_text("in memory")
    image = {"data": base64.b64encode(b"\x89PNG...").decode(), "name": "first", "description": None}
    folder.add("UploadFile", "model", ext="bin", file_path=str(work / "model.bin"), tmp_file_name=None)
    folder.add("UploadFile", "mem", ext="txt", file_path=None, tmp_file_name="mem-1.txt")
    folder.add("UploadFileContent", "old", ext="txt", file_content=base64.b64encode(b"content").decode())
    folder.add("UploadFileSet", "plots", file_globs=[str(work / "plots")], reset="False")
    folder.add("LogImages", "images", values=[{"value": image, "step": 3, "ts": 1700000000.0}])
    folder.add("TrackFilesToArtifact", "data", project_id="p", entries=[["s3://bucket/x", None]])
    folder.add("UploadFile", "lost", ext="bin", file_path=str(work / "lost.bin"), tmp_file_name=None)
    run = told(work)
    files = run.artifacts()
    assert files["model.bin"] == b"weights" and files["mem.txt"] == b"in memory" and files["old.txt"] == b"content"
    assert files["plots/plots/a.txt"] == b"A" and files["plots/plots/deep/b.txt"] == b"B"
    assert files["images/3.png"] == b"\x89PNG..."
    assert "first" in files["images/descriptions.jsonl"].decode()
    assert json.loads(files["data/files_list.json"]) == [{"path": "s3://bucket/x", "destination": None}]
    assert run.kept.told["files", "the file is not where it was"] == 1


def test_string_series_are_kept_whole_and_console_output_is_console_output(tmp_path: Path) -> None:
    folder = OfflineFolder(tmp_path, RUN)
    values = [{"value": "epoch 1\n", "step": None, "ts": 1700000000.5}, {"value": "ä", "step": 4, "ts": 1700000001.0}]
    folder.add("LogStrings", "monitoring/1/stdout", values=values)
    folder.add("LogStrings", "notes", values=values)
    run = told(tmp_path)
    lines = run.artifacts()["notes.jsonl"].decode().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"step": 0, "time": "2023-11-14T22:13:20.500Z", "value": "epoch 1\n"},
        {"step": 4, "time": "2023-11-14T22:13:21Z", "value": "ä"},
    ]
    assert [(event.stream, event.text) for event in run.of(ConsoleLogged)] == [("stdout", "epoch 1\n"), ("stdout", "ä")]
    assert {event.media_type for event in run.of(ArtifactLogged)} == {"application/x-neptune-string-series+jsonl"}
    assert run.kept.told == {
        ("string series", "they are no metrics: kept whole as artifacts of JSON lines"): 2,
    }


def test_a_failed_run_has_its_error(tmp_path: Path) -> None:
    folder = OfflineFolder(tmp_path, RUN)
    lines = ["Traceback (most recent call last):\n", '  File "x.py", line 1\n', "builtins.ValueError: boom: 1\n"]
    folder.add("LogStrings", "monitoring/1/traceback", values=[{"value": line, "ts": 1700000000.0} for line in lines])
    folder.add("AssignBool", "sys/failed", value=True)
    run = told(tmp_path)
    assert isinstance(run.ended, RunEnded) and run.ended.error is not None
    assert (run.ended.status, run.ended.error["type"], run.ended.error["message"]) == (
        "failed",
        "ValueError",
        "boom: 1",
    )


def test_a_torn_last_line_is_a_run_that_was_killed_and_is_told(tmp_path: Path) -> None:
    folder = OfflineFolder(tmp_path, RUN)
    folder.add("AssignInt", "n", value=1)
    folder.add("AssignInt", "m", value=1)
    log = folder.path / "data-1.log"
    log.write_bytes(log.read_bytes()[:-9])
    run = told(tmp_path)
    assert run.params == {"n": 1}
    assert isinstance(run.ended, RunEnded) and run.ended.status == "killed"
    assert run.kept.told == {("operations", "the process was killed before they were wholly written"): 1}


def test_what_the_server_had_taken_already_is_told(tmp_path: Path) -> None:
    folder = OfflineFolder(tmp_path, RUN, mode="async")
    folder.add("AssignInt", "n", value=1)
    folder.add("UploadFile", "mem", ext="txt", file_path=None, tmp_file_name="taken.txt")
    folder.add("AssignInt", "m", value=2)
    (folder.path / "data-1.log").write_text((folder.path / "data-1.log").read_text().split("\n", 1)[1])
    folder.acknowledge(2)
    run = told(tmp_path)
    assert run.params == {"m": 2} and run.tags["neptune.source"] == "async"
    assert run.kept.told == {
        ("operations", "the server has taken them, and they are no longer here"): 1,
        ("files", "the server has taken the file, and it is no longer here"): 1,
    }


def test_operations_that_are_not_known_or_damaged_are_counted_and_the_rest_is_there(tmp_path: Path) -> None:
    folder = OfflineFolder(tmp_path, RUN)
    folder.add("AssignPhase", "x", value=1)
    folder.add("LogFloats", "x")
    folder.add(
        "CopyAttribute", "y", container_id=OTHER, container_type="run", source_path=["z"], source_attr_name="Int"
    )
    with open(folder.path / "data-1.log", "a") as log:
        log.write("{nonsense}\n")
    folder.add("AssignInt", "n", value=1)
    run = told(tmp_path)
    assert run.params == {"n": 1}
    assert sum(run.kept.told.values()) == 4


def test_a_run_that_went_on_in_another_process_is_one_run(tmp_path: Path) -> None:
    for pid, at in ((1, 1700000000.0), (2, 1700000100.0)):
        folder = OfflineFolder(tmp_path, RUN, mode="async", pid=pid)
        folder.add("LogFloats", "loss", at=at, values=[{"value": float(pid), "step": pid, "ts": at}])
    OfflineFolder(tmp_path, OTHER, kind="model_version", mode="async").add("AssignString", "sys/name", value="v1")
    runs = list(Importer().runs(str(tmp_path), {}))
    assert [run.name for run in runs] == ["v1", RUN[:8]]
    version, run = map(Told, runs)
    assert [value for _, _, value in run.points("loss")] == [1.0, 2.0]
    assert version.tags["neptune.type"] == "model_version"


def test_older_layouts_of_folders_are_read(tmp_path: Path) -> None:
    for name, within in ((f"run__{RUN}", "exec-1690000000.1-2023-07-22-1"), (OTHER, "exec-0-2021-01-01")):
        folder = tmp_path / "async" / name / within
        folder.mkdir(parents=True)
        operation = {"obj": {"type": "AssignInt", "path": ["n"], "value": 1}, "version": 1}
        (folder / "data-1.log").write_text(json.dumps(operation) + "\n")
        (folder / "last_put_version").write_text("1")
        (folder / "container_type").write_text("run")
    runs = {run.origin: Told(run) for run in Importer().runs(str(tmp_path), {})}
    assert set(runs) == {f"neptune:{RUN}", f"neptune:{OTHER}"}
    assert all(run.params == {"n": 1} for run in runs.values())


# neptune-scale


def test_a_scale_run_keeps_its_dates_steps_types_and_name(tmp_path: Path) -> None:
    file = ScaleFile(tmp_path)
    file.add(1, field(5, "exp") + field(3, stamp(1700000000, 123456789)) + field(4, "r-1"))
    values = entry("lr", field(1, 0.1)), entry("n", field(3, -5)), entry("b", field(5, 0)), entry("s", field(6, "x"))
    date = entry("d", field(8, stamp(1704067200)))
    strings = entry("set", field(12, field(1, "b") + field(1, "a")))
    file.update(1700000001, *(field(4, value) for value in (*values, date, strings)))
    file.update(1700000002, field(8, entry("loss", field(1, 0.5))), at=step(7, 290_000), nanos=5_000)
    file.update(1700000003, field(8, entry("loss", field(1, math.inf))), at=step(1_000_000_000_000 - 1, 999_999))
    change = entry("sys/tags", field(1, field(1, field(1, "t") + field(2, 1)) + field(1, field(1, "u") + field(2, 1))))
    file.update(1700000004, field(5, change))
    away = entry("sys/tags", field(1, field(1, field(1, "t") + field(2, 2))))
    file.update(1700000004, field(5, away))
    run = told(tmp_path)
    start = run.started
    assert isinstance(start, RunStarted)
    assert (start.run, start.name, start.project) == (run_id("neptune:ws/proj/r-1"), "exp", "ws/proj")
    assert start.time == 1700000000_123_456_789
    assert run.params == {"lr": 0.1, "n": -5, "b": False, "s": "x", "d": "2024-01-01T00:00:00Z", "set": '["a", "b"]'}
    assert run.points("loss") == [
        ("7.29", 1700000002_000_005_000, 0.5),
        ("999999999999.999999", 1700000003_000_000_000, math.inf),
    ]
    assert run.tags["sys/tags"] == '["u"]' and run.tags["neptune.id"] == "r-1"
    assert isinstance(run.ended, RunEnded) and run.ended.time == 1700000100_000_000_000
    assert not run.kept.told


def test_series_and_files_of_scale_are_kept(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(b"weights")
    file = ScaleFile(tmp_path / ".neptune")
    counts = b"".join(field(1, edge) for edge in (0.0, 1.0, math.inf)) + field(4, field(1, 3) + field(1, 4))
    file.update(1700000000, field(8, entry("h", field(14, counts))), at=step(2))
    file.update(1700000001, field(8, entry("runtime/stdout", field(6, "a line"))), at=step(0, 1))
    file.update(1700000002, field(4, entry("model", field(13, field(1, "there/w.bin")))))
    file.update(1700000002, field(8, entry("shots", field(13, field(1, "there/w.bin")))), at=step(4, 500_000))
    file.update(1700000003, field(8, entry("p", field(1, 1.0))), field(10, field(1, 1)), at=step(1))
    file.update(1700000004, field(4, entry("taken", field(13, field(1, "uploaded")))))
    file.upload(tmp_path / "w.bin", "there/w.bin")
    run = told(tmp_path)
    files = run.artifacts()
    assert files["model.bin"] == files["shots/4.5.bin"] == b"weights"
    assert json.loads(files["h.jsonl"]) == {
        "step": 2,
        "time": "2023-11-14T22:13:20Z",
        "value": {"type": "COUNTING", "edges": [0.0, 1.0, "Infinity"], "values": [3, 4]},
    }
    assert json.loads(files["runtime/stdout.jsonl"])["step"] == "0.000001"
    assert [event.text for event in run.of(ConsoleLogged)] == ["a line\n"]
    assert run.kept.told["preview points", "are provisional: those that were committed are carried"] == 1
    assert run.kept.told["files", "the server has taken the file"] == 1


def test_a_fork_has_its_parent_and_the_step_it_began_at(tmp_path: Path) -> None:
    parent, child = ScaleFile(tmp_path, run="r-1"), ScaleFile(tmp_path, run="r-2")
    parent.add(1, field(3, stamp(1700000000)))
    child.add(1, field(2, field(1, "ws/proj") + field(2, "r-1") + field(4, step(1, 290_000))) + field(3, stamp(1)))
    first, second = map(Told, Importer().runs(str(tmp_path), {}))
    assert isinstance(first.started, RunStarted) and isinstance(second.started, RunStarted)
    assert second.started.parent == first.started.run
    assert second.tags["neptune.fork_step"] == "1.29" and second.tags["neptune.parent"] == "ws/proj/r-1"


def test_the_unsent_rest_of_an_online_run_says_what_it_lacks(tmp_path: Path) -> None:
    file = ScaleFile(tmp_path)
    file.add(1, field(3, stamp(1700000000)))
    file.update(1700000001, field(8, entry("loss", field(1, 0.5))), at=step(1))
    file.database.execute("DELETE FROM run_operations WHERE operation_type = 1")
    file.database.commit()
    (foreign,) = Importer().runs(str(tmp_path), {})
    run = Told(foreign)
    assert foreign.origin == "neptune:ws/proj/r-1#unsent"
    assert run.kept.told == {("operations", "the server has taken them, and they are no longer here"): 1}
    assert isinstance(run.started, RunStarted) and run.started.time == 1700000001_000_000_000


def test_a_file_that_is_still_being_written_is_read_and_not_written(tmp_path: Path) -> None:
    file = ScaleFile(tmp_path)
    file.database.execute("PRAGMA journal_mode = WAL")
    file.update(1700000001, field(8, entry("loss", field(1, 0.5))), at=step(1))
    assert told(tmp_path).points("loss") == [(1, 1700000001_000_000_000, 0.5)]
    file.database.close()
    before = file.path.read_bytes(), sorted(file.path.parent.iterdir())
    assert told(tmp_path).points("loss")
    assert (file.path.read_bytes(), sorted(file.path.parent.iterdir())) == before


def test_an_operation_that_cannot_be_decoded_is_counted(tmp_path: Path) -> None:
    file = ScaleFile(tmp_path)
    file.add(0, b"\xff\xff\xff")
    file.add(7, b"")
    file.update(1700000001, field(8, entry("loss", field(1, 0.5))), at=step(1))
    run = told(tmp_path)
    assert len(run.points("loss")) == 1
    assert run.kept.told == {
        ("operations", "cannot be decoded"): 1,
        ("operations", "of a kind that is not known: 7"): 1,
    }


def test_another_version_of_the_format_is_a_run_that_fails_with_that_sentence(tmp_path: Path) -> None:
    ScaleFile(tmp_path, version="v9")
    (foreign,) = Importer().runs(str(tmp_path), {})
    with pytest.raises(AutotrackError, match="v9"):
        Told(foreign)


# All of them


def test_the_same_place_tells_the_same_events(tmp_path: Path) -> None:
    folder = OfflineFolder(tmp_path, RUN)
    folder.add("AddStrings", "sys/tags", values=["b", "a", "c"])
    folder.add("LogFloats", "loss", values=[{"value": 1.0, "step": 0.5, "ts": 1700000000.0}])
    ScaleFile(tmp_path).update(1700000001, field(8, entry("loss", field(1, 0.5))), at=step(1))
    once, again = ([Told(run).events for run in Importer().runs(str(tmp_path), {})] for _ in range(2))
    assert once == again and len(once) == 2


def test_a_project_may_be_given(tmp_path: Path) -> None:
    OfflineFolder(tmp_path, RUN).add("AssignInt", "n", value=1)
    started = told(tmp_path, project="mine").started
    assert isinstance(started, RunStarted) and started.project == "mine"


def test_a_place_without_runs_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="neptune-scale"):
        Importer().runs(str(tmp_path), {})
    with pytest.raises(UsageError, match="no such folder"):
        Importer().runs(str(tmp_path / "nowhere"), {})
    with pytest.raises(UsageError, match="projct"):
        Importer().runs(str(tmp_path), {"projct": "x"})
