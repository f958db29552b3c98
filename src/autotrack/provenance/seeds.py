"""Seeds as observers see them, in this process.

Which generator was seeded with what enters, from a plugin that observes it; what is known at a run's begin and end
leaves, for `autotrack.provenance.randomness`. A forked child begins with what its parent knew.
"""

from __future__ import annotations

from typing import Any, Final

from autotrack.provenance.params import scalar

MOST: Final = 16
"""Of generators that are made one after another, so many different seeds are told."""

LONGEST: Final = 200

SHARED: Final = ("python", "numpy", "torch", "tensorflow")
"""The generators that all users of a library share, by the names that they have in the record."""

_seeds: dict[str, Any] = {}
_made: dict[str, list[Any]] = {}
_watched: set[str] = set()


def watch_seeds(generator: str, *, on: bool = True) -> None:
    """From now on `seed_seen` is told of every seed of this generator, or no more: where none came, it has none."""
    if on:
        _watched.add(generator)
    else:
        _watched.discard(generator)
        _seeds.pop(generator, None)  # it may be seeded anew, and nobody would see


def is_watched(generator: str) -> bool:
    """Whether every seed of this generator is seen."""
    return generator in _watched


def seed_seen(generator: str, seed: Any) -> None:
    """`generator` was seeded with `seed`; None means that the system's own entropy was taken.

    `generator` is `python`, `numpy`, `torch` or `tensorflow` for the one that its users share, or another name, such as
    `numpy.default_rng`, for what makes a new generator at each call.
    """
    told = None if seed is None else scalar(seed)
    if isinstance(told, str):
        told = told[:LONGEST]
    if generator in SHARED:
        _seeds[generator] = told
        return
    made = _made.setdefault(generator, [])
    if told not in made and (len(made) < MOST or told is None):
        made.append(told)


def of_generators() -> dict[str, Any]:
    """The last seed of each shared generator that was seeded; None for the system's entropy."""
    return dict(_seeds)


def of_made_generators() -> dict[str, list[Any]]:
    """For each way to make a generator the different seeds that were given, the first `MOST` of them."""
    return {name: list(seeds) for name, seeds in _made.items()}


def forget() -> None:
    """Know of no seed, for tests."""
    _seeds.clear()
    _made.clear()
