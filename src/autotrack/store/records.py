"""From rows to the records that users are promised: one dictionary a run, with ISO times and exact steps.

Rows of the store enter; plain dictionaries leave. `docs/store.md` describes the rows.
"""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Table, select

from autotrack.store import schema
from autotrack.store.rows import slices
from autotrack.store.schema import runs

Record = dict[str, Any]

HEADER = (
    runs.c.id,
    runs.c.name,
    runs.c.project,
    runs.c.status,
    runs.c.started_at,
    runs.c.ended_at,
    runs.c.parent_id,
    runs.c.integration,
)


def jsonable(value: Any) -> Any:
    """`value` for strict JSON: NaN and infinities as `"NaN"`, `"Infinity"`, `"-Infinity"`, at any depth."""
    if isinstance(value, float):
        if math.isnan(value):
            return "NaN"
        if math.isinf(value):
            return "Infinity" if value > 0 else "-Infinity"
        return value
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    return plain_step(value) if isinstance(value, Decimal) else value


def iso(nanoseconds: int) -> str:
    """A time as ISO 8601 in UTC, to the microsecond."""
    seconds, rest = divmod(nanoseconds, 10**9)
    return f"{datetime.fromtimestamp(seconds, UTC).isoformat()[:19]}.{rest // 1000:06d}Z"


def plain_step(step: int | Decimal) -> int | float | str:
    """A step as JSON can hold it exactly: a number, or, where a float would be another decimal, its digits as text."""
    if isinstance(step, int):
        return step
    number = float(step)
    return number if Decimal(repr(number)) == step else format(step, "f")


def header(row: Any) -> Record:
    """A row of `HEADER` as a record."""
    run, name, project, status, started, ended, parent, integration = row
    return {
        "id": run,
        "name": name,
        "project": project,
        "status": status,
        "started_at": iso(started),
        "ended_at": None if ended is None else iso(ended),
        "parent_id": parent,
        "integration": integration,
    }


def records(connection: Connection, ids: list[str]) -> dict[str, Record]:
    """The whole records of these runs, with one query a table and not one a run."""
    found: dict[str, Record] = {}
    for some in slices(ids):
        for row in connection.execute(select(*HEADER).where(runs.c.id.in_(some))):
            found[row.id] = header(row) | {
                "params": {},
                "metrics": {},
                "tags": {},
                "datasets": [],
                "models": [],
                "artifacts": [],
                "environment": {},
                "code": {},
                "notebook": {},
                "randomness": {},
                "error": None,
                "notes": [],
                "params_history": {},
            }
        for row in _of(connection, schema.run_details, some):
            record = found[row.run_id]
            record["environment"], record["code"] = json.loads(row.environment), json.loads(row.code)
            record["error"] = None if row.error is None else json.loads(row.error)
        for row in _of(connection, schema.params, some, "key"):
            found[row.run_id]["params"][row.key] = json.loads(row.value)
        for row in _of(connection, schema.params_history, some, "id"):
            was = {"value": json.loads(row.value), "time": iso(row.time)}
            found[row.run_id]["params_history"].setdefault(row.key, []).append(was)
        for row in _of(connection, schema.tags, some, "key"):
            found[row.run_id]["tags"][row.key] = row.value
        for row in _of(connection, schema.series, some, "key"):
            found[row.run_id]["metrics"][row.key] = _metric(row)
        for row in _of(connection, schema.datasets, some, "id"):
            told = {"role": row.role, "name": row.name, "fingerprint": json.loads(row.record)}
            _add_dataset(found[row.run_id]["datasets"], told)
        for row in _of(connection, schema.models, some, "id"):
            found[row.run_id]["models"].append(_model(row))
        for row in _of(connection, schema.artifacts, some, "time", "id"):
            told = {"name": row.name, "digest": row.digest, "bytes": row.bytes}
            found[row.run_id]["artifacts"].append(told)
        for row in _of(connection, schema.provenance, some, "key"):
            found[row.run_id].setdefault(row.kind, {})[row.key] = json.loads(row.value)
        for row in _of(connection, schema.notes, some, "id"):
            _add_note(found[row.run_id]["notes"], row)
    return found


def _of(connection: Connection, table: Table, ids: list[str], *order: str) -> Any:
    statement = select(table).where(table.c.run_id.in_(ids)).order_by(*(table.c[name] for name in order))
    return connection.execute(statement)


def _metric(row: Any) -> Record:
    def number(value: float | None) -> float:
        return math.nan if value is None else value  # SQLite has no NaN: NULL stands for it

    return {
        "last": number(row.last),
        "min": number(row.min),
        "max": number(row.max),
        "first_step": _step(row.first_step),
        "last_step": _step(row.last_step),
        "count": row.count,
    }


def _model(row: Any) -> Record:
    step = None if row.step is None else _step(row.step)
    told = {"name": row.name, "step": step, "format": row.format, "digest": row.digest, "bytes": row.bytes}
    if row.signature is not None:
        told["signature"] = json.loads(row.signature)
    if row.problem is not None:
        told["problem"] = row.problem
    return told


def _add_dataset(datasets: list[Record], told: Record) -> None:
    """What was hashed as it passed completes what was said of the same data when it was passed in."""
    if told["fingerprint"].get("stream"):
        for one in datasets:
            before = one["fingerprint"]
            if (one["role"], one["name"]) == (told["role"], told["name"]) and not before.get("value"):
                one["fingerprint"] = before | told["fingerprint"]
                return
    datasets.append(told)


def _add_note(notes: list[Record], row: Any) -> None:
    for note in notes:
        if note["what"] == row.what and note["why"] == row.why:
            note["count"] += row.count
            return
    notes.append({"what": row.what, "count": row.count, "why": row.why})


def _step(text: str) -> int | float | str:
    return plain_step(Decimal(text)) if "." in text else int(text)
