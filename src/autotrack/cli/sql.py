"""`autotrack sql`: SQL over everything that is recorded, by DuckDB, on tables filled from the store by our own reader.

The SQL runs in a database of its own that knows neither files nor the network. So nothing can be changed or read but
what was put there, whatever the SQL says, and a store on PostgreSQL is asked in the same way.
"""

from __future__ import annotations

import csv
import math
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from datetime import time as clock
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from autotrack.cli.asking import pointing, where_option
from autotrack.cli.opening import open_runs
from autotrack.cli.printing import json_option, print_json_list, print_table
from autotrack.errors import PluginError, UsageError

SHOWN = 1000
"""Rows of the table; with --json or --csv all are printed."""

_TYPES = {"text": "VARCHAR", "int": "BIGINT", "float": "DOUBLE", "time": "TIMESTAMP_NS"}


@click.command(
    epilog='\b\nExamples:\n  autotrack sql "select key, avg(last) from metrics group by key"\n'
    "  autotrack sql \"select * from runs r join params p on p.run = r.id where p.key = 'lr'\" --csv"
)
@click.argument("statement", required=False, metavar="[SQL]")
@where_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV instead of a table.")
@json_option
@pointing
def sql(statement: str | None, where: str, as_csv: bool, as_json: bool) -> None:
    """Ask for anything in SQL; without SQL, list the tables and their columns.

    The tables are runs, params, metrics, points, tags, datasets, models, artifacts and registry, and `run` in the
    others is `id` in runs. Times are in UTC. Needs the extra: pip install duckdb.
    """
    from autotrack.store.asking.flat import TABLES

    if as_csv and as_json:
        raise UsageError("choose one of --csv and --json")
    if statement is None:
        columns = [[table, name, kind] for table, flat in TABLES.items() for name, kind in flat.columns.items()]
        _print(["table", "column", "type"], iter(columns), as_csv, as_json)
        return
    duckdb = _duckdb()
    # A table is filled if the SQL holds its name. The points may be many: then they lie in a file.
    named = {word.lower() for word in re.findall(r"\w+", statement)}
    wanted = [name for name in TABLES if name in named]
    with _database(duckdb, large="points" in wanted) as database:
        _fill(database, wanted, where)
        try:
            answer = database.execute(statement)
            names = [column[0] for column in answer.description or ()]
            _print(_distinct(names), _rows(answer), as_csv, as_json)
        except duckdb.Error as problem:
            first, _, rest = str(problem).partition("\n")
            if rest.strip():
                click.echo(rest.strip("\n"), err=True)
            raise UsageError(f"DuckDB says: {first.strip()}") from None


def _duckdb() -> Any:
    try:
        return import_module("duckdb")
    except ImportError as problem:
        raise PluginError(f"autotrack sql needs DuckDB ({problem}): pip install duckdb") from None


@contextmanager
def _database(duckdb: Any, large: bool) -> Iterator[Any]:
    with tempfile.TemporaryDirectory(prefix="autotrack-sql-") as folder:
        place = str(Path(folder, "points.duckdb")) if large else ":memory:"
        with duckdb.connect(place) as database:
            yield database


def _fill(database: Any, wanted: Sequence[str], where: str) -> None:
    """Make all tables and fill those that are wanted; then lock the door."""
    from autotrack.store.asking.flat import TABLES

    for name, flat in TABLES.items():
        columns = ", ".join(f'"{column}" {_TYPES[kind]}' for column, kind in flat.columns.items())
        database.execute(f'CREATE TABLE "{name}" ({columns})')
    with open_runs() as store:
        ids = [run["id"] for run in store.find(where).runs] if where.strip() else None
        for name in wanted:
            with store.reading() as connection:
                for batch in TABLES[name].read(connection, ids):
                    _insert(database, name, TABLES[name].columns, batch)
    database.execute("SET enable_external_access = false")
    database.execute("SET lock_configuration = true")


def _insert(database: Any, name: str, kinds: dict[str, Any], batch: Any) -> None:
    """Numbers go as arrays, each with one that tells what stands for none and for NaN: DuckDB takes NaN for none."""
    import numpy as np

    arrays: dict[str, Any] = {}
    chosen = []
    for column, kind in kinds.items():
        values = batch[column]
        if kind == "text":
            arrays[column] = np.array(values, dtype=object)
            chosen.append(f'"{column}"')
            continue
        if isinstance(values, np.ndarray):
            missing, numbers = np.zeros(len(values), bool), values
        else:
            missing = np.array([one is None for one in values], dtype=bool)
            numbers = np.array(
                [0 if one is None else one for one in values], np.float64 if kind == "float" else np.int64
            )
        arrays[column] = (
            numbers.view("M8[ns]")
            if kind == "time"
            else np.nan_to_num(numbers, posinf=math.inf, neginf=-math.inf)
            if kind == "float"
            else numbers
        )
        arrays[f"{column} is"] = missing * 1 + (np.isnan(numbers) * 2 if kind == "float" else 0)
        nan = " WHEN 2 THEN 'NaN'::DOUBLE" if kind == "float" else ""
        chosen.append(f'CASE "{column} is" WHEN 1 THEN NULL{nan} ELSE "{column}" END')
    database.register("batch of rows", arrays)
    database.execute(f'INSERT INTO "{name}" SELECT {", ".join(chosen)} FROM "batch of rows"')
    database.unregister("batch of rows")


def _rows(answer: Any) -> Iterator[Sequence[Any]]:
    while rows := answer.fetchmany(10_000):
        yield from rows


def _distinct(names: Sequence[str]) -> list[str]:
    found: dict[str, None] = {}
    for name in names:
        other, number = name, 2
        while other in found:
            other, number = f"{name}_{number}", number + 1
        found[other] = None
    return list(found)


def _print(names: Sequence[str], rows: Iterator[Sequence[Any]], as_csv: bool, as_json: bool) -> None:
    from autotrack.store.query import jsonable

    told = ([jsonable(_plain(value)) for value in row] for row in rows)
    if as_json:
        print_json_list(dict(zip(names, row, strict=True)) for row in told)
    elif as_csv:
        lines = csv.writer(sys.stdout, lineterminator="\n")
        lines.writerow(names)
        lines.writerows(told)
    else:
        shown = [row for row, _ in zip(told, range(SHOWN), strict=False)]
        right = [name for place, name in enumerate(names) if any(isinstance(row[place], int | float) for row in shown)]
        print_table(names, shown, right=right)
        if next(rows, None) is not None:
            click.echo(f"and more than these {SHOWN:,} rows; all of them with --csv or --json")


def _plain(value: Any) -> Any:
    """A value of DuckDB's as JSON has it: times as everywhere, and what is neither text nor a number by its text."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
    if isinstance(value, date | clock):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    return value if value is None or isinstance(value, str | int | float) else str(value)
