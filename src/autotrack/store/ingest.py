"""Writing a batch of one journal into the store, together with the journal's cursor, in one transaction.

Records enter, at least once; what they say is in the tables exactly once: the cursor is read under a lock inside the
transaction, and records at or before it are passed over. Any number of ingesters may work on one journal or one run.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

from sqlalchemy import Connection, Engine, bindparam, select, update

from autotrack.events import Record, RunEnded, RunStarted
from autotrack.store import schema
from autotrack.store.append import append_points
from autotrack.store.burying import bury
from autotrack.store.engine import writing
from autotrack.store.gather import Gathered, Row, as_json, gather
from autotrack.store.rows import add, append_steps, slices, upsert
from autotrack.store.schema import cursors, params, run_details, runs

_RANK: Final = {"placeholder": 0, "resumed": 1, "started": 2}
"""How much is known of a run: only that there are events of it, a start as resumed, or its true start."""


def cursor(engine: Engine, writer: str) -> int | None:
    """The position up to which the store holds the writer's journal, or None where it holds nothing of it."""
    with engine.connect() as connection:
        position = connection.execute(select(cursors.c.position).where(cursors.c.writer == writer)).scalar()
    return None if position is None else int(position)


def ingest(engine: Engine, batch: Sequence[Record]) -> int:
    """Write the records of one writer that the store does not hold yet; return how many they were.

    All of it is committed, or, on any exception, nothing. Raises `ValueError` for records of several writers.
    """
    if not batch:
        return 0
    writer = batch[0].writer
    if any(record.writer != writer for record in batch):
        raise ValueError("a batch holds the records of one writer")
    ordered = _in_order(batch)
    # Gathered before the lock is taken, for the usual case that all of it is new.
    held = cursor(engine, writer) or 0
    fresh = _after(ordered, held)
    if not fresh:
        return 0
    found = gather(fresh)
    with writing(engine) as connection:
        position = _locked_cursor(connection, writer)
        if position != held:  # another ingester was here in between
            fresh = _after(fresh, position)
            if not fresh:
                return 0
            found = gather(fresh)
        _write(connection, writer, found)
        moved = update(cursors).where(cursors.c.writer == writer).values(position=fresh[-1].position)
        connection.execute(moved)
    return len(fresh)


def _in_order(batch: Sequence[Record]) -> Sequence[Record]:
    positions = [record.position for record in batch]
    if all(first < second for first, second in pairwise(positions)):
        return batch
    return [record for _, record in sorted({record.position: record for record in reversed(batch)}.items())]


def _after(ordered: Sequence[Record], position: int) -> Sequence[Record]:
    if ordered and ordered[0].position > position:
        return ordered
    return [record for record in ordered if record.position > position]


def _locked_cursor(connection: Connection, writer: str) -> int:
    upsert(connection, cursors, [{"writer": writer, "position": 0}], replace=False)
    # SQLite ignores FOR UPDATE: there the whole file is locked since the transaction began.
    statement = select(cursors.c.position).where(cursors.c.writer == writer).with_for_update()
    return int(connection.execute(statement).scalar_one())


def _write(connection: Connection, writer: str, found: Gathered) -> None:
    # Every row belongs to a run, so holding the runs' rows, taken in one order, keeps two ingesters of a run apart.
    stored = _locked_runs(connection, found)
    bury(connection, found)
    _write_lifecycle(connection, writer, found, stored)
    _write_params(connection, found.params)
    upsert(connection, schema.tags, list(found.tags.values()))
    upsert(connection, schema.datasets, list(found.datasets.values()), replace=False)
    upsert(connection, schema.artifacts, list(found.artifacts.values()))
    add(connection, schema.models, found.models)
    add(connection, schema.notes, found.notes)
    upsert(connection, schema.provenance, list(found.provenance.values()))
    add(connection, schema.console, found.console)
    upsert(connection, schema.links, list(found.links.values()), replace=False)
    append_steps(connection, list(found.registry.values()))
    append_points(connection, found.points)


