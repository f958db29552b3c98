"""What is one step away from a set of runs: what they used, what they made, and which other runs share it.

Ids of runs enter; plain rows leave, read with one query a table. Walking on from there is `autotrack.lineage`'s part.
Each list of other runs is cut at a bound, and says so: a dataset may have been used by every run of a store.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Table, func, select

from autotrack.store import schema
from autotrack.store.records import HEADER, Record, header, iso
from autotrack.store.rows import slices
from autotrack.store.schema import links, runs

RUN = "run:"
"""Before the id of a run, where it stands for the model that the run trained, since no digest is known."""


@dataclass
class Neighbourhood:
    """One step around some runs."""

    runs: dict[str, Record] = field(default_factory=dict)
    """Their headers, each with `resumed`, the times at which it went on; and those of every other run that is named."""
    children: dict[str, list[str]] = field(default_factory=dict)
    """By parent, oldest first."""
    datasets: list[Record] = field(default_factory=list)
    """`{run, role, name, fingerprint}`, each once."""
    inputs: list[Record] = field(default_factory=list)
    """`{run, identity, …}`: a model that a run loaded or went on from, with what was told of it."""
    made: list[Record] = field(default_factory=list)
    """`{run, identity, kind, name, …}` of every model, artifact and saved file; `kind` says which."""
    reproduces: list[tuple[str, str]] = field(default_factory=list)
    """The id of a rerun, and of the run that it repeats."""
    makers: dict[str, list[Record]] = field(default_factory=dict)
    """By identity of an input: `{run, kind, name}` of who made it."""
    users: dict[str, list[Record]] = field(default_factory=dict)
    """By identity of what was made: `{run, …}` of who used it, as in `inputs`."""
    left_out: int = 0
    """Children and users beyond the bound."""


def neighbourhood(connection: Connection, ids: Sequence[str], most: int) -> Neighbourhood:
    """One step around the runs `ids`; of the children of a run, and of the users of a model, at most `most`."""
    found = Neighbourhood()
    _headers(connection, ids, found)
    for some in slices(list(found.runs)):
        _own(connection, some, found)
    _parents_and_children(connection, list(found.runs), found, most)
    _makers(connection, found)
    _users(connection, found, most)
    others = {one["run"] for table in (found.makers, found.users) for held in table.values() for one in held}
    others |= {run for pair in found.reproduces for run in pair}
    _headers(connection, others - set(found.runs), found)
    return found


def _headers(connection: Connection, ids: Iterable[str], found: Neighbourhood) -> None:
    for some in slices(ids):
        for row in connection.execute(select(*HEADER).where(runs.c.id.in_(some))):
            found.runs[row.id] = header(row) | {"resumed": []}


def _own(connection: Connection, ids: list[str], found: Neighbourhood) -> None:
    for row in _of(connection, links, ids):
        if row.relation == "resumed":
            found.runs[row.run_id]["resumed"].append(iso(int(row.identity)))
        elif row.relation == "reproduces":
            found.reproduces.append((row.run_id, row.identity.removeprefix(RUN)))
    for row in _of(connection, schema.datasets, ids):
        told = {"run": row.run_id, "role": row.role, "name": row.name, "fingerprint": json.loads(row.record)}
        found.datasets.append(told)
    for row in _of(connection, schema.provenance, ids, schema.provenance.c.kind.in_(("inputs", "outputs"))):
        told = {"run": row.run_id, "identity": row.key} | _described(row)
        if row.kind == "inputs":
            found.inputs.append(told)
        else:
            found.made.append({**told, "kind": "file", "name": told.get("file")})
    for row in _of(connection, schema.models, ids, schema.models.c.digest.is_not(None)):
        told = {"run": row.run_id, "identity": row.digest, "kind": "model", "name": row.name, "step": row.step}
        found.made.append({**told, "format": row.format, "bytes": row.bytes})
    for row in _of(connection, schema.artifacts, ids):
        told = {"run": row.run_id, "identity": row.digest, "kind": "artifact", "name": row.name}
        found.made.append({**told, "bytes": row.bytes})


def _parents_and_children(connection: Connection, ids: list[str], found: Neighbourhood, most: int) -> None:
    parents = {found.runs[run]["parent_id"] for run in ids} - {None, *ids}
    _headers(connection, parents, found)
    counts: dict[str, int] = {}
    for some in slices(ids):
        wanted = select(runs.c.parent_id, func.count()).where(runs.c.parent_id.in_(some)).group_by(runs.c.parent_id)
        counts.update((run, count) for run, count in connection.execute(wanted))
    for run, count in counts.items():
        found.left_out += max(0, count - most)
        first = select(*HEADER).where(runs.c.parent_id == run).order_by(runs.c.started_at, runs.c.id).limit(most)
        for row in connection.execute(first):
            found.runs.setdefault(row.id, header(row) | {"resumed": []})
            found.children.setdefault(run, []).append(row.id)


def _makers(connection: Connection, found: Neighbourhood) -> None:
    wanted = {one["identity"] for one in found.inputs}
    for some in slices(wanted):
        for table, kind in ((schema.models, "model"), (schema.artifacts, "artifact")):
            for row in connection.execute(select(table).where(table.c.digest.in_(some))):
                _add(found.makers, row.digest, {"run": row.run_id, "kind": kind, "name": row.name})
        for row in _linked(connection, "outputs", some):
            _add(found.makers, row.identity, {"run": row.run_id, "kind": "file", "name": _described(row).get("file")})
    for one in found.inputs:  # told when it was loaded, by where it lay
        if isinstance(one.get("run_of"), str):
            _add(found.makers, one["identity"], {"run": one["run_of"], "kind": "run", "name": None})


def _users(connection: Connection, found: Neighbourhood, most: int) -> None:
    wanted = {one["identity"] for one in found.made} | {RUN + run for run in found.runs}
    for some in slices(wanted):
        for row in _linked(connection, "inputs", some):
            told = {"run": row.run_id, "identity": row.identity} | _described(row)
            _add(found.users, row.identity, told)
    for some in slices(RUN + run for run in found.runs):
        rows = select(links).where(links.c.identity.in_(some), links.c.relation == "reproduces")
        for row in connection.execute(rows):
            if (row.run_id, row.identity.removeprefix(RUN)) not in found.reproduces:
                found.reproduces.append((row.run_id, row.identity.removeprefix(RUN)))
    for identity, users in found.users.items():
        found.left_out += max(0, len(users) - most)
        found.users[identity] = users[:most]


def _linked(connection: Connection, relation: str, identities: list[str]) -> Iterable[Any]:
    """Links of other runs, each with what the run's record says of it (nothing where it says so of its digest)."""
    told = schema.provenance
    same = (told.c.run_id == links.c.run_id) & (told.c.kind == links.c.relation) & (told.c.key == links.c.identity)
    wanted = (
        select(links.c.run_id, links.c.identity, told.c.value)
        .select_from(links.outerjoin(told, same))
        .where(links.c.identity.in_(identities), links.c.relation == relation)
        .order_by(links.c.identity, links.c.run_id)
    )
    return connection.execute(wanted)


def _described(row: Any) -> Record:
    """What was told of an input or output. Its `run` is whose model it is, called `run_of` here."""
    told = json.loads(row.value) if row.value is not None else {}
    if not isinstance(told, dict):
        return {}
    described = {key: value for key, value in told.items() if key not in ("run", "identity")}
    return described | ({"run_of": told["run"]} if "run" in told else {})


def _add(table: dict[str, list[Record]], key: str, one: Record) -> None:
    held = table.setdefault(key, [])
    if one not in held:
        held.append(one)


def _of(connection: Connection, table: Table, ids: list[str], *more: Any) -> Iterable[Any]:
    order = [table.c.id] if "id" in table.c else list(table.primary_key.columns)
    return connection.execute(select(table).where(table.c.run_id.in_(ids), *more).order_by(*order))


__all__ = ["RUN", "Neighbourhood", "neighbourhood"]
