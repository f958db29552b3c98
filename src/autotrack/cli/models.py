"""`autotrack models`: registered models, their versions, aliases and history, to look at.

Commands that change something are in `autotrack.cli.registering`, those about promotions in `autotrack.cli.promoting`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Final

import click

from autotrack.cli.opening import has_runs, none_yet, open_runs
from autotrack.cli.printing import json_option, plain, print_heading, print_json, print_json_list, print_table
from autotrack.cli.versions import print_held, print_log, print_model, print_version, row
from autotrack.errors import ModelNotFound, UsageError
from autotrack.session import session

FURTHER: Final = ("autotrack.cli.registering", "autotrack.cli.promoting")
"""Modules with further commands, each in a list `commands`."""


class Group(click.Group):
    """A group that has the commands of other modules too, imported when its own do not have what is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Those that read, then those that change something, then those about promotions."""
        return [*self.commands, *self._further()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, or None."""
        return super().get_command(ctx, cmd_name) or self._further().get(cmd_name)

    def _further(self) -> dict[str, click.Command]:
        found = [command for module in FURTHER for command in import_module(module).commands]
        return {str(command.name): command for command in found}


at_option = click.option("--at", metavar="MOMENT", help="As it was then: 2026-05-01 (its end) or 2026-05-01T12:00Z.")


@click.group(
    cls=Group,
    invoke_without_command=True,
    epilog="\b\nExamples:\n  autotrack models\n  autotrack models show clf\n"
    "  autotrack models register clf latest --why 'first one that converges'\n"
    "  autotrack models alias clf@production 3 --why 'best on the holdout of May'\n"
    "  autotrack models at clf@production --at 2026-05-01",
)
@at_option
@json_option
@click.pass_context
def models(ctx: click.Context, at: str | None, as_json: bool) -> None:
    """Registered models: versions, aliases, and who decided what, when and why.

    \b
    A version is named
      clf/3              by its number
      clf@production     by an alias that points to it
      clf                or is the latest that is not retired
    """
    if ctx.invoked_subcommand is not None:
        return
    if not has_runs(session.settings):
        if as_json:
            print_json_list([])
        click.echo(none_yet(session.settings), err=as_json)
        return
    from autotrack.registry import reading
    from autotrack.store.records import jsonable

    with open_runs() as store:
        found = reading.models(store, at)
    if as_json:
        print_json_list(map(jsonable, found))
    elif not found:
        click.echo("no model is registered" + (" by then" if at else "; register one with: autotrack models register"))
    else:
        print_table(["model", "versions", "latest", "aliases", "registered"], map(row, found), right=("versions",))


@models.command(epilog="\b\nExamples:\n  autotrack models show clf\n  autotrack models show clf@production --json")
@click.argument("reference", metavar="MODEL")
@at_option
@json_option
def show(reference: str, at: str | None, as_json: bool) -> None:
    """Show a model with its versions, aliases and history, or one version: clf/3 or clf@production."""
    from autotrack.registry import log, reading

    named = log.parse(reference)
    with open_runs() as store:
        found = reading.model(store, named.model, at)
        one = reading.resolve(store, reference, at) if str(named) != named.model else None
    if as_json:
        print_json(one or found)
    elif one is not None:
        print_version(one)
    else:
        print_model(found)


@models.command(epilog="\b\nExample:\n  autotrack models log clf --json | jq '.[] | select(.action == \"alias\")'")
@click.argument("model")
@at_option
@json_option
def log(model: str, at: str | None, as_json: bool) -> None:
    """Show every step in the life of a model, oldest first: when, what, who and why, and what became of it."""
    from autotrack.registry import reading
    from autotrack.store.records import jsonable

    with open_runs() as store:
        found = reading.model(store, model, at)["log"]
    if as_json:
        print_json_list(map(jsonable, found))
    else:
        print_log(found)


@models.command(
    epilog="\b\nExamples:\n  autotrack models at clf@production --at 2026-05-01\n"
    "  autotrack models at clf@production --at 2026-05-01T12:00Z --json"
)
@click.argument("reference", metavar="MODEL@ALIAS")
@at_option
@json_option
def at(reference: str, at: str | None, as_json: bool) -> None:
    """Say where an alias pointed at a moment, who had put it there, why, and on what evidence.

    Of a day it is what held at its end (UTC), and what else it pointed to on that day.

    Exit code 1 where it pointed to nothing.
    """
    from autotrack.registry import log, reading

    named = log.parse_alias(reference)
    until = log.moment(at)
    day = at is not None and log.is_day(at) and until is not None
    with open_runs() as store:
        now, before = reading.held_at(store, named, until + 1 - 86_400 * 10**9 if day and until else until, until)
    earlier = before if day else []
    if now is None and not earlier:
        raise ModelNotFound(f"{named} pointed to nothing" + (f" at {at}" if at else "") + "; its history: models log")
    told = {"model": named.model, "alias": named.alias, "at": at, "held": now, "earlier_that_day": earlier}
    if as_json:
        print_json(told)
    else:
        print_held(now)
        for one in reversed(earlier):
            print_heading("earlier that day")
            print_held(one)
    if now is None:
        raise ModelNotFound(f"{named} pointed to nothing any more at the end of {at}")


@models.command(epilog="\b\nExample:\n  autotrack models diff clf/2 clf@production")
@click.argument("a")
@click.argument("b")
@json_option
def diff(a: str, b: str, as_json: bool) -> None:
    """Show in what two versions differ: signature and format, and params, metrics, data and code of their runs."""
    from autotrack.cli.comparing import print_compared
    from autotrack.registry import reading

    with open_runs() as store:
        pair = [reading.resolve(store, reference) for reference in (a, b)]
        for one in pair:
            if one["run"] is None:
                raise UsageError(f"{one['model']}/{one['version']} came without a run; there is nothing to compare")
        compared = store.compare([one["run"] for one in pair])
    fields = ("digest", "format", "bytes", "signature", "stage", "annotations")
    different = [field for field in fields if plain(pair[0][field]) != plain(pair[1][field])]
    if as_json:
        print_json({"versions": pair, "different_versions": different, **compared})
        return
    print_table(
        ["", *(f"{one['model']}/{one['version']}" for one in pair)],
        [[key, *(one[key] for one in pair)] for key in different],
    )
    click.echo()
    print_compared(compared)
