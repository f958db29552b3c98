"""The callbacks that autotrack adds to those of a training. They look at what Keras tells, and change nothing of it.

Keras tells an epoch to one callback after the other, and what one adds to the logs the next ones see. So ours stands
last. What an exception of another one would keep from it is held by a second, which stands first.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import keras
from keras.callbacks import Callback, CallbackList

from autotrack.plugin import Leaf, begin_leaf, guarded, rejoin_leaf, settings
from autotrack_keras.arguments import asked as asked_in
from autotrack_keras.config import run_name
from autotrack_keras.recording import Recording, now


class Ours(Callback):  # type: ignore[misc]
    """What all of them have in common: a copy or a pickle holds neither the model nor the run of this process."""

    def __getstate__(self) -> dict[str, Any]:
        return {"params": None, "_model": None}

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        copied = type(self).__new__(type(self))
        copied.__dict__.update(self.__getstate__())
        return copied


class Ahead(Ours):
    """Stands first: it holds the logs of an epoch until all callbacks have seen them."""

    recording: Recording | None = None

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Hold the logs."""
        if self.recording is not None:
            self.recording.reached(epoch, logs or {})


class Follower(Ours):
    """Stands last: what it is told goes to the recording of the `fit` around it.

    Where there is none, as in a loop of the user's own around a `CallbackList`, it begins and ends one itself.
    """

    asked: Any = None
    """The `AutotrackCallback` beside it."""
    beside: Sequence[Any] = ()
    """All callbacks of its list."""
    _recording: Recording | None = None
    _leaf: Leaf | None = None

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Begin to record, unless this training is part of another."""
        with guarded("keras"):
            self._begin()

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Know which epoch it is."""
        if self._recording is not None:
            self._recording.epoch_begins(epoch)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Record the epoch."""
        if self._recording is not None:
            with guarded("keras"):
                self._recording.epoch(epoch, logs)

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Record the end, where no `fit` does."""
        recording, leaf = self._recording, self._leaf
        self._recording = self._leaf = None
        if leaf is not None and recording is not None:
            with guarded("keras"):
                recording.finish(failed=False)
            leaf.end()

    def _begin(self) -> None:
        if self._leaf is not None:  # a loop before this one was left by an exception, which nobody saw
            self._leaf.end(RuntimeError("the training did not come to its end"))
        self._recording = self._leaf = None
        around = now()
        if isinstance(around, Recording):
            self._recording = around if around.model is self._model else None
        elif self._model is not None:
            self._leaf = begin(self._model, self.asked)
            if self._leaf is None:
                return
            self._leaf.leave()  # an exception would leave the scope open, and all that trains later silent
            self._recording = Recording(self._leaf.run, self._model)
            self._recording.configured()
        if self._recording is not None:
            self._recording.begin(self.params, self.beside)


class BatchFollower(Follower):
    """A follower that records batches as well. Keras calls it from its threads where it would call nobody else."""

    async_safe = True

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Record the batch."""
        if self._recording is not None:
            with guarded("keras"):
                self._recording.batch(batch, logs)


class Tested(Ours):
    """Takes what an `evaluate` found, under its names, whatever `evaluate` returns."""

    found: Mapping[str, Any] | None = None

    def on_test_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Take the result."""
        self.found = logs


def follow(container: Any) -> Follower:
    """Put a follower last in a list of callbacks."""
    ours = BatchFollower() if settings().batch_metrics else Follower()
    ours.asked, ours.beside = asked_in(container), container.callbacks
    for callback in container.callbacks:
        if getattr(callback, "autotrack", False) is True:
            callback.followed = True
    container.callbacks.append(ours)
    return ours


@contextmanager
def joined(callbacks: Any, tested: Tested | None = None) -> Iterator[None]:
    """Stand, for one call, in a `CallbackList` that the user has made: `tested`, or a follower if there is none."""
    ours: Any = None
    with guarded("keras"):
        if isinstance(callbacks, CallbackList):
            if tested is not None:
                callbacks.callbacks.append(ours := tested)
            elif not any(type(it) in (Follower, BatchFollower) for it in callbacks.callbacks):
                ours = follow(callbacks)
                ours.set_params(callbacks.params)
                ours.set_model(callbacks._model)
    try:
        yield
    finally:
        if ours is not None:
            callbacks.callbacks[:] = [it for it in callbacks.callbacks if it is not ours]


def begin(model: Any, asked: Any, *, continues: str | None = None) -> Leaf | None:
    """Begin to record, with the name or in the run that an explicit callback asks for."""
    if not _is_first(model):
        return None
    if asked is not None and asked.run is not None:
        return rejoin_leaf(asked.run)
    name = (asked.name if asked is not None else None) or run_name(model)
    return begin_leaf("keras", name=name, explicit=asked is not None, continues=continues)


def _is_first(model: Any) -> bool:
    """Whether this process speaks for its training, where JAX or TensorFlow train in several."""
    jax = sys.modules.get("jax")
    if jax is not None and keras.backend.backend() == "jax" and jax.process_index() > 0:
        return False
    strategy = getattr(model, "distribute_strategy", None)
    return bool(getattr(getattr(strategy, "extended", None), "should_save_summary", True))
