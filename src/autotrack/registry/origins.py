"""What the versions of a registered model are made of, as the records of their runs tell it.

Versions enter; for each its file, signature, datasets, code and parents leave, read with one query a table.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from sqlalchemy import Connection, select

from autotrack.registry.registered import Version
from autotrack.store import schema
from autotrack.store.rows import slices

Record = dict[str, Any]

NOTHING: Final[Record] = {
    "name": None,
    "format": None,
    "bytes": None,
    "signature": None,
    "datasets": [],
    "code": None,
    "parents": [],
}
"""Of a version whose run this store does not know."""


def origins(connection: Connection, versions: Iterable[Version]) -> dict[tuple[str, str], Record]:
    """What the store knows of each version, by run and digest, and by digest alone for those without a run."""
    wanted = list(versions)
    found: dict[tuple[str, str], Record] = {}
    table = schema.models
    for some in slices({version.digest for version in wanted}):
        for row in connection.execute(select(table).where(table.c.digest.in_(some)).order_by(table.c.id)):
            signature = None if row.signature is None else json.loads(row.signature)
            told = {"name": row.name, "format": row.format, "bytes": row.bytes, "signature": signature}
            found[row.run_id, row.digest] = told | {"datasets": [], "code": None, "parents": []}
            found.setdefault(("", row.digest), told)
    runs = sorted({version.run for version in wanted if version.run})
    of_run: dict[str, list[Record]] = {}
    for (run, _), told in found.items():
        of_run.setdefault(run, []).append(told)
    for some in slices(runs):
        for run, key, value in _told_of_runs(connection, some):
            for told in of_run.get(run, ()):
                told[key] = value if key == "code" else [*told[key], value]
    return found


def _told_of_runs(connection: Connection, runs: list[str]) -> Iterator[tuple[str, str, Any]]:
    datasets, links, details, provenance = schema.datasets, schema.links, schema.run_details, schema.provenance
    for row in connection.execute(select(datasets).where(datasets.c.run_id.in_(runs)).order_by(datasets.c.id)):
        record = json.loads(row.record)
        told = {"role": row.role, "name": row.name, "value": record.get("value"), "n_rows": record.get("n_rows")}
        yield row.run_id, "datasets", told
    inputs = select(links).where(links.c.run_id.in_(runs), links.c.relation == "inputs").order_by(links.c.identity)
    for row in connection.execute(inputs):
        yield row.run_id, "parents", row.identity
    for row in connection.execute(select(details.c.run_id, details.c.code).where(details.c.run_id.in_(runs))):
        commit = json.loads(row.code).get("commit")
        if commit:
            yield row.run_id, "code", commit
    commits = select(provenance).where(
        provenance.c.run_id.in_(runs), provenance.c.kind == "code", provenance.c.key == "commit"
    )
    for row in connection.execute(commits):
        yield row.run_id, "code", json.loads(row.value)
