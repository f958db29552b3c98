"""Runs out of the tables and files of `neptune-exporter`."""

from __future__ import annotations

import json
import math
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow")
sys.path.insert(0, str(Path(__file__).parent))  # test modules are not a package
sys.path.insert(0, str(Path(__file__).parents[1] / "backends"))

from neptune_folders import OfflineFolder, ScaleFile, Told, exported, folder_name, row

from autotrack.errors import AutotrackError
from autotrack.events import RunEnded, RunStarted
from autotrack.importing import run_id
from autotrack_neptune.importer import Importer

CREATED = datetime(2024, 5, 6, 7, 8, 9, 250_000, tzinfo=UTC)
CREATED_NS = 1714979289_250_000_000


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(1715000000 + seconds, UTC)


def point(path: str, step: str | None, seconds: float, value: float | None) -> dict[str, Any]:
    number = None if step is None else Decimal(step)
    return row(path, "float_series", step=number, timestamp=at(seconds), float_value=value)


SYSTEM = [
    row("sys/id", "string", string_value="RUN-12"),
    row("sys/name", "string", string_value="my run"),
    row("sys/creation_time", "datetime", datetime_value=CREATED),
    row("sys/running_time", "float", float_value=12.5),
    row("sys/failed", "bool", bool_value=False),
    row("sys/tags", "string_set", string_set_value=["b", "a"]),
    row("sys/owner", "string", string_value="ada"),
]


def told(place: Path, **options: str) -> Told:
    (foreign,) = Importer().runs(str(place), options)
    return Told(foreign)


def test_a_run_keeps_its_dates_types_tags_and_ids(tmp_path: Path) -> None:
    values = [
        row("p/lr", "float", float_value=0.1),
        row("p/n", "int", int_value=2**40),
        row("p/flag", "bool", bool_value=True),
        row("p/text", "string", string_value="ünï"),
        row("p/when", "datetime", datetime_value=CREATED),
        row("p/set", "string_set", string_set_value=["y", "x"]),
        row("p/absent", "string"),
    ]
    exported(tmp_path, "ws/proj", "RUN-12", [*SYSTEM, *values])
    run = told(tmp_path)
    start = run.started
    assert isinstance(start, RunStarted)
    assert (start.run, start.name, start.project) == (run_id("neptune:ws/proj/RUN-12"), "my run", "ws/proj")
    assert start.time == CREATED_NS
    assert run.params == {
        "p/lr": 0.1,
        "p/n": 2**40,
        "p/flag": True,
        "p/text": "ünï",
        "p/when": "2024-05-06T07:08:09.250Z",
        "p/set": '["x", "y"]',
    }
    tags = run.tags
    assert (tags["neptune.id"], tags["neptune.project"], tags["sys/owner"]) == ("RUN-12", "ws/proj", "ada")
    assert tags["sys/tags"] == '["a", "b"]' and tags["sys/failed"] == "false"
    assert isinstance(run.ended, RunEnded)
    assert (run.ended.status, run.ended.time) == ("finished", CREATED_NS + 12_500_000_000)
    assert not run.kept.told


def test_points_have_exact_steps_dates_and_values_in_the_order_of_time(tmp_path: Path) -> None:
    steps = [f"{number / 100:.6f}" for number in range(1000)]
    rows = [point("loss", step, number, number / 7) for number, step in enumerate(steps)]
    odd = [point("odd", "0.000001", 5, math.inf), point("odd", "999999999999.999999", 6, None)]
    odd += [point("odd", "-2.5", 4.125, -0.0), point("odd", "3", 7, 1e-320)]
    exported(tmp_path, "ws/proj", "RUN-1", [*SYSTEM, *rows[500:], *odd, *rows[:500]])
    run = told(tmp_path)
    found = run.points("loss")
    assert [str(step) for step, _, _ in found] == [f"{Decimal(step).normalize():f}" for step in steps]
    assert [value for _, _, value in found] == [number / 7 for number in range(1000)]
    assert all(type(step) is int for step, _, _ in found if Decimal(step) % 1 == 0)
    (negative, tiny, huge, small) = run.points("odd")
    assert negative[:2] == ("-2.5", 1715000004_125_000_000) and math.copysign(1, negative[2]) == -1
    assert tiny[0] == "0.000001" and tiny[2] == math.inf
    assert huge[0] == "999999999999.999999" and math.isnan(huge[2])
    assert small == (3, 1715000007_000_000_000, 1e-320)


