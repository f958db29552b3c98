"""Finding the runs: settings enter, a store to read leaves. Looking at a home that does not exist does not make it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from autotrack.errors import RunNotFound
from autotrack.session import session
from autotrack.settings import Settings

if TYPE_CHECKING:
    from autotrack.store.query import Store

NEWEST = "latest"
"""What stands for the run that was started last."""


def has_runs(settings: Settings) -> bool:
    """Whether there is anything to open: a database, or journals that one can be filled from."""
    home = settings.resolved_home
    return settings.store_url is not None or any(map(_is_there, (home / "store.db", home / "journals")))


def none_yet(settings: Settings) -> str:
    """What to say where there is nothing."""
    home = settings.resolved_home
    if _is_there(home / "archive") and settings.store_url is None and not (home / "store.db").is_file():
        return f"the store in {home} is gone, its runs are kept in the journals; bring them back with: autotrack sync"
    return f"no runs yet in {home}; try: autotrack demo"


def open_runs() -> Store:
    """The store, brought up to what journals hold. Raises `RunNotFound` where there are no runs, `StoreError`."""
    settings = session.settings
    if not has_runs(settings):
        raise RunNotFound(none_yet(settings))
    from autotrack.reading import open_store
    from autotrack.store.query import Store

    try:
        return open_store()
    except PermissionError as problem:  # somebody else's home: what it holds can be read all the same
        click.echo(f"autotrack: newer events are not taken in ({problem})", err=True)
    return Store.open(settings.resolved_home, settings)


def identify(store: Store, reference: str) -> str:
    """The id of the run that `reference` means. Raises `RunNotFound`."""
    if reference == NEWEST:
        newest = store.runs(limit=1)
        if not newest:
            raise RunNotFound(none_yet(session.settings))
        return str(newest[0]["id"])
    return store.resolve(reference)


def _is_there(path: Path) -> bool:
    try:
        return path.is_file() or any(path.iterdir())
    except OSError:
        return False
