"""`autotrack dashboard`: the runs in a browser."""

from __future__ import annotations

import logging
import os
import sys

import click

from autotrack.cli.opening import has_runs, none_yet
from autotrack.cli.tokens import tokens
from autotrack.session import session


@click.group(
    invoke_without_command=True,
    epilog="\b\nExamples:\n  autotrack dashboard\n  AUTOTRACK_DASHBOARD_TOKEN=… autotrack dashboard --host 0.0.0.0",
)
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address to bind. Others than loopback need a token."
)
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port to bind; 0 for any. By default the first free one from 6006 on."
)
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@click.pass_context
def dashboard(context: click.Context, host: str, port: int | None, no_browser: bool) -> None:
    """Show the runs in a browser: tables, charts, comparisons, models. Ctrl-C ends it.

    It reads what the other commands read, and changes nothing. It is live: what trains now is seen as it trains.
    """
    if context.invoked_subcommand is None:
        serve(host, port, browser=not no_browser)


def serve(host: str = "127.0.0.1", port: int | None = None, *, browser: bool) -> None:
    """Serve until Ctrl-C. Raises `UsageError` where the address cannot be had or a token is missing."""
    from autotrack.dashboard.serving import Dashboard, own_token

    settings = session.settings
    logging.basicConfig(format="autotrack: %(message)s", level=logging.WARNING)
    if not has_runs(settings):
        click.echo(none_yet(settings), err=True)
    found = Dashboard(settings, host, port, own_token())

    def ready() -> None:
        click.echo(f"dashboard on {found.address}  (Ctrl-C ends it)")
        sys.stdout.flush()
        if browser and _can_show():
            click.launch(found.address)

    found.serve(ready)


def _can_show() -> bool:
    """Whether a browser would come up in front of somebody, rather than in a terminal or not at all."""
    if not sys.stdout.isatty():
        return False
    if sys.platform in ("darwin", "win32"):
        return "SSH_CONNECTION" not in os.environ
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


dashboard.add_command(tokens)
