"""Where seeds are seen: the functions that seed the shared generators, or make one from a seed."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Generator
from types import ModuleType
from typing import Any

from autotrack.plugin import Call, Installation, Observer, Outcome, seed_seen, watch_seeds
from autotrack_seeds import SEEDS

LIBRARY = os.path.dirname(random.__file__) + os.sep
"""The folder of the standard library."""


def install(installation: Installation) -> None:
    """Place the observers; `random` has been imported."""
    if "numba" not in sys.modules:
        _install_what_numba_compiles(installation)
    installation.when_imported("jax.random", lambda module: _observe_jax(installation, module))


def _install_what_numba_compiles(installation: Installation) -> None:
    """Observe what is put back before Numba, if it is imported, takes these functions for keys of its tables."""
    placed = Installation(SEEDS)

    def put_back(_: Any = None) -> None:
        placed.remove()
        watch_seeds("python", on=False)
        watch_seeds("numpy", on=False)

    def observe_numpy(module: ModuleType) -> None:
        if "numba" not in sys.modules:
            placed.observe(module, "seed", watch("numpy"))
            placed.observe(module, "default_rng", watch("numpy.default_rng", only_of_user=True))
            watch_seeds("numpy")

    placed.observe(random, "seed", watch("python"))
    watch_seeds("python")
    installation.on_remove(put_back)
    installation.when_imported("numpy.random", observe_numpy)
    installation.when_imported("numba.core.config", put_back)  # among the first that it imports
    installation.when_imported("numba", put_back)


def _observe_jax(installation: Installation, module: ModuleType) -> None:
    for name in ("key", "PRNGKey"):
        if hasattr(module, name):
            installation.observe(module, name, watch("jax", only_numbers=True))


def watch(generator: str, *, only_numbers: bool = False, only_of_user: bool = False) -> Observer:
    """An observer of a function whose first argument is the seed.

    A seed of JAX's may be traced, and is no number then. Generators that libraries make for themselves, some while they
    are imported, are not the user's concern.
    """

    def watch_seed(call: Call) -> Generator[None, Outcome, None]:
        if only_of_user and _called_by_library():
            return
        seed = call.args[0] if call.args else next(iter(call.kwargs.values()), None)
        outcome = yield
        if outcome.error is None and (_is_number(seed) if only_numbers else _is_seed(seed)):
            seed_seen(generator, seed)

    return watch_seed


def _called_by_library() -> bool:
    """Whether the observed call stands in an installed package or the standard library."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(("autotrack.", "autotrack_")):
        frame = frame.f_back
    file = frame.f_code.co_filename
    return "site-packages" in file or "dist-packages" in file or file.startswith(("<frozen", LIBRARY))


def _is_number(seed: Any) -> bool:
    return isinstance(seed, int) or (type(seed).__module__ == "numpy" and getattr(seed, "shape", None) == ())


def _is_seed(seed: Any) -> bool:
    """Whether a seed that is worth telling was given: not another generator, which has one already."""
    return seed is None or _is_number(seed) or isinstance(seed, str | bytes | float | list | tuple)
