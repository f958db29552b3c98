"""The contracts of plugins: what each kind of plugin registers, as data, and what an installation places.

Registered objects enter `autotrack.plugins`; nothing here finds, loads or calls anything. Authors import these names
from `autotrack.plugin`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Literal, Protocol

from pluggy import HookimplMarker

from autotrack.guard import guarded
from autotrack.patching import imports
from autotrack.patching.observe import CellPatch, CodePatch, ContextPatch, Observer, Patch, Switch
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
    always: bool = False
    """Whether it is used even where `enable()` names others: what it sees belongs to the runs of all of them."""
    opt_in: bool = False
    """Whether it is used only where it is named: it records calls that the user makes to another tracker."""


@dataclass(frozen=True)
class BackendPlugin:
    """A plugin that receives events."""

    name: str
    factory: str
    """`package.module:class` of an `autotrack.backend.Backend`; imported in the forwarder's process alone."""
    extra: str | None = None
    """The extra of the distribution that brings what it needs, for the message when that is missing."""


@dataclass(frozen=True)
class ModelFormat:
    """How models of one package are saved in a safe format, and how a saved one is read again.

    Both functions are named by `package.module:function` and imported when they are first needed. `save(model)` gives a
    `Saved`, or raises `LookupError` with the reason why this one cannot be. `load(path, signature)` gives the model
    from the file at `path`, whose name ends in a dot and the format, and which is there for that call alone;
    `signature` is what `Saved.signature` was.
    """

    package: str
    """The top-level package in which the models' classes, or classes that they derive from, are defined."""
    save: str
    load: str
    formats: tuple[str, ...]
    """The names that `Saved.format` may have."""
    needs: tuple[str, ...] = ()
    """What loading needs, as the user installs it: the names of distributions; by default that of the package."""


@dataclass(frozen=True)
class Demo:
    """Small trainings of a product for `autotrack demo`."""

    trainings: str
    """`package.module:function`, which gives `[(title, train)]`; imported only by the demo."""
    needs: tuple[str, ...]
    """What it needs, as the user installs it: the names of distributions."""


@dataclass(frozen=True)
class Gate:
    """A check that a model must pass before an alias is moved to it."""

    name: str
    """As in `autotrack models check --gate NAME`."""
    check: str
    """`package.module:function`, imported when it is asked.

    Called with an `autotrack.registry.promotion.Promotion` and the options of the rule by keyword; gives a `Finding`.
    What it raises is a refusal.
    """
    about: str = ""
    """In a few words, what passes."""


@dataclass(frozen=True)
class Finding:
    """What a gate found, with what it goes by, as JSON has it."""

    verdict: Literal["pass", "refuse", "not-applicable"]
    why: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


class _Removable(Protocol):
    def remove(self) -> None: ...


class Installation:
    """What `install` places observers through; all of them are removed by `autotrack.disable()`."""

    def __init__(self, integration: Integration) -> None:
        self.name = integration.name
        self._placed: list[_Removable] = []
        self._undo: list[Callable[[], None]] = []
        self.is_outdated: Callable[[], bool] = lambda: False
        """Set where settings decide what is placed: if it holds at an `enable()`, all is installed anew."""

    def observe(self, owner: Any, name: str, observer: Observer) -> None:
        """Observe every call of `owner.name`."""
        self._placed.append(Patch(owner, name, observer, self.name))

    def observe_at_times(self, owner: Any, name: str, observer: Observer) -> Switch:
        """Observe calls of `owner.name` while the switch that this gives is on: for what only matters for a moment."""
        switch = Switch(owner, name, observer, self.name)
        self._placed.append(switch)
        return switch

    def observe_code(self, function: Any, observer: Observer) -> None:
        """Observe the plain function `function` itself, by whatever name it is called, even one that was taken before.

        Raises `LookupError` for one that closes over something.
        """
        self._placed.append(CodePatch(function, observer, self.name))

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


__all__ = ["BackendPlugin", "Demo", "Finding", "Gate", "Installation", "Integration", "ModelFormat", "hookimpl"]
