"""Steps of registered models: a group of model packages is made equal to the log's model, whichever step came.

The name of a model enters, and its record as autotrack's registry has it now. A version that is not there is created
from the file of its run, known by the property `autotrack.digest`; aliases, stage, people's words and annotations are
properties. The approval status is set where the log's verdict has changed: what somebody decides there is left alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from autotrack.backend import BackendContext
from autotrack.events import ModelLogged, RegistryLogged
from autotrack.turns import one_at_a_time
from autotrack_sagemaker.files import Files
from autotrack_sagemaker.names import TAG_KEY_LENGTH, one_line
from autotrack_sagemaker.registry import ALIAS, APPROVALS, PENDING, TURN, VERDICT, Registry, as_property
from autotrack_sagemaker.runs import Runs
from autotrack_sagemaker.service import Service

MOST: Final = 50
"""Properties of a model package (the shape `CustomerMetadataMap`)."""
LONGEST_REASON: Final = 1024
NOTE: Final = "autotrack.annotation."
_OURS: Final = ("autotrack.stage", "autotrack.approved_by", "autotrack.objected_by", "autotrack.retired", VERDICT)
ONLY_HERE: Final = frozenset({"protect", "unprotect", "sign", "refuse"})
"""Actions that are about neither versions nor where an alias points."""

Record: TypeAlias = Mapping[str, Any]
Note: TypeAlias = Callable[[str, str, str], None]


class Registered:
    """Brings groups of model packages up to date."""

    def __init__(
        self, service: Service, context: BackendContext, runs: Runs, files: Files, registry: Registry, note: Note
    ) -> None:
        self._service = service
        self._context = context
        self._runs = runs
        self._files = files
        self._registry = registry
        self._note = note

    def follow(self, step: RegistryLogged) -> None:
        """Make the group equal to what the store says of the model that the step is about."""
        what = f"registered model {step.model}"
        if step.action in ONLY_HERE:
            self._note(
                step.run, f"{step.action} of the {what}", "SageMaker has no such thing: it is in the store's log"
            )
            return
        record = self._context.registered(step.model)
        if record is None:
            self._note(step.run, what, "the store does not know it any more")
        elif record["versions"]:
            self.equal(step.run, step.time, step.model, record)

    def equal(self, run: str, time: int, model: str, record: Record) -> None:
        """Make the group of a model equal to its record; what that leaves out is noted for `run`."""
        group = self._registry.group_of(model, lambda what, why: self._note(run, what, why))
        with one_at_a_time(self._context.home, TURN):
            self._registry.ensure(group)
            there = self._registry.packages(group)
            for version in sorted(record["versions"], key=lambda one: one["version"]):
                held = there.get(version["digest"]) or self._create(run, time, model, group, version)
                if held is not None:
                    there[version["digest"]] = held
            known = {ALIAS + as_property(alias) for alias in _aliases_of(record)}
            # First what goes, so that an alias is never in two places.
            for version in sorted(record["versions"], key=lambda one: len(one["aliases"])):
                if version["digest"] in there:
                    self._update(run, model, there[version["digest"]], version, known)

    def _create(self, run: str, time: int, model: str, group: str, version: Record) -> dict[str, Any] | None:
        what = f"version {version['version']} of the registered model {model}"
        if not version["run"]:
            self._note(run, what, "it came from no run, and files are kept with their runs there")
            return None
        known = self._runs.known(version["run"], time)
        name, format = version["name"] or model, version["format"] or "bin"
        gone = "not registered: its file is not on this machine any more"
        uri = self._files.keep(known, version["digest"], f"{name}.{format}", lambda: self._note(run, what, gone))
        if uri is None:
            return None
        event = ModelLogged(version["run"], time, name, format, version["digest"], version["bytes"], register=model)
        return self._registry.create(known, event, uri, group, {}, PENDING)

    def _update(self, run: str, model: str, held: dict[str, Any], version: Record, known: set[str]) -> None:
        has: dict[str, str] = dict(held.get("CustomerMetadataProperties") or {})
        verdict, reason = verdict_of(version)
        wanted = self._properties(run, model, version, room=MOST - len(_left_alone(has, known)))
        wanted[VERDICT] = verdict
        gone = {key for key in has if key in known or key in _OURS or key.startswith(NOTE)} - wanted.keys()
        status = held.get("ModelApprovalStatus", PENDING)
        # Before this property there was none but what a registration had asked for.
        decided = verdict != has.get(VERDICT, PENDING)
        if not gone and not decided and all(has.get(key) == value for key, value in wanted.items()):
            return
        changes: dict[str, Any] = {
            "ModelApprovalStatus": verdict if decided else status,
            "CustomerMetadataProperties": {key: value for key, value in has.items() if key not in gone} | wanted,
        }
        described = reason if decided else held.get("ApprovalDescription")
        if described:
            changes["ApprovalDescription"] = one_line(described)[:LONGEST_REASON]
        if gone:
            changes["CustomerMetadataPropertiesToRemove"] = sorted(gone)
        self._service.call("update_model_package", ModelPackageArn=held["ModelPackageArn"], **changes)

    def _properties(self, run: str, model: str, version: Record, room: int) -> dict[str, str]:
        what = f"version {version['version']} of the registered model {model}"
        said = {
            "autotrack.stage": version["stage"] or "",
            "autotrack.approved_by": " ".join(one["who"] or "somebody" for one in version["approvals"]),
            "autotrack.objected_by": " ".join(one["who"] or "somebody" for one in version["objections"]),
            "autotrack.retired": (version["retired"]["why"] or "yes") if version["retired"] else "",
        }
        wanted = {key: as_property(value) for key, value in said.items() if value}
        wanted |= {ALIAS + as_property(alias): "1" for alias in version["aliases"] if alias.lower() not in APPROVALS}
        for key, value in version["annotations"].items():
            text = value if isinstance(value, str) else json.dumps(value)
            shown = as_property(text) or "_"
            if len(wanted) + 1 >= room:
                self._note(run, f"annotation {key} of {what}", f"a model package has at most {MOST} properties")
                continue
            wanted[annotation_key(key)] = shown
            if shown != text:
                self._note(run, f"annotation {key} of {what}", f"SageMaker does not take this text; it is {shown!r}")
        return wanted


def verdict_of(version: Record) -> tuple[str, str]:
    """The approval status that the log gives a version, and the reason in words."""
    aliases = {alias.lower() for alias in version["aliases"]}
    if version["retired"]:
        return APPROVALS["rejected"], f"retired: {_words([version['retired']])}"
    if version["objections"]:
        return APPROVALS["rejected"], _words(version["objections"])
    if "rejected" in aliases:
        return APPROVALS["rejected"], ""
    if version["approvals"]:
        return APPROVALS["approved"], _words(version["approvals"])
    return (APPROVALS["approved"] if "approved" in aliases else PENDING), ""


def annotation_key(key: str) -> str:
    """The property that an annotation is: two annotations are two properties."""
    shown = as_property(key)
    if shown != key or shown.strip() != shown:
        shown = f"{shown.strip()}-{hashlib.sha256(key.encode()).hexdigest()[:6]}"
    return (NOTE + shown)[:TAG_KEY_LENGTH]


def _words(said: list[Record]) -> str:
    return "; ".join(": ".join(filter(None, (one["who"] or "somebody", one["why"]))) for one in said)


def _aliases_of(record: Record) -> set[str]:
    """Every alias that the log knows, also those that point to nothing any more."""
    told = {step["record"].get("alias") for step in record["log"] if step["action"] in ("alias", "unalias")}
    return {str(alias) for alias in told if alias}


def _left_alone(has: Mapping[str, str], known: set[str]) -> set[str]:
    return {key for key in has if key not in known and key not in _OURS and not key.startswith(NOTE)}
