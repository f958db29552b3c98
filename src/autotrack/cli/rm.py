"""`autotrack rm`: removing whole runs for good."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from autotrack.cli.asking import pointing, where_option
from autotrack.cli.opening import NEWEST, has_runs, none_yet
from autotrack.cli.printing import clean, json_option, looking, moment, print_json, print_table
from autotrack.errors import RunNotFound
from autotrack.session import session

if TYPE_CHECKING:
    from autotrack.upkeep.removing import Plan, Removed


@click.command(
    epilog="\b\nExamples:\n  autotrack rm 4f2a --why 'a password in a metric name' --dry-run\n"
    "  autotrack rm --where 'project = scratch and status = failed' --why 'only trying out' --yes"
)
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@where_option
@click.option("--with-children", is_flag=True, help="Remove the runs that are parts of these as well.")
@click.option("--why", metavar="TEXT", default="", help="The reason, which is kept when the run is gone.")
@click.option("--dry-run", is_flag=True, help="Say what would go, and remove nothing.")
@click.option("--yes", is_flag=True, help="Do not ask. Needed where there is no terminal, and with --json.")
@json_option
@pointing
def rm(
    runs: tuple[str, ...],
    where: str,
    with_children: bool,
    why: str,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> int:
    """Remove whole runs for good: from the store, and from every journal that is put away.

    There is no way back. A tombstone stays, with the run's id, when, by whom and why, so that no journal brings the
    run back. RUN is an id, the beginning of one, or a name. What other products have got stays there. Where one of the
    runs cannot go, none goes.
    """
    settings = session.settings
    if not runs and not where.strip():
        raise click.UsageError("say which runs are to go: RUN or --where QUERY")
    if NEWEST in runs:
        raise click.UsageError(f"{NEWEST} may be another run by now: name it by its id")
    why = " ".join(why.split())
    if not dry_run and not why:
        raise click.UsageError("say --why: when the runs are gone, nothing else tells it")
    asking = not yes and not dry_run
    if asking and (as_json or not (sys.stdin.isatty() and sys.stderr.isatty())):
        raise click.UsageError("nobody can be asked here: look with --dry-run, then say --yes")
    if not has_runs(settings):
        raise RunNotFound(none_yet(settings))
    from autotrack.upkeep import removing

    home = settings.resolved_home
    with looking(as_json) as seen:
        chosen = removing.plan(home, settings, runs, where or None, with_children=with_children, seen=seen)
    done: Removed | None = None
    if not as_json:
        _print_plan(chosen, dry_run)
    if not chosen.refused and not dry_run and (chosen.runs or chosen.again):
        if asking:
            click.confirm(f"Remove {_runs(len(chosen.runs))} for good?", abort=True, err=True)
        with looking(as_json) as seen:
            done = removing.remove(home, settings, chosen, why, seen)
    if as_json:
        print_json({"dry_run": dry_run, **chosen.record(), **_record(done)})
    elif done is not None:
        _print_done(chosen, done)
    return int(bool(chosen.refused or (done is not None and done.problems)))


def _record(done: Removed | None) -> dict[str, object]:
    if done is None:
        return {"removed": [], "cleared": 0, "left": [], "problems": []}
    traces = done.traces
    return {"removed": done.runs, "cleared": traces.frames, "left": traces.left, "problems": done.problems}


def _print_plan(chosen: Plan, dry_run: bool) -> None:
    if chosen.runs:
        rows = (
            [one["id"], one["name"], one["project"], one["status"], moment(one["started_at"])] for one in chosen.runs
        )
        print_table(["id", "name", "project", "status", "started"], rows)
    for one in chosen.refused:
        click.echo(clean(f"refused: run {one['run']}: {one['why']}"))
    if chosen.refused:
        click.echo("nothing was removed")
        return
    for run in chosen.again:
        click.echo(clean(f"run {run} was removed before; what may be left of it is looked for once more"))
    for name, runs in chosen.elsewhere.items():
        click.echo(clean(f"{name} has got events of {_runs(len(runs))}, which stay there: remove them there as well"))
    for name, runs in chosen.undelivered.items():
        click.echo(clean(f"{name} lacks events of {_runs(len(runs))}, and will not get them"))
    if chosen.unknown:
        told = f"no journal here tells of {_runs(len(chosen.unknown))}: the journals of the homes that recorded them"
        click.echo(f"{told}, if there are any, keep what is in them until autotrack gc is run there")
    if not chosen.runs and not chosen.again:
        click.echo("no run fits")
    elif dry_run:
        click.echo(f"{_runs(len(chosen.runs))} would be removed; nothing was")


def _print_done(chosen: Plan, done: Removed) -> None:
    for one in done.traces.left:
        click.echo(clean(f"still in journal {one['journal']}: {one['why']}"))
    for problem in done.problems:
        click.echo(clean(f"to do: {problem}"))
    if done.runs and session.settings.blobs_url is not None:
        click.echo("files in the team's object store stay there")
    if done.runs:
        click.echo(f"{_runs(len(done.runs))} removed for good; autotrack gc frees files that nothing else needs")
    elif chosen.again:
        click.echo("what was left is cleared" if not done.traces.left else "what could be reached is cleared")


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count:,} runs"