def test_parts_are_read_in_their_order_and_one_that_is_missing_is_told(tmp_path: Path) -> None:
    exported(tmp_path, "ws/proj", "RUN-1", [*SYSTEM, point("loss", "1", 1, 1.0)])
    exported(tmp_path, "ws/proj", "RUN-1", [point("loss", "3", 3, 3.0)], part=10)
    exported(tmp_path, "ws/proj", "RUN-1", [point("loss", "2", 2, 2.0)], part=2)
    run = told(tmp_path)
    assert [value for _, _, value in run.points("loss")] == [1.0, 2.0, 3.0]
    assert run.kept.told["parts of the export", "part 1 is missing"] == 1
    assert len(run.kept.told) == 8


def test_one_part_stands_for_its_run(tmp_path: Path) -> None:
    exported(tmp_path, "ws/proj", "RUN-2", SYSTEM)
    exported(tmp_path, "ws/proj", "RUN-1", [*SYSTEM, point("loss", "1", 1, 1.0)])
    part = exported(tmp_path, "ws/proj", "RUN-1", [point("loss", "2", 2, 2.0)], part=1)
    assert [value for _, _, value in told(part).points("loss")] == [1.0, 2.0]


def test_an_export_that_did_not_end_fails_with_that_sentence(tmp_path: Path) -> None:
    exported(tmp_path, "ws/proj", "RUN-1", SYSTEM, part=1)
    (foreign,) = Importer().runs(str(tmp_path), {})
    with pytest.raises(AutotrackError, match="did not end"):
        Told(foreign)
    broken = exported(tmp_path, "ws/proj", "RUN-2", SYSTEM)
    broken.write_bytes(b"PAR1")
    assert len(list(Importer().runs(str(tmp_path), {}))) == 2


def test_series_of_texts_and_histograms_are_kept_whole(tmp_path: Path) -> None:
    histogram = {"type": "COUNTING", "edges": [0.0, 1.0, 2.0], "values": [3.0, 4.0]}
    rows = [
        row("log", "string_series", step=Decimal("0.5"), timestamp=at(0), string_value="line"),
        row("log", "string_series", step=Decimal(1), timestamp=at(1.5), string_value="ä\n"),
        row("h", "histogram_series", step=Decimal(2), timestamp=at(2), histogram_value=histogram),
    ]
    exported(tmp_path, "ws/proj", "RUN-1", [*SYSTEM, *rows])
    run = told(tmp_path)
    files = run.artifacts()
    assert [json.loads(line) for line in files["log.jsonl"].decode().splitlines()] == [
        {"step": "0.5", "time": "2024-05-06T12:53:20Z", "value": "line"},
        {"step": 1, "time": "2024-05-06T12:53:21.500Z", "value": "ä\n"},
    ]
    assert json.loads(files["h.jsonl"])["value"] == histogram
    assert {what for what, _ in run.kept.told} == {"string series", "histogram series"}


