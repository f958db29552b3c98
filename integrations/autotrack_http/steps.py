"""Steps of registered models, each with what became of it: an event enters, plain fields leave.

What became of a step is known once the store has taken it in. Where this home has a store, a step that is not in it yet
waits; where it has none, the step is told without.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autotrack.backend import BackendContext, BackendUnavailable
from autotrack.events import RegistryLogged
from autotrack.registry.telling import UNKNOWN, outcome


class Outcomes:
    """What became of the steps of one batch; each model is looked up once."""

    def __init__(self, context: BackendContext) -> None:
        self._context = context
        self._models: dict[str, Mapping[str, Any] | None] = {}

    def of(self, event: RegistryLogged) -> dict[str, Any]:
        """As `autotrack.registry.telling` has it. Raises `BackendUnavailable` while the store lacks the step."""
        if event.model not in self._models:
            self._models[event.model] = self._context.registered(event.model)
        found = outcome(event, self._models[event.model])
        if found is None and "local" in self._context.settings.backends:
            raise BackendUnavailable(f"a step of the model {event.model} waits for the store to take it in")
        return dict(UNKNOWN) if found is None else found
