"""One training of Keras as it is written into its run; the observer of `fit` and the callbacks write through it.

The logs that Keras gives its callbacks enter, epoch by epoch, and leave as series under Keras's own names.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from keras.callbacks import EarlyStopping, ModelCheckpoint

from autotrack.plugin import (
    Ongoing,
    checkpoint_saved,
    declared,
    guarded,
    log_defaults,
    remember,
    settings,
    trained,
)
from autotrack_keras import config
from autotrack_keras.weights import Kept

if TYPE_CHECKING:
    from autotrack.run import Run

last_epochs: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
"""For each run, the last epoch that was trained in it: where what is evaluated later stands."""


class Recording:
    """A training that is recorded, from its call to its end."""

    def __init__(self, run: Run, model: Any) -> None:
        self.run = run
        self.model = model
        self._epoch: int | None = None
        self._reached: tuple[int, Mapping[str, Any]] | None = None
        self._callbacks: Sequence[Any] = ()
        self._every = settings().batch_metrics
        self._steps: int | None = None
        self._first = 0
        self._seen = 0
        self._counting = threading.Lock()
        self._at_once = 1
        self._counted = False
        self._best: tuple[str, int] | None = None
        with guarded("keras"):
            remember(model, run)

    def configured(self) -> None:
        """Record what is known of the model before it trains."""
        with guarded("keras"):
            found = config.compiled(self.model)
            self.run.log_params({**config.told(self.model), **found})
            log_defaults(self.run, found, config.compiled_defaults(self.model))

    def begin(self, params: Mapping[str, Any] | None, callbacks: Sequence[Any]) -> None:
        """Training begins: Keras has built the model and knows how many steps an epoch has, as far as it ever will."""
        self._callbacks = callbacks
        self._at_once = max(1, int(getattr(self.model, "steps_per_execution", 1) or 1))
        steps = (params or {}).get("steps")
        if steps is not None:
            self._steps = int(steps)
            self.run.log_params({"steps_per_epoch": self._steps})
        with guarded("keras"):
            self._log_callbacks()
        with guarded("keras"):
            self._log_model()

    def epoch_begins(self, epoch: int) -> None:
        """The steps of an epoch are about to begin."""
        # Where Keras does not know before how many steps an epoch has, they are counted.
        self._first = epoch * self._steps if self._steps is not None else self._first + self._seen
        self._seen = 0

    def reached(self, epoch: int, logs: Mapping[str, Any]) -> None:
        """An epoch has ended and other callbacks have their turn: they may add to its logs, or raise."""
        self._reached = epoch, logs

    def epoch(self, epoch: int, logs: Mapping[str, Any] | None) -> None:
        """Record an epoch with what all other callbacks have made of its logs."""
        self._reached = None
        self._epoch = last_epochs[self.run] = epoch
        if logs:
            self.run.log_metrics(logs, epoch)
        if not self._counted:  # a model that builds itself with the first batch
            with guarded("keras"):
                self._log_model()

    def batch(self, batch: int, logs: Mapping[str, Any] | None) -> None:
        """Record the n-th steps. Keras calls this from several threads, in any order."""
        begun = self._first + batch - batch % self._at_once
        done = self._first + batch + 1
        if self._steps is None:
            with self._counting:
                self._seen = max(self._seen, batch + 1)
        if logs and done // self._every > begun // self._every:
            self.run.log_metrics({f"batch/{name}": value for name, value in logs.items()}, done - 1)

    def saved(self, callback: Any, path: str, epoch: int) -> None:
        """A callback of the user's has written a checkpoint."""
        checkpoint_saved(self.run, path, epoch)
        if not isinstance(callback, ModelCheckpoint):
            return
        if callback.save_best_only:
            self._best = path, epoch
        if settings().models == "all":
            self._keep_file("checkpoint", path, epoch)

    def finish(self, *, failed: bool) -> None:
        """Record what is known when the training is over; the weights of one that failed are not kept."""
        if self._reached is not None:
            self.epoch(*self._reached)
        with guarded("keras"):
            self._log_best()
        if failed:
            return
        with guarded("keras"):
            trained(self.model, self.run)
        with guarded("keras"):
            self._keep()

    def _log_model(self) -> None:
        if self._counted or not getattr(self.model, "built", False):
            return
        self._counted = True
        self.run.log_params(config.counts(self.model))
        try:
            text = config.architecture(self.model)
        except Exception as problem:  # a class of the user's that does not tell its config
            self.run.note("model.json", _first_line(problem))
        else:
            self.run.log_artifact(text.encode(), "model.json")

    def _log_callbacks(self) -> None:
        for kind, name, fields in (
            (EarlyStopping, "early_stopping", config.EARLY_STOPPING),
            (ModelCheckpoint, "model_checkpoint", config.CHECKPOINT),
        ):
            for label, callback in self._of_kind(kind, name):
                params = {field: getattr(callback, field, None) for field in fields}
                self.run.log_params({label: {field: value for field, value in params.items() if value is not None}})
                usual = declared(type(callback)).items()  # where an argument was None, a callback may have another
                held = {f"{label}.{field}": value for field, value in params.items()}
                defaults = {f"{label}.{field}": value for field, value in usual if value is not None}
                log_defaults(self.run, held, defaults)

    def _log_best(self) -> None:
        last = self._epoch
        if last is None:
            return
        for label, callback in self._of_kind(EarlyStopping, "early_stopping"):
            if callback.best is not None:
                found = {f"{label}/best": callback.best, f"{label}/best_epoch": callback.best_epoch}
                self.run.log_metrics(found, int(callback.best_epoch))
            self.run.log_metrics({f"{label}/stopped_epoch": callback.stopped_epoch}, last)
        for label, callback in self._of_kind(ModelCheckpoint, "model_checkpoint"):
            if callback.save_best_only and callback.best is not None:
                self.run.log_metrics({f"{label}/best": callback.best}, self._best[1] if self._best else last)

    def _of_kind(self, kind: type, name: str) -> Iterator[tuple[str, Any]]:
        found = [it for it in self._callbacks if isinstance(it, kind)]
        for index, callback in enumerate(found):
            yield (name if index == 0 else f"{name}-{index + 1}"), callback

    def _keep(self) -> None:
        wanted = settings().models
        step = self._epoch
        restored = next((it for _, it in self._of_kind(EarlyStopping, "") if it.restore_best_weights), None)
        if restored is not None and restored.best_weights is not None:
            step = int(restored.best_epoch)
        best = self._best if self._best is not None and os.path.isfile(self._best[0]) else None
        if wanted == "best" and best is not None:
            self._keep_file("best", *best)
        elif wanted in ("final", "best", "all"):
            self.run.log_model(self.model, "model", step=step)

    def _keep_file(self, name: str, path: str, epoch: int) -> None:
        """Keep a file that a callback has written: a whole model as a model, weights alone as a file."""
        if path.endswith(".keras"):
            self.run.log_model(Kept(path), name, step=epoch)
        else:
            self.run.log_artifact(path, os.path.basename(path))


_ongoing: Ongoing[Any] = Ongoing("keras")  # a `Recording`, or an `Evaluation`
now, recorded_in = _ongoing.now, _ongoing.recorded_in


def _first_line(problem: Exception) -> str:
    lines = str(problem).strip().splitlines()
    return f"{type(problem).__name__}: {lines[0]}" if lines else type(problem).__name__
