"""What integrations of the product's take from `neptune.integrations.utils` and `neptune.internal.utils`."""

from __future__ import annotations

from typing import Any, TypeAlias

from autotrack.compat.neptune.handler import Handler
from autotrack.compat.neptune.handler import joined as join_paths
from autotrack.compat.neptune.objects import Run
from autotrack.compat.neptune.types import StringifyValue

RunType: TypeAlias = Run | Handler


def verify_type(var_name: str, var: Any, expected_type: type | tuple[type, ...]) -> None:
    """Raise `TypeError` where `var` is none of the type."""
    if not isinstance(var, expected_type):
        kinds = expected_type if isinstance(expected_type, tuple) else (expected_type,)
        raise TypeError(f"{var_name} must be a {' or '.join(kind.__name__ for kind in kinds)} (was {type(var)})")


def verify_collection_type(var_name: str, var: Any, expected_type: type | tuple[type, ...]) -> None:
    """Raise `TypeError` where `var` is no list, set or tuple of the type."""
    verify_type(var_name, var, (list, set, tuple))
    for one in var:
        verify_type(f"elements of collection '{var_name}'", one, expected_type)


def expect_not_an_experiment(run: Any) -> None:
    """Nothing: an experiment of the client before 1.0 cannot be made here."""


def is_collection(var: Any) -> bool:
    """Whether it is a list, set or tuple."""
    return isinstance(var, list | set | tuple)


def is_stringify_value(var: Any) -> bool:
    """Whether it is marked to become text."""
    return isinstance(var, StringifyValue)


def is_dict_like(var: Any) -> bool:
    """Whether it is a mapping."""
    return hasattr(var, "keys") and hasattr(var, "items")


def parse_path(path: str) -> list[str]:
    """The steps of a path."""
    return [step for step in str(path).split("/") if step]


__all__ = ["RunType", "expect_not_an_experiment", "join_paths", "verify_type"]
