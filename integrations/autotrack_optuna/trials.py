"""One trial as it is written into its run, in the thread that runs it.

A trial is expected when its study begins one, and begins when it has a number. Params and reports enter as they come;
what else there is, and how it ended, is read from the storage afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from autotrack.plugin import Leaf, Outcome, enter_container, guarded, leave, open_child, plain
from autotrack_optuna import studies
from autotrack_optuna.studies import Optimizing

if TYPE_CHECKING:
    from autotrack.run import Run

_expected: ContextVar[Expected | None] = ContextVar("autotrack_optuna_trial", default=None)
_recordings: dict[int, TrialRecording] = {}
"""By the id of the `Trial`, which lives as long as its entry: a thread that an objective starts may report as well."""


class Expected:
    """A trial that a thread has begun, from before it has a number until its end."""

    def __init__(self, study: Any, optimizing: Optimizing) -> None:
        self.study = study
        self.asked = False
        self.error: BaseException | None = None
        self.reason = ""
        self._optimizing = optimizing
        self._recording: TrialRecording | None = None

    def begin(self, trial: Any) -> None:
        """`ask` has answered, with None where it raised."""
        self.asked = True
        self._optimizing.open(self.study, trial.number if trial is not None else None)
        if trial is None or self._optimizing.run is None:
            return
        self._optimizing.enter()
        recording = self._recording = TrialRecording(trial, self._optimizing)
        _recordings[id(trial)] = recording
        with guarded("optuna"):
            recording.run.set_tags({"trial": trial.number, "study": self.study.study_name})
            for name, value in trial.params.items():  # of `fixed_distributions`, or of a trial that is tried again
                recording.suggested(name, value, trial.distributions[name])

    def end(self, outcome: Outcome) -> None:
        """The trial has ended, whichever way."""
        if not self.asked:
            self._optimizing.open(self.study, None)
        recording = self._recording
        if recording is None:
            return
        _recordings.pop(id(recording.trial), None)
        leave(recording.scope)
        leaf = Leaf(recording.run, owns=True)
        leaf.leave()
        frozen: Any = None
        with guarded("optuna"):
            frozen = self.study._storage.get_trial(recording.trial._trial_id)
            recording.complete(frozen, self._optimizing.names)
        state = frozen.state.name if frozen is not None else ""
        if state == "COMPLETE":
            leaf.end()
        elif state == "PRUNED":
            leaf.status = "pruned"
            leaf.end()
        else:
            error = self.error or outcome.error
            if error is None:
                leaf.status = "failed"
                recording.run.note("value", self.reason)
            leaf.end(error)
        if frozen is not None:
            self._optimizing.trial_ended(frozen)


class TrialRecording:
    """A trial that is recorded."""

    def __init__(self, trial: Any, optimizing: Optimizing) -> None:
        assert optimizing.run is not None
        self.trial = trial
        self.run: Run = open_child(optimizing.run, f"trial {trial.number}", "optuna", not_to=optimizing.not_to)
        studies.used[self.run] = (optimizing.key, trial.number)
        self.scope = enter_container(self.run)
        self._optimizing = optimizing
        self._params: set[str] = set()
        self._steps: set[int] = set()

    def suggested(self, name: str, value: Any, distribution: Any) -> None:
        """Record a param, the first time that it is suggested."""
        if name in self._params:
            return
        self._params.add(name)
        self.run.log_params({name: value, f"distributions.{name}": distribution})
        self._optimizing.suggested(name, distribution)

    def reported(self, step: int, value: float) -> None:
        """Record an intermediate value; of a step that is reported again Optuna keeps the first."""
        if step in self._steps:
            return
        self._steps.add(step)
        self.run.log_metrics({"intermediate_value": value}, step)

    def complete(self, frozen: Any, names: list[str]) -> None:
        """Record what the storage tells of the trial beyond what was seen."""
        for name, value in frozen.params.items():
            self.suggested(name, value, frozen.distributions[name])
        for step, value in sorted(frozen.intermediate_values.items()):
            self.reported(step, value)
        if frozen.values:
            self.run.log_metrics(dict(zip(names, frozen.values, strict=False)), frozen.last_step or 0)
        if frozen.user_attrs:
            self.run.set_tags({f"user_attrs.{key}": value for key, value in plain(frozen.user_attrs).items()})


@contextmanager
def expecting(trial: Expected) -> Iterator[None]:
    """In this thread `trial` is about to be asked for."""
    token = _expected.set(trial)
    try:
        yield
    finally:
        _expected.reset(token)


def expected() -> Expected | None:
    """The trial that this thread runs."""
    return _expected.get()


def recording_of(trial: Any) -> TrialRecording | None:
    """What is being recorded of `trial`."""
    return _recordings.get(id(trial))
