"""Inputs in nested lists and mappings, as Keras takes them, under names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def named_parts(value: Any) -> Any:
    """Several inputs in a list or tuple, or under names, as a mapping of parts; anything else as it is."""
    if isinstance(value, Mapping):
        return {str(key): named_parts(one) for key, one in value.items()}
    if isinstance(value, list | tuple) and value and all(is_input(one) for one in value):
        return {str(index): named_parts(one) for index, one in enumerate(value)}
    return value


def is_input(value: Any) -> bool:
    """Whether a model can take it as one of its inputs."""
    return hasattr(value, "shape") or isinstance(value, list | tuple | Mapping)
