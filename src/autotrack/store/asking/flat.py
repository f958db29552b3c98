"""The store as flat tables, for `autotrack sql` and Parquet: columns with types enter a reader batch by batch.

A batch maps each column to a list or array; None is NULL, and NaN is itself. Nothing is held but one batch.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from sqlalchemy import Connection, Select, Table, select

from autotrack.store import schema
from autotrack.store.asking.functions import shown
from autotrack.store.rows import slices
from autotrack.store.series import decode, exact, step_text

Type = Literal["text", "int", "float", "time"]
"""`time` is in nanoseconds since the epoch."""

Batch: TypeAlias = Mapping[str, Any]

ROWS: Final = 20_000
"""Rows of a batch, more or less."""


@dataclass(frozen=True)
class Flat:
    """One table: its columns, and how its batches are read, of some runs or of all."""

    columns: dict[str, Type]
    read: Callable[[Connection, Sequence[str] | None], Iterator[Batch]]


def _rows(statement: Select[Any], run: Any, row: Callable[[Any], Sequence[Any]], names: Iterable[str]) -> Any:
    """A reader of a statement's rows, each turned into the values of the columns."""
    columns = list(names)

    def read(connection: Connection, ids: Sequence[str] | None) -> Iterator[Batch]:
        parts = [statement] if ids is None else [statement.where(run.in_(some)) for some in slices(ids)]
        for part in parts:
            for rows in connection.execution_options(yield_per=ROWS).execute(part).partitions():
                turned = [row(one) for one in rows]
                yield {name: [one[place] for one in turned] for place, name in enumerate(columns)}

    return read


def _flat(table: Table, columns: dict[str, Type], row: Callable[[Any], Sequence[Any]]) -> Flat:
    run = table.c.id if table is schema.runs else table.c.run_id
    return Flat(columns, _rows(select(table), run, row, columns))


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _scalar(row: Any) -> tuple[Any, ...]:
    value = json.loads(row.value)
    number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) and _fits(value) else None
    return row.run_id, row.key, row.value, shown(value) if isinstance(value, str) else None, number


def _fits(value: float) -> bool:
    return isinstance(value, float) or abs(value) < 2**1023


def _run(row: Any) -> tuple[Any, ...]:
    error = json.loads(row.error) if row.error else {}
    told = (shown(str(error[part])) if part in error else None for part in ("type", "message", "traceback"))
    head = (row.id, row.name, row.project, row.status, row.started_at, row.ended_at, row.parent_id, row.integration)
    return *head, row.environment, row.code, *told


def _dataset(row: Any) -> tuple[Any, ...]:
    record = json.loads(row.record)
    digests = (record.get(name) for name in ("value", "schema", "rows", "strict"))
    counts = (record.get(name) for name in ("n_rows", "n_columns"))
    return (
        row.run_id,
        row.role,
        row.name,
        *(one if isinstance(one, str) else None for one in digests),
        *(one if isinstance(one, int) and abs(one) < 2**63 else None for one in counts),
        row.record,
    )


def _points(connection: Connection, ids: Sequence[str] | None) -> Iterator[Batch]:
    series, chunks = schema.series, schema.chunks
    statement = (
        select(series.c.run_id, series.c.key, chunks.c.data)
        .join(chunks, chunks.c.series_id == series.c.id)
        .order_by(chunks.c.series_id, chunks.c.number)
    )
    parts = [statement] if ids is None else [statement.where(series.c.run_id.in_(some)) for some in slices(ids)]
    held: list[tuple[str, str, Any]] = []
    count = 0
    for part in parts:
        for row in connection.execution_options(yield_per=16).execute(part):
            points = decode(row.data)
            held.append((row.run_id, row.key, points))
            count += len(points)
            if count >= ROWS:
                yield _joined(held)
                held, count = [], 0
    if held:
        yield _joined(held)


