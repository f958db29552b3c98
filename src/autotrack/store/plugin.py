"""The local store, registered as a backend like any other."""

from __future__ import annotations

from collections.abc import Callable

from autotrack.contracts import BackendPlugin, hookimpl


@hookimpl
def autotrack_register_backends(register: Callable[[BackendPlugin], None]) -> None:
    """Offer the backend `local`."""
    register(BackendPlugin(name="local", factory="autotrack.store.backend:LocalBackend"))