def test_files_are_found_beside_the_data_and_nowhere_else(tmp_path: Path) -> None:
    exports = tmp_path / "exports"
    files = exports / "files" / folder_name("ws/proj")
    (files / "RUN-1" / "shots").mkdir(parents=True)
    (files / "RUN-1" / "set" / "deep").mkdir(parents=True)
    (files / "RUN-1" / "model").write_bytes(b"weights")
    (files / "RUN-1" / "shots" / "3.png").write_bytes(b"\x89PNG")
    (files / "RUN-1" / "set" / "deep" / "a.txt").write_bytes(b"A")
    (tmp_path / "secret").write_bytes(b"secret")

    def file(path: str, kind: str, place: str, step: str | None = None) -> dict[str, Any]:
        return row(path, kind, step=None if step is None else Decimal(step), file_value={"path": place})

    rows = [
        file("model", "file", "RUN-1/model"),
        file("shots", "file_series", "RUN-1/shots/3.png", "3"),
        file("set", "file_set", "RUN-1/set"),
        file("lost", "file", "RUN-1/lost"),
        file("evil", "file", "../../../secret"),
        file("root", "file", str(tmp_path / "secret")),
    ]
    exported(exports, "ws/proj", "RUN-1", [*SYSTEM, *rows])
    for place in (exports, exports / "data", tmp_path):
        run = told(place)
        assert run.artifacts() == {"model": b"weights", "shots/3.png": b"\x89PNG", "set/deep/a.txt": b"A"}
        assert run.kept.told == {
            ("files", "the exporter's file is not there"): 1,
            ("files", "their place is outside the export"): 2,
        }
    (exports / "files").rename(tmp_path / "elsewhere")
    assert "model" not in told(exports).artifacts()
    assert "model" in told(exports, files=str(tmp_path / "elsewhere")).artifacts()


def test_the_registry_of_models_comes_as_runs_that_know_their_model(tmp_path: Path) -> None:
    files = tmp_path / "model_files" / folder_name("ws/proj") / "model_versions" / "PROJ-MOD-1"
    files.mkdir(parents=True)
    (files / "weights").write_bytes(b"weights")
    model = [
        row("sys/name", "string", string_value="mod"),
        row("sys/creation_time", "datetime", datetime_value=CREATED),
    ]
    version = [
        row("sys/model_id", "string", string_value="PROJ-MOD"),
        row("sys/stage", "string", string_value="production"),
        row("weights", "file", file_value={"path": "model_versions/PROJ-MOD-1/weights"}),
    ]
    exported(tmp_path, "ws/proj", "PROJ-MOD", model, scope="models")
    exported(tmp_path, "ws/proj", "PROJ-MOD-1", version, scope="model_versions")
    runs = {run.origin: Told(run) for run in Importer().runs(str(tmp_path), {})}
    first, second = runs["neptune:ws/proj/PROJ-MOD"], runs["neptune:ws/proj/PROJ-MOD-1"]
    assert (first.tags["neptune.type"], second.tags["neptune.type"]) == ("model", "model_version")
    assert isinstance(first.started, RunStarted) and isinstance(second.started, RunStarted)
    assert second.started.parent == first.started.run
    assert second.artifacts() == {"weights": b"weights"} and second.tags["sys/stage"] == "production"


def test_a_fork_has_its_parent_and_step(tmp_path: Path) -> None:
    fork = [
        row("sys/forking/parent", "string", string_value="RUN-1"),
        row("sys/forking/step", "float", float_value=1.29),
    ]
    exported(tmp_path, "ws/proj", "RUN-1", SYSTEM)
    exported(tmp_path, "ws/proj", "RUN-2", [*SYSTEM, *fork])
    first, second = map(Told, Importer().runs(str(tmp_path), {}))
    assert isinstance(first.started, RunStarted) and isinstance(second.started, RunStarted)
    assert second.started.parent == first.started.run
    assert (second.tags["neptune.parent"], second.tags["neptune.fork_step"]) == ("ws/proj/RUN-1", "1.29")


def test_what_has_a_type_of_its_own_is_counted(tmp_path: Path) -> None:
    exported(tmp_path, "ws/proj", "RUN-1", [*SYSTEM, row("x", "git_ref"), row("y", "git_ref")])
    run = told(tmp_path)
    assert run.kept.told == {("attributes of type git_ref", "are not known"): 2}


def test_all_three_formats_below_one_place_are_found(tmp_path: Path) -> None:
    exported(tmp_path / "exports", "ws/proj", "RUN-1", SYSTEM)
    OfflineFolder(tmp_path / ".neptune", "21ffcab3-b882-4091-a82b-f63603bfb2f2").add("AssignInt", "n", value=1)
    ScaleFile(tmp_path / ".neptune").update(1)
    sources = [Told(run).tags["neptune.source"] for run in Importer().runs(str(tmp_path), {})]
    assert sources == ["export", "offline", "scale"]
