"""Seeds: which numbers your random generators were seeded with, in the record of every run.

    import autotrack
    autotrack.enable()                          # before the seeds are set: what was set earlier is not seen
    random.seed(0)                              # or numpy.random.seed, lightning.seed_everything, transformers.set_seed

Seen are `random.seed`, `numpy.random.seed`, `numpy.random.default_rng` and `jax.random.key`/`PRNGKey`, by whomever they
are called; what other libraries offer to seed everything calls these. PyTorch and TensorFlow know their own seed, so
that nothing of theirs is observed. The calls do what they always do.

Numba compiles calls of `random.seed` and `numpy.random.seed` by what those names hold, so that with Numba nothing is
observed in either. `autotrack show RUN` tells the seeds, and what was used without one.
"""

from __future__ import annotations

from collections.abc import Callable

from autotrack.plugin import Integration, hookimpl

SEEDS = Integration(name="seeds", module="random", install="autotrack_seeds.hooks:install", always=True)


@hookimpl
def autotrack_register_integrations(register: Callable[[Integration], None]) -> None:
    """Register this integration."""
    register(SEEDS)
