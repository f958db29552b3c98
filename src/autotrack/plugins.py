"""Finding and loading plugins, with a guard around each: a broken one is one line of output and a row in `doctor`.

Entry points are read from the `entry_points.txt` files themselves: `importlib.metadata` alone would cost more than
everything else that `enable()` does.
"""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from autotrack import guard, hookspecs
from autotrack.contracts import BackendPlugin, Demo, Gate, Installation, Integration, ModelFormat
from autotrack.errors import PluginError
from autotrack.importing import ImporterPlugin
from autotrack.patching import imports

GROUP = "autotrack"


@dataclass
class Loaded:
    """One plugin as found: where it comes from, and what kept it from being loaded."""

    name: str
    module: str
    problem: str | None = None


class Plugins:
    """Every plugin of this environment, loaded at most once."""

    def __init__(self) -> None:
        self.found: list[Loaded] = []
        self.integrations: dict[str, Integration] = {}
        self.backends: dict[str, BackendPlugin] = {}
        self.formats: list[ModelFormat] = []
        self.demos: list[Demo] = []
        self.importers: dict[str, ImporterPlugin] = {}
        self.gates: dict[str, Gate] = {}
        self.installed: dict[str, Installation] = {}
        self.refused: dict[str, str] = {}
        """Integrations that are not used, with the reason."""
        self._manager = pluggy.PluginManager(GROUP)
        self._manager.add_hookspecs(hookspecs)
        self._loaded = False
        self._loading = threading.Lock()

    def load(self) -> Plugins:
        """Import every plugin's module and let it register what it offers."""
        with self._loading:  # backends ask from a thread each
            if not self._loaded:
                self._load()
                self._loaded = True
        return self

    def _load(self) -> None:
        for name, module in sorted(entry_points().items()):
            entry = Loaded(name, module)
            self.found.append(entry)
            try:
                self.register(import_module(module), name)
            except Exception as problem:
                entry.problem = f"{type(problem).__name__}: {problem}"
                guard.warn_once(f"plugin:{name}", f"plugin {name} ({module}) cannot be loaded: {entry.problem}")

    def register(self, module: Any, name: str) -> None:
        """Register one plugin, such as a test's own. Raises what the plugin raises."""
        self._manager.register(module, name)
        for hook, register in (
            (self._manager.hook.autotrack_register_integrations, self._add_integration),
            (self._manager.hook.autotrack_register_backends, self._add_backend),
            (self._manager.hook.autotrack_register_formats, self.formats.append),
            (self._manager.hook.autotrack_register_demos, self.demos.append),
            (self._manager.hook.autotrack_register_importers, self._add_importer),
            (self._manager.hook.autotrack_register_gates, self._add_gate),
        ):
            for implementation in hook.get_hookimpls():
                if implementation.plugin is module:
                    implementation.function(register)

    def await_products(self, names: tuple[str, ...] | None, but: tuple[str, ...]) -> None:
        """Install the integrations `names` (None: all), each as soon as its product has been imported."""
        unknown = [name for name in names or () if name not in self.integrations]
        if unknown:
            known = ", ".join(sorted(self.integrations)) or "none"
            raise PluginError(f"there is no integration {', '.join(unknown)}; there are {known}")
        for name in self.chosen(names, but):
            if name in self.installed:
                if not self.installed[name].is_outdated():
                    continue
                self.installed.pop(name).remove()
            integration = self.integrations[name]
            imports.when_imported(integration.module, partial(self._install, integration))

    def chosen(self, names: tuple[str, ...] | None, but: tuple[str, ...]) -> list[str]:
        """The integrations of this environment among `names` (None: all) that are not in `but`."""
        if names is None:
            wanted = [name for name, integration in self.integrations.items() if not integration.opt_in]
        else:
            wanted = [*names, *self._always()]
        return [name for name in dict.fromkeys(wanted) if name not in but]

    def _always(self) -> list[str]:
        return [name for name, integration in self.integrations.items() if integration.always]

    def install_now(self, integration: Integration) -> None:
        """Install one integration of a product that has been imported, whether or not it was asked for by name."""
        if integration.name not in self.installed:
            imports.when_imported(integration.module, partial(self._install, integration))

    def remove_all(self) -> None:
        """Take every integration out: each attribute is the original again."""
        imports.forget()
        self.refused.clear()
        for name in reversed(list(self.installed)):
            self.installed.pop(name).remove()

    def _install(self, integration: Integration, module: ModuleType) -> None:
        name = integration.name
        if name in self.installed or name in self.refused:
            return
        problem = unmet(integration.requires)
        if problem:
            self.refused[name] = problem
            guard.warn_once(f"requires:{name}", f"{name} is not tracked: {problem}")
            return
        installation = self.installed[name] = Installation(integration)
        try:
            resolve(integration.install)(installation)
        except Exception as error:
            installation.remove()
            del self.installed[name]
            self.refused[name] = f"{type(error).__name__}: {error}"
            guard.report(name, error)
            return
        for other in integration.deactivates:
            if other in self.installed:
                self.installed.pop(other).remove()
            self.refused[other] = f"{name} sees its trainings whole"

    def _add_integration(self, integration: Integration) -> None:
        self.integrations[integration.name] = integration

    def _add_backend(self, backend: BackendPlugin) -> None:
        self.backends[backend.name] = backend

    def _add_importer(self, importer: ImporterPlugin) -> None:
        self.importers[importer.name] = importer

    def _add_gate(self, gate: Gate) -> None:
        self.gates[gate.name] = gate


plugins = Plugins()


def resolve(reference: str) -> Callable[..., Any]:
    """The object that `package.module:name` refers to."""
    module, _, name = reference.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), name)
    return found


def entry_points() -> dict[str, str]:
    """Name and module of every entry point in the group `autotrack`, by name."""
    found: dict[str, str] = {}
    for text in _entry_point_files():
        inside = False
        for line in text.splitlines():
            line = line.strip()
            if line.startswith("["):
                inside = line == f"[{GROUP}]"
            elif inside and "=" in line and not line.startswith("#"):
                name, _, module = line.partition("=")
                found.setdefault(name.strip(), module.strip())
    return found


def _entry_point_files() -> Iterator[str]:
    for folder in dict.fromkeys(sys.path):
        try:
            entries = list(Path(folder or ".").iterdir())
        except OSError:  # a zip file, or a folder that is gone
            continue
        for entry in entries:
            if entry.name.endswith((".dist-info", ".egg-info")):
                try:
                    text = (entry / "entry_points.txt").read_text(encoding="utf-8")
                except OSError:
                    continue
                if f"[{GROUP}]" in text:
                    yield text


def unmet(requires: tuple[str, ...]) -> str | None:
    """What of `requires` is installed in too old a version, in words; None where all is well."""
    if not requires:  # the import below costs more than all the rest of `enable()`
        return None
    from importlib.metadata import PackageNotFoundError, version

    for requirement in requires:
        name, _, lowest = requirement.partition(">=")
        try:
            installed = version(name.strip())
        except PackageNotFoundError:
            continue
        if _release(installed) < _release(lowest):
            return f"{name} {installed} is installed and {requirement} is needed; pip install '{requirement}'"
    return None


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.split("+")[0])[:3])
