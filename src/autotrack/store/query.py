"""The reading side: runs as records, series as arrays, for the CLI, the dashboard and Python.

A home enters; plain dictionaries and arrays leave, with the fields that users are promised. Nothing is written but the
empty tables of a store that did not exist. numpy is imported when the first series is read, since listing runs needs none.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import Connection, Engine, Table, func, select
from sqlalchemy.exc import DBAPIError

from autotrack.errors import RunNotFound, StoreError
from autotrack.settings import Settings, load
from autotrack.store import schema
from autotrack.store.engine import open_engine, shown
from autotrack.store.schema import runs, slices

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from autotrack.store.series import Points

Record = dict[str, Any]

_HEADER = (
    runs.c.id,
    runs.c.name,
    runs.c.project,
    runs.c.status,
    runs.c.started_at,
    runs.c.ended_at,
    runs.c.parent_id,
    runs.c.integration,
)


class Store:
    """The store of one home, to read. A context manager; safe to share between threads."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @classmethod
    def open(cls, home: Path | None = None, settings: Settings | None = None) -> Store:
        """The store of `home`, by default of the settings. Raises `StoreError` where it cannot be read."""
        settings = settings or load()
        try:
            return cls(open_engine(home or settings.resolved_home, settings))
        except DBAPIError as problem:
            place = (
                settings.store_url and "the database that AUTOTRACK_STORE_URL names" or "the store in AUTOTRACK_HOME"
            )
            raise StoreError(
                f"{place} cannot be opened ({problem.orig}): check that it is reachable, then try again"
            ) from problem

    def close(self) -> None:
        """Let go of the database."""
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def runs(self, project: str | None = None, status: str | None = None, limit: int | None = None) -> list[Record]:
        """Runs, newest first: id, name, project, status, started_at, ended_at, parent_id, integration."""
        statement = select(*_HEADER).order_by(runs.c.started_at.desc(), runs.c.id).limit(limit)
        if project is not None:
            statement = statement.where(runs.c.project == project)
        if status is not None:
            statement = statement.where(runs.c.status == status)
        with self._reading() as connection:
            return [_header(row) for row in connection.execute(statement)]

    def run(self, ref: str) -> Record:
        """The whole record of the run with this id, unique beginning of an id, or name. Raises `RunNotFound`."""
        return self.records([ref])[0]

    def records(self, refs: Sequence[str]) -> list[Record]:
        """The whole records of several runs, in the order of `refs`, read in one go."""
        with self._reading() as connection:
            ids = [_resolved(connection, ref) for ref in refs]
            found = _records(connection, list(dict.fromkeys(ids)))
        return [found[run] for run in ids]

    def resolve(self, ref: str) -> str:
        """The id of the run with this id, unique beginning of an id, or name. Raises `RunNotFound`."""
        with self._reading() as connection:
            return _resolved(connection, ref)

    def keys(self, ref: str) -> list[str]:
        """The keys of the run's series, in alphabetical order."""
        with self._reading() as connection:
            wanted = schema.series.c.run_id == _resolved(connection, ref)
            return sorted(connection.execute(select(schema.series.c.key).where(wanted)).scalars())

    def points(self, ref: str, key: str) -> Points:
        """The points of one series with exact steps, by step, then by arrival. Raises `RunNotFound`, `StoreError`."""
        from autotrack.store.series import decode_all

        with self._reading() as connection:
            run = _resolved(connection, ref)
            series = schema.series
            number = connection.execute(
                select(series.c.id).where(series.c.run_id == run, series.c.key == key)
            ).scalar_one_or_none()
            if number is None:
                keys = sorted(connection.execute(select(series.c.key).where(series.c.run_id == run)).scalars())
                raise StoreError(f"run {run} has no metric {key!r}; it has {', '.join(keys) or 'none'}")
            chunks = schema.chunks
            data = connection.execute(
                select(chunks.c.data).where(chunks.c.series_id == number).order_by(chunks.c.number)
            ).scalars()
            return decode_all(list(data)).by_step()

    def series(self, ref: str, key: str) -> tuple[NDArray[Any], NDArray[np.int64], NDArray[np.float64]]:
        """Steps (int64, or float64 where there are fractions), times (ns since the epoch) and values, by step."""
        points = self.points(ref, key)
        return points.steps, points.times, points.values

    def series_dicts(self, ref: str, key: str) -> list[Record]:
        """The series as `{step, time, value}`: what `autotrack metrics RUN KEY --json` prints."""
        import numpy as np

        points = self.points(ref, key)
        times = np.datetime_as_string(points.times.view("datetime64[ns]").astype("datetime64[us]")).tolist()
        if points.scale == 0:
            steps: Iterable[Any] = points.numerators.tolist()
        else:
            steps = (plain_step(points.step(index)) for index in range(len(points)))
        return [
            {"step": step, "time": time + "Z", "value": value}
            for step, time, value in zip(steps, times, points.values.tolist(), strict=True)
        ]

    def compare(self, refs: Sequence[str]) -> Record:
        """Runs side by side: for each param, tag, metric and dataset a list with one entry a run, None where absent.

        `different` names, per group, the keys whose entries are not all the same.
        """
        found = self.records(refs)
        groups: dict[str, dict[str, list[Any]]] = {}
        for group in ("params", "tags", "metrics"):
            groups[group] = _side_by_side([record[group] for record in found])
        groups["datasets"] = _side_by_side(
            [{f"{one['role']}/{one['name']}": one["fingerprint"] for one in record["datasets"]} for record in found]
        )
        for group in ("environment", "code"):
            groups[group] = _side_by_side([record[group] for record in found])
        different = {
            group: [key for key, row in rows.items() if any(not _same(entry, row[0]) for entry in row)]
            for group, rows in groups.items()
        }
        headers = [{column.name: record[column.name] for column in _HEADER} for record in found]
        return {"runs": headers, **groups, "different": different}

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        try:
            with self.engine.connect() as connection:
                yield connection
        except DBAPIError as problem:
            raise StoreError(f"{shown(self.engine)} cannot be read ({problem.orig}): try again") from problem


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


