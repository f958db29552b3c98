"""Rows of metrics where the trainer has no loggers: those that Lightning would have given to one, at the same steps.

Only what Lightning has computed already is read. To ask it for a value (`trainer.callback_metrics`) may compute and, in
a distributed training, wait for all processes: that must not happen on one alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrack.plugin import guarded

if TYPE_CHECKING:
    from autotrack.run import Run

STEP = "step"
"""The key by which a module says at which step its row stands; it is no metric."""


def logged(trainer: Any) -> dict[str, Any]:
    """The values that Lightning computed for loggers, by name, each the last one."""
    values: dict[str, Any] = trainer._logger_connector._logged_metrics
    return values


def step_of(trainer: Any) -> int:
    """Lightning's step for loggers once a training has ended: that of the last row of its last epoch."""
    return max(0, int(trainer.fit_loop.epoch_loop._batches_that_stepped) - 1)


class Rows:
    """Watches one stage of a trainer without loggers. Rows are taken at the hook after the one that fills them."""

    def __init__(self, trainer: Any, run: Run) -> None:
        self.seen: set[str] = set()
        self._trainer = trainer
        self._run = run
        self._step_row: tuple[Any, Any, int, int] | None = None
        self._epoch_row: tuple[set[str], dict[str, Any], int, int] | None = None

    def train_batch_end(self, *_: Any, **__: Any) -> None:
        """After a batch: whether Lightning would log, and at which step; modules may still add to the row."""
        with guarded("lightning"):
            trainer = self._trainer
            loop = trainer.fit_loop.epoch_loop
            if loop._should_accumulate() and trainer.lightning_module.automatic_optimization:
                return
            if trainer._logger_connector.should_update_logs:
                self._step_row = loop._results, None, loop._batches_that_stepped, trainer.current_epoch

    def evaluation_batch_end(self, *args: Any, **more: Any) -> None:
        """After a batch of validation or test, whose rows count batches of their dataloader."""
        with guarded("lightning"):
            trainer = self._trainer
            if not trainer.sanity_checking:
                loop = trainer._evaluation_loop
                # The hook's arguments: trainer, module, outputs, batch, batch_idx, dataloader_idx.
                index = args[5] if len(args) > 5 else more.get("dataloader_idx", 0)
                at = ~loop._seen_batches_per_dataloader[index]
                self._step_row = loop._results, loop._results.dataloader_idx, at, trainer.current_epoch

    def flush(self, *_: Any, **__: Any) -> None:
        """Record what the hooks before this one have left to be recorded."""
        with guarded("lightning"):
            if self._step_row is not None:
                (results, index, step, epoch), self._step_row = self._step_row, None
                self._record(_step_values(results, index), step, epoch)
            if self._epoch_row is not None:
                (known, before, step, epoch), self._epoch_row = self._epoch_row, None
                now = logged(self._trainer)
                self._record({k: v for k, v in now.items() if k in known or before.get(k) is not v}, step, epoch)

    def train_epoch_end(self) -> None:
        """An epoch has been trained; the module's own hook comes after this and may still log."""
        self.flush()
        with guarded("lightning"):
            trainer = self._trainer
            loop = trainer.fit_loop.epoch_loop
            known = _epoch_keys(loop._results)
            self._epoch_row = known, dict(logged(trainer)), loop._batches_that_stepped - 1, trainer.current_epoch

    def evaluation_end(self) -> None:
        """A validation or test has ended, and its values are all there."""
        self.flush()
        with guarded("lightning"):
            trainer = self._trainer
            if not trainer.sanity_checking:
                keys = _epoch_keys(trainer._evaluation_loop._results)
                row = {key: value for key, value in logged(trainer).items() if key in keys}
                self._record(row, trainer.fit_loop.epoch_loop._batches_that_stepped, trainer.current_epoch)

    def _record(self, row: dict[str, Any], step: int, epoch: int) -> None:
        values = {key: float(value) for key, value in row.items()}
        if not values:
            return
        if step < 0:  # a batch of an evaluation: Lightning adds no epoch, and takes no step from the row
            step = ~step
        elif STEP in values:
            step = int(values.pop(STEP))
        else:
            values.setdefault("epoch", epoch)
        self.seen.update(values)
        self._run.log_metrics(values, step)


def _epoch_keys(results: Any) -> set[str]:
    """The names of the values of this epoch that loggers get."""
    return {
        results._forked_name(item, False)[1]
        for item in results.values()
        if item.meta.logger and item.meta.on_epoch and not item.has_reset
    }


def _step_values(results: Any, index: int | None) -> dict[str, Any]:
    """The values of the last batch that loggers get, of the dataloader `index` where there are several."""
    return {
        results._forked_name(item, True)[1]: item._forward_cache
        for item in results.values()
        if item.meta.logger and item.meta.on_step and not item.has_reset and item.meta.dataloader_idx == index
    }
