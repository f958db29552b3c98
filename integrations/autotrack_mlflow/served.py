"""Experiments and runs of a tracking server, asked by its REST API (MLflow 2.0 and later)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

from autotrack import remote
from autotrack.remote import Address, Remote
from autotrack_mlflow.client import Client, Refused
from autotrack_mlflow.found import Experiment, File, FoundInput, FoundModel, FoundRun, Point

RUNS_PER_PAGE, POINTS_PER_PAGE = 500, 25_000
_SECONDS: Final = 300.0
"""For a file, which the server may have to fetch from somewhere else first."""


class Served:
    """One server."""

    def __init__(self, address: Address) -> None:
        self._client = Client(address)
        self._remote = Remote(address)
        self._address = address

    def experiments(self) -> Iterator[Experiment]:
        """All that are not deleted."""
        body = {"view_type": "ACTIVE_ONLY", "max_results": 1000}
        for found in self._pages("experiments/search", body, "experiments"):
            experiment = Experiment(str(found["experiment_id"]), found["name"], _pairs(found.get("tags")))
            search = {"experiment_ids": [experiment.id], "run_view_type": "DELETED_ONLY", "max_results": RUNS_PER_PAGE}
            experiment.deleted_runs = sum(1 for _ in self._pages("runs/search", search, "runs"))
            yield experiment

    def runs(self, experiment: Experiment, deleted: bool) -> Iterator[tuple[str, str, Callable[[], FoundRun]]]:
        """Its runs, oldest first."""
        body = {
            "experiment_ids": [experiment.id],
            "run_view_type": "ALL" if deleted else "ACTIVE_ONLY",
            "max_results": RUNS_PER_PAGE,
            "order_by": ["attributes.start_time ASC"],
        }
        for found in self._pages("runs/search", body, "runs"):
            info = found["info"]
            yield info["run_id"], info.get("run_name", ""), partial(self._read, info["run_id"], experiment)

    def _read(self, run_id: str, experiment: Experiment) -> FoundRun:
        run = self._client.get("runs/get", run_id=run_id)["run"]
        info, data = run["info"], run.get("data", {})
        ended = int(info.get("end_time") or 0)
        return FoundRun(
            id=run_id,
            name=info.get("run_name", ""),
            experiment=experiment.name,
            experiment_id=experiment.id,
            status=info.get("status", ""),
            started=int(info.get("start_time") or 0),
            ended=ended or None,
            params=_pairs(data.get("params")),
            tags=_pairs(data.get("tags")),
            inputs=[
                FoundInput(item["dataset"], _pairs(item.get("tags")))
                for item in run.get("inputs", {}).get("dataset_inputs", ())
            ],
            series=partial(self._series, run_id, [item["key"] for item in data.get("metrics", ())]),
            files=partial(self._files, run_id, info.get("artifact_uri", ""), ""),
            models=partial(self._models, run.get("outputs", {}).get("model_outputs", ())),
            user=info.get("user_id", ""),
            address=f"{self._address.shown}/#/experiments/{experiment.id}/runs/{run_id}",
        )

    def _series(self, run_id: str, keys: list[str]) -> Iterator[tuple[str, list[Point]]]:
        for key in sorted(keys):
            query = {"run_id": run_id, "metric_key": key, "max_results": str(POINTS_PER_PAGE)}
            yield key, [_point(item) for item in self._asked("metrics/get-history", query, "metrics")]

    def _files(self, run_id: str, uri: str, folder: str) -> Iterator[File]:
        query = {"run_id": run_id, **({"path": folder} if folder else {})}
        for item in self._asked("artifacts/list", query, "files"):
            if item.get("is_dir"):
                yield from self._files(run_id, uri, item["path"])
            else:
                yield item["path"], self._download(uri, item["path"], {"run_id": run_id})

    def _models(self, outputs: list[dict[str, Any]]) -> list[FoundModel]:
        found = []
        for output in outputs:
            try:
                model = self._client.get(f"logged-models/{output['model_id']}")["model"]
            except Refused as refusal:
                if refusal.is_unknown_api or refusal.is_missing:
                    continue
                raise
            info = model["info"]
            files = partial(self._model_files, info["model_id"], info.get("artifact_uri", ""), "")
            step = int(output.get("step", 0))
            found.append(FoundModel(info["model_id"], info.get("name", ""), step, _pairs(info.get("tags")), files))
        return found

    def _model_files(self, model_id: str, uri: str, folder: str) -> Iterator[File]:
        query = {"artifact_directory_path": folder} if folder else {}
        for item in self._asked(f"logged-models/{model_id}/artifacts/directories", query, "files"):
            if item.get("is_dir"):
                yield from self._model_files(model_id, uri, item["path"])
            else:
                yield item["path"], self._download(uri, item["path"], None)

    def _download(self, uri: str, path: str, owner: Mapping[str, str] | None) -> bytes | None:
        parts = urlsplit(uri)
        if parts.scheme == "mlflow-artifacts" and not parts.netloc:
            return self._client.download(f"{parts.path.strip('/')}/{path}")
        if owner is None:
            return None
        try:  # the way by which the server's own pages show a file, wherever it keeps it
            answer = self._remote.send("GET", "/get-artifact", params={**owner, "path": path}, seconds=_SECONDS)
        except remote.Refused:
            return None
        return answer.content

    def _pages(self, path: str, body: dict[str, Any], field: str) -> Iterator[dict[str, Any]]:
        token = None
        while True:
            answer = self._client.post(path, {**body, **({"page_token": token} if token else {})})
            yield from answer.get(field, ())
            token = answer.get("next_page_token")
            if not token:
                return

    def _asked(self, path: str, query: dict[str, str], field: str) -> Iterator[dict[str, Any]]:
        token = None
        while True:
            answer = self._client.get(path, **query, **({"page_token": token} if token else {}))
            yield from answer.get(field, ())
            token = answer.get("next_page_token")
            if not token:
                return


def _pairs(items: Any) -> dict[str, str]:
    return {item["key"]: item.get("value", "") for item in items or ()}


def _point(item: dict[str, Any]) -> Point:
    return int(item.get("timestamp") or 0), int(item.get("step") or 0), float(item.get("value") or 0)
