"""What was passed to a call of lightgbm, by name, without consuming or changing any of it."""

from __future__ import annotations

from typing import Any


def items(value: Any) -> list[Any]:
    """The elements of a list, tuple or set. Anything else could be read only once, and that is for lightgbm to do."""
    return list(value) if isinstance(value, list | tuple | set | frozenset) else []
