"""The registry: the next version of a registered model for each model that was logged with `register=`.

Creating a version is not safe to repeat, so each carries the event that it came from in the tag `autotrack.version`
and is looked up by that. Aliases are set once, which a second tag tells: one that somebody has moved since stays moved.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from autotrack.events import ModelLogged
from autotrack_mlflow.address import TRACKING_URI, is_databricks
from autotrack_mlflow.client import Client, Refused
from autotrack_mlflow.runs import RUN_ID, KnownRun

VERSION_TAG: Final = "autotrack.version"
ALIASED_TAG: Final = "autotrack.aliases"

_FORBIDDEN: Final = str.maketrans(dict.fromkeys("/:\"'", "-"))
"""Characters that the name of a registered model may not have, or that its filters cannot quote."""


@dataclass(frozen=True)
class Uploaded:
    """Where the files of a model are on the server."""

    source: str
    model_id: str | None = None


class Registry:
    """Registers the models of runs. `event_id` below is the writer and sequence of the event."""

    def __init__(
        self, client: Client, note: Callable[[str, str, str], None], environ: Mapping[str, str] = os.environ
    ) -> None:
        self._client = client
        self._note = note
        self._elsewhere = _elsewhere(environ)
        self._unity = is_databricks(environ.get(TRACKING_URI, "").strip())

    def register(self, known: KnownRun, event_id: str, event: ModelLogged, uploaded: Uploaded | None) -> None:
        """Create the version that `event` asks for, unless it is there, and point its aliases to it."""
        if not event.register:
            return
        name = event.register.translate(_FORBIDDEN)
        what = f"registered model {event.register}"
        why = self._obstacle(name, uploaded)
        if why or uploaded is None:
            self._note(event.run, what, why)
            return
        if name != event.register:
            self._note(event.run, what, f"MLflow does not take this name; it is {name}")
        try:
            version = self._find(known, name, event_id) or self._create(known, name, event_id, event, uploaded)
        except Refused as refusal:
            if not refusal.is_unknown_api:
                raise
            self._note(event.run, what, "the server has no registry of models")
            return
        if event.aliases and ALIASED_TAG not in _tags(version):
            self._alias(event, name, str(version["version"]))

    def _obstacle(self, name: str, uploaded: Uploaded | None) -> str:
        if uploaded is None:
            return "not registered: its files are not there"
        if self._elsewhere:
            return f"not registered: {self._elsewhere}"
        if self._unity and name.count(".") == 2:
            return "not registered: it is a name of Unity Catalog, which has another API"
        return ""

    def _find(self, known: KnownRun, name: str, event_id: str) -> dict[str, Any] | None:
        try:
            return self._search(f"name = '{name}' AND run_id = '{known.id}'", event_id)
        except Refused as refusal:
            if refusal.status != 400:
                raise
        return self._search(f"name = '{name}'", event_id)  # a server that filters by names alone

    def _search(self, wanted: str, event_id: str) -> dict[str, Any] | None:
        token = ""
        while True:
            answer = self._client.get("model-versions/search", filter=wanted, max_results="200", page_token=token)
            for version in answer.get("model_versions", ()):
                if _tags(version).get(VERSION_TAG) == event_id:
                    found: dict[str, Any] = version
                    return found
            token = answer.get("next_page_token", "")
            if not token:
                return None

    def _create(
        self, known: KnownRun, name: str, event_id: str, event: ModelLogged, uploaded: Uploaded
    ) -> dict[str, Any]:
        try:
            self._client.post("registered-models/create", {"name": name})
        except Refused as refusal:
            if refusal.status != 409 and not refusal.code.endswith("ALREADY_EXISTS"):
                raise
        tags = {VERSION_TAG: event_id, RUN_ID: event.run, "autotrack.digest": event.digest or ""}
        body = {
            "name": name,
            "source": uploaded.source,
            "run_id": known.id,
            "tags": [{"key": key, "value": value} for key, value in tags.items()],
            **({"model_id": uploaded.model_id} if uploaded.model_id else {}),
        }
        version: dict[str, Any] = self._client.post("model-versions/create", body)["model_version"]
        return version

    def _alias(self, event: ModelLogged, name: str, version: str) -> None:
        for alias in event.aliases:
            try:
                self._client.post("registered-models/alias", {"name": name, "alias": alias, "version": version})
            except Refused as refusal:
                self._note(event.run, f"alias {alias} of model {event.register}", str(refusal))
        body = {"name": name, "version": version, "key": ALIASED_TAG, "value": " ".join(event.aliases)}
        self._client.post("model-versions/set-tag", body)


def _elsewhere(environ: Mapping[str, str]) -> str:
    uri = environ.get("MLFLOW_REGISTRY_URI", "").strip().rstrip("/")
    if not uri or uri == environ.get(TRACKING_URI, "").strip().rstrip("/"):
        return ""
    return f"MLFLOW_REGISTRY_URI names another place than {TRACKING_URI}, which cannot see the files of this one"


def _tags(version: dict[str, Any]) -> dict[str, str]:
    return {item["key"]: item.get("value", "") for item in version.get("tags", ())}
