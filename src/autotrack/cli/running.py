"""`autotrack run`: a user's script, recorded without a line added to it."""

from __future__ import annotations

import os
from collections.abc import Callable

import click

from autotrack import guard
from autotrack.errors import AutotrackError
from autotrack.outcome import status_of
from autotrack.session import session

_WITH_VALUE = ("--project", "--backends", "--name")


class BeforeTheScript(click.Command):
    """A command whose options end where the script begins: all that follows is the script's own."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse our options alone; the rest becomes the argument `script`."""
        head, script = _split(args)
        if script and script[0] == "-m" and len(script) < 2:
            raise click.UsageError("-m needs the name of a module", ctx)
        rest = super().parse_args(ctx, head)
        if not script:
            raise click.UsageError("there is no script to run, as in: autotrack run train.py", ctx)
        ctx.params["script"] = script
        return rest


@click.command(
    cls=BeforeTheScript,
    options_metavar="[OPTIONS] {SCRIPT | -m MODULE} [ARGS]...",
    epilog="\b\nExamples:\n  autotrack run train.py --epochs 3\n  autotrack run --project churn -m churn.train",
)
@click.option("--project", metavar="NAME", help="The project of its runs.")
@click.option("--backends", metavar="A,B", help="Where its runs go.")
@click.option("--name", metavar="NAME", help="Make one run of this name of all that the script trains.")
def run(project: str | None, backends: str | None, name: str | None, script: list[str]) -> Callable[[], int]:
    """Run a script as python would, and record what it trains.

    Options of autotrack come before SCRIPT; what comes after it is the script's own. Its processes are recorded too
    where their integration needs no line in the code (AUTOTRACK_ENABLED=1 is set for them).
    """
    from autotrack.cli import as_main

    program = as_main.module(script[1], script[2:]) if script[0] == "-m" else as_main.script(script[0], script[1:])
    _enable(project, backends)
    # Run by `main`, outside click, which would catch the script's exceptions.
    return lambda: as_main.become(program, lambda: _whole(name))


def _split(args: list[str]) -> tuple[list[str], list[str]]:
    """Our options, and the script (or `-m` and a module) with its arguments."""
    at = 0
    while at < len(args):
        word = args[at]
        if word == "--":
            return args[:at], args[at + 1 :]
        if word.startswith("-m") and not word.startswith("--"):
            return args[:at], ["-m", *([word[2:]] if word[2:] else []), *args[at + 1 :]]
        if not word.startswith("-") or word == "-":
            return args[:at], args[at:]
        at += 2 if word in _WITH_VALUE else 1
    return args, []


def _enable(project: str | None, backends: str | None) -> None:
    import autotrack

    if session.settings.enabled is False:
        return
    os.environ["AUTOTRACK_ENABLED"] = "1"
    for variable, value in (("AUTOTRACK_PROJECT", project), ("AUTOTRACK_BACKENDS", backends)):
        if value is not None:
            os.environ[variable] = value
    try:
        autotrack.enable(project=project, backends=backends and backends.split(",") or None)
    except AutotrackError:
        raise  # a typo on the command line: told before anything has run
    except Exception as fault:  # ours, and the script is to run
        guard.report("run", fault)


def _whole(name: str | None) -> Callable[[BaseException | None], None]:
    """Open the run that holds the whole script, if it is to have a name; returns what ends it."""
    if name is None or session.settings.enabled is False:
        return lambda error: None
    import autotrack

    opened = autotrack.start_run(name)

    def ended(error: BaseException | None) -> None:
        # Scripts end with sys.exit(main()): without a code that is no failure.
        fine = error is None or isinstance(error, SystemExit) and error.code in (None, 0)
        opened.end("finished" if fine else status_of(error), None if fine else error)

    return ended
