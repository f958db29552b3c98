"""What `neptune-export` writes: the schema, the way back, when a run is there, and neptune-exporter's own reader."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow")
sys.path.insert(0, str(Path(__file__).parent))  # test modules are not a package
sys.path.insert(0, str(Path(__file__).parents[1] / "core"))

from neptune_exporter_schema import SCHEMA, read_tables
from neptune_folders import OfflineFolder, ScaleFile, Told, entry, exported, field, folder_name, row, stamp, step

from autotrack.backend import BackendContext
from autotrack.errors import BackendUnavailable, UsageError
from autotrack.events import (
    AnyEvent,
    ArtifactLogged,
    ConsoleLogged,
    DatasetLogged,
    MetricsLogged,
    ModelLogged,
    ParamsLogged,
    Record,
    RunEnded,
    RunStarted,
    TagsSet,
    WriterEnded,
)
from autotrack.forward.catching_up import sync
from autotrack.moving.bringing import bring_all
from autotrack.provenance.blobs import Blobs
from autotrack.settings import load
from autotrack_neptune import parts
from autotrack_neptune.export import VARIABLE, NeptuneExport
from autotrack_neptune.importer import Importer

SECOND = 1_000_000_000
START = 1_715_000_000 * SECOND


class Bench:
    """One journal's delivery of events to the backend."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, writer: str = "w") -> None:
        self.home, self.exports = folder / "home", folder / "exports"
        self.home.mkdir(exist_ok=True)
        monkeypatch.setenv(VARIABLE, str(self.exports))
        self.writer = writer
        self.state: dict[str, Any] = {}
        self.notes: list[tuple[str, str, str]] = []
        self._sequence = 0

    def blob(self, content: bytes) -> str:
        return str(Blobs(self.home).put_bytes(content).digest)

    def records(self, *events: AnyEvent) -> list[Record]:
        made = []
        for event in events:
            self._sequence += 1
            made.append(Record(self.writer, self._sequence, self._sequence * 10, event))
        return made

    def send(self, records: list[Record]) -> None:
        """Deliver a batch in a new process's place: opened anew, with the state that was kept."""
        state = json.loads(json.dumps(self.state))
        context = BackendContext(self.home, load(home=self.home), state, lambda *note: self.notes.append(note))
        backend = NeptuneExport()
        backend.open(context)
        try:
            assert backend.deliver(records) == records[-1].sequence
        finally:
            backend.close()
        self.state = state

    def rows(self) -> list[dict[str, Any]]:
        ((_, rows),) = read_tables(self.exports / "data", SCHEMA)
        return rows

    def files(self) -> dict[str, bytes]:
        data = self.exports / "data"
        return {path.name: path.read_bytes() for path in sorted(data.rglob("*")) if path.is_file()}


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


def started(run: str = "r", time: int = START, **more: Any) -> RunStarted:
    return RunStarted(run, time, "name", "ws/proj", **more)


def loss(number: int, run: str = "r") -> MetricsLogged:
    return MetricsLogged(run, START + number * SECOND, number, {"loss": number / 3})


def values(rows: list[dict[str, Any]], path: str) -> list[float]:
    return [one["float_value"] for one in rows if one["attribute_path"] == path]


def test_a_run_that_goes_on_is_not_there_and_is_whole_once_it_has_ended(bench: Bench) -> None:
    bench.send(bench.records(started(), *map(loss, range(3))))
    assert not bench.files()
    bench.send(bench.records(loss(3), RunEnded("r", START + 9 * SECOND, "finished")))
    assert list(bench.files()) == [f"{folder_name('r')}_part_0.parquet"]
    assert values(bench.rows(), "loss") == [0, 1 / 3, 2 / 3, 1.0]
    assert not list(bench.exports.rglob("*.tmp"))


def test_a_batch_that_comes_again_changes_nothing(bench: Bench) -> None:
    first = bench.records(started(), *map(loss, range(5)))
    second = bench.records(*map(loss, range(5, 9)), RunEnded("r", START + 9 * SECOND, "finished"))
    bench.send(first)
    earlier = dict(bench.state)
    bench.send(second)
    files, state = bench.files(), bench.state
    for cut in (1, 3):
        bench.state = earlier  # the process was killed before the cursor was kept
        bench.send(second[:cut])
        bench.send(second[cut:])
        assert bench.files() == files and bench.rows() and set(bench.state) == set(state)
    assert len(values(bench.rows(), "loss")) == 9


