"""The registry: the next version of a registered model for each model that was logged with `register=`.

Creating a version is not safe to repeat, so each carries the event that it came from in the tag `autotrack.version`
and the SHA-256 of its file in `autotrack.digest`, and is looked up by those: one file is one version. Aliases are set
once, which a third tag tells: one that somebody has moved since stays moved.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from autotrack.events import ModelLogged
from autotrack_mlflow.address import TRACKING_URI, is_databricks
from autotrack_mlflow.client import Client, Refused
from autotrack_mlflow.runs import RUN_ID, KnownRun

VERSION_TAG: Final = "autotrack.version"
ALIASED_TAG: Final = "autotrack.aliases"
DIGEST_TAG: Final = "autotrack.digest"
BY_THE_LOG: Final = "registered:"
"""Before the digest in `autotrack.version` where a step made the version: the log alone says what its aliases are."""

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
        if uploaded is None:
            self._note(event.run, what, "not registered: its files are not there")
            return
        if self.usable_name(event.run, event.register) is None:
            return
        try:
            version = self._find(known, name, event_id, event) or self.create(known, name, event_id, event, uploaded)
        except Refused as refusal:
            if not refusal.is_unknown_api:
                raise
            self._note(event.run, what, "the server has no registry of models")
            return
        tags = tags_of(version)
        if event.aliases and ALIASED_TAG not in tags and not tags.get(VERSION_TAG, "").startswith(BY_THE_LOG):
            self._alias(event, name, str(version["version"]))

    def usable_name(self, run: str, model: str) -> str | None:
        """What the model is called there; None, which is noted for the run, where it cannot be registered at all."""
        name = model.translate(_FORBIDDEN)
        what = f"registered model {model}"
        if self._elsewhere:
            self._note(run, what, f"not registered: {self._elsewhere}")
            return None
        if self._unity and name.count(".") == 2:
            self._note(run, what, "not registered: it is a name of Unity Catalog, which has another API")
            return None
        if name != model:
            self._note(run, what, f"MLflow does not take this name; it is {name}")
        return name

    def versions(self, name: str, run_id: str | None = None) -> Iterator[dict[str, Any]]:
        """All versions of a registered model, or those of one run."""
        wanted = f"name = '{name}'" + (f" AND run_id = '{run_id}'" if run_id else "")
        token = ""
        while True:
            answer = self._client.get("model-versions/search", filter=wanted, max_results="200", page_token=token)
            yield from answer.get("model_versions", ())
            token = answer.get("next_page_token", "")
            if not token:
                return

    def _find(self, known: KnownRun, name: str, event_id: str, event: ModelLogged) -> dict[str, Any] | None:
        def fits(version: dict[str, Any]) -> bool:
            tags = tags_of(version)
            return tags.get(VERSION_TAG) == event_id or bool(event.digest) and tags.get(DIGEST_TAG) == event.digest

        try:
            return next(filter(fits, self.versions(name, known.id)), None)
        except Refused as refusal:
            if refusal.status != 400:
                raise
        return next(filter(fits, self.versions(name)), None)  # a server that filters by names alone

    def create(
        self, known: KnownRun, name: str, event_id: str, event: ModelLogged, uploaded: Uploaded
    ) -> dict[str, Any]:
        """Create a version, and the registered model where there is none of this name."""
        try:
            self._client.post("registered-models/create", {"name": name})
        except Refused as refusal:
            if refusal.status != 409 and not refusal.code.endswith("ALREADY_EXISTS"):
                raise
        tags = {VERSION_TAG: event_id, RUN_ID: event.run, DIGEST_TAG: event.digest or ""}
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


def tags_of(version: Mapping[str, Any]) -> dict[str, str]:
    """The tags of a version."""
    return {item["key"]: item.get("value", "") for item in version.get("tags", ())}
