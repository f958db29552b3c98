"""`autotrack show RUN --console`: what the run's process wrote, as its terminal showed it."""

from __future__ import annotations

import sys

import click

from autotrack.cli.printing import clean, print_json_list
from autotrack.provenance.folding import folded
from autotrack.store.query import Store


def print_console(store: Store, run: str, *, as_json: bool) -> None:
    """Print the lines of the run with this id; those of stderr in another colour, where there are colours."""
    told = store.console(run)
    lines = folded((piece["stream"], piece["text"]) for piece in told)
    if as_json:
        print_json_list({"stream": stream, "time": told[last]["time"], "text": text} for stream, text, last in lines)
        return
    for stream, text, _ in lines:
        click.secho(clean(text), fg="yellow" if stream == "stderr" else None)
    if not lines:
        print("the run wrote nothing, or it is not kept (AUTOTRACK_CONSOLE)", file=sys.stderr)
