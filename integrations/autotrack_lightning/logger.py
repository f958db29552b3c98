"""The loggers: what Lightning tells its loggers, written into a run. Nothing of what is passed is changed or kept.

`LoggerMethods` makes the `AutotrackLogger` that a user passes to a trainer, with a run of its own where nothing else
records that trainer. `JoinedMethods` makes the one that joins the trainer's loggers for as long as a run is recorded.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from multiprocessing.context import get_spawning_popen
from typing import TYPE_CHECKING, Any

import autotrack
from autotrack.plugin import Leaf, begin_leaf, guarded, observe_for_callback, rejoin_leaf
from autotrack_lightning import LIGHTNING
from autotrack_lightning.params import hyperparameters

if TYPE_CHECKING:
    from autotrack.run import Run


class LoggerMethods:
    """A logger for `Trainer(logger=…)` that records metrics and hyperparameters.

    With `run`, into that run, which is not ended; else into the run that is open (`autotrack.start_run`), or into a new
    one called `name`, which ends with each stage of the trainer and goes on with the next. Where a callback of
    autotrack or `autotrack.enable()` records the trainer too, all of it goes into one run, once. Ranks above 0 record
    nothing.
    """

    given: Run | None
    """The run that the user gave."""
    label: str | None
    """What the user calls the run."""
    run_id: str
    """The id that a run of this logger's own has: folders of checkpoints are named before there is a run."""
    goes_on: bool
    """Whether that run has begun already, in a process that the trainer launched before."""
    seen: set[str]
    """The names of the metrics that have been logged."""
    folder: str | None
    """The trainer's own, once it has begun with anything."""
    _run: Run | None
    _leaf: Leaf | None
    """Open while this logger is to end the run."""
    _not_to: Sequence[str]
    """Backends that get the same rows from another logger of the trainer."""
    _asked: bool
    """Whether a stage has begun: what is logged after its end does not open the run again."""

    def __init__(self, run: Run | None = None, name: str | None = None) -> None:
        super().__init__()
        self.given, self.label = run, name
        self._rest()

    @property
    def experiment(self) -> Any:
        """The run. Lightning asks before each stage, so that it is opened, or opened again, only when it is used."""
        self._asked = True
        return self._run if self._run is not None else Experiment(self._open)

    @property
    def name(self) -> str:
        """The name of the run, or what it will be called."""
        return self._run.name if self._run is not None else self.label or "autotrack"

    @property
    def version(self) -> str:
        """The id of the run, or what it will be: Lightning names the folder of checkpoints before a stage begins."""
        run = self._run or self.given or autotrack.current_run()
        return run.id if run is not None else self.run_id

    @property
    def is_new(self) -> bool:
        """Whether no run has been recorded through this logger yet."""
        return self._run is None

    @property
    def save_dir(self) -> str | None:
        """The trainer's folder, for what others write beside a logger: checkpoints, and the settings of `LightningCLI`.

        The logger itself writes nothing there.
        """
        return self.folder

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Record a row of metrics at Lightning's step."""
        run = self._run if self._run is not None and self._run.status == "running" else self._open()
        if run is not None:
            self.seen.update(metrics)
            run.log_metrics(metrics, step, not_to=self._not_to)

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Record hyperparameters; a key that is logged again replaces the value."""
        with guarded("lightning"):
            run = self._open()
            if run is not None:
                run.log_params(hyperparameters(params))

    def log_graph(self, model: Any, input_array: Any = None) -> None:
        """Nothing: graphs are not recorded."""

    def save(self) -> None:
        """Nothing: what was logged is on disk already."""

    def after_save_checkpoint(self, checkpoint_callback: Any) -> None:
        """Nothing: checkpoints are recorded by the callback."""

    def finalize(self, status: str) -> None:
        """A stage of the trainer has ended: end the run, unless somebody else will."""
        with guarded("lightning"):
            leaf, self._leaf, self._asked = self._leaf, None, False
            if leaf is not None:
                error = sys.exc_info()[1] if status == "failed" else None
                leaf.status = "failed" if status == "failed" and error is None else None
                leaf.end(error)

    def hand_over(self) -> Leaf | None:
        """For the callback: a leaf on the run that this logger has open, which ends as the logger's would have."""
        opened, self._leaf = self._leaf, None
        if opened is None:
            return None
        leaf = rejoin_leaf(opened.run)
        if leaf is not None:
            leaf.owns = opened.owns
        return leaf

    def take(self, leaf: Leaf) -> None:
        """For the callback: it records this trainer in the run of `leaf`, and ends that."""
        self._run, self._not_to = leaf.run, leaf.not_to

    def __getstate__(self) -> dict[str, Any]:
        # Of a launched process, which works for this one, the run has the same id; that of a copy is another.
        run_id = self.run_id if get_spawning_popen() is not None else None
        goes_on = run_id is not None and self.goes_on
        return {"name": self.label, "run_id": run_id, "goes_on": goes_on, "folder": self.folder}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.given, self.label = None, state["name"]
        self._rest()
        self.run_id = state["run_id"] or self.run_id
        self.goes_on = state.get("goes_on", False)
        self.folder = state.get("folder")

    def __copy__(self) -> Any:
        return type(self)(self.given, self.label)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return type(self)(self.given, self.label)  # the run is the one of this process, not to be copied

    def _rest(self) -> None:
        self._run = self._leaf = None
        self._not_to = ()
        self._asked = False
        self.run_id = os.urandom(8).hex()
        self.goes_on = False
        self.seen = set()
        self.folder = None
        with guarded("lightning"):
            observe_for_callback(LIGHTNING)

    def _open(self) -> Run | None:
        """The run, opened if need be."""
        with guarded("lightning"):
            if self._leaf is None and (self._run is None or self._asked and self._run.status != "running"):
                leaf = self._begin()
                if leaf is not None:
                    # The trainer's hooks are not ours here, and a scope left open would silence what trains later.
                    leaf.leave()
                    self._leaf, self._run = leaf, leaf.run
        return self._run

    def _begin(self) -> Leaf | None:
        if self.given is not None:
            return rejoin_leaf(self.given)
        if self._run is not None:
            return rejoin_leaf(self._run, reopen=True)
        known = {"continues" if self.goes_on else "run_id": self.run_id}
        return begin_leaf("lightning", name=self.label or "lightning", explicit=True, **known)


