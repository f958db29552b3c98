"""`autotrack import`: runs of other trackers, with their times, steps and files."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from autotrack.cli.printing import clean, json_option, print_json, print_table
from autotrack.errors import UsageError
from autotrack.session import session

if TYPE_CHECKING:
    from autotrack.moving.bringing import Report
    from autotrack.moving.writing import Brought


@click.command(
    "import",
    epilog="\b\nExamples:\n  autotrack import mlflow http://localhost:5000\n  autotrack import neptune .neptune --json",
)
@click.argument("product")
@click.argument("place")
@click.option("-o", "--option", "options", multiple=True, metavar="KEY=VALUE", help="An option of the importer.")
@click.option("--to", "backends", metavar="A,B", help="Send what was imported on to these backends at once.")
@json_option
def bring(product: str, place: str, options: tuple[str, ...], backends: str | None, as_json: bool) -> int:
    """Bring the runs of PRODUCT that are in PLACE into this home, each once.

    PLACE is a folder, a file or a server's address, as PRODUCT has it. What was interrupted goes on when it is called
    again; runs that are here already are passed over, and of those that went on since, what is new is brought. In the
    end the points in the store are compared with those that were read. What has no place here is told, and is a note
    of the run. The exit code is 1 where something is missing.
    """
    settings = session.settings
    from autotrack.moving.bringing import bring_all

    with _progress(as_json) as seen:
        report = bring_all(product, place, _pairs(options), settings.resolved_home, settings, seen)
    told: dict[str, Any] = {**report.record(), "report": str(report.file)}
    complete = report.complete
    if backends:
        from autotrack.cli.syncing import deliver_now

        told["sent"] = sent = deliver_now(backends, as_json)
        complete = complete and not any(one["remaining"] for one in sent)
    if as_json:
        print_json(told)
    else:
        _print(report, told)
    return 0 if complete else 1


def _pairs(options: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for option in options:
        key, equals, value = option.partition("=")
        if not equals or not key:
            raise UsageError(f"-o {option} is not KEY=VALUE")
        pairs[key] = value
    return pairs


def _print(report: Report, told: dict[str, Any]) -> None:
    if not report.runs:
        click.echo(f"There are no runs in {clean(report.place)}.")
        return
    counts = told["runs"]
    columns = ["imported", "continued", "known", "failed", "events", "points", "files"]
    row = [counts[column] if column in counts else told[column] for column in columns]
    print_table(columns, [row], right=columns)
    if told["not_carried"]:
        click.echo("\nnot carried:")
        for one in told["not_carried"]:
            click.echo(clean(f"  {one['count']} x {one['what']}: {one['why']}"))
    for one in told["problems"]:
        click.echo(clean(f"autotrack: {one['run']}: {one['problem']}"), err=True)
    click.echo(f"\nthe whole report: {told['report']}")


@contextmanager
def _progress(as_json: bool) -> Iterator[Callable[[Brought], None]]:
    if as_json or not sys.stderr.isatty():
        yield lambda run: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn

    columns = SpinnerColumn(), TextColumn("{task.description}"), TextColumn("{task.completed} runs")
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("importing", total=None)

        def seen(run: Brought) -> None:
            bar.update(task, advance=1, description=clean(f"{run.outcome} {run.name}"))

        yield seen
