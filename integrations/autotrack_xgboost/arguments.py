"""What was passed to a call of xgboost, by name, without consuming or changing any of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def items(value: Any) -> list[Any]:
    """The elements of a list or tuple. Anything else could be read only once, and that is for xgboost to do."""
    return list(value) if isinstance(value, list | tuple) else []


def booster_params(value: Any) -> dict[str, Any]:
    """The params of a booster, which are a mapping or a list of pairs; of a key that comes twice, both values."""
    pairs: Iterable[Any] = value.items() if isinstance(value, Mapping) else items(value)
    params: dict[str, Any] = {}
    for key, one in pairs:
        params[key] = [*_as_list(params[key]), one] if key in params else one
    return params


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
