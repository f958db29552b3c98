"""What was passed to a call of catboost, by name, without consuming or changing any of it."""

from __future__ import annotations

from typing import Any


def items(value: Any) -> list[Any]:
    """The elements of a list or tuple. Anything else could be read only once, and that is for catboost to do."""
    return list(value) if isinstance(value, list | tuple) else []
