"""What was passed to a call of xgboost, by name, without consuming or changing any of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from autotrack.plugin import elements


def booster_params(value: Any) -> dict[str, Any]:
    """The params of a booster, which are a mapping or a list of pairs; of a key that comes twice, both values."""
    pairs: Iterable[Any] = value.items() if isinstance(value, Mapping) else elements(value)
    params: dict[str, Any] = {}
    for key, one in pairs:
        params[key] = [*_as_list(params[key]), one] if key in params else one
    return params


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
