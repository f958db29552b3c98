"""Asking a query: the runs that it fits, sorted, a page of them, and what they have in the columns that are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, case, func, null, select

from autotrack.store import schema
from autotrack.store.asking import functions, parsing
from autotrack.store.asking.columns import values
from autotrack.store.asking.conditions import Rows, condition
from autotrack.store.asking.parsing import NEWEST, Order
from autotrack.store.asking.scalars import Expression, Scalars
from autotrack.store.records import HEADER, Record, header
from autotrack.store.schema import runs


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
    statement = select(*HEADER, *([] if total is None else [total.label("total")]))
    statement = _sorted(statement, orders, Scalars(dialect)).where(wanted).limit(limit).offset(offset or None)
    if limit is None and offset:
        statement = statement.limit(2**62)  # SQLite has no OFFSET without LIMIT
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


def _sorted(statement: Any, orders: Sequence[Order], scalars: Scalars) -> Any:
    by: list[Expression] = []
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
            rows = Rows(asked, scalars)
            newest = rows.select(rows.value).where(rows.there(rows.value))
            if rows.newest is not None:
                newest = newest.order_by(rows.newest.desc()).limit(1)
            value = newest.scalar_subquery()
        by += _order(value, one, scalars)
    names = {one.field.root for one in orders}
    by += [runs.c.started_at.desc()] * ("started_at" not in names) + [runs.c.id] * ("id" not in names)
    return statement.select_from(source).order_by(*by)


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
