"""What was passed to a call of lightgbm, by name, without consuming or changing any of it."""

from __future__ import annotations

import inspect
from typing import Any

from autotrack.plugin import Call


def named(call: Call) -> dict[str, Any]:
    """The arguments of a call by the names of its parameters, defaults included; those of `**kwargs` among them."""
    parameters = inspect.signature(call.function).parameters
    defaults = {name: it.default for name, it in parameters.items() if it.default is not inspect.Parameter.empty}
    return {**defaults, **dict(zip(parameters, call.args, strict=False)), **call.kwargs}


def items(value: Any) -> list[Any]:
    """The elements of a list, tuple or set. Anything else could be read only once, and that is for lightgbm to do."""
    return list(value) if isinstance(value, list | tuple | set | frozenset) else []
