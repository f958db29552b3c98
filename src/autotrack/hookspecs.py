"""The hooks that a plugin may implement (pluggy, project name `autotrack`).

Every hook is a registrar: it is called once, with a function to register what the plugin offers. No hook is called
while something trains.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pluggy import HookspecMarker

if TYPE_CHECKING:
    from autotrack.contracts import BackendPlugin, Demo, Gate, Integration, ModelFormat
    from autotrack.importing import ImporterPlugin

hookspec = HookspecMarker("autotrack")


@hookspec
def autotrack_register_integrations(register: Callable[[Integration], None]) -> None:
    """Call `register(Integration(…))` for each product that the plugin observes."""


@hookspec
def autotrack_register_backends(register: Callable[[BackendPlugin], None]) -> None:
    """Call `register(BackendPlugin(…))` for each place that the plugin sends events to."""


@hookspec
def autotrack_register_formats(register: Callable[[ModelFormat], None]) -> None:
    """Call `register(ModelFormat(…))` for each package whose models the plugin can save and read."""


@hookspec
def autotrack_register_demos(register: Callable[[Demo], None]) -> None:
    """Call `register(Demo(…))` for trainings of the product that `autotrack demo` runs."""


@hookspec
def autotrack_register_importers(register: Callable[[ImporterPlugin], None]) -> None:
    """Call `register(ImporterPlugin(…))` for each product whose runs the plugin can read."""


@hookspec
def autotrack_register_gates(register: Callable[[Gate], None]) -> None:
    """Call `register(Gate(…))` for each check that promotions of registered models may be made to pass."""
