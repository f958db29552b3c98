"""`autotrack verify`: whether what is kept still is what was kept."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from autotrack.cli.opening import has_runs, none_yet, open_runs
from autotrack.cli.printing import clean, json_option, print_json, print_table, size
from autotrack.session import session

if TYPE_CHECKING:
    from autotrack.upkeep.checking import Checked


@click.command(epilog="\b\nExample:\n  autotrack verify && autotrack backup /backups/runs")
@json_option
def verify(as_json: bool) -> int:
    """Check every blob, part and journal against its checksum, and every run of the store against its journals.

    The exit code is 1 when something is damaged, missing or different, and it is said what can be done. A torn tail is
    none of that: its process died while it wrote, and the event had not yet been promised.
    """
    settings = session.settings
    home = settings.resolved_home
    from autotrack.upkeep.checking import check

    with _progress(as_json) as seen:
        if has_runs(settings):
            with open_runs() as store:
                found = check(home, settings, store, seen)
        else:
            found = check(home, settings, None, seen)
    if as_json:
        print_json(found.record())
    elif not home.is_dir():
        click.echo(none_yet(settings))
        return 0
    else:
        _print(found)
    return int(found.damaged)


def _print(found: Checked) -> None:
    blobs, parts, compared = found.blobs, found.parts, found.compared
    frames = sum(one["frames"] for one in compared.journals)
    click.echo(
        f"{blobs['checked']:,} blobs ({size(blobs['bytes'])}) "
        f"and {frames:,} events in {len(compared.journals):,} journals"
    )
    if parts["checked"]:
        click.echo(f"{parts['checked']:,} parts ({size(parts['bytes'])}) of {parts['blobs']:,} of these blobs")
    if found.has_store:
        beside = f", and events of {compared.elsewhere:,} journals that are not here" if compared.elsewhere else ""
        click.echo(f"{compared.runs:,} runs with {compared.points:,} points in the store{beside}")
        if compared.removed:
            click.echo(f"runs removed for good: {compared.removed:,}")
    for name in parts["damaged"]:
        click.echo(f"damaged: part {name} no longer has the bytes that were kept")
    for digest in blobs["damaged"]:
        reason = found.reasons.get(digest)
        click.echo(f"damaged: blob {digest} no longer has the bytes that were kept" + (f": {reason}" if reason else ""))
    for lost in blobs["missing"]:
        click.echo(clean(f"missing: blob {lost['digest']} of {lost['kind']} {lost['name']} of run {lost['run']}"))
    for one in compared.problems:
        click.echo(
            clean(f"different: run {one['run']}: {one['problem']}" if one["run"] else f"wrong: {one['problem']}")
        )
    odd = [one for one in compared.journals if one["damaged"] or one["torn_bytes"] or one["problem"]]
    if odd:
        columns = ["journal", "frames", "damaged", "torn_bytes", "problem"]
        print_table(columns, ([one[column] for column in columns] for one in odd), right=columns[1:4])
    for one in compared.dangling:
        click.echo(clean(f"run {one['run']}: {one['problem']}"))
    if blobs["unnamed"]:
        click.echo(f"{blobs['unnamed']:,} blobs are named by no run; autotrack gc frees what is not needed")
    for word in found.mend:
        click.echo(f"to mend: {word}")
    click.echo("damage was found: what is intact stays readable" if found.damaged else "all is well")


@contextmanager
def _progress(as_json: bool) -> Iterator[Callable[[str, int, int], None]]:
    if as_json or not sys.stderr.isatty():
        yield lambda what, done, of: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        tasks = {what: bar.add_task(f"checking {what}", total=None) for what in ("blobs", "parts", "journals")}

        def seen(what: str, done: int, of: int) -> None:
            bar.update(tasks[what], completed=done, total=of)

        yield seen
