"""Steps of registered models: MLflow's registry is made equal to the log's, whichever step came.

The name of a model enters, and its record as autotrack's registry has it now. Versions that are not there are created
from the files of their runs, known by the tag `autotrack.digest`; aliases are set or taken away; stage, approvals and
annotations become tags of the version. A model that is right already is only read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from autotrack.backend import BackendContext
from autotrack.events import ModelLogged, RegistryLogged
from autotrack.turns import one_at_a_time
from autotrack_mlflow.client import Client, Refused
from autotrack_mlflow.models import Models
from autotrack_mlflow.registry import BY_THE_LOG, DIGEST_TAG, Registry, tags_of
from autotrack_mlflow.runs import Runs

_STAGE, _APPROVED, _RETIRED = "autotrack.stage", "autotrack.approved_by", "autotrack.retired"
_NOTE = "autotrack.annotation."

Record = Mapping[str, Any]


class Registered:
    """Brings registered models up to date on one server."""

    def __init__(
        self,
        client: Client,
        context: BackendContext,
        runs: Runs,
        models: Models,
        registry: Registry,
        note: Callable[[str, str, str], None],
    ) -> None:
        self._client = client
        self._context = context
        self._runs = runs
        self._models = models
        self._registry = registry
        self._note = note

    def follow(self, step: RegistryLogged) -> None:
        """Make the server's registered model equal to what the store says of the model that the step is about."""
        record = self._context.registered(step.model)
        if record is None:
            self._note(step.run, f"registered model {step.model}", "the store does not know it any more")
            return
        if not record["versions"]:
            return
        name = self._registry.usable_name(step.run, step.model)
        if name is None:
            return
        try:
            with one_at_a_time(self._context.home, "mlflow-registry"):
                self._versions(step, name, record)
                self._aliases(step, name, record)
        except Refused as refusal:
            if not refusal.is_unknown_api:
                raise
            self._note(step.run, f"registered model {step.model}", "the server has no registry of models")

    def _versions(self, step: RegistryLogged, name: str, record: Record) -> None:
        there = {tags_of(version).get(DIGEST_TAG, ""): version for version in self._registry.versions(name)}
        for version in sorted(record["versions"], key=lambda one: one["version"]):
            found: Record | None = there.get(version["digest"])
            if found is None:
                found = self._create(step, name, version)
            if found is not None:
                self._describe(name, found, version)
        self._numbers = {
            tags_of(version).get(DIGEST_TAG, ""): str(version["version"]) for version in self._registry.versions(name)
        }

    def _create(self, step: RegistryLogged, name: str, version: Record) -> Record | None:
        what = f"version {version['version']} of the registered model {step.model}"
        if not version["run"]:
            self._note(step.run, what, "it came from no run, and MLflow keeps the files of models with their runs")
            return None
        known = self._runs.known(version["run"], step.time)
        event = ModelLogged(
            version["run"],
            step.time,
            version["name"] or step.model,
            version["format"] or "",
            version["digest"],
            version["bytes"],
            signature=version["signature"],
            register=step.model,
        )
        uploaded = self._models.sent(known, event) or self._models.send(known, event)
        if uploaded is None:
            self._note(step.run, what, "not registered: its files are not there")
            return None
        return self._registry.create(known, name, f"{BY_THE_LOG}{version['digest']}", event, uploaded)

    def _describe(self, name: str, found: Record, version: Record) -> None:
        """Set the tags that say what people have said of the version; empty ones for what was taken back."""
        wanted = {
            _STAGE: version["stage"] or "",
            _APPROVED: ", ".join(one["who"] or "somebody" for one in version["approvals"]),
            _RETIRED: version["retired"]["why"] or "yes" if version["retired"] else "",
        }
        for key, value in version["annotations"].items():
            wanted[_NOTE + key] = value if isinstance(value, str) else json.dumps(value)
        has = tags_of(found)
        gone = {key: "" for key, value in has.items() if key.startswith(_NOTE) and key not in wanted and value}
        for key, value in (wanted | gone).items():
            if has.get(key, "") != value:
                body = {"name": name, "version": str(found["version"]), "key": key, "value": value[:5000]}
                self._client.post("model-versions/set-tag", body)

    def _aliases(self, step: RegistryLogged, name: str, record: Record) -> None:
        model = self._client.get("registered-models/get", name=name)["registered_model"]
        has = {one["alias"]: str(one["version"]) for one in model.get("aliases", ())}
        for alias, held in record["aliases"].items():
            number = self._numbers.get(held["digest"] or "")
            if number and has.get(alias) != number:
                try:
                    self._client.post("registered-models/alias", {"name": name, "alias": alias, "version": number})
                except Refused as refusal:  # MLflow has stricter rules for aliases: the rest shall not miss anything
                    self._note(step.run, f"alias {alias} of the registered model {step.model}", str(refusal))
        # Only such as the log took away: what somebody has set there is left alone.
        taken = {step["record"].get("alias") for step in record["log"] if step["action"] == "unalias"}
        for alias in has.keys() & (taken - record["aliases"].keys()):
            self._client.delete("registered-models/alias", {"name": name, "alias": alias})
