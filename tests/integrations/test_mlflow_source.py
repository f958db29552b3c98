"""What a script tells MLflow becomes a run, compared with what MLflow itself has of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

mlflow = pytest.importorskip("mlflow")

import autotrack  # noqa: E402
import autotrack_mlflow  # noqa: E402
from autotrack.events import RunStarted  # noqa: E402
from autotrack.journal.reader import Journal, journals  # noqa: E402
from autotrack.plugins import plugins  # noqa: E402
from autotrack.testing import Recorded, recording  # noqa: E402

plugins.load()
if "mlflow" not in plugins.integrations:
    plugins.register(autotrack_mlflow, "mlflow")


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A database without runs: making its tables takes longest."""
    folder = tmp_path_factory.mktemp("mlflow")
    with contextlib.chdir(folder):  # where files of its first experiment will go
        mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db").search_experiments()
    return (folder / "mlflow.db").read_bytes()


@pytest.fixture(autouse=True)
def tracked(tmp_path: Path, empty: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """MLflow writes into a database of the test's own."""
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mlflow.db").write_bytes(empty)
    monkeypatch.delenv("MLFLOW_EXPERIMENT_ID", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setattr(mlflow.tracking.fluent, "_active_experiment_id", None)  # what other tests have chosen
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    yield
    while mlflow.active_run():
        mlflow.end_run()
    mlflow.set_tracking_uri(None)


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[Recorded]:
    with recording(tmp_path / "home", "mlflow") as recorded:
        yield recorded


def starts(recorded: Recorded) -> dict[str, RunStarted]:
    events = [record.event for folder in journals(recorded.home) for record in Journal(folder).records()]
    return {event.run: event for event in events if isinstance(event, RunStarted) and not event.resumed}


def test_the_fluent_calls_are_one_run_that_mlflow_does_not_get_twice(recorded: Recorded, tmp_path: Path):
    (tmp_path / "report.txt").write_text("report")
    with mlflow.start_run(run_name="first", tags={"team": "risk"}) as theirs:
        mlflow.log_param("lr", 0.5)
        mlflow.log_params({"depth": 3, "name": "adam"})
        for step in range(3):
            mlflow.log_metric("loss", 1 / (step + 1), step=step)
            mlflow.log_metrics({"a": float(step), "b": 2.0}, step=step)
        mlflow.set_tag("line", "first\nsecond")
        mlflow.log_artifact("report.txt", "files")
        mlflow.log_text("text", "notes/a.txt")
        mlflow.log_dict({"a": 1}, "a.json")
    (run,) = recorded.runs()
    assert (run.name, run.integration, run.status, run.ends) == ("first", "mlflow", "finished", 1)
    assert starts(recorded)[run.id].not_to == ["mlflow"]
    assert run.params == {"lr": 0.5, "depth": "3", "name": "adam"}  # of several at once MLflow makes texts
    assert run.metrics == {
        "loss": [(step, 1 / (step + 1)) for step in range(3)],
        "a": [(step, float(step)) for step in range(3)],
        "b": [(step, 2.0) for step in range(3)],
    }
    assert run.tags["team"] == "risk" and run.tags["line"] == "first\nsecond"
    assert run.tags["mlflow.run_id"] == theirs.info.run_id
    files = {name: recorded.content(event) for name, event in run.artifacts.items()}
    assert files["files/report.txt"] == b"report" and files["notes/a.txt"] == b"text" and b'"a"' in files["a.json"]
    assert mlflow.get_run(theirs.info.run_id).data.metrics["loss"] == pytest.approx(1 / 3)


def test_nested_runs_and_an_exception(recorded: Recorded):
    with pytest.raises(ValueError, match="broke"), mlflow.start_run(run_name="outer"):  # noqa: PT012
        mlflow.log_metric("m", 1.0)
        with mlflow.start_run(run_name="inner", nested=True):
            mlflow.log_metric("m", 2.0)
        raise ValueError("broke")
    outer, inner = recorded.runs()
    assert inner.parent == outer.id and outer.parent is None
    assert outer.metrics == {"m": [(0, 1.0)]} and inner.metrics == {"m": [(0, 2.0)]}
    assert (outer.status, inner.status) == ("failed", "finished")
    assert outer.error is not None and outer.error["message"] == "broke"


def test_the_clients_calls_are_recorded_and_another_run_beside_is_another(recorded: Recorded):
    client = mlflow.MlflowClient()
    one, two = (client.create_run("0", run_name=name).info.run_id for name in ("one", "two"))
    client.log_batch(
        one,
        [mlflow.entities.Metric("m", value, 1_000, step) for value, step in ((1.0, 0), (2.0, 1), (3.0, 1))],
        [mlflow.entities.Param("p", "x")],
        [mlflow.entities.RunTag("t", "y")],
    )
    client.log_metric(two, "m", 5.0)
    client.set_terminated(one, "KILLED")
    client.set_terminated(two)
    client.log_metric(two, "late", 1.0, step=3)
    first, second = recorded.runs()
    assert first.metrics["m"] == [(0, 1.0), (1, 2.0), (1, 3.0)] and first.params == {"p": "x"}
    assert first.tags["t"] == "y" and first.status == "killed"
    assert second.metrics == {"m": [(0, 5.0)], "late": [(3, 1.0)]}
    assert first.parent is None and second.parent is None


def test_inside_a_run_of_the_users_it_adds_to_that(recorded: Recorded):
    with autotrack.start_run("mine") as mine:
        with mlflow.start_run():
            mlflow.log_metric("loss", 1.0)
        mine.log_metrics({"other": 2.0}, step=0)
    (run,) = recorded.runs()
    assert run.metrics == {"loss": [(0, 1.0)], "other": [(0, 2.0)]} and run.status == "finished"


def test_autologging_of_a_recorded_training_is_not_doubled(tmp_path: Path):
    sklearn = pytest.importorskip("sklearn.linear_model")
    with recording(tmp_path / "home", "sklearn", "mlflow") as recorded:
        mlflow.sklearn.autolog(log_models=False, silent=True)
        try:
            sklearn.LinearRegression().fit([[1.0], [2.0], [3.0]], [1.0, 2.0, 3.0])
            with mlflow.start_run(run_name="own"):
                mlflow.log_metric("mine", 1.0)
                sklearn.LinearRegression().fit([[1.0], [2.0], [3.0]], [1.0, 2.0, 3.0])
        finally:
            mlflow.sklearn.autolog(disable=True)
        alone, own = recorded.runs()
    assert alone.integration == "sklearn" and own.integration == "mlflow"
    assert own.metrics["mine"] == [(0, 1.0)]
    for run in (alone, own):
        assert not any(key.startswith("training_") for key in run.metrics), run.metrics
        assert [key for key in run.params if "fit_intercept" in key] == ["fit_intercept"], run.params


def test_without_being_named_nothing_is_recorded(tmp_path: Path):
    with recording(tmp_path / "home") as recorded:
        with mlflow.start_run():
            mlflow.log_metric("loss", 1.0)
        assert recorded.runs() == []
