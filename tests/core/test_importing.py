"""`autotrack import`: every run once, with its own times, whole, and told where it is not."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from autotrack.events import RunStarted
from autotrack.journal.reader import Journal, journals

PLUGIN = """
import json
from pathlib import Path
from autotrack.errors import UsageError
from autotrack.events import ArtifactLogged, MetricsLogged, ParamsLogged, RunEnded, RunStarted
from autotrack.importing import ForeignRun, ImporterPlugin, run_id
from autotrack.plugin import hookimpl

@hookimpl
def autotrack_register_importers(register):
    register(ImporterPlugin("acme", "acme_runs:Importer"))

class Importer:
    def runs(self, place, options):
        if not Path(place).is_dir():
            raise UsageError(f"{place} is no folder of acme")
        for file in sorted(Path(place).glob("*.json")):
            yield ForeignRun(f"acme:{file.stem}", file.stem, lambda keeping, file=file: events(file, keeping))

def events(file, keeping):
    told = json.loads(file.read_text())
    run, begin = run_id(f"acme:{file.stem}"), told["begin"]
    yield RunStarted(run, begin, file.stem, "of acme", parent=told.get("parent"), integration="acme")
    yield ParamsLogged(run, begin, told["params"])
    for index, (step, value) in enumerate(told["loss"]):
        if value == "broken":
            raise ValueError("this point is broken")
        yield MetricsLogged(run, begin + index + 1, step, {"loss": float(value)})
    digest, size = keeping.keep(b"weights of " + file.stem.encode())
    yield ArtifactLogged(run, begin + 1000, "weights.bin", digest, size)
    if told.get("histograms"):
        keeping.not_carried("histograms", "acme's own have no place", told["histograms"])
    yield RunEnded(run, told["end"], told["status"])
