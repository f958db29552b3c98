"""`autotrack sync`: delivering what no forwarder has delivered."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from autotrack.cli.opening import none_yet
from autotrack.cli.printing import clean, json_option, print_json, print_table
from autotrack.errors import UsageError
from autotrack.session import session

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
    settings = session.configure(backends=backends)
    wanted, home = settings.backends, settings.resolved_home
    _check(wanted)
    from autotrack.forward import catching_up
    from autotrack.journal.reader import archived, journals

    count = len(archived(home)) + len(journals(home))
    with _progress(count * len(wanted), as_json) as seen:
        outcomes = catching_up.sync(home, settings, wanted, seen) if count else []
    told = [_summary(home, name, [one for one in outcomes if one.backend == name]) for name in wanted]
    complete = not any(one["remaining"] for one in told)
    if as_json:
        print_json({"complete": complete, "backends": told})
    elif not count:
        click.echo(none_yet(settings))
    else:
        columns = ["backend", "delivered", "journals", "being_written", "remaining", "dead"]
        print_table(columns, ([one[column] for column in columns] for one in told), right=columns[1:])
    for one in told:
        for reason in one["problems"]:
            click.echo(clean(f"autotrack: {one['backend']}: {reason}"), err=True)
        if one["dead"]:
            letters = home / "delivery" / "*" / f"{one['backend']}.dead.jsonl"
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
    return {
        "backend": backend,
        "delivered": sum(one.events for one in outcomes),
        "journals": len(outcomes),
        "being_written": sum(not one.complete and not one.problem for one in outcomes),
        "remaining": len(failed),
        "dead": sum(Progress(home, one.writer, backend).dead for one in outcomes),
        "problems": list(dict.fromkeys(one.problem for one in failed)),
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