def _header(row: Any) -> Record:
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


def _resolved(connection: Connection, ref: str) -> str:
    if connection.execute(select(runs.c.id).where(runs.c.id == ref)).first():
        return ref
    same = (runs.c.name == ref) | (func.substr(runs.c.id, 1, len(ref)) == ref)
    newest = select(runs.c.id).where(same).order_by(runs.c.started_at.desc(), runs.c.id).limit(21)
    found = list(connection.execute(newest).scalars()) if ref else []
    if len(found) == 1:
        return str(found[0])
    if found:
        more = " and more" if len(found) > 20 else ""
        raise RunNotFound(
            f"{ref!r} fits several runs, newest first: {', '.join(found[:20])}{more}; use one of these ids"
        )
    raise RunNotFound(f"no run has the id or name {ref!r}; `autotrack ls` lists the runs")


def _records(connection: Connection, ids: list[str]) -> dict[str, Record]:
    found: dict[str, Record] = {}
    for some in slices(ids):
        for row in connection.execute(select(*_HEADER).where(runs.c.id.in_(some))):
            found[row.id] = _header(row) | {
                "params": {},
                "metrics": {},
                "tags": {},
                "datasets": [],
                "models": [],
                "artifacts": [],
                "environment": {},
                "code": {},
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
            found[row.run_id]["datasets"].append(told)
        for row in _of(connection, schema.models, some, "id"):
            found[row.run_id]["models"].append(_model(row))
        for row in _of(connection, schema.artifacts, some, "time", "id"):
            told = {"name": row.name, "digest": row.digest, "bytes": row.bytes}
            found[row.run_id]["artifacts"].append(told)
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


def _add_note(notes: list[Record], row: Any) -> None:
    for note in notes:
        if note["what"] == row.what and note["why"] == row.why:
            note["count"] += row.count
            return
    notes.append({"what": row.what, "count": row.count, "why": row.why})


def _step(text: str) -> int | float | str:
    return plain_step(Decimal(text)) if "." in text else int(text)


def _side_by_side(mappings: Sequence[Record]) -> dict[str, list[Any]]:
    keys = sorted({key for mapping in mappings for key in mapping})
    return {key: [mapping.get(key) for mapping in mappings] for key in keys}


def _same(first: Any, second: Any) -> bool:
    # 1 and True are one to Python, and NaN differs from itself: a comparison of records wants neither.
    return json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)
