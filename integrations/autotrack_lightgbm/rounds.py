"""The rounds of a training, as lightgbm tells them to its callbacks.

`train` and `cv` keep the callbacks of a call in a list of their own, sorted, once all are known. A callback of ours
joins that list at its head: it sees every round that was evaluated before another callback can raise in it or end the
training, the list of the user's stays as it is, and so does the order that lightgbm writes on each of its callbacks.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from types import FrameType
from typing import Any

from autotrack.plugin import Call, Outcome, guarded
from autotrack_lightgbm.recording import Recording, now

CALLBACKS = "callbacks_after_iter"
"""The variable of `train` and of `cv` that holds what they call after a round, in every lightgbm since 2."""


class Rounds:
    """Stands first among the callbacks of one training, and is never seen by the user's code."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    def __call__(self, env: Any) -> None:
        """Record a round that has been evaluated."""
        with guarded("lightgbm"):
            self._recording.round(env)


def watch_booster(call: Call) -> Generator[None, Outcome, None]:
    """`train` makes its booster: the callbacks are known, and no round has begun."""
    recording = now()
    if recording is not None and not recording.begun:
        with guarded("lightgbm"):
            _join(recording)
    return
    yield


def watch_folds(call: Call) -> Generator[None, Outcome, None]:
    """`cv` puts the results of its folds together, after each round and before it calls the callbacks."""
    recording = now()
    if recording is not None and not recording.begun:
        with guarded("lightgbm"):
            _join(recording)
    return
    yield


def _join(recording: Recording) -> None:
    frame: FrameType | None = sys._getframe(2)
    for _ in range(8):
        if frame is None:
            return
        if CALLBACKS in frame.f_code.co_varnames and frame.f_globals.get("__name__") == "lightgbm.engine":
            local = frame.f_locals
            callbacks = local.get(CALLBACKS)
            if isinstance(callbacks, list):
                recording.training_name = local.get("train_data_name", recording.training_name)
                recording.begin(callbacks)
                callbacks.insert(0, Rounds(recording))
            return
        frame = frame.f_back
