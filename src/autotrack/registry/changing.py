"""What people do to registered models, but for promoting: each looks first whether it makes sense, then takes one step.

Names as they are typed (`clf@production`, `clf/3`) enter; the step that was taken leaves, or None where there was
nothing to do. All raise `ModelNotFound`, `UsageError`, and what `autotrack.registry.writing.step` raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

from autotrack.errors import RegistryConflict, RegistryRefused, UsageError
from autotrack.provenance.masking import MASK, is_secret, masked
from autotrack.registry import log, reading
from autotrack.registry.loading import kept_in
from autotrack.registry.log import Reference, parse, parse_alias
from autotrack.registry.registered import RegisteredModel, Version
from autotrack.registry.writing import Taken, move_alias, opened, step
from autotrack.store.query import Store

LONGEST_VALUE: Final = 1000
"""Characters of an annotation or the name of a stage."""


def register(
    name: str,
    run: str,
    model: str | None = None,
    *,
    aliases: Iterable[str] = (),
    why: str = "",
    store: Store | None = None,
) -> tuple[Taken | None, Version]:
    """Make a model that a run has kept the next version of `name`, by default the last that it kept.

    A model that is a version already stays that version, and no step is taken.
    """
    if store is None:
        with opened() as found:
            return register(name, run, model, aliases=aliases, why=why, store=found)
    log.check_name(name)
    wanted = [aliases] if isinstance(aliases, str) else list(aliases)
    for alias in wanted:
        log.check_alias(alias)
    record = store.run(run)
    kept = kept_in(record, model)
    known = reading.folded_if_known(store, name)
    taken = None
    if known is None or kept["digest"] not in known.versions:
        told = {key: kept[key] for key in ("format", "bytes") if kept.get(key) is not None}
        taken = step(name, "register", kept["digest"], why, {"model": kept["name"], **told}, record["id"], store=store)
        known = taken.model
    version = known.versions[kept["digest"]]
    for alias in wanted:
        move_alias(name, alias, version.number, why, store=store)
    return taken, version


def unalias(reference: str, why: str = "", *, force: bool = False, store: Store | None = None) -> Taken:
    """Take an alias away. From a protected one only by force, with a reason."""
    named = parse_alias(reference)

    def change(store: Store, found: RegisteredModel) -> Taken:
        version = reading.chosen(found, named)
        if named.alias in found.protected and not force:
            raise RegistryRefused(f"{named} is protected; unprotect it first, or force it with a reason")
        record = {"alias": named.alias, "from": version.digest, **({"forced": True} if force else {})}
        return step(found.name, "unalias", version.digest, why, record, store=store)

    return _changed(named, change, store)


def rollback(reference: str, why: str = "", *, store: Store | None = None) -> Taken:
    """Let an alias point to the version before; `RegisteredModel.before` says which that is.

    That version has been there before, so that a protected alias asks no gates.
    """
    named = parse_alias(reference)

    def change(store: Store, found: RegisteredModel) -> Taken:
        alias = named.alias or ""
        if alias not in found.aliases:
            reading.chosen(found, named)  # says which aliases there are
        before = found.before(alias)
        if before is None:
            raise RegistryConflict(f"{named} pointed to no other version before that could be gone back to")
        record = {"alias": alias, "from": found.aliases[alias].digest, "rollback": True}
        return step(found.name, "alias", before.digest, why, record, store=store)

    return _changed(named, change, store)


def stage(reference: str, stage: str | None, why: str = "", *, store: Store | None = None) -> Taken:
    """Put a version into a stage, or with None into none."""
    if stage is not None and not 0 < len(stage) <= LONGEST_VALUE:
        raise UsageError(f"a stage is a word, such as Production, of at most {LONGEST_VALUE} characters")
    return _of_version(reference, "stage", why, {"stage": stage}, store)


def annotate(reference: str, values: Mapping[str, Any], why: str = "", *, store: Store | None = None) -> Taken:
    """Note things about a version: text, numbers or flags under keys; a value of None removes its key."""
    record: dict[str, Any] = {}
    for key, value in values.items():
        if not key or len(key) > log.LONGEST:
            raise UsageError(f"the key {key!r} cannot be used: it has 1 to {log.LONGEST} characters")
        if value is not None and not isinstance(value, str | int | float | bool):
            raise UsageError(f"{key}={value!r} cannot be noted: use a text, a number, a flag, or None to remove it")
        if isinstance(value, str) and len(value) > LONGEST_VALUE:
            raise UsageError(f"{key} has {len(value)} characters; use at most {LONGEST_VALUE}")
        record[key] = MASK if is_secret(key) else masked(value) if isinstance(value, str) else value
    if not record:
        raise UsageError("there is nothing to note: give key=value")
    return _of_version(reference, "annotate", why, record, store)


def approve(reference: str, why: str = "", *, store: Store | None = None) -> Taken:
    """Say yes to a version, as the person that `AUTOTRACK_USER` names."""
    return _of_version(reference, "approve", why, {}, store)


def disapprove(reference: str, why: str = "", *, store: Store | None = None) -> Taken:
    """Say no to a version; this person's approval, if there was one, is taken back."""
    return _of_version(reference, "disapprove", why, {}, store)


