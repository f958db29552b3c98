"""The arguments of a call by name, and which of them are data.

Positional, keyword and swapped arguments come out the same. Data goes to the run as one dataset with named parts, as
it was passed in; plain values such as `classes` or `verbose` become params.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from autotrack.plugin import settings

DATA = ("X", "y", "Y", "groups")

_PLAIN = (bool, int, float, str)


def bind(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], *, skip: int = 0
) -> dict[str, Any]:
    """Arguments by their names in `function`, whose first `skip` parameters are not in `args`.

    A call that the function will refuse gives what can be named; nothing is raised.
    """
    # `inspect.signature` takes 20 to 50 microseconds, as much as all the rest of what a fit costs us.
    code = getattr(inspect.unwrap(function), "__code__", None)
    names = code.co_varnames[skip : code.co_argcount] if code is not None else ()
    return {**dict(zip(names, args, strict=False)), **kwargs}


def log_arguments(run: Any, arguments: Mapping[str, Any]) -> None:
    """Record what a training was given: its data as the dataset `train`, plain values as params `fit.<name>`."""
    data = {name: value for name, value in arguments.items() if value is not None and is_data(name, value)}
    plain = {name: value for name, value in arguments.items() if isinstance(value, _PLAIN) and name not in data}
    if plain:
        run.log_params({"fit": plain})
    if data and settings().datasets:
        run.log_dataset(data, role="train")


def is_data(name: str, value: Any) -> bool:
    """Whether an argument holds a value for each sample. Routed ones are named `step__sample_weight` or freely."""
    if name in DATA or name.endswith(("sample_weight", "groups")):
        return not isinstance(value, _PLAIN)
    return len(getattr(value, "shape", ())) >= 1
