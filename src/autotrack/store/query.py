"""The reading side: runs as records, series as arrays, for the CLI, the dashboard and Python.

A home enters; plain dictionaries and arrays leave, with the fields that users are promised. Nothing is written but the
empty tables of a store that did not exist. numpy is imported when the first series is read: listing needs none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.exc import DBAPIError

from autotrack.errors import RunNotFound, StoreError
from autotrack.settings import Settings, load
from autotrack.store import schema
from autotrack.store.engine import open_engine, shown
from autotrack.store.records import HEADER, Record, header, iso, jsonable, plain_step, records
from autotrack.store.schema import runs

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from autotrack.store.asking.finding import Found
    from autotrack.store.links import Neighbourhood
    from autotrack.store.series import Points


class Store:
    """The store of one home, to read. A context manager; safe to share between threads."""

    def __init__(self, engine: Engine, patience: float | None = None) -> None:
        self.engine = engine
        self.patience = patience
        """Seconds after which a query (`find`, `columns`) is ended; None: never."""

    @classmethod
    def open(cls, home: Path | None = None, settings: Settings | None = None) -> Store:
        """The store of `home`, by default of the settings. Raises `StoreError` where it cannot be read."""
        settings = settings or load()
        try:
            return cls(open_engine(home or settings.resolved_home, settings), settings.query_seconds)
        except (DBAPIError, OSError) as problem:
            named = "the database that AUTOTRACK_STORE_URL names"
            place = named if settings.store_url else "the store in AUTOTRACK_HOME"
            raise StoreError(
                f"{place} cannot be opened ({getattr(problem, 'orig', problem)}): check that it is reachable, "
                "then try again"
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
        statement = select(*HEADER).order_by(runs.c.started_at.desc(), runs.c.id).limit(limit)
        if project is not None:
            statement = statement.where(runs.c.project == project)
        if status is not None:
            statement = statement.where(runs.c.status == status)
        with self.reading() as connection:
            return [header(row) for row in connection.execute(statement)]

    def find(
        self,
        where: str = "",
        *,
        sort: str | Sequence[str] = ("-started_at",),
        columns: str | Sequence[str] = (),
        limit: int | None = None,
        offset: int = 0,
    ) -> Found:
        """The runs that fit a query (`docs/query.md`), sorted, with `values` of the columns.

        Raises `QueryError`, and `QueryTooSlow` where there is a limit of time.
        """
        from autotrack.store.asking.finding import find

        with self.asking() as connection:
            return find(connection, where, sort, columns, limit, offset)

    def columns(self, where: str = "") -> dict[str, dict[str, int]]:
        """What can be shown of the runs that fit: `{params, metrics, tags}`, of each key the number of such runs."""
        from autotrack.store.asking.finding import keys

        with self.asking() as connection:
            return keys(connection, where)

    def run(self, ref: str) -> Record:
        """The whole record of the run with this id, unique beginning of an id, or name. Raises `RunNotFound`."""
        return self.records([ref])[0]

    def records(self, refs: Sequence[str]) -> list[Record]:
        """The whole records of several runs, in the order of `refs`, read in one go."""
        with self.reading() as connection:
            ids = [_resolved(connection, ref) for ref in refs]
            found = records(connection, list(dict.fromkeys(ids)))
        return [found[run] for run in ids]

    def resolve(self, ref: str) -> str:
        """The id of the run with this id, unique beginning of an id, or name. Raises `RunNotFound`."""
        with self.reading() as connection:
            return _resolved(connection, ref)

    def removed(self, ids: Iterable[str]) -> set[str]:
        """Those of the runs with these ids that were removed for good."""
        from autotrack.store.burying import buried

        with self.reading() as connection:
            return buried(connection, ids)

    def keys(self, ref: str) -> list[str]:
        """The keys of the run's series, in alphabetical order."""
        with self.reading() as connection:
            wanted = schema.series.c.run_id == _resolved(connection, ref)
            return sorted(connection.execute(select(schema.series.c.key).where(wanted)).scalars())

    def console(self, ref: str) -> list[Record]:
        """What the run's process wrote, in its order: `{stream, text, time}`. Raises `RunNotFound`."""
        with self.reading() as connection:
            table = schema.console
            wanted = select(table).where(table.c.run_id == _resolved(connection, ref)).order_by(table.c.id)
            return [
                {"stream": row.stream, "text": row.text, "time": iso(row.time)} for row in connection.execute(wanted)
            ]

    def neighbourhood(self, ids: Sequence[str], most: int = 100) -> Neighbourhood:
        """What is one step away from these runs, by id: what they used, made and are parts of, and who shares it."""
        from autotrack.store.links import neighbourhood

        with self.reading() as connection:
            return neighbourhood(connection, ids, most)

    def points(self, ref: str, key: str) -> Points:
        """The points of one series with exact steps, by step, then by arrival. Raises `RunNotFound`, `StoreError`."""
        from autotrack.store.series import decode_all

        with self.reading() as connection:
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
        headers = [{column.name: record[column.name] for column in HEADER} for record in found]
        return {"runs": headers, **groups, "different": different}

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection to read with. What goes wrong there is a `StoreError`."""
        try:
            with self.engine.connect() as connection:
                yield connection
        except DBAPIError as problem:
            raise StoreError(f"{shown(self.engine)} cannot be read ({problem.orig}): try again") from problem

    @contextmanager
    def asking(self) -> Iterator[Connection]:
        """A connection for one query, as long as `patience` allows. Raises `QueryTooSlow`, `StoreError`."""
        from autotrack.store.patience import within

        with self.reading() as connection, within(connection, self.patience):
            yield connection


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
    from autotrack.store.burying import removed_run

    raise removed_run(connection, ref) or RunNotFound(
        f"no run has the id or name {ref!r}; `autotrack ls` lists the runs"
    )


def _side_by_side(mappings: Sequence[Record]) -> dict[str, list[Any]]:
    keys = sorted({key for mapping in mappings for key in mapping})
    return {key: [mapping.get(key) for mapping in mappings] for key in keys}


def _same(first: Any, second: Any) -> bool:
    # 1 and True are one to Python, and NaN differs from itself: a comparison of records wants neither.
    return json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)


__all__ = ["Store", "iso", "jsonable", "plain_step"]
