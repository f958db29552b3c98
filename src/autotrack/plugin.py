"""What an author of an integration imports, and nothing else of autotrack.

A plugin is a module, registered by an entry point in the group `autotrack`, that implements one of the hooks of
`autotrack.hookspecs`. An integration is data plus one function: `install`, named by a string, is called once, when the
product's module has been fully imported, with an `Installation` to place observers through.

    from autotrack.plugin import Integration, hookimpl

    @hookimpl
    def autotrack_register_integrations(register):
        register(Integration(name="acme", module="acme.train", install="autotrack_acme.hooks:install"))

An observer (`autotrack.patching.observe`) looks at one call; `begin_leaf` begins to record it as a training:

    def watch_train(call):
        leaf = begin_leaf("acme", name="acme.train")
        if leaf is None:                      # part of another training: silent
            return
        with leaf:
            with guarded("acme"):
                leaf.run.log_params(call.kwargs)
            leaf.outcome = yield

A backend's author imports `autotrack.backend`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol

from pluggy import HookimplMarker

from autotrack.guard import guarded, warn_once
from autotrack.patching import imports
from autotrack.patching.observe import Call, CellPatch, ContextPatch, Observer, Outcome, Patch
from autotrack.patching.scope import Leaf, begin_leaf, carried, current, is_silent, rejoin_leaf, resume, silence
from autotrack.provenance import origin

hookimpl = HookimplMarker("autotrack")


@dataclass(frozen=True)
class Integration:
    """A plugin that observes one outside product that trains."""

    name: str
    module: str
    """The module whose complete import triggers `install`, such as `xgboost.training`."""
    install: str
    """`package.module:function`, called with an `Installation`."""
    requires: tuple[str, ...] = ()
    """Distributions with a lowest version, such as `xgboost>=2.0`; only those that are installed are compared."""
    deactivates: tuple[str, ...] = ()
    """Integrations that are removed when this one is installed, since this one sees their product's trainings whole."""


@dataclass(frozen=True)
class BackendPlugin:
    """A plugin that receives events."""

    name: str
    factory: str
    """`package.module:class` of an `autotrack.backend.Backend`; imported in the forwarder's process alone."""
    extra: str | None = None
    """The extra of the distribution that brings what it needs, for the message when that is missing."""


@dataclass(frozen=True)
class Demo:
    """Small trainings of a product for `autotrack demo`."""

    trainings: str
    """`package.module:function`, which gives `[(title, train)]`; imported only by the demo."""
    needs: tuple[str, ...]
    """What it needs, as the user installs it: the names of distributions."""


class _Removable(Protocol):
    def remove(self) -> None: ...


class Installation:
    """What `install` places observers through; all of them are removed by `autotrack.disable()`."""

    def __init__(self, integration: Integration) -> None:
        self.name = integration.name
        self._placed: list[_Removable] = []
        self._undo: list[Callable[[], None]] = []

    def observe(self, owner: Any, name: str, observer: Observer) -> None:
        """Observe every call of `owner.name`."""
        self._placed.append(Patch(owner, name, observer, self.name))

    def observe_cell(self, function: Any, variable: str, observer: Observer) -> None:
        """Observe the function that `function` closes over under the name `variable`. Raises `LookupError` if none."""
        self._placed.append(CellPatch(function, variable, observer, self.name))

    def observe_context(self, owner: Any, name: str, observer: Observer) -> None:
        """Observe the `with` blocks of the context manager that `owner.name` returns."""
        self._placed.append(ContextPatch(owner, name, observer, self.name))

    def when_imported(self, module: str, install: Callable[[ModuleType], None]) -> None:
        """Call `install(module)` once that further module of the product has been imported, unless removed before."""
        removed: list[bool] = []
        self.on_remove(lambda: removed.append(True))
        imports.when_imported(module, lambda found: None if removed else install(found))

    def when_trained(self, seen: Callable[[Any, Any], None]) -> None:
        """Call `seen(model, run)` for each model that another integration has trained, until removed."""

        def listener(model: Any, run: Any) -> None:
            with guarded(self.name):
                seen(model, run)

        origin.listeners.append(listener)
        self.on_remove(lambda: origin.listeners.remove(listener))

    def on_remove(self, undo: Callable[[], None]) -> None:
        """Call `undo` when the integration is removed."""
        self._undo.append(undo)

    def remove(self) -> None:
        """Take everything out again, last placed first."""
        while self._placed:
            with guarded(self.name):
                self._placed.pop().remove()
        while self._undo:
            with guarded(self.name):
                self._undo.pop()()


__all__ = [
    "BackendPlugin",
    "Call",
    "Demo",
    "Installation",
    "Integration",
    "Leaf",
    "Outcome",
    "begin_leaf",
    "carried",
    "current",
    "guarded",
    "hookimpl",
    "is_silent",
    "rejoin_leaf",
    "resume",
    "silence",
    "warn_once",
]
