"""The values that runs have in one field, and how many runs have each: what a list is grouped by.

A condition and a field of the query language enter; pairs of value and number leave. Fields that lie in a column are
counted by the database, the others one by one.
"""

from __future__ import annotations

import json
import math
from typing import Any, Final

from sqlalchemy import Connection, func, select

from autotrack.errors import UsageError
from autotrack.store import schema
from autotrack.store.asking import functions, parsing
from autotrack.store.asking.conditions import condition
from autotrack.store.asking.fields import TEXTS, Field
from autotrack.store.query import Store
from autotrack.store.schema import runs

_TABLES: Final = {"params": schema.params, "tags": schema.tags, "metrics": schema.series}
_PARTS: Final = ("last", "min", "max", "count")

Counted = list[tuple[Any, int]]


def grouped(store: Store, where: str, field: str) -> tuple[Counted, int]:
    """Each value and its number of runs, in no order, and the number of all runs that fit.

    Raises what `Store.find` does.
    """
    fields = parsing.columns(field)
    if len(fields) != 1:
        raise UsageError("runs are grouped by one field")
    (asked,) = fields.values()
    with store.asking() as connection:
        found = _in_database(connection, where, asked)
    if found is None:
        values: list[Any] = [run["values"][field.strip()] for run in store.find(where, columns=field).runs]
        found = _merged([(value, 1) for value in values]), len(values)
    return found


def _in_database(connection: Connection, where: str, asked: Field) -> tuple[Counted, int] | None:
    tree = parsing.parse(where)
    functions.prepare(connection)
    wanted = condition(tree, connection.dialect.name)
    if asked.root in TEXTS:
        column = runs.c[asked.root]
        rows = connection.execute(select(column, func.count()).where(wanted).group_by(column))
        counted = [(value, count) for value, count in rows]
        return counted, sum(count for _, count in counted)
    if asked.root not in _TABLES or (asked.root == "metrics" and asked.part not in _PARTS):
        return None
    table = _TABLES[asked.root]
    value = table.c[asked.part or "value"]
    of_key = select(value, func.count()).where(table.c.key == asked.key)
    if tree is not None:
        of_key = of_key.where(table.c.run_id.in_(select(runs.c.id).where(wanted)))
    counted = [(_plain(asked, value), count) for value, count in connection.execute(of_key.group_by(value))]
    total = int(connection.execute(select(func.count()).select_from(runs).where(wanted)).scalar_one())
    without = total - sum(count for _, count in counted)
    return _merged([*counted, *([(None, without)] if without > 0 else [])]), total


def _plain(asked: Field, value: Any) -> Any:
    if asked.root == "params":
        return json.loads(value)
    return math.nan if value is None and asked.part != "count" and asked.root == "metrics" else value


def _merged(counted: Counted) -> Counted:
    """Equal values once. 1, 1.0 and true are three values, and all NaN are one."""
    found: dict[tuple[str, str], tuple[Any, int]] = {}
    for value, count in counted:
        name = type(value).__name__, str(value)
        found[name] = value, count + (found[name][1] if name in found else 0)
    return list(found.values())


__all__ = ["grouped"]
