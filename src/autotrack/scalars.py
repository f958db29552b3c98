"""Values and steps as the journal keeps them: exact numbers out of whatever scalar the user's framework has."""

from __future__ import annotations

from typing import Any

from autotrack.errors import UsageError
from autotrack.events import Step


def as_number(value: Any) -> float | None:
    """`value` as an exact number, or None where it is none: text, None, a list, an array of more than one element."""
    kind = type(value)
    if kind is float:
        return float(value)
    if kind is bool or isinstance(value, int):
        number = int(value)
        return number if -(2**63) <= number < 2**63 else float(number)
    if isinstance(value, str | bytes | list | tuple | dict | set) or value is None:
        return None
    if getattr(value, "shape", ()) not in ((), (1,)):
        return None
    try:
        item = value.item() if hasattr(value, "item") else value
        return float(item)
    except (TypeError, ValueError, OverflowError):
        return None


def exact_step(step: Any) -> Step:
    """`step` as the journal keeps it: an integer, or a decimal as text.

    Raises `UsageError` for what is no finite number within 64 bits.
    """
    if isinstance(step, str) or not hasattr(step, "__float__") and not hasattr(step, "__index__"):
        raise UsageError(f"step={step!r} is not a number; use an integer or a decimal such as 0.25")
    if hasattr(step, "__index__"):
        number = step.__index__()
    else:
        from decimal import Decimal

        decimal = step if isinstance(step, Decimal) else Decimal(repr(float(step)))
        if not decimal.is_finite():
            raise UsageError(f"step={step!r} is not finite")
        if decimal != decimal.to_integral_value():
            return format(decimal.normalize(), "f")
        number = int(decimal)
    if not -(2**63) <= number < 2**63:
        raise UsageError(f"step={step!r} does not fit 64 bits")
    return int(number)
