"""From a backend's name to the backend: the plugin that registered it, imported when it is first needed."""

from __future__ import annotations

from collections.abc import Callable

from autotrack.backend import Backend
from autotrack.errors import PluginError
from autotrack.plugins import plugins, resolve


def maker(name: str) -> Callable[[], Backend]:
    """How to make the backend `name`. What is made raises `PluginError` with the way out where that is impossible."""

    def make() -> Backend:
        known = plugins.load().backends
        plugin = known.get(name)
        if plugin is None:
            raise PluginError(
                f"there is no backend {name!r}; AUTOTRACK_BACKENDS takes a comma list of {', '.join(sorted(known))}"
            )
        try:
            backend: Backend = resolve(plugin.factory)()
        except ImportError as problem:
            way_out = f": pip install 'autotrack-ml[{plugin.extra}]'" if plugin.extra else ""
            raise PluginError(
                f"the backend {name} needs something that is not installed ({problem}){way_out}"
            ) from None
        return backend

    return make
