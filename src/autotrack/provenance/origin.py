"""Which run a model was trained in, and which run an array of predictions came from.

Integrations of training tell it, and those that see what is measured afterwards ask; so a metric of one library on the
predictions of another's model reaches the run of that model. Nothing is stored on models or arrays: tables are keyed by
identity and an entry goes when its object goes.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from typing import Any

listeners: list[Callable[[Any, Any], None]] = []
"""Called with each model that has been trained and its run."""

_runs: dict[int, tuple[weakref.ref[Any], Any]] = {}
_predictions: dict[int, tuple[weakref.ref[Any], Any, str]] = {}


def trained(model: Any, run: Any) -> None:
    """From now on what is measured on `model` belongs to `run`; whoever measures is told."""
    remember(model, run)
    for listener in tuple(listeners):
        listener(model, run)


def remember(model: Any, run: Any) -> None:
    """`model` belongs to `run`."""
    _remember(_runs, model, run)


def run_of(model: Any) -> Any:
    """The run that `model` was trained in, or None."""
    found = _runs.get(id(model))
    return found[1] if found is not None and found[0]() is model else None


def predicted(result: Any, run: Any, split: str = "", given: Any = None) -> None:
    """Remember that a model of `run` returned `result` for data of `split`; `given` is that data."""
    if isinstance(result, list | tuple):  # several outputs
        for part in result[:64]:
            predicted(part, run, split, given)
        return
    _remember(_predictions, result, run, split)
    # A view of the result has the owner of the memory as its base, not the result, where that is a view itself.
    owner = getattr(result, "base", None)
    if owner is not None and owner is not given and owner is not getattr(given, "base", None):
        _remember(_predictions, owner, run, split)


def run_behind(values: Iterable[Any]) -> tuple[Any, str] | None:
    """The run and the split of the first of `values` that is a prediction, or a view of one."""
    for value in values:
        for _ in range(4):
            if value is None:
                break
            found = _predictions.get(id(value))
            if found is not None and found[0]() is value:
                return found[1], found[2]
            value = getattr(value, "base", None)
    return None


def _remember(table: dict[int, Any], thing: Any, *what: Any) -> None:
    key = id(thing)

    def forget(gone: weakref.ref[Any]) -> None:
        entry = table.get(key)
        if entry is not None and entry[0] is gone:
            del table[key]

    try:
        table[key] = (weakref.ref(thing, forget), *what)
    except TypeError:  # a type without weak references
        pass