"""
BEGIN = 1_600_000_000_000_000_000
VALUES = [(0, 0.5), (1, "nan"), ("0.25", "inf"), ("0.1", -0.0), (2, 1e-300), (2, 1e-300)]


class Place:
    def __init__(self, folder: Path) -> None:
        self.home, self.plugins, self.runs = folder / "home", folder / "plugins", folder / "runs"
        info = self.plugins / "acme-1.dist-info"
        info.mkdir(parents=True)
        (info / "entry_points.txt").write_text("[autotrack]\nacme = acme_runs\n")
        (self.plugins / "acme_runs.py").write_text(PLUGIN)
        self.runs.mkdir()

    def tell(self, name: str, **more) -> None:
        told = {"begin": BEGIN, "end": BEGIN + 10**9, "status": "finished", "params": {"lr": 0.1}, "loss": VALUES}
        (self.runs / f"{name}.json").write_text(json.dumps({**told, **more}))

    def __call__(self, *words: str) -> subprocess.CompletedProcess:
        environment = {
            **os.environ,
            "AUTOTRACK_HOME": str(self.home),
            "AUTOTRACK_FORWARDER": "off",
            "PYTHONPATH": str(self.plugins),
        }
        return subprocess.run(
            [sys.executable, "-m", "autotrack", *words],
            env=environment, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    def ask(self, *words: str, code: int = 0):
        done = self(*words, "--json")
        assert done.returncode == code, done.stderr + done.stdout
        return json.loads(done.stdout)

    def bring(self, code: int = 0) -> dict:
        return self.ask("import", "acme", str(self.runs), code=code)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path)
    made.tell("first", histograms=3)
    made.tell("second", status="failed")
    return made


def test_runs_arrive_with_their_own_times_steps_and_values(place: Place) -> None:
    told = place.bring()
    assert told["complete"] and told["runs"] == {"imported": 2, "continued": 0, "known": 0, "failed": 0}
    assert (told["points"], told["files"]) == (12, 2)
    assert told["not_carried"] == [{"what": "histograms", "why": "acme's own have no place", "count": 3}]
    run = place.ask("show", "first")
    assert (run["name"], run["project"], run["status"]) == ("first", "of acme", "finished")
    assert run["started_at"].startswith("2020-09-13T12:26:40") and run["ended_at"].startswith("2020-09-13T12:26:41")
    assert run["params"] == {"lr": 0.1} and run["notes"][0]["count"] == 3
    assert place.ask("show", "second")["status"] == "failed"
    points = place.ask("metrics", "first", "loss")
    assert [(str(point["step"]), point["value"]) for point in points] == [
        ("0", 0.5), ("0.1", -0.0), ("0.25", "Infinity"), ("1", "NaN"), ("2", 1e-300), ("2", 1e-300),
    ]  # fmt: skip
    assert "all is well" in place("verify").stdout


def test_an_import_that_is_made_again_brings_nothing_twice(place: Place) -> None:
    place.bring()
    again = place.bring()
    assert again["runs"]["known"] == 2 and again["events"] == 0
    place("sync")
    assert place.bring()["runs"]["known"] == 2  # also from the archive
    assert len(place.ask("metrics", "first", "loss")) == 6


def test_a_run_that_went_on_is_continued_with_what_is_new(place: Place) -> None:
    place.bring()
    place.tell("second", loss=[*VALUES, (3, 0.125)], end=BEGIN + 2 * 10**9, params={"lr": 0.2})
    told = place.bring()
    assert told["complete"] and told["runs"] == {"imported": 0, "continued": 1, "known": 1, "failed": 0}
    run = place.ask("show", "second")
    assert run["params"] == {"lr": 0.2} and run["status"] == "finished"
    assert run["ended_at"].startswith("2020-09-13T12:26:42")
    assert [point["value"] for point in place.ask("metrics", "second", "loss")][-1] == 0.125
    starts = [
        record.event
        for folder in journals(place.home)
        for record in Journal(folder).records()
        if isinstance(record.event, RunStarted) and record.event.name == "second"
    ]
    # A backend that gets the second part first must not put the run elsewhere.
    assert [(one.project, one.resumed) for one in starts] == [("of acme", False), ("of acme", True)]
    assert place.bring()["runs"]["known"] == 2


def test_a_run_that_cannot_be_read_leaves_nothing_and_the_others_arrive(place: Place) -> None:
    place.tell("broken", loss=[(0, 1.0), (1, "broken")])
    told = place.bring(code=1)
    assert told["runs"] == {"imported": 2, "continued": 0, "known": 0, "failed": 1}
    assert told["problems"] == [{"run": "acme:broken", "problem": "ValueError: this point is broken"}]
    assert {run["name"] for run in place.ask("ls")} == {"first", "second"}
    place.tell("broken")
    assert place.bring()["runs"] == {"imported": 1, "continued": 0, "known": 2, "failed": 0}


def test_what_an_interrupted_import_left_is_no_run(place: Place) -> None:
    (place.home / "journals" / ".20200913T122640-0-import-0123456789abcdef").mkdir(parents=True)
    assert place.bring()["complete"]
    assert len(place.ask("ls")) == 2


def test_a_store_that_differs_is_found(place: Place) -> None:
    import sqlite3

    place.bring()
    database = sqlite3.connect(place.home / "store.db")
    database.execute("delete from chunks where series_id = 1")
    database.commit()
    database.close()
    told = place.bring(code=1)
    assert not told["complete"] and "in the store" in told["problems"][0]["problem"]


def test_a_product_or_place_that_is_none_is_named(place: Place) -> None:
    done = place("import", "nothing", "here")
    assert done.returncode == 2 and "there is no importer 'nothing'; there are acme" in done.stderr
    done = place("import", "acme", "nowhere")
    assert done.returncode == 2 and "nowhere is no folder of acme" in done.stderr
    done = place("import", "acme", str(place.runs), "-o", "novalue")
    assert done.returncode == 2 and "KEY=VALUE" in done.stderr


def test_the_report_has_a_row_for_each_run(place: Place) -> None:
    report = json.loads(Path(place.bring()["report"]).read_text())
    first = report["rows"][0]
    assert (first["origin"], first["outcome"]) == ("acme:first", "imported")
    assert first["series"]["loss"]["points"] == 6 and len(first["series"]["loss"]["checksum"]) == 16
