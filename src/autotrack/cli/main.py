"""The program `autotrack`: which commands there are, and what becomes of their errors.

Exit codes: 0, 1 where something is wrong or remains to be done, 2 where the command was used wrongly, 130 for Ctrl-C.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final

import click

from autotrack import __version__
from autotrack.errors import AutotrackError, UsageError

COMMANDS: Final = {
    "demo": "autotrack.cli.demo:demo",
    "run": "autotrack.cli.running:run",
    "ls": "autotrack.cli.listing:ls",
    "show": "autotrack.cli.showing:show",
    "metrics": "autotrack.cli.metrics:metrics",
    "compare": "autotrack.cli.comparing:compare",
    "dashboard": "autotrack.cli.dashboard:dashboard",
    "data": "autotrack.cli.data:data",
    "reproduce": "autotrack.cli.reproducing:reproduce",
    "models": "autotrack.cli.models:models",
    "card": "autotrack.cli.lineage:card",
    "sql": "autotrack.cli.sql:sql",
    "export": "autotrack.cli.exporting:export",
    "import": "autotrack.cli.importing:bring",
    "sync": "autotrack.cli.syncing:sync",
    "verify": "autotrack.cli.verifying:verify",
    "gc": "autotrack.cli.gc:gc",
    "rm": "autotrack.cli.rm:rm",
    "backup": "autotrack.cli.backup:backup",
    "restore": "autotrack.cli.backup:restore",
    "plugins": "autotrack.cli.plugins:plugins",
    "doctor": "autotrack.cli.doctor:doctor",
}
"""Each command and where it is, in the order of the help."""


class Commands(click.Group):
    """A group that imports a command's module when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, imported now, or None."""
        place = COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, _, name = place.partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Call the command; a reader that has gone away is no error."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # `| head` has seen enough; click would exit with 1
            _drop_output()
            return 0


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="autotrack")
def program() -> None:
    """Look at what was recorded, and record more.

    Runs lie in the nearest .autotrack folder, or where AUTOTRACK_HOME says.

    \b
    autotrack demo                 train a few small models and look at them
    autotrack run train.py         record a script without changing it
    autotrack ls                   the runs, newest first
    autotrack show latest          everything about one run
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. Only what a user's own script raises comes out as an exception."""
    strictness = sys.stdout.errors
    _tolerate("replace")  # a terminal that lacks a letter gets a question mark, not an error
    try:
        outcome: Any = program.main(
            args=None if arguments is None else list(arguments), prog_name="autotrack", standalone_mode=False
        )
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()
        return 0
    except click.exceptions.NoArgsIsHelpError as asked:
        print(asked.format_message())
        return 0
    except click.UsageError as problem:
        path = problem.ctx.command_path if problem.ctx else "autotrack"
        return _say(f"{problem.format_message().rstrip('.')}; see: {path} --help", 2)
    except click.ClickException as problem:
        return _say(problem.format_message(), problem.exit_code)
    except (click.Abort, KeyboardInterrupt):
        return _say("stopped", 130)
    except AutotrackError as problem:
        return _say(str(problem), 2 if isinstance(problem, UsageError) else 1)
    except Exception as problem:
        if _is_strict():
            raise
        return _say(
            f"{type(problem).__name__}: {problem} (set AUTOTRACK_STRICT=1 to see where; if it is a fault of autotrack, "
            "please report it with that)",
            1,
        )
    if callable(outcome):
        _tolerate(strictness)
        # The user's script is run here, below no `except` and outside click: what it raises passes untouched.
        outcome = outcome()
    code: Any = outcome or 0
    return int(code)


def _say(message: str, code: int) -> int:
    try:
        print("autotrack: " + " ".join(message.split()), file=sys.stderr, flush=True)
    except (OSError, ValueError):  # nobody listens
        pass
    return code


def _tolerate(errors: str | None) -> None:
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors=errors)


def _drop_output() -> None:
    # Python flushes stdout once more at its end, and would complain.
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        pass


def _is_strict() -> bool:
    from autotrack import settings

    return settings.load().strict
