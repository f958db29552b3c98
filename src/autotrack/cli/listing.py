"""`autotrack ls`: the runs, newest first."""

from __future__ import annotations

from typing import Any

import click

from autotrack.cli.asking import pointing, where_option
from autotrack.cli.opening import has_runs, none_yet, open_runs
from autotrack.cli.printing import duration, json_option, moment, print_json_list, print_table
from autotrack.session import session

SHOWN = 50
"""Runs in the table unless `--limit` says otherwise."""


@click.command(
    epilog="\b\nExamples:\n  autotrack ls --project churn --status failed"
    "\n  autotrack ls --where 'metrics.loss.min < 0.3 and params.lr >= 1e-3' --sort metrics.loss.min"
    "\n  autotrack ls --columns params.lr,metrics.loss.min\n  autotrack ls --json | jq -r '.[].id'"
)
@click.option("--project", metavar="NAME", help="Only runs of this project.")
@click.option(
    "--status",
    type=click.Choice(["running", "finished", "failed", "killed", "pruned"]),
    help="Only runs that ended so, or still run.",
)
@where_option
@click.option("--sort", metavar="FIELD,…", default="", help="Sort by these, with - before it downwards.")
@click.option("--columns", metavar="FIELD,…", default="", help="Show these, such as params.lr,metrics.loss.min.")
@click.option(
    "--limit", type=click.IntRange(min=0), metavar="N", help=f"At most N runs; by default {SHOWN}, with --json all."
)
@json_option
@pointing
def ls(
    project: str | None, status: str | None, where: str, sort: str, columns: str, limit: int | None, as_json: bool
) -> None:
    """List the runs, newest first."""
    settings = session.settings
    asked = where.strip() or sort.strip() or columns.strip()
    if not has_runs(settings):
        if as_json:
            print_json_list([])
        click.echo(none_yet(settings), err=as_json)
        return
    wanted = limit if as_json or limit is not None else SHOWN
    if asked:
        found, total = _ask(project, status, where, sort, columns, wanted)
    else:
        found, total = _find(project, status, wanted)
    if as_json:
        print_json_list(found)
    elif not found and not total:
        narrowed = project is not None or status is not None or where
        click.echo("no run fits; all of them: autotrack ls" if narrowed else none_yet(settings))
    elif columns.strip():
        _print_columns(found, total)
    else:
        _print(found, total)


def _find(project: str | None, status: str | None, limit: int | None) -> tuple[list[dict[str, Any]], int]:
    from autotrack.cli import quick

    listed = quick.runs(session.settings, project, status, limit)
    if listed is not None:
        return listed
    with open_runs() as store:
        found = store.runs(project=project, status=status)
    return found[:limit], len(found)


def _ask(
    project: str | None, status: str | None, where: str, sort: str, columns: str, limit: int | None
) -> tuple[list[dict[str, Any]], int]:
    from autotrack.store.asking.parsing import NEWEST, narrowed
    from autotrack.store.asking.results import without_values
    from autotrack.store.query import jsonable

    query = narrowed(where, project=project, status=status)
    with open_runs() as store:
        found = store.find(query, sort=sort.strip() or NEWEST, columns=columns, limit=limit)
    asked = columns.strip()
    return [
        {**run, "values": jsonable(run["values"])} if asked else without_values(run) for run in found.runs
    ], found.total


def _print_columns(found: list[dict[str, Any]], total: int) -> None:
    names = list(found[0]["values"]) if found else []
    rows = [[run["id"], run["name"], run["status"], *(run["values"][name] for name in names)] for run in found]
    numeric = [name for name in names if all(isinstance(run["values"][name], int | float | None) for run in found)]
    print_table(["run", "name", "status", *names], rows, right=numeric)
    _say_more(found, total)


def _print(found: list[dict[str, Any]], total: int) -> None:
    columns = ["run", "name", "project", "status", "started", "duration", "integration"]
    children = any(run["parent_id"] for run in found)
    rows = []
    for run in found:
        took = duration(run["started_at"], run["ended_at"])
        row = [run["id"], run["name"], run["project"], run["status"], moment(run["started_at"]), took]
        rows.append([*row, run["integration"]] + [run["parent_id"]] * children)
    print_table(columns + ["parent"] * children, rows, right=("duration",))
    _say_more(found, total)


def _say_more(found: list[dict[str, Any]], total: int) -> None:
    if total > len(found):
        click.echo(f"and {total - len(found):,} more; all of them: autotrack ls --limit {total}")
