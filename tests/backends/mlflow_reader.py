"""Run by the interpreter that has MLflow: answers questions about a server with MLflow's own client, as JSON.

Usage: `python mlflow_reader.py URI`, then one JSON list `[question, argument…]` a line on standard input.
"""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import mlflow
from mlflow import MlflowClient
from mlflow.entities import ViewType


def runs(client: MlflowClient, ours: str) -> list[dict[str, Any]]:
    """Every run of every experiment with this id of ours, whole."""
    found = []
    for experiment in client.search_experiments(ViewType.ALL):
        for run in client.search_runs([experiment.experiment_id], f"tags.`autotrack.run_id` = '{ours}'"):
            keys = list(run.data.metrics)
            history = {key: client.get_metric_history(run.info.run_id, key) for key in keys}
            found.append(
                {
                    "id": run.info.run_id,
                    "experiment": experiment.name,
                    "name": run.info.run_name,
                    "status": run.info.status,
                    "start": run.info.start_time,
                    "end": run.info.end_time,
                    "params": run.data.params,
                    "tags": run.data.tags,
                    "metrics": {
                        key: sorted([[item.step, item.timestamp, repr(item.value)] for item in points])
                        for key, points in history.items()
                    },
                    "datasets": [
                        {
                            "name": item.dataset.name,
                            "digest": item.dataset.digest,
                            "schema": item.dataset.schema,
                            "profile": item.dataset.profile,
                            "source": type(mlflow.data.get_source(item.dataset)).__name__,
                            "tags": {tag.key: tag.value for tag in item.tags},
                        }
                        for item in run.inputs.dataset_inputs
                    ],
                    "models": [[item.model_id, item.step] for item in run.outputs.model_outputs],
                    "artifacts": walk(client, run.info.run_id, ""),
                }
            )
    return found


def everything(client: MlflowClient, database: str, folder: str) -> list[dict[str, Any]]:
    """Every run with all that it has, read by MLflow from the database and folder of the server itself: faster."""
    inside = MlflowClient(database)
    experiments = [item.experiment_id for item in inside.search_experiments(ViewType.ALL)]
    logged: dict[str, dict[str, str]] = {}
    for model in inside.search_logged_models(experiments, max_results=1000):
        logged.setdefault(model.source_run_id or "", {})[model.name] = _weights(_local(model.artifact_location, folder))
    found = []
    for run in inside.search_runs(experiments, max_results=10_000):
        place = _local(run.info.artifact_uri, folder)
        descriptions = sorted(place.rglob("MLmodel")) if place.exists() else []
        named = [(json.loads(one.read_text())["metadata"]["autotrack.name"], one.parent) for one in descriptions]
        models = {name: _weights(folder_of_it) for name, folder_of_it in named}
        of_models = {one.parent for one in descriptions}
        files = [path for path in place.rglob("*") if path.is_file() and path.parent not in of_models]
        found.append(
            {
                "name": run.info.run_name,
                "status": run.info.status,
                "params": run.data.params,
                "tags": run.data.tags,
                "metrics": {
                    key: [
                        [item.step, item.timestamp, item.value]
                        for item in inside.get_metric_history(run.info.run_id, key)
                    ]
                    for key in run.data.metrics
                },
                "datasets": [
                    [next(tag.value for tag in item.tags if tag.key == "mlflow.data.context"), item.dataset.name]
                    for item in run.inputs.dataset_inputs
                ],
                "models": {**models, **logged.get(run.info.run_id, {})},
                "artifacts": {str(path.relative_to(place)): path.read_bytes().hex() for path in files},
            }
        )
    return found


def _local(uri: str, folder: str) -> Path:
    return Path(folder, urlsplit(uri).path.lstrip("/"))


def _weights(folder: Path) -> str:
    (file,) = [path for path in folder.iterdir() if path.name != "MLmodel"]
    return file.read_bytes().hex()


def versions(client: MlflowClient, name: str, database: str = "") -> dict[str, Any]:
    """The versions of a registered model, oldest first, and its aliases; read from a database, if that is given."""
    client = MlflowClient(database) if database else client
    found = sorted(client.search_model_versions(f"name = '{name}'"), key=lambda version: int(version.version))
    return {
        "aliases": {key: str(value) for key, value in client.get_registered_model(name).aliases.items()},
        "versions": [
            {"version": int(one.version), "run": one.run_id, "source": one.source, "tags": one.tags} for one in found
        ],
    }


def set_alias(client: MlflowClient, name: str, alias: str, version: str) -> None:
    """Move an alias as a user would."""
    client.set_registered_model_alias(name, alias, version)


def walk(client: MlflowClient, run_id: str, path: str) -> list[str]:
    """All files of a run."""
    files: list[str] = []
    for item in client.list_artifacts(run_id, path or None):
        files += walk(client, run_id, item.path) if item.is_dir else [item.path]
    return sorted(files)


