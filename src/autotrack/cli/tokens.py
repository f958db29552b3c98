"""`autotrack dashboard tokens`: who may look at the dashboard of a team's store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from autotrack.cli.printing import json_option, print_json, print_table
from autotrack.session import session

if TYPE_CHECKING:
    from sqlalchemy import Engine


@click.group()
def tokens() -> None:
    """Say who may look at the dashboard where it is bound beyond this machine."""


@tokens.command(epilog="\b\nExample:\n  autotrack dashboard tokens add ada --days 90")
@click.argument("name")
@click.option("--role", default="reader", show_default=True, help="What its owner may do: reader.")
@click.option("--days", type=float, help="For how many days it is valid; by default until it is revoked.")
@json_option
def add(name: str, role: str, days: float | None, as_json: bool) -> None:
    """Make a token for NAME and print it, once: the store keeps only a salted hash of it."""
    from autotrack.dashboard.tokens import add as make

    token = make(_engine(), name, role, days)
    if as_json:
        print_json({"name": name, "role": role, "token": token})
        return
    click.echo(token)
    click.echo(f"for {name}; it cannot be shown again", err=True)


@tokens.command("ls", epilog="\b\nExample:\n  autotrack dashboard tokens ls --json")
@json_option
def list_tokens(as_json: bool) -> None:
    """List whose tokens there are, valid, expired and revoked ones."""
    told = described()
    if as_json:
        print_json(told)
        return
    if not told:
        click.echo("there are no tokens; make one with: autotrack dashboard tokens add NAME")
        return
    columns = ["name", "role", "state", "created", "expires"]
    print_table(columns, ([one[column] or "" for column in columns] for one in told))


@tokens.command(epilog="\b\nExample:\n  autotrack dashboard tokens revoke ada")
@click.argument("name")
def revoke(name: str) -> None:
    """Refuse the token of NAME from now on."""
    from autotrack.dashboard.tokens import revoke as refuse

    refuse(_engine(), name)
    click.echo(f"the token of {name} is revoked")


def described() -> list[dict[str, Any]]:
    """Every token as a record; times are ISO 8601."""
    from autotrack.dashboard.tokens import listed
    from autotrack.store.query import iso

    def when(time: int | None) -> str | None:
        return None if time is None else iso(time)

    return [
        {
            "name": one.name,
            "role": one.role,
            "state": one.state,
            "created": when(one.created),
            "expires": when(one.expires),
            "revoked": when(one.revoked),
        }
        for one in listed(_engine())
    ]


def _engine() -> Engine:
    from autotrack.store.query import Store

    return Store.open(session.settings.resolved_home, session.settings).engine