class JoinedMethods:
    """A logger at the end of the trainer's own, which stays out of the way of code that goes through them all."""

    def __init__(self, leaf: Leaf, first: Any) -> None:
        super().__init__()
        self._run: Run | None = leaf.run
        self._not_to = leaf.not_to
        self._version = first.version
        self.seen: set[str] = set()

    @property
    def experiment(self) -> Any:
        """The run, with calls that only other trackers know doing nothing."""
        return Experiment(lambda: self._run, lenient=True)

    @property
    def name(self) -> str:
        """What Lightning calls this logger."""
        return "autotrack"

    @property
    def version(self) -> Any:
        """That of the trainer's first logger, so that the progress bar shows what it would show without this one."""
        return self._version

    @property
    def save_dir(self) -> str | None:
        """None: nothing is written beside the user's files."""
        return None

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Record a row of metrics at Lightning's step."""
        if self._run is not None:
            self.seen.update(metrics)
            self._run.log_metrics(metrics, step, not_to=self._not_to)

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Nothing: the callback has read them."""

    def log_graph(self, model: Any, input_array: Any = None) -> None:
        """Nothing: graphs are not recorded."""

    def save(self) -> None:
        """Nothing: what was logged is on disk already."""

    def after_save_checkpoint(self, checkpoint_callback: Any) -> None:
        """Nothing: the hooks see what is saved."""

    def finalize(self, status: str) -> None:
        """Nothing: the callback ends the run."""

    def __getstate__(self) -> dict[str, Any]:
        # A copy records nothing: the run is here.
        return {"_version": self._version, "_run": None, "_not_to": (), "seen": set()}

    def __getattr__(self, name: str) -> Any:
        # `for logger in self.loggers: logger.log_image(…)` must go on working; as in Lightning's own DummyLogger.
        if name.startswith("_"):
            raise AttributeError(name)
        return _nothing


class Experiment:
    """Stands for a run that may not be there yet; where there is none, every call does nothing."""

    def __init__(self, run: Callable[[], Run | None], *, lenient: bool = False) -> None:
        self._run, self._lenient = run, lenient

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        run = self._run()
        return getattr(run, name, _nothing) if run is None or self._lenient else getattr(run, name)

    def __getitem__(self, index: Any) -> Experiment:
        return self

    def __setitem__(self, index: Any, value: Any) -> None:
        pass


def _nothing(*args: Any, **kwargs: Any) -> None:
    pass
