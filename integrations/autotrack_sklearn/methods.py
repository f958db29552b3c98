"""The methods of trained models that predict and score: observed on the classes that define them, once one trained.

A class of `__main__`, or one that is defined in a function, is left alone: cloudpickle copies such classes whole, with
our function in them, into other processes. What they inherit is observed where it is defined.
"""

from __future__ import annotations

import sys
import threading
from types import FunctionType
from typing import Any

from autotrack.plugin import Installation, Observer, guarded

PREDICT = ("predict", "predict_proba", "predict_log_proba", "decision_function", "score_samples")

_installation: Installation | None = None
_observers: dict[str, Observer] = {}
_seen: set[type] = set()
_placed: set[tuple[type, str]] = set()
_placing = threading.Lock()


def place_with(installation: Installation, predict: Observer, score: Observer) -> None:
    """Place these observers through `installation` until it is removed."""
    global _installation
    _installation = installation
    _observers.update(dict.fromkeys(PREDICT, predict), score=score)
    _seen.clear()
    installation.on_remove(_forget)


def watch(kind: type) -> None:
    """Observe the predicting and scoring methods of `kind`, each in the class that defines it."""
    if kind in _seen:
        return
    with _placing:
        if kind in _seen or _installation is None:
            return
        for name, observer in _observers.items():
            for owner in kind.__mro__:
                found = vars(owner).get(name)
                if found is None or not _is_importable(owner):
                    continue
                with guarded("sklearn"):
                    _place(_installation, owner, name, found, observer)
        _seen.add(kind)


def _place(installation: Installation, owner: type, name: str, found: Any, observer: Any) -> None:
    mark = (owner, name)
    if mark in _placed:
        return
    if isinstance(found, FunctionType):
        installation.observe(owner, name, observer)
    elif isinstance(getattr(found, "fn", None), FunctionType):  # `available_if`
        installation.observe(found, "fn", observer)
    else:
        return
    _placed.add(mark)


def _is_importable(kind: type) -> bool:
    if kind.__module__ == "__main__":
        return False
    found: Any = sys.modules.get(kind.__module__)
    for part in kind.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is kind


def _forget() -> None:
    global _installation
    _installation = None
    _seen.clear()
    _placed.clear()
