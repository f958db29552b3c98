"""What a `lightgbm.Sequence` gives, read as LightGBM itself reads it: in its own batches, never as a whole.

Sequences enter, one after the other; a table of stretches leaves. Reading runs the user's code, which may take long or
raise: a few rows are tried first, and where all of it would take longer than a fingerprint may, none of it is read.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final

from autotrack.plugin import Told, describe_with, register_reader, settings, stretches

TRIED: Final = 64
"""Rows that are read to learn how long all would take."""

LEAF: Final = 65_536
"""Rows that are hashed together: the least that can be read for a fingerprint of a part."""


class Batches:
    """Sequences, one after the other."""

    def __init__(self, several: Sequence[Any]) -> None:
        self.several = several
        self.n_rows = sum(map(len, several))

    def rows(self, start: int, stop: int) -> Any:
        """The rows of a stretch, asked for in the batches of each sequence."""
        import numpy as np

        found, begin = [], 0
        for one in self.several:
            end = begin + len(one)
            at = max(start, begin)
            while at < min(stop, end):
                upto = min(at + max(1, int(one.batch_size or 1)), stop, end)
                found.append(np.asarray(one[at - begin : upto - begin]))
                at = upto
            begin = end
        return found[0] if len(found) == 1 else np.concatenate(found)

    def described(self) -> dict[str, Any]:
        """The record, as far as no row need be read."""
        kind = type(self.several[0])
        return {"kind": f"{kind.__module__}.{kind.__qualname__}", "n_rows": self.n_rows}


def register() -> None:
    """Let the core read these."""
    name = f"{__name__}.{Batches.__qualname__}"
    describe_with(name, Batches.described)
    register_reader(name, lambda batches: stretches(batches.n_rows, batches.rows))


def batches_of(data: Any) -> Batches | Told | None:
    """Sequences as what can be read, or told of where they cannot; None where `data` are none."""
    several = data if isinstance(data, list) and data else [data]
    if not all(hasattr(one, "batch_size") and hasattr(one, "__getitem__") for one in several):
        return None
    batches = Batches(several)
    try:
        problem = _problem(batches)
    except Exception as error:  # the user's own code; LightGBM will meet it too
        problem = f"its own code raised {type(error).__name__}"
    return batches if problem is None else Told({**batches.described(), "not_read": problem})


def _problem(batches: Batches) -> str | None:
    tried = min(TRIED, batches.n_rows)
    if not tried:
        return "it is empty"
    begun = time.monotonic()
    batches.rows(0, tried)
    expected = (time.monotonic() - begun) / tried * min(batches.n_rows, LEAF)
    if expected > settings().dataset_seconds:
        return f"reading it takes about {expected:.1f} seconds, longer than AUTOTRACK_DATASET_SECONDS"
    return None
