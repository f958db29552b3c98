"""Batches that a `DataIter` gives to xgboost, hashed on their way into the DMatrix that is being made of them.

xgboost goes through an iterator several times while it makes one DMatrix; the first time is looked at. The places are
those that every batch passes, so neither the iterator nor what it is called with is touched.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from autotrack.plugin import Call, Installation, Ongoing, Outcome, Passing

PARTS = {
    "label": "y",
    "weight": "sample_weight",
    **{name: name for name in ("base_margin", "group", "qid", "label_lower_bound", "label_upper_bound")},
}
"""What a DMatrix calls its parts, and what `fit` does."""


class Passes:
    """What passes while one DMatrix is made."""

    def __init__(self) -> None:
        self.passing = Passing()
        self.iteration = self.passing.begin()
        self.data: Any = None
        """The features of the batch whose labels have not been given yet."""


_ongoing: Ongoing[Passes] = Ongoing("xgboost_batches")
now, watched_in = _ongoing.now, _ongoing.recorded_in


def is_iterator(data: Any) -> bool:
    """Whether `data` is a `DataIter`: reading it would move it on."""
    return hasattr(type(data), "next") and hasattr(type(data), "reset")


def install(installation: Installation) -> None:
    """Place the observers; an xgboost that goes another way has none."""
    from xgboost import core, data

    if hasattr(data, "_proxy_transform") and hasattr(core.DataIter, "_next_wrapper"):
        installation.observe(data, "_proxy_transform", watch_transform)
        installation.observe(core.DMatrix, "set_info", watch_info)
        installation.observe(core.DataIter, "_next_wrapper", watch_next)


def watch_transform(call: Call) -> Generator[None, Outcome, None]:
    """The features of a batch, as the iterator gives them."""
    passes = now()
    if passes is not None:
        passes.data = call.args[0] if call.args else call.kwargs.get("data")
    return
    yield


def watch_info(call: Call) -> Generator[None, Outcome, None]:
    """What belongs to the features of a batch: with it, the batch is complete."""
    passes = now()
    if passes is None or passes.data is None:
        return
    features, passes.data = passes.data, None
    if passes.iteration is not None:
        beside = {name: call.kwargs.get(part) for part, name in PARTS.items()}
        passes.iteration.batch({"X": features, **{name: it for name, it in beside.items() if it is not None}})
    return
    yield


def watch_next(call: Call) -> Generator[None, Outcome, None]:
    """The iterator is asked for a batch; 0 says that there is none."""
    passes = now()
    if passes is None or passes.passing.done:
        return
    outcome = yield
    if outcome.result == 0 and passes.iteration is not None:
        passes.iteration.end()
