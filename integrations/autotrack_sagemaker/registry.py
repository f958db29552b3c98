"""The model registry: a model that is to be registered becomes the next version of a model package group.

A version is found again by the mark in its description, and by the SHA-256 of its file in the property
`autotrack.digest`, so it is created once; `ClientToken` says the same to the service. SageMaker knows no aliases: an
alias is a property of the version that it points to, and moves. The aliases `approved` and `rejected` are the version's
approval status, which otherwise waits for somebody to decide. What is decided later is `registered.py`'s.
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
TURN: Final = "sagemaker-registry"
DIGEST: Final = "autotrack.digest"
VERDICT: Final = "autotrack.approval"
"""The approval status that was last set from here."""


class Registry:
    """Registers models."""

    def __init__(self, service: Service, context: BackendContext) -> None:
        self._service = service
        self._context = context
        self._image = os.environ.get(IMAGE, "").strip()

    def register(self, known: KnownRun, event: ModelLogged, uri: str, note: Callable[[str, str], None]) -> bool:
        """Make the model at `uri` a version of its group; nothing happens if it is one already.

        False where another registration has made its file a version: what it is called then is for the log to say.
        """
        group = self.group_of(event.register or "", note)
        with one_at_a_time(self._context.home, TURN):
            self.ensure(group)
            mark = _mark(event)
            if any(mark in version.get("ModelPackageDescription", "") for version in self._versions(group)):
                return True
            if event.digest and event.digest in self.packages(group):
                return False
            words = [alias for alias in event.aliases if alias.lower() not in APPROVALS]
            aliases = {ALIAS + as_property(alias): "1" for alias in words}
            for holder in self._holders(group, set(aliases)):
                self._take_away(holder, set(aliases))
            status = next((APPROVALS[alias.lower()] for alias in event.aliases if alias.lower() in APPROVALS), PENDING)
            self.create(known, event, uri, group, aliases, status)
            return True

    def group_of(self, name: str, note: Callable[[str, str], None]) -> str:
        """The group of a registered model; `note` is called where that has another name."""
        group = safe_name(name, GROUP_LENGTH)
        if group != name:
            note(f"registered name {name!r}", f"is called {group!r} there")
        return group

    def packages(self, group: str) -> dict[str, dict[str, Any]]:
        """The versions of a group that came from here, as the service describes them, by the digests of their files."""
        found: dict[str, dict[str, Any]] = {}
        for version in self._versions(group):  # the newest first: of two with one file the older one counts
            held = self._service.call("describe_model_package", ModelPackageName=version["ModelPackageArn"])
            digest = (held.get("CustomerMetadataProperties") or {}).get(DIGEST)
            if digest:
                found[digest] = held
        return found

    def ensure(self, group: str) -> None:
        """Create the group where there is none."""
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

    def create(
        self, known: KnownRun, event: ModelLogged, uri: str, group: str, aliases: dict[str, str], status: str
    ) -> dict[str, Any]:
        """Create a version, and give what the service knows of it now."""
        mark = _mark(event)
        said = {
            "autotrack.run_id": event.run,
            "autotrack.model": event.name,
            "autotrack.step": "" if event.step is None else str(event.step),
            DIGEST: event.digest or "",
            "autotrack.format": event.format,
            VERDICT: status,
        }
        source = {"S3DataSource": {"S3Uri": uri, "S3DataType": "S3Object", "CompressionType": "None"}}
        container = {"ModelDataSource": source, **({"Image": self._image} if self._image else {})}
        properties = {key: as_property(value) for key, value in said.items() if value} | aliases
        made = self._service.call(
            "create_model_package",
            ModelPackageGroupName=group,
            ModelPackageDescription=f"from {known.component}, {mark}",
            InferenceSpecification={"Containers": [container]},
            ModelApprovalStatus=status,
            CustomerMetadataProperties=properties,
            ClientToken=mark,
        )
        return {
            "ModelPackageArn": made["ModelPackageArn"],
            "ModelApprovalStatus": status,
            "CustomerMetadataProperties": properties,
        }

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


def as_property(value: str) -> str:
    """A text as the value of a property can hold it."""
    return "".join(each if is_tag("x", f".{each}.") else "_" for each in value)[:200]
