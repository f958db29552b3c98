"""`autotrack ls`: the runs, newest first."""

from __future__ import annotations

from typing import Any

import click

from autotrack.cli.opening import has_runs, none_yet, open_runs
from autotrack.cli.printing import duration, json_option, moment, print_json_list, print_table
from autotrack.session import session

SHOWN = 50
"""Runs in the table unless `--limit` says otherwise."""


@click.command(
    epilog="\b\nExamples:\n  autotrack ls --project churn --status failed\n  autotrack ls --json | jq -r '.[].id'"
)
@click.option("--project", metavar="NAME", help="Only runs of this project.")
@click.option(
    "--status",
    type=click.Choice(["running", "finished", "failed", "killed", "pruned"]),
    help="Only runs that ended so, or still run.",
)
@click.option(
    "--limit", type=click.IntRange(min=0), metavar="N", help=f"At most N runs; by default {SHOWN}, with --json all."
)
@json_option
def ls(project: str | None, status: str | None, limit: int | None, as_json: bool) -> None:
    """List the runs, newest first."""
    settings = session.settings
    if not has_runs(settings):
        if as_json:
            print_json_list([])
        click.echo(none_yet(settings), err=as_json)
        return
    wanted = limit if as_json or limit is not None else SHOWN
    found, total = _find(project, status, wanted)
    if as_json:
        print_json_list(found)
    elif not found and not total:
        narrowed = project is not None or status is not None
        click.echo("no run fits; all of them: autotrack ls" if narrowed else none_yet(settings))
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


def _print(found: list[dict[str, Any]], total: int) -> None:
    columns = ["run", "name", "project", "status", "started", "duration", "integration"]
    children = any(run["parent_id"] for run in found)
    rows = []
    for run in found:
        took = duration(run["started_at"], run["ended_at"])
        row = [run["id"], run["name"], run["project"], run["status"], moment(run["started_at"]), took]
        rows.append([*row, run["integration"]] + [run["parent_id"]] * children)
    print_table(columns + ["parent"] * children, rows, right=("duration",))
    if total > len(found):
        click.echo(f"and {total - len(found):,} more; all of them: autotrack ls --limit {total}")
