"""What backends are told of a registered model: its name enters, the record of it as the store has it now leaves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from autotrack.plugins import resolve
from autotrack.settings import Settings

_VIEW: Final = "autotrack.registry.reading:as_it_stands"
"""The registry stands above the forwarder, so it is found by name, as plugins are."""


def registered_model(home: Path, settings: Settings, model: str) -> Mapping[str, Any] | None:
    """The fields of `autotrack models show --json`; None where the store knows no such model. Raises `StoreError`."""
    view: Callable[[Path, Settings, str], Mapping[str, Any] | None] = resolve(_VIEW)
    return view(home, settings, model)