def retire(reference: str, why: str = "", *, force: bool = False, store: Store | None = None) -> Taken | None:
    """Take a version out of use: no alias can be moved to it. Where one points to it already, only by force."""
    named = _of_one_version(reference)

    def change(store: Store, found: RegisteredModel) -> Taken | None:
        version = reading.chosen(found, named)
        pointing = found.pointing_to(version.digest)
        if version.retired:
            return None
        if pointing and not force:
            held = ", ".join(f"{found.name}@{alias}" for alias in pointing)
            raise RegistryConflict(f"{held} points to version {version.number}: move it away first, or force it")
        return step(found.name, "retire", version.digest, why, {"forced": True} if force else {}, store=store)

    return _changed(named, change, store)


def restore(reference: str, why: str = "", *, store: Store | None = None) -> Taken | None:
    """Bring a retired version back."""
    named = _of_one_version(reference)

    def change(store: Store, found: RegisteredModel) -> Taken | None:
        version = reading.chosen(found, named)
        return step(found.name, "restore", version.digest, why, store=store) if version.retired else None

    return _changed(named, change, store)


def protect(
    reference: str,
    gates: Mapping[str, Mapping[str, Any]],
    approvals: int = 0,
    why: str = "",
    *,
    store: Store | None = None,
) -> Taken:
    """Let an alias be moved only to versions that these gates let pass and that so many people have approved."""
    named = parse_alias(reference)
    log.check_alias(named.alias or "")
    if not gates and approvals < 1:
        raise UsageError("say what protects it: --approvals N, --gate NAME, or both")
    rules = {"approvals": approvals, "gates": {name: dict(options) for name, options in gates.items()}}

    def change(store: Store, found: RegisteredModel) -> Taken:
        from autotrack.registry.gates import known

        unknown = sorted(set(gates) - set(known()))
        if unknown:
            raise UsageError(f"there is no gate {unknown[0]!r}; there are {', '.join(known())}")
        return step(found.name, "protect", None, why, {"alias": named.alias, "rules": rules}, store=store)

    return _changed(named, change, store)


def unprotect(reference: str, why: str = "", *, store: Store | None = None) -> Taken | None:
    """Let an alias be moved without asking anybody."""
    named = parse_alias(reference)

    def change(store: Store, found: RegisteredModel) -> Taken | None:
        if named.alias not in found.protected:
            return None
        return step(found.name, "unprotect", None, why, {"alias": named.alias}, store=store)

    return _changed(named, change, store)


def _of_version(reference: str, action: str, why: str, record: Mapping[str, Any], store: Store | None) -> Taken:
    named = _of_one_version(reference)

    def change(store: Store, found: RegisteredModel) -> Taken:
        return step(found.name, action, reading.chosen(found, named).digest, why, record, store=store)

    return _changed(named, change, store)


def _of_one_version(reference: str) -> Reference:
    named = parse(reference)
    if named.alias is None and named.version is None:
        raise UsageError(f"say which version: {named}/3, or {named}@production")
    return named


Answer = TypeVar("Answer")


def _changed(named: Reference, change: Callable[[Store, RegisteredModel], Answer], store: Store | None) -> Answer:
    if store is None:
        with opened() as found:
            return _changed(named, change, found)
    return change(store, reading.folded(store, named.model))


__all__ = [
    "annotate",
    "approve",
    "disapprove",
    "protect",
    "register",
    "restore",
    "retire",
    "rollback",
    "stage",
    "unalias",
    "unprotect",
]
