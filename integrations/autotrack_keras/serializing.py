"""Asking Keras to serialise without what that does besides: it imports TensorFlow, and warns.

For each object, Keras looks whether it is one of TensorFlow's, and imports TensorFlow to know, on every backend: that
takes seconds and hundreds of megabytes of a process that trains with torch or JAX. Where it has not been imported, no
object can be one of its own. And a `lambda` in a model brings a warning, which the user has not asked for by training.
"""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

_one_at_a_time = threading.RLock()


class _NoTensorFlow:
    available = False


class _NoWarnings:
    @staticmethod
    def warn(*args: Any, **kwargs: Any) -> None:
        return


@contextmanager
def serializing() -> Iterator[None]:
    """Inside, Keras serialises models and optimizers without importing TensorFlow and without warnings."""
    from keras.src.saving import saving_lib, serialization_lib

    with _one_at_a_time, ExitStack() as stack:
        if "tensorflow" not in sys.modules:
            stack.enter_context(_replaced(serialization_lib, "tf", _NoTensorFlow))
        for module in (serialization_lib, saving_lib):
            stack.enter_context(_replaced(module, "warnings", _NoWarnings))
        if _numpy_would_warn():
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
        yield


@contextmanager
def _replaced(module: Any, name: str, stand_in: Any) -> Iterator[None]:
    original = getattr(module, name, None)
    if original is None or original is stand_in:
        yield
        return
    setattr(module, name, stand_in)
    try:
        yield
    finally:
        setattr(module, name, original)


def _numpy_would_warn() -> bool:
    """Whether the `DeprecationWarning` that numpy has for Keras's arrays would be seen, or raised.

    By default it is not. The filters are touched only where it is: Python then forgets which warnings it has shown.
    """
    for action, message, category, module, _ in warnings.filters:
        if issubclass(DeprecationWarning, category) and message is None and module is None:
            return action != "ignore"
    return True


def _in_forked_child() -> None:
    global _one_at_a_time
    _one_at_a_time = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_forked_child)
