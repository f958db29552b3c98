"""Options of commands that ask for runs in the query language, and pointing at the word that is at fault."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import click

from autotrack.errors import QueryError

Function = TypeVar("Function", bound=Callable[..., Any])


def where_option(function: Function) -> Function:
    """Give a command the option `--where`."""
    told = "Only runs that fit, as in: metrics.loss.min < 0.3 and params.lr >= 1e-3 (docs/query.md)."
    return click.option("--where", metavar="QUERY", default="", help=told)(function)


def pointing(function: Callable[..., Any]) -> Any:
    """Show where in a query the fault is, before its one line says what it is."""

    @wraps(function)
    def command(*args: Any, **options: Any) -> Any:
        try:
            return function(*args, **options)
        except QueryError as problem:
            click.echo(problem.pointer(), err=True)
            raise

    return command
