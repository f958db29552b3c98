"""Models: MLflow 3 logged models, or run artifacts where the server has none.

Creating a logged model and linking it to its run are not safe to repeat, so both are looked up first: the model by its
run and the tag `autotrack.model`, the link among the run's outputs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Final

from autotrack.backend import BackendContext
from autotrack.events import ModelLogged
from autotrack_mlflow.artifacts import Artifacts
from autotrack_mlflow.client import Client, Refused
from autotrack_mlflow.flavors import file_and_flavors, mlmodel
from autotrack_mlflow.places import Owner, Place
from autotrack_mlflow.registry import Uploaded
from autotrack_mlflow.runs import KnownRun, Runs
from autotrack_mlflow.series import whole_step

_READY: Final = "LOGGED_MODEL_READY"
_FORBIDDEN: Final = str.maketrans(dict.fromkeys("/:.%\"'", "-"))
"""Characters that the name of a logged model may not have."""


class Models:
    """Sends the models of runs."""

    def __init__(
        self,
        client: Client,
        context: BackendContext,
        runs: Runs,
        artifacts: Artifacts,
        note: Callable[[str, str, str], None],
    ) -> None:
        self._client = client
        self._context = context
        self._runs = runs
        self._artifacts = artifacts
        self._note = note
        self._has_logged_models = True

    def send(self, known: KnownRun, event: ModelLogged) -> Uploaded | None:
        """Upload one model and say what it is; nothing happens if it is there already. None where it is not there."""
        if event.digest is None:  # the record says why nothing was kept
            return None
        what = f"model {event.name}"
        place = self._artifacts.place(event.run, what, known.owner)
        if place is None:
            return None
        if not self._context.blob(event.digest).is_file():
            self._note(event.run, what, "its file is not on this machine any more")
            return None
        if self._has_logged_models:
            try:
                return self._send_logged(known, event)
            except Refused as refusal:
                if not refusal.is_unknown_api:
                    raise
                self._has_logged_models = False
        name = _name(event) if event.step is None else f"{_name(event)}-{event.step}"
        self._upload(event, place, name + "/", known.id, name, None)
        return Uploaded(f"{known.artifact_uri}/{name}")

    def _send_logged(self, known: KnownRun, event: ModelLogged) -> Uploaded | None:
        model = self._search(known, event) or self._create(known, event)
        info = model["info"]
        model_id = info["model_id"]
        if info.get("status") != _READY:
            owner = Owner(info["artifact_uri"], "model_id", model_id)
            place = self._artifacts.place(event.run, f"model {event.name}", owner)
            if place is None:
                return None
            self._upload(event, place, "", known.id, info["artifact_uri"], model_id)
            self._client.patch(f"logged-models/{model_id}", {"model_id": model_id, "status": _READY})
        outputs = self._runs.get(known).get("outputs", {}).get("model_outputs", ())
        if all(output.get("model_id") != model_id for output in outputs):
            link = {"model_id": model_id, "step": max(0, whole_step(event.step))}
            self._client.post("runs/outputs", {"run_id": known.id, "models": [link]})
        return Uploaded(info["artifact_uri"], model_id)

    def sent(self, known: KnownRun, event: ModelLogged) -> Uploaded | None:
        """Where a model of the run with the same file is, whatever its step; None where none was sent as such."""
        if not self._has_logged_models:
            return None
        wanted = f"source_run_id = '{known.id}' AND tags.`autotrack.digest` = '{event.digest}'"
        body = {"experiment_ids": [known.experiment], "filter": wanted, "max_results": 1}
        try:
            found = self._client.post("logged-models/search", body).get("models", [])
        except Refused as refusal:
            if not refusal.is_unknown_api:
                raise
            return None
        info = found[0]["info"] if found else {}
        return Uploaded(info["artifact_uri"], info["model_id"]) if info.get("status") == _READY else None

    def _search(self, known: KnownRun, event: ModelLogged) -> dict[str, Any] | None:
        wanted = f"source_run_id = '{known.id}' AND tags.`autotrack.model` = '{_identity(event)}'"
        body = {"experiment_ids": [known.experiment], "filter": wanted, "max_results": 1}
        found = self._client.post("logged-models/search", body).get("models", [])
        return found[0] if found else None

    def _create(self, known: KnownRun, event: ModelLogged) -> dict[str, Any]:
        tags = {
            "autotrack.model": _identity(event),
            "autotrack.digest": event.digest or "",
            "autotrack.format": event.format,
            **({"autotrack.step": str(event.step)} if event.step is not None else {}),
        }
        body = {
            "experiment_id": known.experiment,
            "name": _name(event),
            "source_run_id": known.id,
            "tags": [{"key": key, "value": value} for key, value in tags.items()],
        }
        model: dict[str, Any] = self._client.post("logged-models", body)["model"]
        return model

    def _upload(
        self, event: ModelLogged, place: Place, folder: str, run_id: str, path: str, model_id: str | None
    ) -> None:
        blob = self._context.blob(event.digest or "")
        file, flavors = file_and_flavors(event, blob)
        place.upload(folder + file, blob)
        description = mlmodel(event, run_id=run_id, path=path, model_id=model_id, flavors=flavors)
        place.upload(folder + "MLmodel", description)


def _name(event: ModelLogged) -> str:
    return event.name.translate(_FORBIDDEN).strip() or "model"


def _identity(event: ModelLogged) -> str:
    text = f"{event.name}\n{event.step}\n{event.digest}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]
