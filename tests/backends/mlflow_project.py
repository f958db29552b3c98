"""Run by the interpreter that has MLflow: fills a tracking server with a project, or tells all that one holds, as JSON.

Usage: `python mlflow_project.py fill URI RUNS`, `… tell URI…` or `… both URI RUNS`. One process does all that it can:
importing MLflow takes longest.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag, ViewType

BEGIN = 1_700_000_000_123


def fill(uri: str, count: int) -> None:
    """Runs of every kind, in two experiments."""
    import numpy
    from mlflow.data.numpy_dataset import from_numpy

    client = MlflowClient(uri)
    mlflow.set_tracking_uri(uri)
    experiments = [client.create_experiment(name) for name in ("Größe / one", "second")]
    parent = ""
    for number in range(count):
        began = BEGIN + number * 1000
        tags = {"mlflow.parentRunId": parent} if number % 5 == 3 or number == 6 else {}  # 6: in another experiment
        if number % 2:
            tags |= {"mlflow.source.name": "train.py", "mlflow.source.type": "LOCAL", "mlflow.user": "ada"}
        name = f"run {number}" if number % 4 else "the same name"
        experiment = experiments[number % 7 == 6]
        run_id = client.create_run(experiment, began, tags, name).info.run_id
        parent = parent or run_id
        points = [
            Metric(key, unit / (step + 1), began + step * 7, step)
            for key, unit in (("loss", 1.0), ("val/loss", 1 / 3))
            for step in range(20)
        ]
        points += [Metric("loss", 0.25, began + 999, 3), Metric("late", 1e-300, began + 5, -3)]
        points += [Metric("odd", value, began + at, at) for at, value in enumerate((float("nan"), float("inf"), 2.5))]
        params = [Param("lr", "0.1"), Param("empty", ""), Param("model.depth", str(number)), Param("long", "x" * 6000)]
        labels = [RunTag("team", "risk"), RunTag("line", "first\nsecond ü"), RunTag("mlflow.note.content", "# note")]
        client.log_batch(run_id, points, params, labels)
        if number % 3 == 0:
            client.log_text(run_id, f"text of {number}", "notes/a b.txt")
            client.log_text(run_id, "", "empty.txt")
        status = ("FINISHED", "FAILED", "KILLED", "RUNNING")[number % 4]
        if status != "RUNNING":  # the others end with the block, and are given another end then
            with mlflow.start_run(run_id):
                mlflow.log_input(from_numpy(numpy.arange(4.0) + number, name="rows"), context="training")
                mlflow.log_input(from_numpy(numpy.arange(3.0) + number, name="held out"))
            client.set_terminated(run_id, status, began + 5000)
    gone = client.create_run(experiments[0], BEGIN, run_name="deleted")
    client.delete_run(gone.info.run_id)


def tell(uri: str) -> list[dict[str, Any]]:
    """Everything of every run that is not deleted."""
    client = MlflowClient(uri)
    mlflow.set_tracking_uri(uri)
    found = []
    for experiment in client.search_experiments(ViewType.ACTIVE_ONLY):
        token = None
        while True:
            page = client.search_runs([experiment.experiment_id], max_results=100, page_token=token)
            found += [_run(client, experiment.name, run) for run in page]
            token = page.token
            if not token:
                break
    return found


def _run(client: MlflowClient, experiment: str, run: Any) -> dict[str, Any]:
    history = {key: client.get_metric_history(run.info.run_id, key) for key in run.data.metrics}
    return {
        "id": run.info.run_id,
        "experiment": experiment,
        "name": run.info.run_name,
        "status": run.info.status,
        "start": run.info.start_time,
        "end": run.info.end_time,
        "params": run.data.params,
        "tags": run.data.tags,
        "latest": {key: repr(value) for key, value in run.data.metrics.items()},
        "metrics": {
            key: sorted([item.timestamp, item.step, repr(item.value)] for item in points)
            for key, points in history.items()
        },
        "datasets": sorted(
            [
                *(item.dataset.name, item.dataset.digest, item.dataset.source_type, item.dataset.source),
                *(item.dataset.schema, item.dataset.profile, sorted([tag.key, tag.value] for tag in item.tags)),
            ]
            for item in run.inputs.dataset_inputs
        ),
        "artifacts": {path: _bytes(run.info.run_id, path) for path in _walk(client, run.info.run_id, "")},
    }


def _walk(client: MlflowClient, run_id: str, path: str) -> list[str]:
    files: list[str] = []
    for item in client.list_artifacts(run_id, path or None):
        files += _walk(client, run_id, item.path) if item.is_dir else [item.path]
    return sorted(files)


def _bytes(run_id: str, path: str) -> str:
    return Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=path)).read_bytes().hex()


if __name__ == "__main__":
    question, *uris = sys.argv[1:]
    answers, sys.stdout = sys.stdout, sys.stderr  # MLflow prints links to runs
    if question in ("fill", "both"):
        fill(uris[0], int(uris.pop()))
    if question in ("tell", "both"):
        print(json.dumps([tell(uri) for uri in uris]), file=answers)
