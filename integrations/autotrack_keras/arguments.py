"""What was passed to `fit` or `evaluate`, by name, and which callbacks are ours; nothing is consumed or changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def callbacks_in(given: Any) -> Iterator[Any]:
    """Each callback of what was passed as `callbacks`: None, one, a list, a tuple, nested ones, a `CallbackList`.

    A generator is left for Keras to read.
    """
    if given is None:
        return
    if isinstance(given, list | tuple):
        for one in given:
            yield from callbacks_in(one)
    elif isinstance(given, Mapping):
        for one in given.values():
            yield from callbacks_in(one)
    elif isinstance(getattr(given, "callbacks", None), list):
        yield from callbacks_in(given.callbacks)
    else:
        yield given


def asked(given: Any) -> Any:
    """The first `AutotrackCallback` of what was passed as `callbacks`, or None; its module need not be imported."""
    return next((it for it in callbacks_in(given) if getattr(it, "autotrack", False) is True), None)
