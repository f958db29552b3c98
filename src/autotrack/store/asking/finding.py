"""Asking a query: the runs that it fits, sorted, a page of them, and what they have in the columns that are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, ScalarSelect, Table, case, func, null, select

from autotrack.store import schema
from autotrack.store.asking import functions, parsing
from autotrack.store.asking.columns import values
from autotrack.store.asking.conditions import Rows, condition
from autotrack.store.asking.parsing import NEWEST, Order
from autotrack.store.asking.scalars import Expression, Scalars
from autotrack.store.records import HEADER, Record, header
from autotrack.store.schema import runs

_ALL: Final = 2**31 - 1
"""A limit that is none."""


@dataclass(frozen=True)
class Found:
    """`runs` is the page: records as of `Store.runs`, and `values`, by column. `total` counts what fits in all."""

    total: int
    runs: list[Record]


def find(
    connection: Connection,
    where: str = "",
    sort: str | Sequence[str] = NEWEST,
    columns: str | Sequence[str] = (),
    limit: int | None = None,
    offset: int = 0,
) -> Found:
    """The runs that fit. Raises `QueryError`."""
    tree, orders, shown = parsing.parse(where), parsing.order(_joined(sort)), parsing.columns(_joined(columns))
    functions.prepare(connection)
    dialect = connection.dialect.name
    wanted = condition(tree, dialect)
    # One statement tells the page and how many there are: to look for the runs twice would take twice as long.
    total = func.count().over() if limit is not None and tree is not None else None
    told = [*HEADER, *([] if total is None else [total.label("total")])]
    statement = _sorted(told, wanted, orders, Scalars(dialect)).limit(limit).offset(offset or None)
    if limit is None and offset:
        statement = statement.limit(_ALL)  # SQLite has no OFFSET without LIMIT
    rows = list(connection.execute(statement))
    if rows and total is not None:
        count = rows[0].total
    elif not offset and (limit is None or (not rows and limit)):
        count = len(rows)
    else:
        count = connection.execute(select(func.count()).select_from(runs).where(wanted)).scalar_one()
    heads = [row[: len(HEADER)] for row in rows]
    records = [header(row) for row in heads]
    for record, of_run in zip(records, values(connection, heads, shown), strict=True):
        record["values"] = of_run
    return Found(int(count), records)


def keys(connection: Connection, where: str = "") -> dict[str, dict[str, int]]:
    """Of the runs that fit: their params, metrics and tags, each with the number of runs that have it."""
    tree = parsing.parse(where)
    functions.prepare(connection)
    found = {}
    for name, table in (("params", schema.params), ("metrics", schema.series), ("tags", schema.tags)):
        statement = select(table.c.key, func.count()).group_by(table.c.key)
        if tree is not None:
            statement = statement.where(
                table.c.run_id.in_(select(runs.c.id).where(condition(tree, connection.dialect.name)))
            )
        found[name] = {key: int(count) for key, count in sorted(map(tuple, connection.execute(statement)))}
    return found


def _joined(fields: str | Sequence[str]) -> str:
    return fields if isinstance(fields, str) else ", ".join(fields)


def _sorted(told: Sequence[Any], wanted: Expression, orders: Sequence[Order], scalars: Scalars) -> Any:
    found: list[Expression] = []
    source: Any = runs
    for one in orders:
        asked = one.field
        if asked.root in ("params", "metrics", "tags"):
            table: Any = _table(asked.root).alias()
            source = source.outerjoin(table, (table.c.run_id == runs.c.id) & (table.c.key == asked.key))
            value: Expression = table.c[asked.part or "value"]
        elif asked.root == "duration":
            value = runs.c.ended_at - runs.c.started_at
        elif asked.root in runs.c:
            value = runs.c[asked.root]
        else:
            value = Rows(asked, scalars).shown()
        found.append(value)
    columns: Any = runs.c
    statement: Any = select(*told).select_from(source).where(wanted)
    if any(isinstance(value, ScalarSelect) for value in found):
        # Such a value stands in several places of the order: it is worked out before, once a run.
        named = [value.label(f"sorted_{place}") for place, value in enumerate(found)]
        inner = statement.add_columns(*named).limit(_ALL).subquery()
        found, columns = [inner.c[one.name] for one in named], inner.c
        statement = select(*(inner.c[column.name] for column in told))
    by = [part for value, one in zip(found, orders, strict=True) for part in _order(value, one, scalars)]
    names = {one.field.root for one in orders}
    by += [columns.started_at.desc()] * ("started_at" not in names) + [columns.id] * ("id" not in names)
    return statement.order_by(*by)


def _order(value: Expression, one: Order, scalars: Scalars) -> list[Expression]:
    """In the order of its kind, and what is not there last, whichever way round."""

    def turned(expression: Expression) -> Expression:
        return expression.desc() if one.descending else expression.asc()

    if one.field.kind == "scalar":
        kinds = case(
            (scalars.is_number(value) | value.in_(("Infinity", "-Infinity")), 0),
            (value == "NaN", 1),
            (scalars.is_text(value), 2),
            (value.in_(("true", "false")), 3),
            else_=4,
        )
        number = scalars.number(value)
        text = case((scalars.is_number(value), null()), else_=scalars.shown(value))  # 1.0 and 1 are one number
        return [kinds, turned(number), turned(scalars.orderly(text))]
    if one.field.kind == "step":
        value = scalars.number(value)
    elif one.field.kind == "text":
        value = scalars.orderly(value)
    if one.field.root in ("started_at", "id", "name", "project", "status"):  # always there: an index may be used
        return [turned(value)]
    return [value.is_(None), turned(value)]


def _table(root: str) -> Table:
    return {"params": schema.params, "metrics": schema.series, "tags": schema.tags}[root]
