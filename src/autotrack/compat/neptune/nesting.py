"""Paths as mappings within mappings, and how they are shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def nested(values: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Values by path as mappings, one a step. What lies below another value is left out: a place holds one thing."""
    found: dict[str, Any] = {}
    for path, value in values:
        *steps, last = path.split("/")
        place: Any = found
        for step in steps:
            place = place.setdefault(step, {})
            if not isinstance(place, dict):
                break
        else:
            place[last] = value
    return found


def show(values: Mapping[str, Any], depth: int = 0) -> None:
    """Print such a mapping, each value as its type."""
    for key in sorted(values):
        is_place = isinstance(values[key], dict)
        print("    " * depth + f"'{key}':" + ("" if is_place else f" {type(values[key]).__name__}"))
        if is_place:
            show(values[key], depth + 1)
