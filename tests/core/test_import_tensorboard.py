"""Event files of several writers, brought in: compared with what those writers were told."""

from __future__ import annotations

import hashlib
import math
import struct
from pathlib import Path
from typing import Any

import numpy
import pytest

from autotrack import protobuf
from autotrack.errors import UsageError
from autotrack.events import ArtifactLogged, MetricsLogged, ParamsLogged, RunEnded, RunStarted, TagsSet, encode
from autotrack.importing import run_id
from autotrack.moving.bringing import bring_all
from autotrack.settings import load
from autotrack_tensorboard import messages
from autotrack_tensorboard.framing import framed
from autotrack_tensorboard.importer import Importer

BEGIN = 1_700_000_000.25


class Kept:
    """Keeps files in memory, and what is told."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.told: list[tuple[str, str, int]] = []

    def keep(self, source: Any) -> tuple[str, int]:
        content = source if isinstance(source, bytes) else source.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        self.files[digest] = content
        return digest, len(content)

    def not_carried(self, what: str, why: str, count: int = 1) -> None:
        self.told.append((what, why, count))


class Told:
    """One run as it was told."""

    def __init__(self, foreign: Any) -> None:
        self.kept = Kept()
        self.origin, self.name = foreign.origin, foreign.name
        self.events = list(foreign.events(self.kept))
        again = [encode(event) for event in foreign.events(Kept())]  # encoded, since NaN equals nothing
        assert [encode(event) for event in self.events] == again, "the same source gives other events"
        assert isinstance(self.events[0], RunStarted) and isinstance(self.events[-1], RunEnded)
        assert {event.run for event in self.events} == {run_id(self.origin)}
        assert [event.time for event in self.events] == sorted(event.time for event in self.events)
        self.start, self.end = self.events[0], self.events[-1]

    def series(self, key: str) -> list[tuple[Any, float, int]]:
        return [
            (event.step, event.values[key], event.time)
            for event in self.events
            if isinstance(event, MetricsLogged) and key in event.values
        ]

    def params(self) -> dict[str, Any]:
        return {k: v for event in self.events if isinstance(event, ParamsLogged) for k, v in event.params.items()}

    def tags(self) -> dict[str, str]:
        return {k: v for event in self.events if isinstance(event, TagsSet) for k, v in event.tags.items()}

    def files(self) -> dict[str, bytes]:
        return {e.name: self.kept.files[e.digest] for e in self.events if isinstance(e, ArtifactLogged)}


def told(place: Path, **options: str) -> list[Told]:
    return [Told(foreign) for foreign in Importer().runs(str(place), options)]


def as_float32(value: float) -> float:
    return struct.unpack("<f", struct.pack("<f", value))[0]


def test_what_torchs_writer_was_told_arrives_with_its_times(tmp_path: Path):
    pytest.importorskip("tensorboard")
    tensorboard = pytest.importorskip("torch.utils.tensorboard")
    writer = tensorboard.SummaryWriter(str(tmp_path / "runs" / "one"))
    for step in range(50):
        writer.add_scalar("loss", 1 / (step + 1), step, walltime=BEGIN + step)
        writer.add_scalar("exact", math.pi * step, step, walltime=BEGIN + step, new_style=True, double_precision=True)
        writer.add_scalar("new", 0.1 * step, step, walltime=BEGIN + step, new_style=True)
    writer.add_scalar("odd", float("nan"), 3, walltime=BEGIN + 60)
    writer.add_text("notes", "**bold** ü", 2, walltime=BEGIN + 61)
    writer.add_image("picture", numpy.zeros((3, 4, 5), dtype=numpy.uint8), 7, walltime=BEGIN + 62)
    writer.add_histogram("weights", numpy.arange(10.0), 1, walltime=BEGIN + 63)
    writer.add_hparams({"lr": 0.5, "name": "adam", "flag": True}, {"hparam/accuracy": 0.75}, run_name="trial")
    writer.close()
    one, trial = told(tmp_path / "runs")
    assert (one.name, one.start.project, one.start.integration) == ("one", "runs", "tensorboard")
    assert one.series("loss") == [
        (step, as_float32(1 / (step + 1)), round((BEGIN + step) * 1e6) * 1000) for step in range(50)
    ]
    assert [value for _, value, _ in one.series("exact")] == [math.pi * step for step in range(50)]
    assert [value for _, value, _ in one.series("new")] == [as_float32(0.1 * step) for step in range(50)]
    assert math.isnan(one.series("odd")[0][1])
    assert one.files()["text/notes/2.md"] == "**bold** ü".encode()
    assert one.files()["images/picture/7.png"].startswith(b"\x89PNG")
    assert ("histograms", "autotrack's series hold single numbers", 1) in one.kept.told
    assert trial.start.parent == run_id(one.origin) and trial.name == "one/trial"
    assert trial.params() == {"lr": 0.5, "name": "adam", "flag": True} or trial.params()["flag"] == 1.0
    assert [value for _, value, _ in trial.series("hparam/accuracy")] == [0.75]
    assert trial.end.status == "finished"


def test_tensorboardx_writes_runs_too(tmp_path: Path):
    tensorboardx = pytest.importorskip("tensorboardX")
    with tensorboardx.SummaryWriter(str(tmp_path / "run")) as writer:
        for step in range(10):
            writer.add_scalar("loss", step / 4, step, walltime=BEGIN + step)
        writer.add_scalars("both", {"a": 1.0, "b": 2.0}, 3, walltime=BEGIN + 20)
    runs = told(tmp_path / "run")
    assert [value for _, value, _ in runs[0].series("loss")] == [step / 4 for step in range(10)]
    assert {run.start.parent for run in runs[1:]} == {run_id(runs[0].origin)}


def test_tensorflows_own_summaries_are_tensors_and_arrive(tmp_path: Path):
    tensorflow = pytest.importorskip("tensorflow")
    with tensorflow.summary.create_file_writer(str(tmp_path)).as_default():
        for step in range(5):
            tensorflow.summary.scalar("epoch_loss", step / 3, step=step)
        tensorflow.summary.image("picture", numpy.zeros((2, 4, 5, 3), dtype=numpy.uint8), step=1)
        tensorflow.summary.text("notes", "first", step=1)
        tensorflow.summary.histogram("weights", numpy.arange(10.0), step=1)
    (run,) = told(tmp_path)
    assert [(step, value) for step, value, _ in run.series("epoch_loss")] == [
        (step, as_float32(step / 3)) for step in range(5)
    ]
    files = run.files()
    assert set(files) == {"images/picture/1-0.png", "images/picture/1-1.png", "text/notes/1.md"}
    assert files["text/notes/1.md"] == b"first"
    assert [what for what, _, _ in run.kept.told] == ["histograms"]


def written(*events: bytes) -> bytes:
    return b"".join(framed(event) for event in (messages.version(0), *events))


def point(second: float, step: int, value: float, tag: str = "loss") -> bytes:
    return messages.point(round((BEGIN + second) * 1e9), step, {tag: value}, {})


def restart(second: float, step: int) -> bytes:
    return protobuf.double(1, BEGIN + second) + protobuf.integer(2, step) + protobuf.sized(7, protobuf.integer(1, 1))


def test_points_before_a_restart_are_dropped_as_tensorboard_does_and_told(tmp_path: Path):
    accumulating = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    first = written(*(point(step, step, float(step)) for step in range(6)))
    second = written(restart(10, 3), *(point(10 + step, step, 100.0 + step) for step in range(3, 8)))
    (tmp_path / "events.out.tfevents.1700000000.host.1").write_bytes(first)
    (tmp_path / "events.out.tfevents.1700000010.host.2").write_bytes(second)
    (run,) = told(tmp_path)
    shown = accumulating.EventAccumulator(str(tmp_path), size_guidance={"scalars": 0}).Reload()
    assert [(s, v) for s, v, _ in run.series("loss")] == [(e.step, e.value) for e in shown.Scalars("loss")]
    assert [what for what, _, _ in run.kept.told] == ["a restart at step 3", "points before a restart"]
    assert run.kept.told[1][2] == 3
    (kept,) = told(tmp_path, purged="keep")
    assert len(kept.series("loss")) == 11


def test_damage_is_told_and_costs_no_more_than_the_damaged(tmp_path: Path):
    whole = bytearray(written(*(point(step, step, float(step)) for step in range(10))))
    size = len(framed(point(1, 1, 1.0)))
    whole[len(whole) - 4 * size + 20] ^= 0xFF  # in the seventh point
    (tmp_path / "events.out.tfevents.1.a").write_bytes(whole[:-5])
    (tmp_path / "events.out.tfevents.2.b").write_bytes(b"")
    (run,) = told(tmp_path)
    assert [step for step, _, _ in run.series("loss")] == [0, 1, 2, 3, 4, 5, 7, 8]
    assert len(run.kept.told) == 2


def test_several_files_of_one_folder_are_one_run_in_the_order_of_time(tmp_path: Path):
    (tmp_path / "events.out.tfevents.1.a").write_bytes(written(*(point(2 * i, i, 1.0, "a") for i in range(5))))
    (tmp_path / "events.out.tfevents.2.b").write_bytes(written(*(point(2 * i + 1, i, 2.0, "b") for i in range(5))))
    (run,) = told(tmp_path)
    assert len(run.series("a")) == len(run.series("b")) == 5


def test_an_import_ends_in_the_store_whole_and_a_second_one_adds_nothing(tmp_path: Path):
    folder = tmp_path / "runs" / "one"
    folder.mkdir(parents=True)
    (folder / "events.out.tfevents.1.a").write_bytes(written(*(point(i, i, i / 8) for i in range(100))))
    home = tmp_path / "home"
    settings = load({}, home=home, backends="local")
    report = bring_all("tensorboard", str(tmp_path / "runs"), {}, home, settings).record()
    assert report["complete"] and (report["runs"]["imported"], report["points"]) == (1, 100)
    again = bring_all("tensorboard", str(tmp_path / "runs"), {}, home, settings).record()
    assert again["complete"] and (again["runs"]["imported"], again["runs"]["known"]) == (0, 1)


def test_places_and_options_that_mean_nothing_are_refused(tmp_path: Path):
    with pytest.raises(UsageError, match="no folder"):
        told(tmp_path / "none")
    with pytest.raises(UsageError, match="no event files"):
        told(tmp_path)
    with pytest.raises(UsageError, match="no option 'colour'"):
        told(tmp_path, colour="red")
