"""Runs of MLflow brought in and sent to another MLflow: the same project by MLflow's own API."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "backends"))  # test modules are not a package

from mlflow_server import Journal, Lent, Server, executable, no_mlflow_settings

from autotrack.errors import UsageError
from autotrack.events import ArtifactLogged, DatasetLogged, MetricsLogged, ModelLogged, ParamsLogged, RunEnded
from autotrack.forward.catching_up import sync
from autotrack.importing import run_id
from autotrack.moving.bringing import bring_all
from autotrack.settings import load
from autotrack_mlflow.importer import Importer

__all__ = ["no_mlflow_settings"]

PROJECT = Path(__file__).parents[1] / "backends" / "mlflow_project.py"
RUNS = int(os.environ.get("AUTOTRACK_TEST_MLFLOW_RUNS", "12"))


def mlflow(*arguments: str, **more: str) -> str:
    """Run the script that has MLflow."""
    program = executable()
    assert program
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONWARNINGS": "ignore", **more}
    command = [str(Path(program).with_name("python")), str(PROJECT), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, cwd=more.get("HERE"))
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a project."""
    program = executable()
    if program is None:
        pytest.skip("needs a real MLflow: set AUTOTRACK_TEST_MLFLOW to the path of an `mlflow` executable")
    running = Server(program, tmp_path_factory.mktemp("filled"))
    running.start()
    try:
        mlflow("fill", running.url, str(RUNS))
        yield running
    finally:
        running.stop()


def comparable(runs: list[dict[str, Any]], original: bool) -> dict[str, dict[str, Any]]:
    """Runs by the id that they had at first, without what only autotrack added."""
    ids = {run["id"]: run["id"] if original else run["tags"]["autotrack.mlflow.run_id"] for run in runs}
    found = {}
    for run in runs:
        tags = {key: text for key, text in run["tags"].items() if not key.startswith("autotrack.")}
        if "mlflow.parentRunId" in tags:
            tags["mlflow.parentRunId"] = ids[tags["mlflow.parentRunId"]]
        found[ids[run["id"]]] = {**run, "id": "", "tags": tags}
    assert len(found) == len(runs)
    return found


