"""`autotrack gc`: freeing what nothing needs any more, and letting go of weights that nobody wants."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from autotrack.cli.opening import none_yet
from autotrack.cli.printing import clean, json_option, looking, moment, print_json, print_table, size
from autotrack.session import session

if TYPE_CHECKING:
    from autotrack.upkeep.collecting import Report
    from autotrack.upkeep.retention import Choice

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}


class Age(click.ParamType[float]):
    """A time such as `90d`, `12h`, `30m`, `2w`; seconds leave."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Raises click's error for what is no time."""
        if isinstance(value, float):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", str(value).strip())
        if found is None:
            self.fail(f"{value!r} is not a time such as 90d, 12h or 30m", param, ctx)
        return float(found[1]) * _UNITS[found[2]]


@click.command(
    epilog="\b\nExamples:\n  autotrack gc --dry-run\n  autotrack gc --models-older-than 90d --project churn\n"
    "  autotrack gc --keep-best 5 --by val_loss --lowest --dry-run"
)
@click.option("--dry-run", is_flag=True, help="Say what would go, and remove nothing.")
@click.option("--models-older-than", type=Age(), metavar="AGE", help="Remove models saved longer ago, such as 90d.")
@click.option("--keep-best", type=click.IntRange(min=0), metavar="N", help="Keep the models of the N best runs alone.")
@click.option("--by", metavar="METRIC", help="The metric that --keep-best goes by, at its best.")
@click.option("--lowest/--highest", "lowest", default=None, help="Which values of that metric are best.")
@click.option("--runs", "where", metavar="QUERY", help="Only of runs that fit, in the language of ls --where.")
@click.option("--project", metavar="NAME", help="Only of runs of this project.")
@click.option("--status", type=click.Choice(["finished", "failed", "killed", "pruned"]), help="Only of runs ended so.")
@click.option("--artifacts", is_flag=True, help="Remove the artifacts of these runs as well.")
@click.option(
    "--journals-older-than",
    type=Age(),
    metavar="AGE",
    help="Remove older archived journals that all have.",
)
@click.option("--grace", type=Age(), metavar="AGE", help="Leave alone what was written since; by default a day.")
@json_option
def gc(
    dry_run: bool,
    models_older_than: float | None,
    keep_best: int | None,
    by: str | None,
    lowest: bool | None,
    where: str | None,
    project: str | None,
    status: str | None,
    artifacts: bool,
    journals_older_than: float | None,
    grace: float | None,
    as_json: bool,
) -> int:
    """Free what nothing needs any more: files that no run names, drafts of killed processes, old caches.

    With --models-older-than, --keep-best or --runs, models of these runs go as well; each run's record stays and says
    so. What a registered model needs is never removed, and nothing that is being written. Safe beside trainings.
    """
    settings = session.settings
    home = settings.resolved_home
    choice = _choice(models_older_than, keep_best, by, lowest, where, project, status, artifacts)
    from autotrack.upkeep import collecting, removing, retention
    from autotrack.upkeep.alone import alone

    report = collecting.Report(dry_run)
    if home.is_dir():
        work = collecting.Collecting(home, settings, report, collecting.GRACE if grace is None else grace)
        with alone(home, "collect"), looking(as_json) as seen:
            if not dry_run:
                seen("removed runs")
                removing.clear_all(home, settings, report)
            if choice is not None:
                seen("models")
                retention.let_go(work, choice, retention.HURRY if grace is None else grace)
            if journals_older_than is not None:
                seen("journals")
                retention.let_journals_go(work, journals_older_than)
            work.collect(seen)
    if as_json:
        print_json(report.record())
    elif not home.is_dir():
        click.echo(none_yet(settings))
    else:
        _print(report)
    return 0


def _choice(
    older_than: float | None,
    keep_best: int | None,
    by: str | None,
    lowest: bool | None,
    where: str | None,
    project: str | None,
    status: str | None,
    artifacts: bool,
) -> Choice | None:
    from autotrack.upkeep.retention import Choice

    if older_than is None and keep_best is None and not where:
        if project or status or artifacts or by or lowest is not None:
            raise click.UsageError("say which models are to go: --models-older-than, --keep-best or --runs")
        return None
    if (keep_best is None) != (by is None):
        raise click.UsageError("--keep-best N and --by METRIC go together")
    if (keep_best is None) != (lowest is None):
        raise click.UsageError("--keep-best needs --lowest or --highest: which values of the metric are best")
    return Choice(older_than, keep_best, by, lowest is False, project, status, where, artifacts)


def _print(report: Report) -> None:
    if report.removed:
        columns = ["run", "what", "name", "step", "bytes", "saved"]
        rows = (
            [one["run"], one["what"], one["name"], one["step"], size(one["bytes"]), moment(one["time"])]
            for one in report.removed
        )
        print_table(columns, rows, right=("step", "bytes"))
    if report.kinds:
        columns = ["kind", "files", "bytes"]
        rows_of_kinds = ([kind, one.count, size(one.bytes)] for kind, one in report.kinds.items())
        print_table(columns, rows_of_kinds, right=columns[1:])
    for one in report.kept:
        click.echo(clean(f"kept: {one['what']}: {one['why']}"))
    if not report.kinds:
        click.echo("nothing is there that is not needed")
    elif report.dry_run:
        click.echo(f"{size(report.bytes)} would be freed; nothing was removed")
    else:
        click.echo(f"{size(report.bytes)} freed")
