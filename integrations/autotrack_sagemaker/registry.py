"""The model registry: a model that is to be registered becomes the next version of a model package group.

A version is found again by the mark in its description, so it is created once; `ClientToken` says the same to the
service. SageMaker knows no aliases: an alias is a property of the version that it points to, and moves. The aliases
`approved` and `rejected` are the version's approval status, which otherwise waits for somebody to decide.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from typing import Any, Final

from autotrack.backend import BackendContext
from autotrack.events import ModelLogged
from autotrack.turns import one_at_a_time
from autotrack_sagemaker.names import GROUP_LENGTH, is_tag, safe_name
from autotrack_sagemaker.runs import KnownRun
from autotrack_sagemaker.service import Refused, Service

IMAGE: Final = "AUTOTRACK_SAGEMAKER_IMAGE"
"""The container that is to serve registered models, where they are to be deployed from the registry."""
ALIAS: Final = "autotrack.alias."
APPROVALS: Final = {"approved": "Approved", "rejected": "Rejected"}
PENDING: Final = "PendingManualApproval"


class Registry:
    """Registers models."""

    def __init__(self, service: Service, context: BackendContext) -> None:
        self._service = service
        self._context = context
        self._image = os.environ.get(IMAGE, "").strip()

    def register(self, known: KnownRun, event: ModelLogged, uri: str, note: Callable[[str, str], None]) -> None:
        """Make the model at `uri` a version of its group; nothing happens if it is one already."""
        name = event.register or ""
        group = safe_name(name, GROUP_LENGTH)
        if group != name:
            note(f"registered name {name!r}", f"is called {group!r} there")
        with one_at_a_time(self._context.home, "sagemaker"):
            self._ensure(group)
            mark = _mark(event)
            if any(mark in version.get("ModelPackageDescription", "") for version in self._versions(group)):
                return
            words = [alias for alias in event.aliases if alias.lower() not in APPROVALS]
            aliases = {ALIAS + _property(alias): "1" for alias in words}
            for holder in self._holders(group, set(aliases)):
                self._take_away(holder, set(aliases))
            self._create(known, event, uri, group, mark, aliases)

    def _ensure(self, group: str) -> None:
        known: list[str] = self._context.state.setdefault("groups", [])
        if group in known:
            return
        try:
            self._service.call("describe_model_package_group", ModelPackageGroupName=group)
        except Refused as refusal:
            if not refusal.is_missing:
                raise
            try:
                self._service.call("create_model_package_group", ModelPackageGroupName=group)
            except Refused as second:
                if not second.is_there_already:
                    raise
        known.append(group)

    def _create(
        self, known: KnownRun, event: ModelLogged, uri: str, group: str, mark: str, aliases: dict[str, str]
    ) -> None:
        said = {
            "autotrack.run_id": event.run,
            "autotrack.model": event.name,
            "autotrack.step": "" if event.step is None else str(event.step),
            "autotrack.digest": event.digest or "",
            "autotrack.format": event.format,
        }
        source = {"S3DataSource": {"S3Uri": uri, "S3DataType": "S3Object", "CompressionType": "None"}}
        container = {"ModelDataSource": source, **({"Image": self._image} if self._image else {})}
        status = next((APPROVALS[alias.lower()] for alias in event.aliases if alias.lower() in APPROVALS), PENDING)
        self._service.call(
            "create_model_package",
            ModelPackageGroupName=group,
            ModelPackageDescription=f"from {known.component}, {mark}",
            InferenceSpecification={"Containers": [container]},
            ModelApprovalStatus=status,
            CustomerMetadataProperties={key: _property(value) for key, value in said.items() if value} | aliases,
            ClientToken=mark,
        )

    def _versions(self, group: str) -> list[dict[str, Any]]:
        return list(
            self._service.pages(
                "list_model_packages",
                "ModelPackageSummaryList",
                ModelPackageGroupName=group,
                SortBy="CreationTime",
                SortOrder="Descending",
            )
        )

    def _holders(self, group: str, aliases: set[str]) -> list[dict[str, Any]]:
        """The versions that the aliases point to."""
        holders: list[dict[str, Any]] = []
        wanted = set(aliases)
        for version in self._versions(group) if aliases else ():
            if not wanted:
                break
            held = self._service.call("describe_model_package", ModelPackageName=version["ModelPackageArn"])
            found = wanted & set(held.get("CustomerMetadataProperties") or {})
            if found:
                holders.append(held)
                wanted -= found
        return holders

    def _take_away(self, held: dict[str, Any], aliases: set[str]) -> None:
        properties = held["CustomerMetadataProperties"]
        kept = {key: value for key, value in properties.items() if key not in aliases}
        still: dict[str, Any] = {"CustomerMetadataProperties": kept} if kept else {}
        self._service.call(
            "update_model_package",
            ModelPackageArn=held["ModelPackageArn"],
            ModelApprovalStatus=held.get("ModelApprovalStatus", PENDING),
            CustomerMetadataPropertiesToRemove=sorted(aliases & properties.keys()),
            **still,
        )


def _mark(event: ModelLogged) -> str:
    text = f"{event.run}\n{event.name}\n{event.step}\n{event.digest}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _property(value: str) -> str:
    return "".join(each if is_tag("x", f".{each}.") else "_" for each in value)[:200]
