"""`Recorder`: the hooks of the callback, the same for both namespaces of Lightning.

They hand on to the `Recording` of the stage at hand. One of the callbacks of a trainer records, whoever put them there.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar

from autotrack.plugin import guarded, is_enabled, observe_for_callback
from autotrack_lightning import LIGHTNING, processes, recording
from autotrack_lightning.recording import Recording

if TYPE_CHECKING:
    from autotrack.run import Run

BATCH_HOOKS = (
    "on_train_batch_start", "on_train_batch_end", "on_before_zero_grad", "on_before_backward", "on_after_backward",
    "on_before_optimizer_step", "on_validation_batch_start", "on_validation_batch_end", "on_test_batch_start",
    "on_test_batch_end", "on_predict_batch_start", "on_predict_batch_end",
)  # fmt: skip
"""The hooks that Lightning calls for each batch."""


class Recorder:
    """Records each trainer that this callback is passed to, as `Trainer(callbacks=[AutotrackCallback()])`.

    It may be passed to several trainers, and be pickled and copied. With `run`, they are recorded in that run, which
    is not ended; else in the run that is open (`autotrack.start_run`), or in a new one for each trainer, called `name`.
    A pickled callback forgets its `run`, which belongs to this process. Where `autotrack.enable()` records the trainer
    already, the callback adds nothing but its `name` or `run`.
    """

    trainer_class: ClassVar[type[Any]]
    joined_class: ClassVar[type[Any]]
    unasked: ClassVar[bool] = False
    """Whether autotrack added this callback itself, and not the user."""

    handed: processes.Handed | None
    """What the parent handed on, in a process that the trainer launched."""
    child_run: str
    """The id of the run that a child process opens, where the trainer launches its own; here it is known too."""

    def __init__(self, run: Run | None = None, name: str | None = None) -> None:
        super().__init__()
        self.run = run
        self.name = name
        self._rest()

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Refuse trainers of the other namespace, where the user has passed the callback to one.

        Nothing begins here: what a `Tuner` tries out ends before it does. A logger of ours is told the run's id.
        """
        with guarded("lightning"):
            here = processes.run_here(self, trainer)
            if here is not None and _acting(trainer) is self:
                recording.tell_run(trainer, *here)
        if self.unasked:  # given by the entry point of the right namespace; `Trainer` itself may have been replaced
            return
        if not isinstance(trainer, self.trainer_class):
            theirs = next((kind for kind in type(trainer).__mro__ if kind.__name__ == "Trainer"), type(trainer))
            raise TypeError(
                f"this {type(self).__name__} is for the Trainer of {_namespace(self.trainer_class)}, not for that of "
                f"{_namespace(theirs)}; import it from autotrack_lightning.for_lightning or "
                "autotrack_lightning.for_pytorch_lightning"
            )

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin to record a `fit`."""
        self._begin(trainer, pl_module)

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """The dataloaders are there."""
        now = self._now(trainer)
        if now is not None:
            with guarded("lightning"):
                now.data(trainer.train_dataloader, "train")
                now.data(trainer.val_dataloaders, "validation")

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """The row of the epoch before is complete."""
        now = self._now(trainer)
        if now is not None and now.rows is not None:
            now.rows.flush()

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """An epoch has been trained."""
        now = self._now(trainer)
        if now is not None and now.rows is not None:
            now.rows.train_epoch_end()

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """All epochs have been trained."""
        now = self._now(trainer)
        if now is not None:
            if now.rows is not None:
                now.rows.flush()
            with guarded("lightning"):
                now.last_values()

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin to record a `validate`; in a `fit`, a validation."""
        if trainer.sanity_checking:
            return
        if trainer.state.fn == "validate":
            self._begin(trainer, pl_module)
        now = self._now(trainer)
        if now is not None:
            if now.rows is not None:
                now.rows.flush()
            with guarded("lightning"):
                now.data(trainer.val_dataloaders, "validation")

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """The values of a validation are complete."""
        now = self._now(trainer)
        if now is not None and now.rows is not None:
            now.rows.evaluation_end()

    def on_test_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin to record a `test`."""
        self._begin(trainer, pl_module)
        now = self._now(trainer)
        if now is not None:
            with guarded("lightning"):
                now.data(trainer.test_dataloaders, "test")

    def on_test_end(self, trainer: Any, pl_module: Any) -> None:
        """The values of a test are complete."""
        self.on_validation_end(trainer, pl_module)

    def on_predict_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin to record a `predict`."""
        self._begin(trainer, pl_module)
        now = self._now(trainer)
        if now is not None:
            with guarded("lightning"):
                now.data(trainer.predict_dataloaders, "predict")

    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """The stage has come to its end."""
        now = self._now(trainer)
        if now is not None:
            if stage == "fit":
                now.finish_fit()
            self._end(now, None)

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """The stage ends with an exception, perhaps before any hook of ours: that is recorded too."""
        now = self._now(trainer)
        if now is None and recording.of(trainer) is None:
            self._begin(trainer, pl_module, failed_in_child=processes.launches_children(trainer))
            now = self._now(trainer)
        if now is not None:
            if now.rows is not None:
                now.rows.flush()
            if getattr(exception, "signal_name", None):  # a launched process was killed
                now.leaf.status = "killed"
            self._end(now, exception)

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = {"name": self.name}
        with guarded("lightning"):
            state["handed"] = processes.to_child(self)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.run, self.name = None, state["name"]
        self._rest()
        self.handed = state.get("handed")

    def __copy__(self) -> Any:
        return type(self)(self.run, self.name)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return type(self)(self.run, self.name)  # the run is the one of this process, not to be copied

    def _rest(self) -> None:
        self._recording: Recording | None = None
        self.handed = None
        self.process = os.getpid()
        self.child_run = os.urandom(8).hex()
        with guarded("lightning"):
            observe_for_callback(LIGHTNING)

    def _now(self, trainer: Any) -> Recording | None:
        """What this callback is recording of that trainer."""
        now = self._recording
        return now if now is not None and now.trainer is trainer else None

    def _begin(self, trainer: Any, module: Any, *, failed_in_child: bool = False) -> None:
        with guarded("lightning"):
            if trainer.fast_dev_run or trainer.barebones or not trainer.is_global_zero:
                return
            if _acting(trainer) is not self:
                return
            details = processes.identity(self, trainer, failed_in_child=failed_in_child)
            if self.unasked and not is_enabled("lightning"):
                return
            now = recording.begin(trainer, module, name=self.name, run=self.run, joined=self.joined_class, **details)
            if now is None:
                return
            if self._recording is not None:
                self._end(self._recording, None)
            self._recording = now
            if now.rows is not None:
                self._watch_batches(now)

    def _watch_batches(self, now: Recording) -> None:
        """Have the hooks of batches, which are needed only where there are no loggers, and cost time."""
        rows = now.rows
        if rows is not None:
            for stage in ("train", "validation", "test"):
                vars(self)[f"on_{stage}_batch_start"] = rows.flush
                vars(self)[f"on_{stage}_batch_end"] = (
                    rows.train_batch_end if stage == "train" else rows.evaluation_batch_end
                )

    def _end(self, now: Recording, error: BaseException | None) -> None:
        self._recording = None
        for stage in ("train", "validation", "test"):
            for when in ("start", "end"):
                vars(self).pop(f"on_{stage}_batch_{when}", None)
        with guarded("lightning"):
            now.end(error)


def _namespace(kind: type[Any]) -> str:
    return kind.__module__.partition(".trainer")[0]


def _acting(trainer: Any) -> Any:
    """The one callback that records this trainer: the first that a user passed, else the first."""
    ours = [it for it in trainer.callbacks if isinstance(it, Recorder)]
    return next((it for it in ours if not it.unasked), ours[0] if ours else None)
