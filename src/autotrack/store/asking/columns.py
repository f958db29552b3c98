"""What runs have in the columns that are shown: values as in their records, read with one statement a table."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, Table, select

from autotrack.store import schema
from autotrack.store.asking.fields import DOCUMENTS, Field
from autotrack.store.asking.functions import pick
from autotrack.store.records import HEADER, Record, iso, plain_step
from autotrack.store.rows import slices
from autotrack.store.schema import runs

_PLACES: Final = {column.name: place for place, column in enumerate(HEADER)}
_FLOATS: Final = ("last", "min", "max")


def values(connection: Connection, heads: Sequence[Any], shown: Mapping[str, Field]) -> list[Record]:
    """For each row of `HEADER`, its value in each column; None where it has none.

    Of several datasets, models or artifacts that is the last one's.
    """
    found: dict[str, Record] = {row[0]: dict.fromkeys(shown) for row in heads}
    by_root: dict[str, dict[str, Field]] = {}
    for name, asked in shown.items():
        by_root.setdefault(asked.root, {})[name] = asked
    for root, fields in by_root.items():
        if root in runs.c or root == "duration":
            for row in heads:
                for name in fields:
                    found[row[0]][name] = _own(row, root)
        elif root in ("params", "metrics", "tags"):
            _keyed(connection, root, fields, found)
        elif root in DOCUMENTS:
            _documents(connection, root, fields, found)
        else:
            _others(connection, root, fields, found)
    return [found[row[0]] for row in heads]


def _own(row: Any, root: str) -> Any:
    if root == "duration":
        started, ended = row[_PLACES["started_at"]], row[_PLACES["ended_at"]]
        return None if ended is None else (ended - started) / 1e9
    value = row[_PLACES[root]]
    return iso(value) if root.endswith("_at") and value is not None else value


def _keyed(connection: Connection, root: str, fields: Mapping[str, Field], found: dict[str, Record]) -> None:
    table = {"params": schema.params, "metrics": schema.series, "tags": schema.tags}[root]
    by_key: dict[str, list[tuple[str, Field]]] = {}
    for name, asked in fields.items():
        by_key.setdefault(asked.key, []).append((name, asked))
    parts = sorted({asked.part or "value" for asked in fields.values()})
    for row in _rows(connection, table, found, parts, table.c.key.in_(by_key)):
        for name, asked in by_key[row.key]:
            value = getattr(row, asked.part or "value")
            if root == "params":
                value = json.loads(value)
            elif asked.part in _FLOATS:
                value = math.nan if value is None else value
            elif asked.kind == "step":
                value = _step(value)
            found[row.run_id][name] = value


def _documents(connection: Connection, root: str, fields: Mapping[str, Field], found: dict[str, Record]) -> None:
    told, start = schema.provenance, schema.run_details
    firsts = sorted({asked.path[0] for asked in fields.values()})
    latest: dict[tuple[str, str], str] = {}
    for row in _rows(connection, told, found, ["key", "value"], told.c.kind == root, told.c.key.in_(firsts)):
        latest[row.run_id, row.key] = row.value
    at_start: dict[str, str] = {}
    if root in start.c:
        at_start = {row.run_id: getattr(row, root) for row in _rows(connection, start, found, [root])}
    for run, record in found.items():
        for name, asked in fields.items():
            document, path = latest.get((run, asked.path[0])), asked.path[1:]
            if document is None:
                document, path = at_start.get(run), asked.path
            record[name] = _at(document, path)


def _others(connection: Connection, root: str, fields: Mapping[str, Field], found: dict[str, Record]) -> None:
    table = {"datasets": schema.datasets, "models": schema.models, "artifacts": schema.artifacts}.get(
        root, schema.run_details
    )
    wanted = {"datasets": ["role", "name", "record"], "error": ["error"]}.get(
        root, sorted({asked.part for asked in fields.values()})
    )
    for row in _rows(connection, table, found, wanted, order="id" if "id" in table.c else None):
        for name, asked in fields.items():
            if root == "datasets" and asked.key and row.role != asked.key:
                continue
            if root == "error" or (root == "datasets" and not asked.part):
                value = _at(row.error if root == "error" else row.record, asked.path)
            else:
                value = getattr(row, asked.part)
                value = _step(value) if asked.kind == "step" and value is not None else value
            if value is not None:
                found[row.run_id][name] = value


def _rows(
    connection: Connection,
    table: Table,
    ids: Iterable[str],
    wanted: Sequence[str],
    *where: Any,
    order: str | None = None,
) -> Iterable[Any]:
    always = ("run_id", "key") if "key" in table.c else ("run_id",)
    names: list[str] = list(dict.fromkeys((*always, *wanted)))
    for some in slices(ids):
        statement = select(*(table.c[name] for name in names)).where(table.c.run_id.in_(some), *where)
        yield from connection.execute(statement if order is None else statement.order_by(table.c[order]))


def _step(text: str) -> int | float | str:
    return plain_step(Decimal(text)) if "." in text else int(text)


def _at(document: str | None, path: Sequence[str]) -> Any:
    found = None if document is None else pick(document, json.dumps(path))
    return None if found is None else json.loads(found)