def artifact(client: MlflowClient, run_id: str, path: str) -> str:
    """A file's bytes, in hexadecimal."""
    return Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=path)).read_bytes().hex()


def model_file(client: MlflowClient, model_id: str, path: str) -> str:
    """A file of a logged model, in hexadecimal."""
    return Path(mlflow.artifacts.download_artifacts(f"models:/{model_id}"), path).read_bytes().hex()


def models(client: MlflowClient) -> list[dict[str, Any]]:
    """Every logged model."""
    experiments = [item.experiment_id for item in client.search_experiments()]
    return [
        {"id": item.model_id, "name": item.name, "status": str(item.status), "run": item.source_run_id}
        for item in client.search_logged_models(experiments)
    ]


def predict(client: MlflowClient, flavor: str, uri: str) -> list[float]:
    """What a loaded model says about rows of two columns."""
    import numpy

    rows = numpy.arange(20, dtype=float).reshape(10, 2)
    if flavor == "xgboost":
        import xgboost

        model = mlflow.xgboost.load_model(uri)
        return [float(value) for value in model.predict(xgboost.DMatrix(rows))]
    if flavor == "xgboost.sklearn":
        return [float(value) for value in mlflow.xgboost.load_model(uri).predict(rows)]
    kind = getattr(mlflow, "pyfunc" if flavor == "function" else flavor)  # imports the library, which need not be here
    return [float(value) for value in numpy.ravel(kind.load_model(uri).predict(rows))]


def train(client: MlflowClient, flavor: str, path: str) -> list[float]:
    """Train a small model, save it as autotrack would, and tell its predictions."""
    import numpy

    rows = numpy.arange(20, dtype=float).reshape(10, 2)
    target = rows[:, 0] * 2 + 1
    if flavor == "xgboost":
        import xgboost

        booster = xgboost.train({"max_depth": 2}, xgboost.DMatrix(rows, target), 4)
        Path(path).write_bytes(booster.save_raw("ubj"))
        return [float(value) for value in booster.predict(xgboost.DMatrix(rows))]
    if flavor == "xgboost.sklearn":
        import xgboost

        classifier = xgboost.XGBClassifier(n_estimators=3, max_depth=2).fit(rows, target > 12)
        Path(path).write_bytes(classifier.get_booster().save_raw("ubj"))
        return [float(value) for value in classifier.predict(rows)]
    if flavor == "lightgbm":
        import lightgbm

        grown = lightgbm.train({"min_data_in_leaf": 1, "verbose": -1}, lightgbm.Dataset(rows, target), 4)
        Path(path).write_text(grown.model_to_string())
        return [float(value) for value in grown.predict(rows)]
    if flavor == "catboost":
        import catboost

        boosted = catboost.CatBoostRegressor(iterations=4, silent=True, allow_writing_files=False).fit(rows, target)
        boosted.save_model(path, format="cbm")
        return [float(value) for value in boosted.predict(rows)]
    if flavor == "keras":
        import keras

        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, activation="relu"), keras.layers.Dense(1)])
        model.save(path + ".keras")
        Path(path + ".keras").rename(path)
        return [float(value) for value in model.predict(rows, verbose=0).ravel()]
    import skops.io
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    fitted = make_pipeline(StandardScaler(), RandomForestRegressor(5, random_state=0)).fit(rows, target)
    skops.io.dump(fitted, path)
    return [float(value) for value in fitted.predict(rows)]


def system_metrics(client: MlflowClient, run_id: str) -> list[str]:
    """The names that MLflow takes for metrics of the system: those with the prefix of its own monitor."""
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    prefix = SystemMetricsMonitor(run_id)._metrics_prefix
    return sorted(key for key in client.get_run(run_id).data.metrics if key.startswith(prefix))


def version(client: MlflowClient) -> str:
    """Of MLflow."""
    return str(mlflow.__version__)


def delete_experiment(client: MlflowClient, name: str) -> None:
    """Delete an experiment as a user would."""
    client.delete_experiment(client.get_experiment_by_name(name).experiment_id)


QUESTIONS = (
    runs,
    everything,
    artifact,
    model_file,
    models,
    versions,
    set_alias,
    system_metrics,
    version,
    predict,
    train,
    delete_experiment,
)


def main() -> None:
    """Answer the questions on standard input, one JSON list a line, with one JSON object a line."""
    uri = sys.argv[1]
    answers, sys.stdout = sys.stdout, sys.stderr  # MLflow prints links to runs
    mlflow.set_tracking_uri(uri)
    client = MlflowClient(uri)
    known = {item.__name__: item for item in QUESTIONS}
    for line in sys.stdin:
        question, *arguments = json.loads(line)
        try:
            answer = {"answer": known[question](client, *arguments)}
        except Exception:
            answer = {"problem": traceback.format_exc()}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