def _joined(held: Sequence[tuple[str, str, Any]]) -> Batch:
    steps: list[str] = []
    for _, _, points in held:
        numerators = points.numerators.tolist()
        steps += (
            map(str, numerators) if points.scale == 0 else (step_text(exact(one, points.scale)) for one in numerators)
        )
    return {
        "run": [run for run, _, points in held for _ in range(len(points))],
        "key": [key for _, key, points in held for _ in range(len(points))],
        "step": np.concatenate([points.steps.astype(np.float64) for _, _, points in held]),
        "step_text": steps,
        "time": np.concatenate([points.times for _, _, points in held]),
        "value": np.concatenate([points.values for _, _, points in held]),
    }


def _runs_table() -> Flat:
    columns: dict[str, Type] = {
        "id": "text", "name": "text", "project": "text", "status": "text", "started_at": "time", "ended_at": "time",
        "parent_id": "text", "integration": "text", "environment": "text", "code": "text", "error_type": "text",
        "error_message": "text", "error_traceback": "text",
    }  # fmt: skip
    details = schema.run_details.c
    statement = select(schema.runs, details.environment, details.code, details.error).outerjoin(
        schema.run_details, details.run_id == schema.runs.c.id
    )
    return Flat(columns, _rows(statement.order_by(schema.runs.c.started_at), schema.runs.c.id, _run, columns))


def _registry_table() -> Flat:
    columns: dict[str, Type] = {
        "id": "int", "time": "time", "model": "text", "action": "text", "digest": "text", "run": "text", "who": "text",
        "why": "text", "record": "text",
    }  # fmt: skip
    table = schema.registry

    def row(one: Any) -> tuple[Any, ...]:
        return (one.id, one.time, one.model, one.action, one.digest, one.run_id or None, one.who, one.why, one.record)

    whole = _rows(select(table).order_by(table.c.id), table.c.run_id, row, columns)
    return Flat(columns, lambda connection, ids: whole(connection, None))


TABLES: Final[dict[str, Flat]] = {
    "runs": _runs_table(),
    "params": _flat(
        schema.params, {"run": "text", "key": "text", "value": "text", "text": "text", "number": "float"}, _scalar
    ),
    "metrics": _flat(
        schema.series,
        {
            "run": "text",
            "key": "text",
            "last": "float",
            "min": "float",
            "max": "float",
            "first_step": "float",
            "first_step_text": "text",
            "last_step": "float",
            "last_step_text": "text",
            "count": "int",
            "nan_count": "int",
        },
        lambda row: (
            row.run_id,
            row.key,
            *map(_number, (row.last, row.min, row.max)),
            float(Decimal(row.first_step)),
            row.first_step,
            float(Decimal(row.last_step)),
            row.last_step,
            row.count,
            row.nan_count,
        ),
    ),
    "points": Flat(
        {"run": "text", "key": "text", "step": "float", "step_text": "text", "time": "time", "value": "float"}, _points
    ),
    "tags": _flat(
        schema.tags, {"run": "text", "key": "text", "value": "text"}, lambda row: (row.run_id, row.key, row.value)
    ),
    "datasets": _flat(
        schema.datasets,
        {
            "run": "text",
            "role": "text",
            "name": "text",
            "value": "text",
            "schema": "text",
            "rows": "text",
            "strict": "text",
            "n_rows": "int",
            "n_columns": "int",
            "fingerprint": "text",
        },
        _dataset,
    ),
    "models": _flat(
        schema.models,
        {
            "run": "text",
            "name": "text",
            "step": "text",
            "format": "text",
            "digest": "text",
            "bytes": "int",
            "signature": "text",
            "problem": "text",
            "time": "time",
        },
        lambda row: (
            row.run_id,
            row.name,
            row.step,
            row.format,
            row.digest,
            row.bytes,
            row.signature,
            row.problem,
            row.time,
        ),
    ),
    "artifacts": _flat(
        schema.artifacts,
        {"run": "text", "name": "text", "digest": "text", "bytes": "int", "media_type": "text", "time": "time"},
        lambda row: (row.run_id, row.name, row.digest, row.bytes, row.media_type, row.time),
    ),
    "registry": _registry_table(),
}
"""By name, as `autotrack sql` and `autotrack export --parquet` have them."""
