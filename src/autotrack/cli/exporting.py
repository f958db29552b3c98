"""`autotrack export`: runs with all their points, to take elsewhere: into a file, or to another backend."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from autotrack.cli.asking import pointing, where_option
from autotrack.cli.opening import has_runs, identify, none_yet, open_runs
from autotrack.cli.printing import json_option, print_json
from autotrack.errors import UsageError
from autotrack.session import session

if TYPE_CHECKING:
    from autotrack.store.query import Store

COLUMNS = ("run", "name", "project", "status", "key", "step", "time", "value")


@click.command(
    epilog="\b\nExamples:\n  autotrack export -o runs.jsonl\n  autotrack export baseline latest --format csv > runs.csv"
    "\n  autotrack export --parquet tables --where 'project = churn'\n  autotrack export --to mlflow"
)
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@click.option(
    "--format",
    "form",
    type=click.Choice(["json", "jsonl", "csv"]),
    help="json: a list; jsonl: one run a line; csv: one point a line. By default as FILE is called, else json.",
)
@click.option("-o", "--output", metavar="FILE", help="Where to; by default to the standard output.")
@where_option
@click.option("--parquet", metavar="FOLDER", help="Write Parquet files into this folder instead, one a table.")
@click.option("--to", "backends", metavar="A,B", help="Send all runs to these backends instead, with their files.")
@json_option
@pointing
def export(
    runs: tuple[str, ...],
    form: str | None,
    output: str | None,
    where: str,
    parquet: str | None,
    backends: str | None,
    as_json: bool,
) -> int | None:
    """Write runs with all their points; all runs where none is named. Or send them to a backend.

    In JSON a run has the fields of `show --json`, and `points`, a list of {step, time, value} for each key. RUN is an
    id, the beginning of one, a name, or: latest.

    As Parquet there are the tables of `autotrack sql`, with all points.

    To a backend all runs are sent with all that belongs to them, each event once, however often this is called or
    interrupted; what the backend does not carry is told. The exit code is 1 when something remains.
    """
    if backends:
        if runs or form or output or where or parquet:
            raise UsageError("--to sends all runs; leave out RUN, --where, --format, --output and --parquet")
        from autotrack.cli.syncing import deliver_now, say

        return say(deliver_now(backends, as_json), as_json, with_losses=True)
    if runs and where.strip():
        raise UsageError("name runs or give --where, not both")
    if parquet is not None:
        if form or output:
            raise UsageError("--parquet writes a folder; leave out --format and --output")
        _write_parquet(Path(parquet), runs, where, as_json)
        return None
    form = form or ("json" if as_json else _form_of(output))
    if not runs and not has_runs(session.settings):
        click.echo(none_yet(session.settings), err=True)
        with _opened(output) as file:
            _write(file, form, iter(()))
        return None
    with open_runs() as store:
        ids = [identify(store, run) for run in runs] or [run["id"] for run in store.find(where).runs]
        with _opened(output) as file:
            pointless = _write(file, form, _records(store, ids))
    if pointless:
        click.echo(f"autotrack: {pointless} runs have no points, and so no line in CSV; json has them", err=True)
    return None


def _write_parquet(folder: Path, runs: tuple[str, ...], where: str, as_json: bool) -> None:
    from autotrack.cli.parquet import write

    with open_runs() as store:
        ids: list[str] | None = None
        if runs or where.strip():
            ids = [identify(store, run) for run in runs] or [run["id"] for run in store.find(where).runs]
        counts = write(store, folder, ids)
    if as_json:
        print_json({"folder": str(folder), "rows": counts})
    else:
        for name, count in counts.items():
            click.echo(f"{folder / name}.parquet  {count:,} rows")


def _form_of(output: str | None) -> str:
    ending = Path(output or "").suffix.removeprefix(".")
    return ending if ending in ("json", "jsonl", "csv") else "json"


def _records(store: Store, ids: list[str]) -> Iterator[dict[str, Any]]:
    from autotrack.store.query import jsonable

    for start in range(0, len(ids), 100):
        for record in store.records(ids[start : start + 100]):
            points = {key: store.series_dicts(record["id"], key) for key in record["metrics"]}
            yield jsonable({**record, "points": points})


def _write(file: TextIO, form: str, records: Iterator[dict[str, Any]]) -> int:
    """Write the records one by one; returns how many have no line in the CSV."""
    if form == "csv":
        return _write_csv(file, records)
    begin, between, end = ("[\n", ",\n", "\n]\n") if form == "json" else ("", "\n", "\n")
    empty = True
    for record in records:
        file.write((begin if empty else between) + json.dumps(record, allow_nan=False))
        empty = False
    file.write(end if not empty else "[]\n" if form == "json" else "")
    return 0


def _write_csv(file: TextIO, records: Iterator[dict[str, Any]]) -> int:
    lines = csv.writer(file, lineterminator="\n")
    lines.writerow(COLUMNS)
    pointless = 0
    for record in records:
        pointless += not record["points"]
        about = [record["id"], record["name"], record["project"], record["status"]]
        for key, points in record["points"].items():
            lines.writerows([*about, key, point["step"], point["time"], point["value"]] for point in points)
    return pointless


@contextmanager
def _opened(output: str | None) -> Iterator[TextIO]:
    """The standard output, or a file that appears under its name when it is whole."""
    if output is None or output == "-":
        yield sys.stdout
        return
    target = Path(output)
    draft = target.with_name(f".{target.name}-{os.getpid()}")
    try:
        with draft.open("w", encoding="utf-8", newline="") as file:
            yield file
        draft.replace(target)
    except OSError as problem:
        if isinstance(problem, BrokenPipeError):
            raise
        raise click.ClickException(f"{output} cannot be written: {problem.strerror}") from problem
    finally:
        draft.unlink(missing_ok=True)
