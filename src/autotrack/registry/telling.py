"""What became of one step of a registered model, for those who are told of each step as it comes.

A step and the record of its model (`autotrack.registry.reading.model`) enter; plain fields leave: what the step says,
whether it took effect, and the model right after it. What came later does not count, so that a step that is told twice
is told in the same words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from autotrack.events import AnyEvent, ModelLogged, RegistryLogged
from autotrack.registry.log import Step, moment
from autotrack.registry.registered import RegisteredModel, Version
from autotrack.registry.views import fold
from autotrack.store import gather

UNKNOWN: Final[Mapping[str, Any]] = {"version": None, "effect": None, "because": "", "after": None}
"""Of a step that no store has taken in."""


def steps_of(event: AnyEvent) -> Iterable[RegistryLogged]:
    """The steps that an event is: itself, or those that a training takes by logging a model to be registered."""
    if isinstance(event, ModelLogged):
        return gather.steps_of(event)
    return (event,) if isinstance(event, RegistryLogged) else ()


def outcome(event: RegistryLogged, model: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """`{version, effect, because, after}` of a step; None where the model's log does not have it.

    `version` is the number of the version that it is about, `effect` is `done`, `conflict` or `refused`, `because` says
    why it had none. `after` is `{aliases: {alias: {version, digest}}, version}`, where `version` is None or
    `{version, digest, run, stage, aliases, approvals, objections, annotations, retired, signed}`; people are listed
    by name.
    """
    log = model["log"] if model is not None else ()
    place = next((at for at, entry in enumerate(log) if entry["id"] == event.id), None)
    if place is None:
        return None
    # What had no effect then has none here either: only the rest is folded.
    held = [_step(event.model, entry) for entry in log[: place + 1] if entry["effect"] == "done"]
    found = fold(held).get(event.model) or RegisteredModel(event.model)
    version = found.versions.get(event.digest or "")
    return {
        "version": version.number if version is not None else None,
        "effect": log[place]["effect"],
        "because": log[place].get("because", ""),
        "after": {
            "aliases": {
                name: {"version": found.versions[one.digest].number, "digest": one.digest}
                for name, one in sorted(found.aliases.items())
                if one.digest is not None
            },
            "version": _version(found, version) if version is not None else None,
        },
    }


def _version(found: RegisteredModel, version: Version) -> dict[str, Any]:
    return {
        "version": version.number,
        "digest": version.digest,
        "run": version.run or None,
        "stage": version.stage,
        "aliases": found.pointing_to(version.digest),
        "approvals": sorted(version.approvals),
        "objections": sorted(version.objections),
        "annotations": version.annotations,
        "retired": version.retired is not None,
        "signed": version.signed is not None,
    }


def _step(model: str, entry: Mapping[str, Any]) -> Step:
    """An entry of the log as a step; its time is that of the microsecond that is shown."""
    return Step(
        entry["id"],
        moment(entry["time"]) or 0,
        model,
        entry["action"],
        entry["digest"],
        entry["run"] or "",
        entry["who"] or "",
        entry["why"],
        entry["record"],
    )
