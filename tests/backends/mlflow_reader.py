"""Run by the interpreter that has MLflow: answers questions about a server with MLflow's own client, as JSON.

Usage: `python mlflow_reader.py URI`, then one JSON list `[question, argument…]` a line on standard input.
"""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path
from typing import Any

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


def walk(client: MlflowClient, run_id: str, path: str) -> list[str]:
    """All files of a run."""
    files: list[str] = []
    for item in client.list_artifacts(run_id, path or None):
        files += walk(client, run_id, item.path) if item.is_dir else [item.path]
    return sorted(files)


def artifact(client: MlflowClient, run_id: str, path: str) -> str:
    """A file's bytes, in hexadecimal."""
    return Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=path)).read_bytes().hex()


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
    loads = {
        "sklearn": mlflow.sklearn.load_model,
        "lightgbm": mlflow.lightgbm.load_model,
        "catboost": mlflow.catboost.load_model,
        "keras": mlflow.keras.load_model,
        "function": mlflow.pyfunc.load_model,
    }
    return [float(value) for value in numpy.ravel(loads[flavor](uri).predict(rows))]


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


def delete_experiment(client: MlflowClient, name: str) -> None:
    """Delete an experiment as a user would."""
    client.delete_experiment(client.get_experiment_by_name(name).experiment_id)


def main() -> None:
    """Answer the questions on standard input, one JSON list a line, with one JSON object a line."""
    uri = sys.argv[1]
    answers, sys.stdout = sys.stdout, sys.stderr  # MLflow prints links to runs
    mlflow.set_tracking_uri(uri)
    client = MlflowClient(uri)
    known = {item.__name__: item for item in (runs, artifact, models, predict, train, delete_experiment)}
    for line in sys.stdin:
        question, *arguments = json.loads(line)
        try:
            answer = {"answer": known[question](client, *arguments)}
        except Exception:
            answer = {"problem": traceback.format_exc()}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
