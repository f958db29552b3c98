"""The callbacks: what a trainer tells while it trains goes, through the first of ours that it has, to the recording.

There are three classes, since a trainer warns of two callbacks of one class: what `enable()` adds to every trainer,
what `report_to="autotrack"` adds, and `AutotrackCallback`, which users pass. None keeps anything of a training: what
is being recorded is known to the calls that `autotrack_transformers.hooks` observes.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from transformers.trainer_callback import TrainerCallback

from autotrack.plugin import guarded, observe_for_callback
from autotrack_transformers import TRANSFORMERS
from autotrack_transformers.recording import Recording, now

if TYPE_CHECKING:
    from autotrack.run import Run


class Listener(TrainerCallback):
    """Hands the events of a trainer on. It answers nothing, and changes nothing of what it is given."""

    explicit = False
    """Whether the user asked for it, so that it records without `enable()` too."""
    run: Run | None = None
    name: str | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        """The arguments are now what they will be; it comes again where a smaller batch size is tried."""
        recording = self._recording()
        if recording is not None:
            with guarded("transformers"):
                recording.train_begins(args, state, model)
            with guarded("transformers"):
                recording.loader(kwargs.get("train_dataloader"), trains=True)

    def on_prediction_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """A batch of an evaluation: its loader is known now, and awaited."""
        recording = self._recording()
        if recording is not None and recording.awaits:
            with guarded("transformers"):
                recording.loader(kwargs.get("eval_dataloader"), trains=False)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """One row of `state.log_history`."""
        recording = self._recording()
        if recording is not None and logs:  # `log_metrics` has a guard of its own
            recording.run.log_metrics(logs, state.global_step, not_to=recording.not_to)

    def on_save(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        """A checkpoint has been written."""
        recording = self._recording()
        if recording is not None:
            with guarded("transformers"):
                recording.saved(args, state, model)

    def on_predict(self, args: Any, state: Any, control: Any, metrics: Any = None, **kwargs: Any) -> None:
        """What `predict` measured, which the trainer does not log."""
        recording = self._recording()
        if recording is not None and metrics:
            with guarded("transformers"):
                recording.run.log_metrics(metrics, state.global_step)

    def _recording(self) -> Recording | None:
        recording = now()
        return recording if recording is not None and recording.listener is self else None


class EnabledCallback(Listener):
    """What every trainer has while `autotrack.enable()` is in force."""


class _Asking(Listener):
    explicit = True

    def __init__(self) -> None:
        self._observe()

    def on_init_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """A trainer has been made with it: its calls must be observed, which `autotrack.disable()` may have ended."""
        self._observe()

    def _observe(self) -> None:
        with guarded("transformers"):
            observe_for_callback(TRANSFORMERS)


class ReportingCallback(_Asking):
    """What `report_to="autotrack"` gives a trainer."""


class AutotrackCallback(_Asking):
    """Record the trainer that this callback is passed to, as `Trainer(…, callbacks=[AutotrackCallback()])`.

    With `run`, it records into that run, which is not ended; else into the run that is open (`autotrack.start_run`),
    or into a new one called `name`. It may be used again, pickled and copied; a pickled one forgets its `run`, which
    belongs to this process. Where `autotrack.enable()` records the trainer already, it adds nothing but its `name` or
    `run`.
    """

    def __init__(self, run: Run | None = None, name: str | None = None) -> None:
        self.run = run
        self.name = name
        super().__init__()

    def __getstate__(self) -> dict[str, Any]:
        return {"name": self.name}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.run, self.name = None, state["name"]
        self._observe()

    def __copy__(self) -> AutotrackCallback:
        return type(self)(self.run, self.name)

    def __deepcopy__(self, memo: dict[int, Any]) -> AutotrackCallback:
        return copy.copy(self)  # the run is the one of this process, not to be copied
