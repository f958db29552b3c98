"""The rounds of a training that the hooks record, as xgboost tells them to its callbacks.

A callback costs a quarter of an observed method, which counts where a round takes a millisecond.
"""

from __future__ import annotations

from typing import Any

from xgboost.callback import TrainingCallback

from autotrack.plugin import guarded
from autotrack_xgboost.recording import History, Recording


class Rounds(TrainingCallback):
    """Stands first among the callbacks of one training, and is never seen by the user's code."""

    def __init__(self, recording: Recording) -> None:
        super().__init__()
        self._recording = recording

    def after_iteration(self, model: Any, epoch: int, evals_log: History) -> bool:
        """Record a round that has been evaluated, before any other callback can raise. It never asks to stop."""
        with guarded("xgboost"):
            self._recording.round(model, evals_log, epoch)
        return False
