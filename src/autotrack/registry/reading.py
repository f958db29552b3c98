"""Reading the registry: a store, and perhaps a moment, enter; plain records for the CLI, dashboard and Python leave.

What the log says is folded by `autotrack.registry.views`; what a version is made of is looked up in the record of the
run that it came from. Times are ISO 8601 in UTC.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError

from autotrack.errors import ModelNotFound, StoreError
from autotrack.registry.log import Reference, Step, moment, parse
from autotrack.registry.origins import NOTHING, origins
from autotrack.registry.registered import Entry, Held, RegisteredModel, Version, rules_of
from autotrack.registry.views import fold
from autotrack.settings import Settings
from autotrack.store import schema
from autotrack.store.query import Store, iso
from autotrack.store.rows import slices

Moment: TypeAlias = str | int | datetime | None
Record: TypeAlias = dict[str, Any]


def steps(store: Store, model: str | None = None) -> list[Step]:
    """The log, or what of it is about one model, in its order. Raises `StoreError`."""
    with _reading(store) as connection:
        return _steps(connection, model)


def folded(store: Store, name: str, at: Moment = None) -> RegisteredModel:
    """One model as its steps have made it. Raises `ModelNotFound`, `UsageError` for a bad moment."""
    when = moment(at)
    found = fold(steps(store, name), when).get(name)
    if found is None or not found.versions:
        raise ModelNotFound(_unknown(store, name, when))
    return found


def folded_if_known(store: Store, name: str) -> RegisteredModel | None:
    """One model as its steps have made it, or None where no version of it is registered."""
    found = fold(steps(store, name)).get(name)
    return found if found is not None and found.versions else None


def models(store: Store, at: Moment = None) -> list[Record]:
    """Every registered model, in alphabetical order, with the fields of `model` but for `log`."""
    with _reading(store) as connection:
        found = fold(_steps(connection), moment(at))
        known = [model for _, model in sorted(found.items()) if model.versions]
        made = origins(connection, [version for model in known for version in model.versions.values()])
    return [_model(one, made) for one in known]


def model(store: Store, name: str, at: Moment = None) -> Record:
    """One model: its versions, newest first, aliases, protected aliases, and log, oldest first. `docs/registry.md`.

    With `at`, as it was at that moment. Raises `ModelNotFound`, `UsageError` for a bad moment, `StoreError`.
    """
    found = folded(store, name, at)
    with _reading(store) as connection:
        made = origins(connection, found.versions.values())
    return _model(found, made) | {"log": [entry_record(found, entry) for entry in found.log]}


def as_it_stands(home: Path, settings: Settings, name: str) -> Record | None:
    """One model of a home's store, for backends that keep a registry; None where there is no step of it.

    Of one that has no versions the steps are there all the same.
    """
    with Store.open(home, settings) as store:
        found = fold(steps(store, name)).get(name)
        if found is None:
            return None
        with _reading(store) as connection:
            made = origins(connection, found.versions.values())
        return _model(found, made) | {"log": [entry_record(found, entry) for entry in found.log]}


def resolve(store: Store, reference: str, at: Moment = None) -> Record:
    """The version that `clf@production`, `clf/3` or `clf` (the latest that is not retired) names.

    It has the fields of a version in `model`, and `model`. Raises `ModelNotFound`, `UsageError`.
    """
    found = folded(store, parse(reference).model, at)
    version = chosen(found, parse(reference))
    with _reading(store) as connection:
        made = origins(connection, [version])
    return {"model": found.name, **_version(found, version, made)}


def chosen(found: RegisteredModel, reference: Reference) -> Version:
    """The version of the model that the reference names. Raises `ModelNotFound`."""
    if reference.alias is not None:
        alias = found.aliases.get(reference.alias)
        if alias is None or alias.digest is None:
            there = ", ".join(sorted(name for name, one in found.aliases.items() if one.now)) or "none"
            raise ModelNotFound(f"the model {found.name} has no alias {reference.alias!r}; its aliases: {there}")
        return found.versions[alias.digest]
    version = found.latest() if reference.version is None else found.version(reference.version)
    if version is None:
        numbers = ", ".join(str(one.number) for one in found.versions.values())
        which = "that is not retired" if reference.version is None else str(reference.version)
        raise ModelNotFound(f"the model {found.name} has no version {which}; its versions: {numbers}")
    return version


def held_at(
    store: Store, reference: Reference, since: int | None, until: int | None
) -> tuple[Record | None, list[Record]]:
    """Where an alias pointed at the moment `until`, and what it pointed to before that, but not before `since`.

    Each is `{version, digest, run, since, until, who, why, evidence, forced, rollback}`. Raises `ModelNotFound`.
    """
    found = folded(store, reference.model, until)
    alias = found.aliases.get(reference.alias or "")
    held = alias.held if alias is not None else []
    shown = [_held(found, one) for one in held if since is None or one.until is None or one.until.time >= since]
    now = shown.pop() if shown and held[-1].digest is not None else None
    return now, [one for one in shown if one["digest"]]


def registered(store: Store, digests: Iterable[str | None]) -> dict[str, list[Record]]:
    """For each of these digests that is registered, `{model, version, aliases}` of every model that has it."""
    wanted = sorted({digest for digest in digests if digest})
    if not wanted:
        return {}
    table = schema.registry
    with _reading(store) as connection:
        names: set[str] = set()
        for some in slices(wanted):
            names.update(connection.execute(select(table.c.model).distinct().where(table.c.digest.in_(some))).scalars())
        found = [one for name in sorted(names) for one in fold(_steps(connection, name)).values()]
    return {
        digest: [
            {"model": one.name, "version": one.versions[digest].number, "aliases": one.pointing_to(digest)}
            for one in found
            if digest in one.versions
        ]
        for digest in wanted
        if any(digest in one.versions for one in found)
    }


def with_registered(store: Store, record: Record) -> Record:
    """The record of a run whose models tell as which versions they are registered: `models[].registered`."""
    found = registered(store, [one["digest"] for one in record["models"]])
    models = [one | {"registered": found[one["digest"]]} if one["digest"] in found else one for one in record["models"]]
    return record | {"models": models}


def is_run(store: Store, id: str) -> bool:
    """Whether there is a run with this very id."""
    with _reading(store) as connection:
        return connection.execute(select(schema.runs.c.id).where(schema.runs.c.id == id)).first() is not None


def is_called(store: Store, name: str) -> bool:
    """Whether there is a run with this very name."""
    with _reading(store) as connection:
        return connection.execute(select(schema.runs.c.id).where(schema.runs.c.name == name)).first() is not None


def entry_record(found: RegisteredModel, entry: Entry) -> Record:
    """A step of the log, and what became of it."""
    step = entry.step
    version = found.versions.get(step.digest or "")
    told = {
        "id": step.id,
        "time": iso(step.time),
        "action": step.action,
        "version": version.number if version else None,
        "digest": step.digest,
        "run": step.run or None,
        "who": step.who or None,
        "why": step.why,
        "record": dict(step.record),
        "effect": entry.effect,
    }
    return told | ({"because": entry.because} if entry.because else {})


def _steps(connection: Connection, model: str | None = None) -> list[Step]:
    table = schema.registry
    wanted = select(table).order_by(table.c.id)
    if model is not None:
        wanted = wanted.where(table.c.model == model)
    return [_step(row) for row in connection.execute(wanted)]


def _step(row: Any) -> Step:
    told = json.loads(row.record)
    record = told if isinstance(told, dict) else {}
    return Step(row.event_id, row.time, row.model, row.action, row.digest, row.run_id, row.who, row.why, record)


def _model(found: RegisteredModel, made: dict[tuple[str, str], Record]) -> Record:
    versions = sorted(found.versions.values(), key=lambda one: -one.number)
    aliases = {name: _pointer(found, name, one.now) for name, one in sorted(found.aliases.items()) if one.now}
    protected = {name: _protection(step) for name, step in sorted(found.protected.items())}
    return {
        "name": found.name,
        "versions": [_version(found, version, made) for version in versions],
        "aliases": aliases,
        "protected": protected,
    }


def _version(found: RegisteredModel, version: Version, made: dict[tuple[str, str], Record]) -> Record:
    step = version.registered
    name = step.record.get("model")
    return {
        "version": version.number,
        "digest": version.digest,
        "run": version.run or None,
        **NOTHING,
        **{key: value for key, value in step.record.items() if key in ("format", "bytes", "signature", "datasets")},
        **({"name": name} if name else {}),
        **made.get((version.run, version.digest), made.get(("", version.digest), {})),
        "aliases": found.pointing_to(version.digest),
        "stage": version.stage,
        "approvals": [_word(one) for one in version.approvals.values()],
        "objections": [_word(one) for one in version.objections.values()],
        "annotations": version.annotations,
        "retired": _word(version.retired) if version.retired else None,
        "signed": _word(version.signed) | {"record": dict(version.signed.record)} if version.signed else None,
        "registered_at": iso(step.time),
        "registered_by": step.who or None,
        "why": step.why,
    }


def _word(step: Step) -> Record:
    return {"who": step.who or None, "time": iso(step.time), "why": step.why}


def _pointer(found: RegisteredModel, name: str, now: Held | None) -> Record:
    assert now is not None
    protection = found.protected.get(name)
    return _held(found, now) | {"protected": _protection(protection) if protection else None}


def _held(found: RegisteredModel, held: Held) -> Record:
    step, version = held.step, found.versions.get(held.digest or "")
    return {
        "version": version.number if version else None,
        "digest": held.digest,
        "run": version.run or None if version else None,
        "since": iso(step.time),
        "until": iso(held.until.time) if held.until else None,
        "who": step.who or None,
        "why": step.why,
        "evidence": found.aliases[step.alias].evidence(held),
        "forced": bool(step.record.get("forced")),
        "rollback": bool(step.record.get("rollback")),
    }


def _protection(step: Step) -> Record:
    gates, approvals = rules_of(step)
    return {"gates": gates, "approvals": approvals} | _word(step)


def _unknown(store: Store, name: str, at: int | None) -> str:
    with _reading(store) as connection:
        known = fold(_steps(connection), at)
    there = [one for one in sorted(known) if known[one].versions]
    if at is not None:
        return f"no model was registered as {name!r} at {iso(at)}; there were {', '.join(there[:20]) or 'none'}"
    listed = f"there are {', '.join(there[:20])}" if there else "register one with: autotrack models register"
    return f"no model is registered as {name!r}; {listed}"


@contextmanager
def _reading(store: Store) -> Iterator[Connection]:
    try:
        with store.engine.connect() as connection:
            yield connection
    except DBAPIError as problem:
        raise StoreError(f"the registry cannot be read ({problem.orig}): is the store reachable?") from problem
