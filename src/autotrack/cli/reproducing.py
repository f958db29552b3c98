"""`autotrack reproduce`: a recorded run, run again from its record alone, and how that compares."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autotrack.cli.opening import open_runs
from autotrack.cli.printing import clean, json_option, print_heading, print_json, print_table
from autotrack.errors import RunNotFound, UsageError
from autotrack.session import session

if TYPE_CHECKING:
    from autotrack.reproduce.verdict import Check, Verdict

REFUSED = 3
"""The exit code where the run could not be run again."""

_WORDS = {
    "bitwise": "bitwise: all metrics are the same to the last bit, and the weights are the same bytes",
    "exact": "exact: all that could be compared is the same to the last bit",
    "within-tolerance": "within tolerance",
    "diverged": "diverged",
    "refused": "refused: it cannot be run again",
    None: "nothing was run",
}


@click.command(
    epilog="\b\nExamples:\n  autotrack reproduce latest\n  autotrack reproduce 4f2a --into ../again --env venv\n"
    "  autotrack reproduce baseline --check\n\n"
    "\b\nExit codes: 0 it came out the same (or --check found no difference), 1 it did not, 2 wrong use, "
    "3 it could not be run."
)
@click.argument("run")
@click.option("--into", metavar="FOLDER", type=click.Path(path_type=Path), help="A new folder to work in, and to keep.")
@click.option(
    "--env",
    type=click.Choice(["current", "venv"]),
    default="current",
    help="Run with what is installed now, or with the recorded versions in a virtual environment.",
)
@click.option("--check", is_flag=True, help="Do all but the training.")
@click.option("--repeat", type=click.IntRange(min=1), default=1, metavar="N", help="Run it N times; what differs "
              "between these is tolerated.")  # fmt: skip
@click.option("--tolerance", metavar="REL[,ABS]", help="What is near enough; by default 1e-6,1e-9.")
@click.option("--data", multiple=True, metavar="PATH=FILE", help="Put FILE in the place of PATH in the project.")
@json_option
def reproduce(
    run: str,
    into: Path | None,
    env: str,
    check: bool,
    repeat: int,
    tolerance: str | None,
    data: tuple[str, ...],
    as_json: bool,
) -> int:
    """Run a recorded run again, in a new folder and from its record alone, and compare.

    RUN is an id, the beginning of one, a name, or: latest. Its code and its command are restored; its data are
    identified before they are trained with, and the run stops there if they differ.
    """
    from autotrack.reproduce.curves import Tolerance
    from autotrack.reproduce.recorded import original, recorded
    from autotrack.reproduce.steps import Options
    from autotrack.reproduce.steps import reproduce as go_through

    options = Options(into, env, check, repeat, _tolerance(tolerance) or Tolerance(), _places(data))
    settings = session.settings
    with ExitStack() as stack:
        try:
            store = stack.enter_context(open_runs())
            found = recorded(store, original(store, run), settings.resolved_home)
        except RunNotFound as problem:  # with 1 it would look as if the run had not come again
            raise UsageError(str(problem)) from None
        verdict = go_through(store, found, options, settings, _silent if as_json else _say)
    if as_json:
        print_json(verdict.told())
    else:
        _print(verdict)
    if verdict.word == "refused":
        return REFUSED
    if verdict.word is None:
        return int(False in (verdict.code.same, verdict.environment.same, verdict.data.same))
    return int(verdict.word == "diverged")


def _tolerance(text: str | None) -> Any:
    from autotrack.reproduce.curves import Tolerance

    if text is None:
        return None
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 2) or not all(0 <= number < float("inf") for number in numbers):
        raise UsageError(
            f"--tolerance {text!r} cannot be used: use a relative and perhaps an absolute one, as 1e-6,1e-9"
        )
    return Tolerance(*numbers)


def _places(data: tuple[str, ...]) -> dict[str, Path]:
    places = {}
    for one in data:
        place, equals, file = one.partition("=")
        if not equals or not place or not file:
            raise UsageError(f"--data {one!r} cannot be used: use PATH=FILE, such as data/train.csv=/mnt/train.csv")
        places[place] = Path(file)
    return places


def _say(line: str) -> None:
    click.echo(clean(line), err=True)


def _silent(line: str) -> None:
    """With --json only the verdict is printed."""


def _print(verdict: Verdict) -> None:
    click.secho(_WORDS[verdict.word], bold=True)
    if verdict.why:
        click.echo(clean(verdict.why))
    for place, one in enumerate(verdict.suspects[:5]):
        click.echo(f"{'first suspect' if not place else 'then'}: {clean(str(one))}")
    print_heading("what it started from")
    print_table(
        ["", "", ""],
        [_check("code", verdict.code), _check("environment", verdict.environment), _check("data", verdict.data)],
    )
    apart = [one for one in verdict.series if not one.exact]
    if apart:
        print_heading(f"metrics that differ ({len(verdict.series) - len(apart)} are the same)")
        rows = [
            [one.key, one.step, repr(one.was), repr(one.now), one.largest, "yes" if one.within else "no"]
            for one in apart
        ]
        columns = ["key", "first at step", "was", "now", "largest difference", "within tolerance"]
        print_table(columns, rows, right=columns[1:5])
    if verdict.run:
        print_heading("the new run")
        click.echo(f"autotrack compare {verdict.reproduces} {verdict.run}")
    if verdict.folder:
        click.echo(f"everything is in {verdict.folder}")


def _check(name: str, check: Check) -> list[str]:
    word = {True: "the same", False: "differs", None: "cannot be told"}[check.same]
    told = [_difference(one) for one in check.differences[:5]]
    if len(check.differences) > 5:
        told.append(f"and {len(check.differences) - 5} more")
    return [name, word, "; ".join(told) or check.note or ""]


def _difference(one: Any) -> str:
    if isinstance(one, dict):
        return f"{one['name']} {one['was'] or 'absent'} → {one['now'] or 'absent'}"
    return str(one)
