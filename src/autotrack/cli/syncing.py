"""`autotrack sync`: delivering what no forwarder has delivered; and sending everything elsewhere, for `export --to`."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from autotrack.cli.opening import none_yet
from autotrack.cli.printing import clean, json_option, print_json, print_table
from autotrack.errors import UsageError
from autotrack.session import session
from autotrack.settings import names_in

if TYPE_CHECKING:
    from pathlib import Path

    from autotrack.forward.catching_up import Delivered


@click.command(epilog="\b\nExamples:\n  autotrack sync\n  autotrack sync --backends mlflow")
@click.option("--backends", metavar="A,B", help="Where to; by default what AUTOTRACK_BACKENDS says.")
@json_option
def sync(backends: str | None, as_json: bool) -> int:
    """Deliver all runs, old ones too, to each backend that lacks them.

    The exit code is 1 when something remains undelivered; what, and why, is said.
    """
    return say(deliver_now(backends, as_json), as_json)


def deliver_now(backends: str | None, as_json: bool) -> list[dict[str, Any]]:
    """Deliver all journals to the named backends (None: those that are set); what became of it, a row for each.

    Raises `UsageError` for a backend that does not exist. What happens to journals afterwards is decided by the
    settings, not by these names: the store may live from them yet.
    """
    settings = session.settings
    wanted = settings.backends if backends is None else names_in(backends)
    home = settings.resolved_home
    _check(wanted)
    from autotrack.forward import catching_up
    from autotrack.journal.reader import archived, journals

    count = len(archived(home)) + len(journals(home))
    if not count:
        return []
    with _progress(count * len(wanted), as_json) as seen:
        outcomes = catching_up.sync(home, settings, wanted, seen)
    told = [_summary(home, name, [one for one in outcomes if one.backend == name]) for name in wanted]
    for one in told:
        if one["backend"] == "local" and settings.blobs_url is not None and not one["problems"]:
            _send_files(home, settings.blobs_url, one)
    return told


def _send_files(home: Path, url: str, told: dict[str, Any]) -> None:
    """Send files whose rows were in the store before there was an object store."""
    from autotrack.errors import AutotrackError
    from autotrack.store.remote_blobs import send_all

    try:
        send_all(home, url)
    except AutotrackError as problem:
        told["problems"].append(str(problem))
        told["remaining"] += 1


def say(told: list[dict[str, Any]], as_json: bool, *, with_losses: bool = False) -> int:
    """Print what became of a delivery and give the exit code."""
    complete = not any(one["remaining"] for one in told)
    if as_json:
        print_json({"complete": complete, "backends": told})
    elif not told:
        click.echo(none_yet(session.settings))
    else:
        columns = ["backend", "delivered", "journals", "being_written", "remaining", "dead"]
        print_table(columns, ([one[column] for column in columns] for one in told), right=columns[1:])
        for one in told if with_losses else ():
            for loss in one["not_carried"]:
                click.echo(clean(f"{one['backend']} does not carry {loss['count']} x {loss['what']}: {loss['why']}"))
    for one in told:
        for reason in one["problems"]:
            click.echo(clean(f"autotrack: {one['backend']}: {reason}"), err=True)
        if one["dead"]:
            letters = session.settings.resolved_home / "delivery" / "*" / f"{one['backend']}.dead.jsonl"
            click.echo(
                f"autotrack: {one['backend']}: {one['dead']} events were refused for ever; see {letters}", err=True
            )
    return 0 if complete else 1


def _check(backends: tuple[str, ...]) -> None:
    from autotrack.plugins import plugins

    known = plugins.load().backends
    unknown = [name for name in backends if name not in known]
    if unknown:
        raise UsageError(f"there is no backend {', '.join(unknown)}; there are {', '.join(sorted(known))}")


def _summary(home: Path, backend: str, outcomes: list[Delivered]) -> dict[str, Any]:
    from autotrack.forward.progress import Progress

    failed = [one for one in outcomes if one.problem]
    remembered = [Progress(home, one.writer, backend) for one in outcomes]
    lost: Counter[tuple[str, str]] = Counter()
    for one in remembered:
        for notes in one.notes.values():
            for what, (count, why) in notes.items():
                lost[what, why] += count
    return {
        "backend": backend,
        "delivered": sum(one.events for one in outcomes),
        "journals": len(outcomes),
        "being_written": sum(not one.complete and not one.problem for one in outcomes),
        "remaining": len(failed),
        "dead": sum(one.dead for one in remembered),
        "problems": list(dict.fromkeys(one.problem for one in failed)),
        "not_carried": [{"what": what, "why": why, "count": count} for (what, why), count in sorted(lost.items())],
    }


@contextmanager
def _progress(total: int, as_json: bool) -> Iterator[Callable[[Delivered], None]]:
    if as_json or not total or not sys.stderr.isatty():
        yield lambda one: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("delivering", total=total)

        def seen(one: Delivered) -> None:
            bar.update(task, advance=1, description=f"delivering to {one.backend}")

        yield seen
