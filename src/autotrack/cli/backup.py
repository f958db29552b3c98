"""`autotrack backup` and `autotrack restore`: a copy of a home elsewhere, and a home from it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from autotrack.cli.printing import clean, json_option, moment, print_json, size
from autotrack.session import session


@click.command(
    epilog="\b\nExamples:\n  autotrack backup /backups/runs-2026-05-01.tar.gz\n  autotrack backup /backups/runs"
)
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="Put it in the place of a file that is there.")
@json_option
def backup(target: Path, replace: bool, as_json: bool) -> int:
    """Copy the whole home to TARGET, consistently, while trainings go on.

    TARGET is a file that ends in .tar.gz or .tar.zst, or a folder; a folder that holds a backup gets only what is new.
    Either is there when it is whole, and holds the SHA-256 of each of its files. The exit code is 1 where a file of
    the home was damaged already; it is copied as it is.
    """
    settings = session.settings
    from autotrack.upkeep.backing_up import back_up

    with _progress("copying", as_json) as seen:
        made = back_up(settings.resolved_home, settings, target, replace=replace, seen=seen)
    if as_json:
        print_json(made.record())
    else:
        click.echo(
            f"{made.runs:,} runs, {made.files:,} files, {size(made.bytes)}; {size(made.copied)} of them copied now"
        )
    for digest in made.damaged:
        click.echo(f"autotrack: blob {digest} is damaged in the home; see: autotrack verify", err=True)
    return 1 if made.damaged else 0


@click.command(epilog="\b\nExample:\n  autotrack restore /backups/runs-2026-05-01.tar.gz --home ./restored")
@click.argument("source", metavar="BACKUP", type=click.Path(exists=True, path_type=Path))
@click.option("--home", type=click.Path(path_type=Path), metavar="DIR", help="Where to; by default the home in force.")
@click.option("--check", is_flag=True, help="Look whether the backup is whole, and restore nothing.")
@json_option
def restore(source: Path, home: Path | None, check: bool, as_json: bool) -> None:
    """Make a home of BACKUP: one that does not exist yet, or is empty.

    Every file is checked against its SHA-256 before anything is there. Where AUTOTRACK_STORE_URL names a database, the
    runs go into that; it must have none.
    """
    settings = session.settings
    from autotrack.upkeep.restoring import restore as bring_back

    with _progress("restoring", as_json) as seen:
        made = bring_back(source, home or settings.resolved_home, settings, check=check, seen=seen)
    if as_json:
        print_json({**made.record(), "check": check})
        return
    told = f"{made.runs:,} runs, {made.files:,} files, {size(made.bytes)}, as of {moment(made.made_at)}"
    click.echo(f"whole: {told}" if check else f"{told}: restored to {made.home}")


@contextmanager
def _progress(doing: str, as_json: bool) -> Iterator[Callable[[str], None]]:
    if as_json or not sys.stderr.isatty():
        yield lambda path: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn

    columns = SpinnerColumn(), TextColumn("{task.completed} files"), TextColumn("{task.description}")
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(doing, total=None)

        def seen(path: str) -> None:
            bar.update(task, advance=1, description=clean(f"{doing} {path}"))

        yield seen