def test_a_batch_that_fails_in_the_middle_comes_again_whole(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = bench.records(
        started("a"), loss(1, "a"), RunEnded("a", START + 1, "finished"), started("b"), RunEnded("b", START, "failed")
    )
    whole, calls = parts.write, []

    def full(root: Path, run: str, spool: Any) -> None:
        calls.append(run)
        if run == "b" and calls.count("b") == 1:
            raise OSError(28, "No space left on device")
        whole(root, run, spool)

    monkeypatch.setattr(parts, "write", full)
    with pytest.raises(BackendUnavailable, match="No space left"):
        bench.send(batch)
    bench.send(batch)
    tables = {rows[0]["run_id"]: rows for _, rows in read_tables(bench.exports / "data", SCHEMA)}
    assert set(tables) == {"a", "b"} and values(tables["a"], "loss") == [1 / 3]


def test_a_journal_that_comes_late_and_a_run_that_goes_on_are_written_again(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late, again = Bench(tmp_path, monkeypatch, "late"), Bench(tmp_path, monkeypatch, "again")
    late.send(late.records(loss(1)))
    assert not bench.files()
    bench.send(bench.records(started(), loss(0), RunEnded("r", START + 5 * SECOND, "killed")))
    assert values(bench.rows(), "loss") == [0, 1 / 3]
    late.send(late.records(loss(2)))
    assert values(bench.rows(), "loss") == [0, 1 / 3, 2 / 3]
    again.send(again.records(started(time=START + 6 * SECOND, resumed=True), loss(7)))
    assert len(values(bench.rows(), "loss")) == 3
    again.send(again.records(RunEnded("r", START + 8 * SECOND, "finished")))
    rows = bench.rows()
    assert len(values(rows, "loss")) == 4
    assert [one["string_value"] for one in rows if one["attribute_path"] == "autotrack/status"] == ["finished"]


def test_what_a_journal_adds_to_a_run_that_another_has_ended_is_there_once_it_is_closed(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a later import does, of what was found since."""
    bench.send(bench.records(started(), loss(0), RunEnded("r", START + 9 * SECOND, "finished")))
    later = Bench(tmp_path, monkeypatch, "later")
    later.send(later.records(started(time=START + SECOND, resumed=True), loss(1)))
    assert len(values(bench.rows(), "loss")) == 1
    later.send(later.records(WriterEnded("", START + 2 * SECOND)))
    assert len(values(bench.rows(), "loss")) == 2
    later.send(later.records(loss(2), WriterEnded("", START + 2 * SECOND)))
    assert len(values(bench.rows(), "loss")) == 3


def test_a_long_run_has_parts_and_a_shorter_one_after_it_has_none_left_over(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "PART_BYTES", 10_000)
    monkeypatch.setattr("autotrack_neptune.rows.BATCH", 500)
    bench.send(bench.records(started(), *map(loss, range(5000)), RunEnded("r", START + 9000 * SECOND, "finished")))
    names = list(bench.files())
    assert len(names) > 2 and names[0].endswith("_part_0.parquet")
    assert values(bench.rows(), "loss") == [number / 3 for number in range(5000)]
    monkeypatch.undo()
    monkeypatch.setenv(VARIABLE, str(bench.exports))
    bench.send(bench.records(TagsSet("r", START + 9001 * SECOND, {"late": "yes"})))
    assert len(bench.files()) == 1
    assert len(values(bench.rows(), "loss")) == 5000


def test_what_neptune_cannot_hold_is_told_once_and_the_rest_is_there(bench: Bench) -> None:
    batch = bench.records(
        started(),
        ParamsLogged("r", START, {"none": None, "huge": 2**63, "sys/name": "mine", "ok": True}),
        MetricsLogged("r", START, "0.00000049", {"loss": 1.0}),
        MetricsLogged("r", START, 10**12, {"loss": 2.0, "acc": 3.0}),
        MetricsLogged("r", START, 1, {"sys/x": math.nan}),
        ArtifactLogged("r", START, "gone.txt", "0" * 64, 3),
        RunEnded("r", START, "finished"),
    )
    bench.send(batch)
    assert sorted(bench.notes) == sorted(
        [
            ("r", "param 'none'", "Neptune has no None: it is the text 'None'"),
            ("r", "param 'huge'", "does not fit 64 bits: it is a text"),
            ("r", "steps", "Neptune's have six decimals: rounded"),
            ("r", "points", "Neptune's steps end before 1e+12: left out"),
            ("r", "points", "Neptune's steps end before 1e+12: left out"),
            ("r", "file 'gone.txt'", "it is no longer kept here"),
        ]
    )
    found = {one["attribute_path"]: one for one in bench.rows()}
    assert found["none"]["string_value"] == "None" and found["huge"]["string_value"] == str(2**63)
    assert found["sys/name"]["string_value"] == "name" and found["autotrack/params/sys/name"]["string_value"] == "mine"
    assert found["ok"]["bool_value"] is True and found["ok"]["int_value"] is None
    assert values(bench.rows(), "loss") == [1.0] and math.isnan(found["autotrack/metrics/sys/x"]["float_value"])
    assert "gone.txt" not in found


def everything(bench: Bench) -> list[AnyEvent]:
    """Each kind of event, with what is hard about it."""
    grid = bench.blob(b"grid")
    model, report = bench.blob(b"weights"), bench.blob(b"report")
    return [
        started(
            integration="sklearn", environment={"python": "3.11", "lock": {"digest": grid, "bytes": 4}}, parent="p"
        ),
        TagsSet("r", START, {"team": "risk 🙂", "a/b": "x\ny"}),
        ParamsLogged("r", START, {"lr": 0.1, "n": -3, "flag": False, "text": "ünï", "autotrack/x": 1, "sys/y": 2.5}),
        DatasetLogged("r", START, "train", "rows", {"value": "x1:0", "grid": {"digest": grid, "bytes": 4}}),
        MetricsLogged("r", START + SECOND, "0.29", {"loss": 0.1 + 0.2, "nan": math.nan, "inf": -math.inf}),
        MetricsLogged("r", START + SECOND, "0.29", {"loss": 0.1 + 0.2, "sys/load": 1e-320}),
        MetricsLogged("r", START + 2 * SECOND, -7, {"loss": -0.0}),
        ModelLogged("r", START + SECOND, "clf", "safetensors", model, 7, step="0.5", register="best", aliases=["prod"]),
        ModelLogged("r", START + 2 * SECOND, "clf", "none", problem="too large"),
        ArtifactLogged("r", START + SECOND, "../up/report.txt", report, 6, "text/plain"),
        RunEnded("r", START + 9 * SECOND, "pruned", {"type": "Pruned", "message": "m", "traceback": "t"}),
    ]


def test_a_run_comes_back_as_it_was(bench: Bench) -> None:
    """Export, then import: every value equal."""
    events = everything(bench)
    bench.send(bench.records(*events))
    (foreign,) = Importer().runs(str(bench.exports), {})
    back = Told(foreign)
    start = events[0]
    assert isinstance(back.started, RunStarted) and isinstance(start, RunStarted)
    for name in ("time", "name", "project", "integration", "environment", "code"):
        assert getattr(back.started, name) == getattr(start, name), name
    assert back.tags["neptune.parent"] == "ws/proj/p" and back.tags["autotrack.run_id"] == "r"
    assert {key: back.tags[key] for key in ("team", "a/b")} == {"team": "risk 🙂", "a/b": "x\ny"}
    assert back.params == {"lr": 0.1, "n": -3, "flag": False, "text": "ünï", "autotrack/x": 1, "sys/y": 2.5}
    assert [type(back.params[key]) for key in ("lr", "n", "flag")] == [float, int, bool]

    def points(told: list[AnyEvent]) -> list[tuple[str, Any, int, str]]:
        return sorted(
            (key, str(event.step), event.time, repr(value))
            for event in told
            if isinstance(event, MetricsLogged)
            for key, value in event.values.items()
        )

    assert points(back.events) == points(events)
    assert [(one.role, one.name, one.record, one.time) for one in back.of(DatasetLogged)] == [
        (one.role, one.name, one.record, one.time) for one in events if isinstance(one, DatasetLogged)
    ]
    wanted = ("name", "format", "digest", "bytes", "step", "problem", "register", "aliases", "time")
    models = [tuple(getattr(one, name) for name in wanted) for one in events if isinstance(one, ModelLogged)]
    assert [tuple(getattr(one, name) for name in wanted) for one in back.of(ModelLogged)] == models
    assert back.artifacts() == {"../up/report.txt": b"report"}
    assert b"grid" in back.kept.blobs.values()
    end = events[-1]
    assert isinstance(back.ended, RunEnded) and isinstance(end, RunEnded)
    assert (back.ended.status, back.ended.error, back.ended.time) == (end.status, end.error, end.time)
    assert not back.kept.told


def test_console_output_is_a_string_series(bench: Bench) -> None:
    lines = [ConsoleLogged("r", START + number * SECOND, "stdout", f"line {number}\n") for number in range(3)]
    bench.send(bench.records(started(), *lines, RunEnded("r", START + 9 * SECOND, "finished")))
    told = [
        (int(one["step"]), one["string_value"]) for one in bench.rows() if one["attribute_path"] == "runtime/stdout"
    ]
    assert told == [(0, "line 0\n"), (1, "line 1\n"), (2, "line 2\n")]


def neptunes_own(place: Path) -> None:
    """One run in each of Neptune's formats, with series of texts and histograms."""
    folder = OfflineFolder(place / ".neptune", "21ffcab3-b882-4091-a82b-f63603bfb2f2")
    folder.add("AssignString", "sys/name", value="one")
    folder.add("AddStrings", "sys/tags", values=["a", "b"])
    folder.add("LogFloats", "loss", values=[{"value": 0.5, "step": 0.29, "ts": 1700000000.125}])
    folder.add("LogStrings", "monitoring/1/stdout", values=[{"value": "out\n", "step": 0, "ts": 1700000001.5}])
    scale = ScaleFile(place / ".neptune")
    scale.add(1, field(3, stamp(1700000000)) + field(5, "exp"))
    histogram = field(1, 0.0) + field(1, 1.0) + field(1, math.inf) + field(4, field(1, 3) + field(1, 4))
    scale.update(1700000001, field(8, entry("h", field(14, histogram))), at=step(2, 500_000), nanos=250_000_000)
    scale.update(1700000002, field(8, entry("runtime/stderr", field(6, "a line"))), at=step(0, 1))
    system = [row("sys/size", "float", float_value=12.0), row("sys/group_tags", "string_set", string_set_value=["g"])]
    exported(place / "old", "ws/proj", "RUN-1", [row("sys/name", "string", string_value="old"), *system])


def test_what_came_from_neptune_goes_back_as_it_was(bench: Bench, tmp_path: Path) -> None:
    """Neptune's formats, into events, into the exporter's tables: series of texts and histograms are such again."""
    neptunes_own(tmp_path / "source")
    for foreign in Importer().runs(str(tmp_path / "source"), {}):
        told = Told(foreign)
        for content in told.kept.blobs.values():
            bench.blob(content)
        bench.send(bench.records(*told.events))
    tables = {
        next(one["string_value"] for one in rows if one["attribute_path"] == "sys/name"): rows
        for _, rows in read_tables(bench.exports / "data", SCHEMA)
    }
    assert set(tables) == {"one", "exp", "old"}
    kinds = {name: {one["attribute_path"]: one for one in rows} for name, rows in tables.items()}
    assert kinds["one"]["sys/tags"]["string_set_value"] == ["a", "b"]
    assert str(kinds["one"]["loss"]["step"]) == "0.290000" and kinds["one"]["loss"]["float_value"] == 0.5
    out = kinds["one"]["monitoring/1/stdout"]
    assert (out["attribute_type"], out["string_value"], out["timestamp"].timestamp()) == (
        "string_series",
        "out\n",
        1700000001.5,
    )
    assert "runtime/stdout" not in kinds["one"]  # the same lines, as console output
    shape = kinds["exp"]["h"]
    assert shape["histogram_value"] == {"type": "COUNTING", "edges": [0.0, 1.0, math.inf], "values": [3.0, 4.0]}
    assert (str(shape["step"]), shape["timestamp"].timestamp()) == ("2.500000", 1700000001.25)
    assert kinds["exp"]["runtime/stderr"]["string_value"] == "a line"
    assert kinds["old"]["sys/size"]["float_value"] == 12.0
    assert kinds["old"]["sys/group_tags"]["string_set_value"] == ["g"]
    assert not bench.notes


def test_a_folder_of_the_exporter_moves_without_loss(bench: Bench, tmp_path: Path) -> None:
    """Through the store: `autotrack import`, then delivery, then the tables have every row that there was."""
    source = tmp_path / "source"
    files = source / "files" / folder_name("ws/proj") / "RUN-1"
    (files / "set" / "deep").mkdir(parents=True)
    contents = {"model": b"weights", "shots_2.png": b"\x89PNG", "set/deep/a.txt": b"A", "files_list.json": b"[]"}
    for name, content in contents.items():
        (files / name).write_bytes(content)

    def file(path: str, kind: str, place: str, at: str | None = None) -> dict[str, Any]:
        return row(path, kind, step=None if at is None else Decimal(at), file_value={"path": f"RUN-1/{place}"})

    when = datetime(2024, 5, 6, 7, 8, 9, 250_000, tzinfo=UTC)
    histogram = {"type": "DENSITY", "edges": [0.0, 1.0], "values": [0.25]}
    rows = [
        row("sys/name", "string", string_value="old"),
        row("sys/creation_time", "datetime", datetime_value=when),
        row("sys/tags", "string_set", string_set_value=["a", "b"]),
        row("sys/size", "float", float_value=0.1),
        row("sys/trashed", "bool", bool_value=False),
        row("p/when", "datetime", datetime_value=when),
        row("p/set", "string_set", string_set_value=["x", "y"]),
        row("p/lr", "float", float_value=0.1),
        row("p/n", "int", int_value=2**53 + 1),
        row("p/flag", "bool", bool_value=True),
        row("p/date as text", "string", string_value="2024-01-01T00:00:00Z"),
        *(row("loss", "float_series", step=Decimal(number) / 100, timestamp=when, float_value=number / 7)
          for number in range(100)),
        row("loss", "float_series", step=Decimal("999999999999.999999"), timestamp=when, float_value=math.inf),
        row("log", "string_series", step=Decimal("0.000001"), timestamp=when, string_value="line\n\u2028x"),
        row("h", "histogram_series", step=Decimal(3), timestamp=when, histogram_value=histogram),
        file("model", "file", "model"),
        file("shots", "file_series", "shots_2.png", "2"),
        file("set", "file_set", "set"),
        file("data", "artifact", "files_list.json"),
    ]  # fmt: skip
    exported(source, "ws/proj", "RUN-1", rows)
    settings = load(home=bench.home)
    report = bring_all("neptune", str(source), {}, bench.home, settings)
    assert report.complete and report.record()["points"] == 101
    outcomes = sync(bench.home, settings, ("neptune-export",))
    assert all(one.complete for one in outcomes), outcomes
    ((folder, found),) = read_tables(bench.exports / "data", SCHEMA)

    def as_values(one: dict[str, Any], root: Path) -> tuple[Any, ...]:
        given = {key: value for key, value in one.items() if value is not None and key not in ("run_id", "project_id")}
        given = {key: value.timestamp() if isinstance(value, datetime) else value for key, value in given.items()}
        step = given.pop("step", None)
        if "file_value" in given:
            place = root / given["file_value"]["path"]
            inner = sorted(path for path in place.rglob("*") if path.is_file()) if place.is_dir() else [place]
            given["file_value"] = [(str(path.relative_to(place)), path.read_bytes()) for path in inner]
        return (str(step.normalize()) if step is not None else None, repr(sorted(given.items())))

    there = Counter(as_values(one, bench.exports / "files" / folder) for one in found)
    missing = Counter(as_values(one, files.parent) for one in rows) - there
    assert not missing
    assert {one["project_id"] for one in found} == {"ws/proj"}
    assert next(one["string_value"] for one in found if one["attribute_path"] == "autotrack/tags/neptune.id") == "RUN-1"


def test_without_the_variable_it_says_which(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(UsageError, match=VARIABLE):
        NeptuneExport().open(BackendContext(tmp_path, load(home=tmp_path)))


READER = """
import json, sys
from pathlib import Path
from neptune_exporter import model
from neptune_exporter.storage.parquet_reader import ParquetReader
from neptune_exporter.utils import sanitize_path_part

reader, found = ParquetReader(Path(sys.argv[1]) / "data"), []
for folder in reader.list_project_directories():
    for prefix in reader.list_run_files(folder):
        metadata = reader.read_run_metadata(folder, prefix)
        assert prefix == sanitize_path_part(metadata.run_id) and folder.name == sanitize_path_part(metadata.project_id)
        assert reader.check_run_exists(metadata.project_id, metadata.run_id)
        tables = list(reader.read_run_data(folder, prefix))
        assert all(table.schema.equals(model.SCHEMA) for table in tables)
        files = [row["path"] for table in tables for row in table["file_value"].to_pylist() if row]
        there = all((Path(sys.argv[1]) / "files" / folder.name / path).exists() for path in files)
        found.append([metadata.project_id, metadata.run_id, metadata.experiment_name, metadata.parent_source_run_id,
            str(metadata.creation_time), sum(map(len, tables)), len(files), there])
print(json.dumps(found))
"""


def test_neptune_exporters_own_reader_reads_it(bench: Bench) -> None:
    """Its code is that of the checkout whose `src` AUTOTRACK_TEST_NEPTUNE_EXPORTER names; it is on no index."""
    source = os.environ.get("AUTOTRACK_TEST_NEPTUNE_EXPORTER")
    if not source:
        pytest.skip("AUTOTRACK_TEST_NEPTUNE_EXPORTER names no src folder of a neptune-exporter checkout")
    bench.send(bench.records(*everything(bench)))
    done = subprocess.run(
        [sys.executable, "-c", READER, str(bench.exports)],
        env={**os.environ, "PYTHONPATH": source}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)
    rows = bench.rows()
    assert found == ["ws/proj", "r", "name", "p", "2024-05-06 12:53:20+00:00", len(rows), 3, True]