def _locked_runs(connection: Connection, found: Gathered) -> dict[str, Row]:
    names = sorted(found.runs)
    placeholders: list[Row] = [
        {
            "id": run,
            "name": run,
            "project": "",
            "status": "running",
            "started_at": found.runs[run],
            "ended_at": None,
            "parent_id": None,
            "integration": None,
            "known": "placeholder",
            "status_at": 0,
            "status_writer": "",
        }
        for run in names
    ]
    stored: dict[str, Row] = {}
    for some in slices(names):
        wanted = select(runs).where(runs.c.id.in_(some)).order_by(runs.c.id).with_for_update()
        stored.update({row["id"]: dict(row) for row in connection.execute(wanted).mappings()})
    missing = [row for row in placeholders if row["id"] not in stored]
    if missing:
        upsert(connection, runs, missing, replace=False)
        details = [{"run_id": row["id"], "environment": "{}", "code": "{}", "error": None} for row in missing]
        upsert(connection, run_details, details, replace=False)
        for some in slices(row["id"] for row in missing):
            wanted = select(runs).where(runs.c.id.in_(some)).order_by(runs.c.id).with_for_update()
            stored.update({row["id"]: dict(row) for row in connection.execute(wanted).mappings()})
    return stored


def _write_lifecycle(connection: Connection, writer: str, found: Gathered, stored: dict[str, Row]) -> None:
    changed: list[Row] = []
    details: dict[tuple[str, ...], list[Row]] = {}
    for run, events in found.lifecycle.items():
        row, detail = stored[run], {"b_run": run}
        for event in events:
            if isinstance(event, RunStarted):
                _begin(found, row, detail, event)
            _turn(row, detail, event, writer)
        changed.append({f"b_{name}": value for name, value in row.items()})
        if len(detail) > 1:
            details.setdefault((*detail,), []).append(detail)
    if changed:
        values: Row = {column.name: bindparam(f"b_{column.name}") for column in runs.columns if column.name != "id"}
        connection.execute(update(runs).where(runs.c.id == bindparam("b_id")).values(values), changed)
    for rows in details.values():  # rows of one statement set the same columns
        connection.execute(update(run_details).where(run_details.c.run_id == bindparam("b_run")), rows)


def _begin(found: Gathered, row: Row, detail: Row, event: RunStarted) -> None:
    """Fill in what a start tells; what the run's true start told stays when the run is resumed."""
    known = "resumed" if event.resumed else "started"
    if row["known"] == "placeholder" or _RANK[known] > _RANK[row["known"]]:
        row["name"] = found.name(event.name, row["id"], event.time)
        row["project"] = found.name(event.project, row["id"], event.time)
        row["started_at"] = event.time
        row["known"] = known
        if event.environment or row["known"] == "placeholder":
            detail["environment"] = as_json(event.environment)
        if event.code:
            detail["code"] = as_json(event.code)
    for name, value in (("parent_id", event.parent), ("integration", event.integration)):
        if value is not None and (row[name] is None or known == "started"):
            row[name] = found.text(value, row["id"], event.time)


def _turn(row: Row, detail: Row, event: RunStarted | RunEnded, writer: str) -> None:
    """Let the run begin, go on or end, unless a later word of another journal was taken in before this one.

    Within one journal the order of its events counts, not their clock, which may have been set back.
    """
    if row["status_writer"] not in ("", writer) and event.time < row["status_at"]:
        return
    row["status_at"], row["status_writer"] = event.time, writer
    if isinstance(event, RunStarted):
        row["status"], row["ended_at"], detail["error"] = "running", None, None
    else:
        row["status"], row["ended_at"] = event.status, event.time
        detail["error"] = None if event.error is None else as_json(event.error)


def _write_params(connection: Connection, logged: list[Row]) -> None:
    latest: dict[tuple[str, str], Row] = {}
    wanted = {(row["run_id"], row["key"]) for row in logged}
    for some_runs in slices(sorted({run for run, _ in wanted})):
        for some_keys in slices(sorted({key for _, key in wanted})):
            rows = connection.execute(select(params).where(params.c.run_id.in_(some_runs), params.c.key.in_(some_keys)))
            latest.update({(row["run_id"], row["key"]): dict(row) for row in rows.mappings()})
    changed: dict[tuple[str, str], Row] = {}
    replaced: list[Row] = []
    for row in logged:
        place = row["run_id"], row["key"]
        before: Any = latest.get(place)
        if before is not None and before["value"] == row["value"]:
            continue
        if before is not None:
            replaced.append(dict(before))
        latest[place] = changed[place] = row
    upsert(connection, params, list(changed.values()))
    add(connection, schema.params_history, replaced)
