"""Opening the local store to read it, brought up to what journals hold, so that a run is visible once it exists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autotrack.forward.catching_up import take_in
from autotrack.session import session

if TYPE_CHECKING:
    from autotrack.store.query import Store


def open_store() -> Store:
    """The store of this process's settings. Raises `StoreError` where it cannot be opened."""
    from autotrack.store.query import Store

    settings = session.settings
    home = settings.resolved_home
    take_in(home, settings)
    return Store.open(home, settings)
