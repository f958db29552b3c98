"""The local store, registered as a backend like any other, and the importer of bundles that a store has exported."""

from __future__ import annotations

from collections.abc import Callable

from autotrack.contracts import BackendPlugin, hookimpl
from autotrack.importing import ImporterPlugin


@hookimpl
def autotrack_register_backends(register: Callable[[BackendPlugin], None]) -> None:
    """Offer the backend `local`."""
    register(BackendPlugin(name="local", factory="autotrack.store.backend:LocalBackend"))


@hookimpl
def autotrack_register_importers(register: Callable[[ImporterPlugin], None]) -> None:
    """Offer the importer `bundle`."""
    register(ImporterPlugin(name="bundle", factory="autotrack.registry.unbundling:Bundles", place="FOLDER or FILE.tar"))
