"""Saving a model in a safe format: which plugin knows how, found by the model's type.

A product's plugin registers a function for its package. The function answers at once: either with the bytes in a safe
format, or with a snapshot that is quick to take and that the forwarder turns into a safe format later, with the
converter that the plugin names. Nothing of the model is changed or kept.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Saved:
    """A model as bytes. With a `converter` (`package.module:function`) they are a snapshot that it turns safe."""

    format: str
    data: bytes
    converter: str | None = None
    signature: dict[str, Any] | None = None


Save = Callable[[Any], Saved]

_by_package: dict[str, Save] = {}


def register(package: str, save: Save) -> None:
    """Save models whose class, or a class that it derives from, is defined in `package` with `save`."""
    _by_package[package] = save


def save(model: Any) -> Saved:
    """The model as bytes. Raises `LookupError` where no plugin knows its type; else what the plugin raises."""
    for kind in type(model).__mro__:
        package = kind.__module__.partition(".")[0]
        if package in _by_package and package in sys.modules:
            return _by_package[package](model)
    raise LookupError(
        f"no plugin knows how to save a {type(model).__module__}.{type(model).__qualname__} in a safe format; "
        "save it to a file and use log_artifact"
    )