def test_a_project_goes_to_another_server_and_is_equal_by_mlflows_own_api(
    filled: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    home = tmp_path / "home"
    settings = load({}, home=home, backends="local")
    report = bring_all("mlflow", filled.url, {}, home, settings).record()
    assert report["complete"] and report["runs"]["imported"] == RUNS
    assert [row["what"] for row in report["not_carried"]] == ["deleted runs of the experiment Größe / one"]
    again = bring_all("mlflow", filled.url, {}, home, settings).record()
    assert again["complete"] and again["runs"]["known"] == RUNS
    (tmp_path / "target").mkdir()
    target = Server(filled.program, tmp_path / "target")
    target.start()
    try:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", target.url)
        outcomes = sync(home, load(dict(os.environ), home=home, backends="local,mlflow"), ("mlflow",))
        assert all(one.complete and not one.problem for one in outcomes)
        here, there = json.loads(mlflow("tell", filled.url, target.url))
    finally:
        target.stop()
    assert len(here) == RUNS
    expected, found = comparable(here, True), comparable(there, False)
    for key, run in expected.items():
        assert found[key] == run
    assert set(found) == set(expected)


def events_of(place: str, **options: str) -> dict[str, list[Any]]:
    """All events of all runs, by the origin's id."""

    class Kept:
        def keep(self, source: Any) -> tuple[str, int]:
            content = source if isinstance(source, bytes) else source.read_bytes()
            return content.hex(), len(content)

        def not_carried(self, what: str, why: str, count: int = 1) -> None:
            lost.append(what)

    lost: list[str] = []
    found = {foreign.origin: list(foreign.events(Kept())) for foreign in Importer().runs(place, options)}
    return {**found, "lost": lost}


def same(events: list[Any]) -> list[str]:
    """Events as text, since NaN equals nothing; without the address that only a server has."""
    return [repr(event) for event in events if "autotrack.mlflow.run_id" not in repr(event)]


def test_the_servers_own_database_tells_the_same(filled: Server):
    by_server = events_of(filled.url)
    by_tables = events_of(f"sqlite:///{filled.folder}/mlflow.db", artifacts=str(filled.folder / "artifacts"))
    assert set(by_server) == set(by_tables)
    for origin, events in by_server.items():
        if origin != "lost":
            assert same(by_tables[origin]) == same(events)
    assert by_server["lost"] == by_tables["lost"]


def test_a_folder_mlruns_tells_its_runs(filled: Server, tmp_path: Path):
    pytest.importorskip("yaml")
    folder = tmp_path / "mlruns"
    (told,) = json.loads(mlflow("both", folder.as_uri(), "4", MLFLOW_ALLOW_FILE_STORE="true", HERE=str(tmp_path)))
    found = events_of(str(tmp_path))
    lost = found.pop("lost")
    assert len(found) == 4 and lost == ["deleted runs of the experiment Größe / one"]
    for run in told:
        events = found[f"mlflow:{run['id']}"]
        start, params, tags, *_ = events
        assert (start.run, start.name, start.project) == (run_id(f"mlflow:{run['id']}"), run["name"], run["experiment"])
        assert start.time == run["start"] * 1_000_000
        assert params.params == run["params"]
        assert tags.tags["line"] == run["tags"]["line"]
        points = sorted(
            [event.time // 1_000_000, event.step, repr(event.values["loss"])]
            for event in events
            if "loss" in getattr(event, "values", {})
        )
        assert points == run["metrics"]["loss"]
        files = {event.name: event.digest for event in events if type(event).__name__ == "ArtifactLogged"}
        assert files == run["artifacts"]
        inputs = sorted((e.name, e.record["digest"]) for e in events if type(e).__name__ == "DatasetLogged")
        assert inputs == [(name, digest) for name, digest, *_ in run["datasets"]]


def test_one_experiment_can_be_asked_for_and_deleted_runs_too(filled: Server):
    second = events_of(filled.url, experiment="second")
    assert len(second) - 1 == RUNS // 7
    everything = events_of(filled.url, experiment="Größe / one", deleted="keep")
    assert len(everything) - 1 == RUNS - RUNS // 7 + 1 and everything["lost"] == []


def test_places_and_options_that_mean_nothing_are_refused(tmp_path: Path):
    with pytest.raises(UsageError, match="no server's address"):
        events_of(str(tmp_path / "none"))
    with pytest.raises(UsageError, match="no experiment with"):
        events_of(str(tmp_path))
    (tmp_path / "other.db").write_bytes(b"this is no database at all, but a text")
    with pytest.raises(UsageError, match="cannot be read as a database"):
        events_of(str(tmp_path / "other.db"))
    with pytest.raises(UsageError, match="no option 'colour'"):
        events_of(str(tmp_path), colour="red")


def test_an_experiment_that_is_not_there_is_refused(filled: Server):
    with pytest.raises(UsageError, match="no experiment 'third'"):
        events_of(filled.url, experiment="third")


def test_a_run_that_autotrack_had_sent_there_comes_back_as_what_it_was(
    filled: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    lent = Lent(tmp_path / "home")
    backend = lent.backend(filled.url, monkeypatch)
    journal = Journal(project="sent")
    journal.start("sent by autotrack")
    journal.add(ParamsLogged, {"lr": 0.5, "depth": 3})
    journal.add(ParamsLogged, {"lr": 0.25})
    journal.add(MetricsLogged, 2, {"loss": 0.5})
    record = {"value": "x1:" + "a" * 32, "n_rows": 10, "columns": [{"name": "age", "type": "int64"}], "source": "a.csv"}
    journal.add(DatasetLogged, "train", "customers", record)
    journal.add(ModelLogged, "clf", "safetensors", lent.keep(b"weights"), 7, 4)
    error = {"type": "ValueError", "message": "bad: 1", "traceback": "Traceback: bad"}
    journal.add(RunEnded, "pruned", error)
    backend.deliver(journal.records)
    backend.close()
    (events,) = (told for origin, told in events_of(filled.url, experiment="sent").items() if origin != "lost")
    assert {
        key: value for event in events if isinstance(event, ParamsLogged) for key, value in event.params.items()
    } == {
        "lr": "0.25",
        "depth": "3",
    }
    (dataset,) = (event for event in events if isinstance(event, DatasetLogged))
    assert (dataset.role, dataset.name) == ("train", "customers")
    assert {key: dataset.record[key] for key in record} == record
    (model,) = (event for event in events if isinstance(event, ModelLogged))
    assert (model.name, model.format, model.digest, model.step) == ("clf", "safetensors", b"weights".hex(), 4)
    assert (events[-1].status, events[-1].error) == ("pruned", error)
    assert not [event.name for event in events if isinstance(event, ArtifactLogged)]
