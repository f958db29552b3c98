"""Randomness: which seeds a run had, in which states its random generators were, and what was not seeded.

Seeds come from observers (`autotrack.provenance.seeds`), or from generators that know theirs, as PyTorch's. At a run's
begin the state of each shared generator whose library is loaded is digested; at its end a state that has moved tells
that the generator was used. `seeded` is about those alone: a forest with `random_state=0` never touches NumPy's
generator, so that it does not matter whether that was seeded. The states themselves are kept with the first run of the
process, for `restore`.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from autotrack.provenance import generators, seeds
from autotrack.provenance.generators import States
from autotrack.provenance.params import scalar

if TYPE_CHECKING:
    from autotrack.settings import Settings

VARIABLES: Final = (
    "PYTHONHASHSEED", "CUBLAS_WORKSPACE_CONFIG", "TF_DETERMINISTIC_OPS", "TF_CUDNN_DETERMINISTIC",
    "PL_GLOBAL_SEED", "NVIDIA_TF32_OVERRIDE",
)  # fmt: skip
"""Environment variables that decide whether the same seed gives the same numbers."""

REMEMBERED: Final = 256


class Randomness:
    """The witness: looks at the generators when a run begins and when it ends."""

    def __init__(self) -> None:
        self._begun: dict[str, tuple[States, dict[str, Any]]] = {}
        self._known: dict[str, None] = {}
        self._kept = False

    def begun(self, run: Any) -> None:
        """Record seeds, states and flags as they are now."""
        if run.home is None or run.id in self._known:
            return
        self._known[run.id] = None
        if len(self._known) > REMEMBERED:
            del self._known[next(iter(self._known))]
        states = generators.states()
        told = generators.told_by(states)
        if "numpy" in told and seeds.is_watched("numpy"):
            # Later its state does not tell, but another seed would be seen.
            seeds.seed_seen("numpy", told["numpy"])
        self._begun[run.id] = states, told
        record = _judged(told, states)
        record["flags"] = flags()
        record["states"] = {name: hashlib.sha256(state).hexdigest()[:32] for name, state in states.items()}
        if not self._kept:
            from autotrack.provenance.blobs import Blobs

            try:
                blob = Blobs(run.home).put_bytes(generators.packed(states))
            except OSError as problem:  # a full disk: their digests are recorded all the same
                record["problem"] = f"the states are not kept: {problem}"
            else:
                record["state"] = {"digest": blob.digest, "bytes": blob.bytes}
                self._kept = True
        run.log_provenance("randomness", record)

    def ending(self, run: Any) -> None:
        """Record which generators the run has used."""
        begun = self._begun.pop(run.id, None)
        if begun is None:
            return
        before, told = begun
        after = generators.states()
        used = [name for name, state in after.items() if generators.was_used(name, before.get(name), state)]
        told |= generators.told_by(after)
        record = _judged(told, [*used, *generators.unseen(told)])
        run.log_provenance("randomness", {**record, "used": used})

    def close(self) -> None:
        """Nothing is to be done."""

    def forked(self) -> None:
        """The parent's runs are not this process's; the generators have been copied with their seeds."""
        self._begun.clear()
        self._kept = False


def witness(settings: Settings) -> Randomness:
    """The witness of randomness."""
    return Randomness()


def flags() -> dict[str, Any]:
    """What decides whether the same seed gives the same numbers: variables that are set, and switches of libraries."""
    found: dict[str, Any] = {name: os.environ[name] for name in VARIABLES if name in os.environ}
    if "PYTHONHASHSEED" not in found and sys.flags.hash_randomization:
        found["PYTHONHASHSEED"] = "random"
    if "deterministic" in os.environ.get("XLA_FLAGS", ""):
        found["XLA_FLAGS"] = scalar(os.environ["XLA_FLAGS"])
    return found | generators.switches()


def restore(packed: bytes, only: Collection[str] | None = None) -> list[str]:
    """Bring the generators of this process, or `only` those, to a kept state; gives the names of those loaded here."""
    return generators.restore(packed, only)


def _judged(told: Mapping[str, Any], used: Iterable[str]) -> dict[str, Any]:
    """The seeds that are known, of which the generators tell those in `told`, and which of those `used` have none."""
    told = {**told, **seeds.of_generators()}
    made = seeds.of_made_generators()
    lacking = [name for name in used if told.get(name.partition(":")[0]) is None]
    unseen = generators.unseen(told)
    not_seeded = [
        name for name in lacking if name not in unseen and (name.partition(":")[0] in told or seeds.is_watched(name))
    ]
    unknown = [name for name in lacking if name not in not_seeded]
    unknown += [name for name, given in made.items() if None in given]
    known = {name: seed for name, seed in told.items() if seed is not None}
    for name, given in made.items():
        known[name] = [seed for seed in given if seed is not None]
    return {
        "seeded": False if not_seeded else None if unknown else True,
        "seeds": known,
        "not_seeded": not_seeded,
        "unknown": unknown,
    }
