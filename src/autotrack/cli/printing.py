"""Showing things: tables and plain words for people, JSON for programs.

Text that comes from runs is never taken for markup and its control characters are never sent to a terminal.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from rich.console import Console

Function = TypeVar("Function", bound=Callable[..., Any])

COLOURS = {"finished": "green", "failed": "red", "killed": "yellow", "pruned": "magenta", "running": "cyan"}

_encode = json.JSONEncoder(allow_nan=False).encode


def json_option(function: Function) -> Function:
    """Give a command the flag `--json`, as its argument `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")(function)


def print_json(value: Any) -> None:
    """Print one record, indented."""
    from autotrack.store.query import jsonable

    print(json.dumps(jsonable(value), indent=2, allow_nan=False))


def print_json_list(items: Iterable[Any]) -> None:
    """Print a list, one item a line; the items hold nothing that JSON does not have."""
    write, begin = sys.stdout.write, "[\n"
    for item in items:
        write(begin + _encode(item))
        begin = ",\n"
    write("[]\n" if begin == "[\n" else "\n]\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, right: Iterable[str] = ()) -> None:
    """Print rows under their columns; those named in `right` are aligned to the right."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", show_header=any(columns))
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        cells = map(clean, row)
        table.add_row(*(Text(cell, COLOURS.get(cell, "")) for cell in cells))
    where = console()
    if where.is_terminal:
        where.print(table)
        return
    with where.capture() as text:  # in a pipe the last column needs no filling
        where.print(table)
    print("\n".join(line.rstrip() for line in text.get().splitlines()))


def console() -> Console:
    """Where tables go: as wide as the terminal, and into a pipe as wide as they are."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else 100_000
    return Console(width=width, markup=False, highlight=False, emoji=False, soft_wrap=False)


def print_heading(text: str) -> None:
    """Print the name of a section."""
    click.echo()
    click.secho(clean(text), bold=True)


def print_text(text: str) -> None:
    """Print lines that came from elsewhere."""
    click.echo("\n".join(map(clean, text.splitlines())))


def clean(value: Any) -> str:
    """One line of text that no terminal takes for a command."""
    text = "" if value is None else value if isinstance(value, str) else plain(value)
    return text if text.isprintable() else "".join(sign if sign.isprintable() else " " for sign in text)


def plain(value: Any) -> str:
    """A value in few letters: floats to six digits, the rest as it is."""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict | list):
        return json.dumps(value, default=str)
    return str(value)


def moment(time: str | None) -> str:
    """An ISO time in UTC as the clock on the wall showed it."""
    if time is None:
        return ""
    from datetime import datetime

    return f"{datetime.fromisoformat(time).astimezone():%Y-%m-%d %H:%M:%S}"


def duration(started: str, ended: str | None) -> str:
    """The time between two ISO times in words; empty while a run goes on."""
    if ended is None:
        return ""
    from datetime import datetime

    seconds = (datetime.fromisoformat(ended) - datetime.fromisoformat(started)).total_seconds()
    if seconds < 60:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def size(count: int | None) -> str:
    """A number of bytes in words."""
    if count is None:
        return ""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


@contextmanager
def looking(as_json: bool) -> Iterator[Callable[[str], None]]:
    """What a long look is at, shown on a terminal while it goes on; nothing elsewhere."""
    if as_json or not sys.stderr.isatty():
        yield lambda what: None
        return
    from rich.console import Console

    with Console(stderr=True).status("looking") as shown:
        yield lambda what: shown.update(f"looking at {what}")
