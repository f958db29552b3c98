"""What the log of registered models means: a pure fold from its steps to models with versions and aliases.

Steps enter in the order of the log; `RegisteredModel`s leave. Nothing is read, written or asked here: the same steps
give the same models everywhere and for ever, and a moment in the past is the same fold over what had happened by then.

A version is a digest; its number is its place among the first `register` steps of the model in the whole log, so that
it is the same whatever moment is looked at. Steps that can have no effect stay in the log, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from autotrack.registry.log import ABOUT_A_VERSION, ABOUT_AN_ALIAS, Step
from autotrack.registry.registered import (
    Alias,
    Effect,
    Entry,
    Held,
    RegisteredModel,
    Version,
    evidence_of,
    rules_of,
)


def fold(steps: Iterable[Step], at: int | None = None) -> dict[str, RegisteredModel]:
    """The models, by name, as the steps have made them; with `at`, as those of them that happened no later have.

    `steps` are the whole log, or all of it that is about some models, in its order. A model of which nothing had
    happened by then is absent.
    """
    models: dict[str, RegisteredModel] = {}
    numbers: dict[tuple[str, str], int] = {}
    count: dict[str, int] = {}
    for step in steps:
        if step.action == "register" and step.digest and (step.model, step.digest) not in numbers:
            count[step.model] = numbers[step.model, step.digest] = count.get(step.model, 0) + 1
        if at is not None and step.time > at:
            continue
        model = models.setdefault(step.model, RegisteredModel(step.model))
        effect, because = _apply(model, step, numbers)
        model.log.append(Entry(step, effect, because))
    return models


Outcome: TypeAlias = tuple[Effect, str]
_DONE: Outcome = ("done", "")


def _apply(model: RegisteredModel, step: Step, numbers: dict[tuple[str, str], int]) -> Outcome:
    if step.action == "register":
        return _register(model, step, numbers)
    if step.action == "refuse":
        return "refused", "a gate said no"
    handler = _HANDLERS.get(step.action)
    if handler is None:
        return "conflict", f"this autotrack knows no action {step.action!r}"
    if step.action in ABOUT_AN_ALIAS and not step.alias:
        return "conflict", "it names no alias"
    if step.action in ABOUT_A_VERSION - {"unalias"} and step.digest not in model.versions:
        return "conflict", "there is no such version"
    return handler(model, step)


def _register(model: RegisteredModel, step: Step, numbers: dict[tuple[str, str], int]) -> Outcome:
    if not step.digest:
        return "conflict", "it names no version"
    known = model.versions.get(step.digest)
    if known is None:
        number = numbers[step.model, step.digest]
        model.versions[step.digest] = Version(number, step.digest, step, step.run)
    elif not known.run:
        known.run = step.run
    return _DONE


def _alias(model: RegisteredModel, step: Step) -> Outcome:
    alias = model.aliases.get(step.alias, Alias())
    assert step.digest is not None
    late = _too_late(model, step, alias)
    if late:
        return "conflict", late
    version = model.versions[step.digest]
    if version.retired:
        return "conflict", f"version {version.number} is retired"
    missing = _not_allowed(model, step, version)
    if missing:
        return "refused", missing
    _move(model, step, alias, step.digest)
    return _DONE


def _unalias(model: RegisteredModel, step: Step) -> Outcome:
    alias = model.aliases.get(step.alias, Alias())
    late = _too_late(model, step, alias)
    if late or alias.digest is None:
        return "conflict", late or f"{step.alias} points to nothing"
    if step.alias in model.protected and not _is_forced(step):
        return "refused", f"{step.alias} is protected: taking it away must be forced"
    _move(model, step, alias, None)
    return _DONE


def _too_late(model: RegisteredModel, step: Step, alias: Alias) -> str:
    """Why a move comes too late, or nothing."""
    now = "nothing" if alias.digest is None else f"version {model.versions[alias.digest].number}"
    if "from" in step.record:
        return "" if step.record["from"] == alias.digest else f"{step.alias} had been moved to {now} meanwhile"
    # Without `from`, as from a training whose journal arrives days later: the last word of all holds.
    return "" if step.time >= alias.changed else f"{step.alias} had been moved to {now} later than that"


def _move(model: RegisteredModel, step: Step, alias: Alias, digest: str | None) -> None:
    model.aliases[step.alias] = alias
    alias.changed = max(alias.changed, step.time)
    if digest == alias.digest:
        return
    if alias.held:
        alias.held[-1].until = step
    alias.held.append(Held(digest, step))
    if step.record.get("rollback") and digest in alias.stack:
        while alias.stack[-1] != digest:
            alias.stack.pop()
    else:
        alias.stack.append(digest)


def _not_allowed(model: RegisteredModel, step: Step, version: Version) -> str:
    """Why a protected alias may not be moved so, or nothing. What came after the gates were asked counts too."""
    protection = model.protected.get(step.alias)
    if protection is None or _is_forced(step):
        return ""
    held = model.aliases.get(step.alias, Alias()).held
    if step.record.get("rollback") and any(one.digest == version.digest for one in held):
        return ""  # it has been there before
    gates, needed = rules_of(protection)
    evidence = evidence_of(step)
    failed = [str(one.get("gate")) for one in evidence if not one.get("passed")]
    lacking = sorted(set(gates) - {str(one.get("gate")) for one in evidence})
    if failed or lacking:
        return f"{step.alias} is protected and {', '.join(failed + lacking)} did not say yes"
    if len(version.approvals) < needed:
        return f"{step.alias} is protected and needs {needed} approvals; there are {len(version.approvals)}"
    return ""


def _is_forced(step: Step) -> bool:
    return bool(step.record.get("forced") and step.why.strip())


def _stage(model: RegisteredModel, step: Step) -> Outcome:
    stage = step.record.get("stage")
    model.versions[step.digest or ""].stage = str(stage) if stage else None
    return _DONE


def _annotate(model: RegisteredModel, step: Step) -> Outcome:
    annotations = model.versions[step.digest or ""].annotations
    for key, value in step.record.items():
        annotations.pop(key, None)
        if value is not None:
            annotations[key] = value
    return _DONE


def _approve(model: RegisteredModel, step: Step) -> Outcome:
    version = model.versions[step.digest or ""]
    version.objections.pop(step.who, None)
    version.approvals.setdefault(step.who, step)
    return _DONE


def _disapprove(model: RegisteredModel, step: Step) -> Outcome:
    version = model.versions[step.digest or ""]
    version.approvals.pop(step.who, None)
    version.objections[step.who] = step
    return _DONE


def _sign(model: RegisteredModel, step: Step) -> Outcome:
    model.versions[step.digest or ""].signed = step
    return _DONE


def _protect(model: RegisteredModel, step: Step) -> Outcome:
    model.protected[step.alias] = step
    return _DONE


def _unprotect(model: RegisteredModel, step: Step) -> Outcome:
    if model.protected.pop(step.alias, None) is None:
        return "conflict", f"{step.alias} is not protected"
    return _DONE


def _retire(model: RegisteredModel, step: Step) -> Outcome:
    version = model.versions[step.digest or ""]
    pointing = model.pointing_to(version.digest)
    if pointing and not _is_forced(step):
        return "conflict", f"{', '.join(pointing)} points to version {version.number}"
    version.retired = version.retired or step
    return _DONE


def _restore(model: RegisteredModel, step: Step) -> Outcome:
    model.versions[step.digest or ""].retired = None
    return _DONE


_HANDLERS: dict[str, Callable[[RegisteredModel, Step], Outcome]] = {
    "alias": _alias,
    "unalias": _unalias,
    "stage": _stage,
    "annotate": _annotate,
    "approve": _approve,
    "disapprove": _disapprove,
    "sign": _sign,
    "protect": _protect,
    "unprotect": _unprotect,
    "retire": _retire,
    "restore": _restore,
}
