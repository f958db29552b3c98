"""Data that can only be seen as it passes, such as what a loader makes: batches are hashed on their way to training.

A product's plugin registers how its loaders are followed (`register`); a run that is told of such data has it followed
(`follow`), and a `Passing` gathers what passes. The first whole epoch is recorded as a second dataset of the same role
and name, with `stream: true`; where none comes to its end, the end of the run records what has passed. Nothing is taken
from a loader, and neither a loader nor a batch is kept.

A framework may begin to read before it says what for. Where it does, a run awaits streams (`prepare`), or a loader is
expected to be told of (`expect`), and what passed before is not lost.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from autotrack import guard
from autotrack.provenance import dataset
from autotrack.provenance.told import Told

if TYPE_CHECKING:
    from autotrack.run import Run

SECONDS: Final = 1.0
"""What hashing the batches of one loader may take in any case, and beyond that `SHARE` of the time that passes."""
SHARE: Final = 0.01

Follow: TypeAlias = Callable[[Any, "Run | None"], "Passing | None"]
"""`follow(data, run)` gives what hears of the batches of `data` from now on; None where it can be read at once."""

_registered: dict[str, Follow] = {}
_prepare: list[Callable[[], object]] = []
_awaiting: weakref.WeakSet[Run] = weakref.WeakSet()


def register(type_name: str, follow: Follow, prepare: Callable[[], object] | None = None) -> None:
    """Follow objects of the type `package.module.Name` (or of one derived from it) with `follow`.

    `prepare` is called where a training begins whose loaders are not known yet.
    """
    _registered[type_name] = follow
    if prepare is not None:
        _prepare.append(prepare)


def prepare(run: Run) -> None:
    """A training begins that may read from its loaders before `run` is told of them."""
    for one in _prepare:
        with guard.guarded("fingerprint"):
            one()
    _awaiting.add(run)


def is_awaited_by(run: Run | None) -> bool:
    """Whether loaders that are read while `run` is open are likely to be told of."""
    return run is not None and run in _awaiting


def expect(data: Any) -> Passing | None:
    """Hear of the batches of `data`, of which a run that has not begun will be told."""
    with guard.guarded("fingerprint"):
        return _heard(data, None)
    return None


def follow(run: Run, data: Any, *, role: str, name: str, described_as: Any = None) -> bool:
    """Hash `data` as it passes, if somebody knows how and it cannot be read at once; for `run`, in this role and name.

    The record that comes of it describes `described_as`, where that is another object.
    """
    with guard.guarded("fingerprint"):
        passing = _heard(data, run)
        if passing is not None:
            described = dataset.describe(data if described_as is None else described_as, identify=False)
            passing.bind(run, role, name, described)
            return True
    return False


def _heard(data: Any, run: Run | None) -> Passing | None:
    for kind in type(data).__mro__:
        found = _registered.get(_name(kind))
        if found is not None:
            return found(data, run)
    return None


class Passing:
    """What is seen of one loader, iteration by iteration, until one of them is whole."""

    def __init__(self, run: Run | None = None) -> None:
        self.done = False
        """Whether no more need be told: a whole epoch has passed, or the run is over."""
        self.run_id = run.id if run is not None else None
        """The run that it is for, as far as that is known."""
        self.is_bound = False
        """Whether that run has been told of the data."""
        self.found: dict[str, Any] | None = None
        """The record of the first whole epoch, or of the longest one that was left; None before."""
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._run: Run | None = None
        self._role = self._name = ""
        self._described: Mapping[str, Any] = {}
        self._newest: Iteration | None = None

    def bind(self, run: Run, role: str, name: str, described: Mapping[str, Any]) -> None:
        """The run that is to know of it, and how the data is described there. It may come when all has passed."""
        self.is_bound, self.run_id = True, run.id
        self._run, self._role, self._name, self._described = run, role, name, described
        run.when_ended.append(self._run_ends)
        if self.done:
            self._tell()

    def begin(self, batches: int | None = None, at_least: int | None = None) -> Iteration | None:
        """An iteration begins, over `batches` of them if that is known. None where nothing need be told of it.

        One that is left after `at_least` batches counts as whole.
        """
        if self.done or os.getpid() != self._pid:
            return None
        with self._lock:
            self._give_up()
            self._newest = Iteration(self, batches, at_least)
            return self._newest

    def take(self, iteration: Iteration) -> None:
        """A whole epoch has passed."""
        with self._lock:
            if self.done:
                return
            self.done, self._newest = True, None
            self.found = iteration.record(whole=True)
        self._tell()

    def is_at(self, iteration: Iteration) -> bool:
        """Whether this is the iteration that is looked at: the newest one, in the process that began it."""
        return self._newest is iteration and os.getpid() == self._pid

    def _run_ends(self) -> None:
        if os.getpid() != self._pid:
            return
        with self._lock:
            if self.done:
                return
            self._give_up()
            self.done = True
        if self.found is not None:
            self._tell()

    def _give_up(self) -> None:
        """What was left before its end is remembered if it is the longest so far."""
        left, self._newest = self._newest, None
        if left is not None and left.seen:
            whole = left.at_least is not None and left.seen >= left.at_least
            record = left.record(whole=whole)
            if self.found is None or (record.get("n_rows") or 0) > (self.found.get("n_rows") or 0):
                self.found = record

    def _tell(self) -> None:
        run, self._run = self._run, None
        if run is not None:
            record = {**self._described, **(self.found or {})}
            run.log_dataset(Told(record), role=self._role, name=self._name)


class Iteration:
    """One time through the data. What it is told is guarded: nothing of it reaches who makes the batches."""

    def __init__(self, passing: Passing, batches: int | None, at_least: int | None) -> None:
        from autotrack.provenance.fingerprint.stream import Stream

        self.seen = 0
        self.at_least = at_least
        self._passing = passing
        self._batches = batches
        self._stream = Stream()
        self._hashed = 0
        self._spent = 0.0
        self._since = time.perf_counter()

    @property
    def is_over(self) -> bool:
        """Whether no more need be told of it."""
        return not self._passing.is_at(self)

    def batch(self, batch: Any) -> None:
        """A batch passes, as it is now. The one that makes the known number whole ends the epoch."""
        if self.is_over:
            return
        with guard.guarded("fingerprint"):
            self.seen += 1
            begun = time.perf_counter()
            if self._spent <= SECONDS + SHARE * (begun - self._since):
                self._stream.update(batch)
                self._hashed += 1
                self._spent += time.perf_counter() - begun
            if self.seen == self._batches:
                self._passing.take(self)

    def end(self) -> None:
        """The data has come to its end."""
        if self.seen and not self.is_over:
            with guard.guarded("fingerprint"):
                self._passing.take(self)

    def record(self, *, whole: bool) -> dict[str, Any]:
        """What the stream is, `whole` or as far as it was seen."""
        if whole and self._hashed == self.seen:
            self._stream.end_epoch()
        record = self._stream.record()
        if self._hashed < self.seen:  # past the budget
            record["batches"] = self.seen
            record["coverage"] = record["coverage"] * self._hashed / self.seen
        return record


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
