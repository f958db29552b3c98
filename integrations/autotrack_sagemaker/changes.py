"""What a batch changes of one trial component: params, tags, artifacts, status.

The component is read, completed and written in one turn, whole: SageMaker merges what it is sent by key. Values that
were delivered before and come again are written only where the component lacks them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from autotrack.events import RunEnded, Scalar
from autotrack.turns import one_at_a_time
from autotrack_sagemaker.names import LINE_ENDS, MESSAGE_LENGTH, TAG_PARAM, TEXT_LENGTH, is_tag, one_line
from autotrack_sagemaker.service import Service

PARAMS, ARTIFACTS, TAGS = 300, 60, 50
"""Most of each that a component has."""
CUT: Final = f"SageMaker keeps {TEXT_LENGTH} characters, and an end of a line takes two"
EXACT: Final = 2**53
"""Up to here a whole number is exact as the 64-bit float that SageMaker keeps."""

STATUS_TAG: Final = "autotrack.status"
"""Tells `killed` from `pruned`, which SageMaker does not."""
STATUSES: Final = {
    "running": "InProgress",
    "finished": "Completed",
    "failed": "Failed",
    "killed": "Stopped",
    "pruned": "Stopped",
}


@dataclass
class Changes:
    """Collected for one component; the newest value of a key counts. Each carries whether it was delivered before."""

    params: dict[str, tuple[dict[str, Any], bool]] = field(default_factory=dict)
    tags: dict[str, tuple[str, bool]] = field(default_factory=dict)
    inputs: dict[str, tuple[dict[str, str], bool]] = field(default_factory=dict)
    outputs: dict[str, tuple[dict[str, str], bool]] = field(default_factory=dict)
    ended: tuple[RunEnded, datetime] | None = None

    def param(self, key: str, value: Scalar, *, replayed: bool) -> str | None:
        """Set a param; what SageMaker cannot keep as it is, in words."""
        self.params[key] = param_value(value), replayed
        if isinstance(value, bool):
            return "SageMaker has no truth values: it is a text"
        if isinstance(value, str) and len(one_line(value)) > TEXT_LENGTH:
            return CUT
        if isinstance(value, int | float) and "StringValue" in self.params[key][0]:
            return "SageMaker has no such number: it is a text"
        return None

    def tag(self, key: str, value: str, *, replayed: bool) -> None:
        """Set a tag."""
        self.tags[key] = value, replayed

    def end(self, event: RunEnded, when: datetime) -> None:
        """Set the outcome."""
        self.ended = event, when

    def __bool__(self) -> bool:
        return bool(self.params or self.tags or self.inputs or self.outputs or self.ended)


def apply(changes: Changes, service: Service, home: Path, component: str, note: Callable[[str, str], None]) -> None:
    """Write `changes`; `note(what, why)` tells what finds no place."""
    if not changes:
        return
    with one_at_a_time(home, "sagemaker"):
        held = service.call("describe_trial_component", TrialComponentName=component)
        params = held.get("Parameters") or {}
        wanted = _merged(params, changes.params)
        outcome: dict[str, Any] = {}
        if changes.ended and not _ended_later(held, changes.ended[1]):
            outcome = _outcome(*changes.ended, held)
            changes.tag(STATUS_TAG, changes.ended[0].status, replayed=False)
        if changes.tags:
            removed = _write_tags(service, held["TrialComponentArn"], params, wanted, changes.tags)
            for key in [key for key, (value, _) in changes.tags.items() if len(one_line(value)) > TEXT_LENGTH]:
                note(f"tag {key}", CUT)
            if removed:
                service.call("update_trial_component", TrialComponentName=component, ParametersToRemove=removed)
        written: dict[str, Any] = {}
        for name, kind, there, new, most in (
            ("Parameters", "param", params, wanted, PARAMS),
            ("InputArtifacts", "dataset", *_both(held, "InputArtifacts", changes.inputs), ARTIFACTS),
            ("OutputArtifacts", "artifact", *_both(held, "OutputArtifacts", changes.outputs), ARTIFACTS),
        ):
            for key in list(new)[most:]:
                what = f"tag {key.removeprefix(TAG_PARAM)}" if key.startswith(TAG_PARAM) else f"{kind} {key}"
                note(what, f"a trial component has {most} {kind}s")
                del new[key]
            if new != there:
                written[name] = new
        written |= outcome
        if written:
            service.call("update_trial_component", TrialComponentName=component, **written)


def is_over(held: dict[str, Any]) -> bool:
    """Whether a component as it was described has ended."""
    return (held.get("Status") or {}).get("PrimaryStatus") not in (None, "InProgress")


def param_value(value: Scalar) -> dict[str, Any]:
    """A param as SageMaker has them: a 64-bit float, or a text."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= EXACT:
        return {"NumberValue": float(value)}
    if isinstance(value, float) and abs(value) < float("inf"):
        return {"NumberValue": value}
    return {"StringValue": one_line(str(value))[:TEXT_LENGTH]}


def _merged(held: dict[str, Any], changed: dict[str, tuple[Any, bool]]) -> dict[str, Any]:
    merged = dict(held)
    for key, (value, replayed) in changed.items():
        if not (replayed and key in merged):
            merged[key] = value
    return merged


def _both(
    held: dict[str, Any], name: str, changed: dict[str, tuple[Any, bool]]
) -> tuple[dict[str, Any], dict[str, Any]]:
    there = held.get(name) or {}
    return there, _merged(there, changed)


def _write_tags(
    service: Service,
    arn: str,
    params: dict[str, Any],
    wanted: dict[str, Any],
    tags: dict[str, tuple[str, bool]],
) -> list[str]:
    """Set tags; those that AWS does not take become params. Gives the params that are to go again."""
    held = {tag["Key"]: tag["Value"] for tag in service.pages("list_tags", "Tags", ResourceArn=arn)}
    fresh: dict[str, str] = {}
    unfit, removed = [], []
    for key, (value, replayed) in tags.items():
        param = TAG_PARAM + key
        if replayed and (key in held or param in params):
            continue
        if is_tag(key, value) and (key in held or len(held) + len(fresh) < TAGS):
            if held.get(key) != value:
                fresh[key] = value
            if wanted.pop(param, None):
                removed.append(param)
        else:
            wanted[param] = param_value(value)
            if key in held:
                unfit.append(key)
    if unfit:
        service.call("delete_tags", ResourceArn=arn, TagKeys=unfit)
    if fresh:
        items = [{"Key": key, "Value": value} for key, value in fresh.items()]
        service.call("add_tags", ResourceArn=arn, Tags=items)
    return [param for param in removed if param in params]


def _ended_later(held: dict[str, Any], when: datetime) -> bool:
    """Whether the component has an end after this one, which is then that of an earlier part, come again."""
    return is_over(held) and "EndTime" in held and bool(held["EndTime"] > when)


def _outcome(event: RunEnded, when: datetime, held: dict[str, Any]) -> dict[str, Any]:
    status = {"PrimaryStatus": STATUSES[event.status]}
    if event.error:
        said = f"{event.error.get('type', '')}: {event.error.get('message', '')}"
        status["Message"] = LINE_ENDS.sub(" ", said)[:MESSAGE_LENGTH]
    same = held.get("Status") == status and held.get("EndTime") == when
    return {} if same else {"Status": status, "EndTime": when}
