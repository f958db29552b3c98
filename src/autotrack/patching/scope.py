"""Who owns the run right now.

A container (a study, a trial, the user's run) or a leaf (a training call) opens a scope. The first leaf under a
container uses the container's run; a leaf inside a leaf is silent. Scopes ride on a `ContextVar`, which crosses asyncio
but no thread; what starts threads carries the scope by hand (`carried`). A forked child of a process with an open scope
is silent, unless it becomes a rank of a process group; other children are told by the environment (`job`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, TypeAlias, TypeVar

from autotrack import guard
from autotrack.patching import job
from autotrack.patching.observe import elements

if TYPE_CHECKING:
    from autotrack.events import Status
    from autotrack.patching.observe import Outcome
    from autotrack.run import Run

Kind: TypeAlias = Literal["container", "leaf"]
T = TypeVar("T")


class Scope(NamedTuple):
    """One open scope: what it is and the run that events inside it belong to (None: a leaf that is not recorded)."""

    kind: Kind
    run: Run | None


_open: ContextVar[tuple[Scope, ...]] = ContextVar("autotrack_scopes", default=())
_muted = False

open_run: Callable[..., Run | None] | None = None
"""How a leaf gets a run of its own; the session puts it here. It answers None where nothing is to be recorded."""

reopen_run: Callable[[Run], None] | None = None
"""How a run that has ended goes on; the session puts it here."""


class Leaf:
    """A training call that is being recorded. As a context manager it ends with what `outcome` then says."""

    def __init__(self, run: Run, *, owns: bool, not_to: Sequence[str] = ()) -> None:
        self.run = run
        self.owns = owns
        self.not_to = not_to
        """Backends that the framework's own logger feeds with this training's points, where the run, which is not this
        training's alone, goes to them: the integration gives it to `run.log_metrics` with what that logger logs."""
        self.outcome: Outcome | None = None
        self.status: Status | None = None
        """Set to end the run with another status than the outcome gives, such as `pruned`."""
        self._scope = Scope("leaf", run)
        self._ended = False
        _enter(self._scope)

    def end(self, error: BaseException | None = None) -> None:
        """Close the scope and, where the run is the leaf's own, end it. A second call is ignored."""
        if self._ended:
            return
        self._ended = True
        self.leave()
        if self.owns:
            from autotrack.outcome import status_of

            self.run.end(self.status or status_of(error), error)

    def leave(self) -> None:
        """Close the scope alone: the run stays open, as that of a model that is trained in many calls."""
        _drop(self._scope)

    def __enter__(self) -> Leaf:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end(self.outcome.error if self.outcome else None)


def begin_leaf(integration: str, name: str, *, callbacks: Any = None, **details: Any) -> Leaf | None:
    """Begin to record one training call; None where it belongs to another that is already recorded.

    `callbacks` are the product's, as the user gave them. One whose `autotrack` is true asks for the run explicitly: its
    `name` is the run's where it has one, and into its `run`, where it has one, the call is recorded.

    `details` go to the new run: `params`, `tags`, `parent`, `explicit` (a callback of the user's asks for it, enabled
    or not), `continues` (the id of the run that this training goes on with), `not_to` (backends that the framework's
    own loggers feed with this training). Called before the training, in the thread that trains.
    """
    if is_silent() or open_run is None:
        return None
    for callback in elements(callbacks):
        if getattr(callback, "autotrack", False):
            if callback.run is not None:
                return rejoin_leaf(callback.run)
            name, details = callback.name or name, {**details, "explicit": True}
            break
    around = current()
    not_to = details.get("not_to", ())
    if around is not None and around.run is not None:
        return Leaf(around.run, owns=False, not_to=not_to)
    run = open_run(name=name, integration=integration, **details)
    if run is None:
        return None
    return Leaf(run, owns=True, not_to=() if run.owner else not_to)  # of its own run none of it goes there


def rejoin_leaf(run: Run, *, reopen: bool = False, not_to: Sequence[str] = ()) -> Leaf | None:
    """Begin another call of the training that `run` records; None where it is silent. Ending it leaves the run open.

    With `reopen`, a run that has ended is running again, and ends with the leaf. `not_to` as for `begin_leaf`.
    """
    if is_silent():
        return None
    ended = run.status != "running"
    if reopen and ended and reopen_run is not None:
        reopen_run(run)
    return Leaf(run, owns=reopen and ended, not_to=not_to)


def current() -> Scope | None:
    """The innermost open scope of this thread or task, or None."""
    scopes = _open.get()
    return scopes[-1] if scopes else None


def is_silent() -> bool:
    """Whether a training call that begins now is not to be recorded, since it is part of another."""
    return (_muted and not job.is_rank()) or any(scope.kind == "leaf" for scope in _open.get())


def enter_container(run: Run) -> Scope:
    """Make `run` the owner of what trains from now on in this thread or task, until `leave`."""
    scope = Scope("container", run)
    _enter(scope)
    return scope


def leave(scope: Scope) -> None:
    """Close a scope that `enter_container` opened, wherever it stands."""
    _drop(scope)


@contextmanager
def silence() -> Iterator[None]:
    """Nothing that trains inside is recorded: for the parts of a training that run in threads of their own."""
    token = _open.set((*_open.get(), Scope("leaf", None)))
    try:
        yield
    finally:
        _open.reset(token)


def carried() -> tuple[Scope, ...]:
    """The open scopes, to be handed to `resume` in a thread that works for this one."""
    return _open.get()


@contextmanager
def resume(scopes: tuple[Scope, ...]) -> Iterator[None]:
    """In another thread: be inside the scopes that `carried` gave."""
    token = _open.set(scopes)
    try:
        yield
    finally:
        _open.reset(token)


class Ongoing(Generic[T]):
    """What an integration is recording right now in this thread or task, for its observers that see parts of a call.

    Made once, at the top of a module. It crosses threads as little as scopes do.
    """

    def __init__(self, integration: str) -> None:
        self._now: ContextVar[T | None] = ContextVar(f"autotrack_{integration}", default=None)

    def now(self) -> T | None:
        """What was given to the innermost `recorded_in` that is open, or None."""
        return self._now.get()

    @contextmanager
    def recorded_in(self, recording: T | None) -> Iterator[None]:
        """What is seen inside belongs to `recording`; with None, to nothing, as in a training that is silent."""
        token = self._now.set(recording)
        try:
            yield
        finally:
            self._now.reset(token)


def _enter(scope: Scope) -> None:
    around = (*_open.get(), scope)
    _open.set(around)
    job.entered(around)


def _drop(scope: Scope) -> None:
    # By identity and from any place: a user may end runs in another order than they were started.
    _open.set(tuple(item for item in _open.get() if item is not scope))
    job.left(scope)


def _in_forked_child() -> None:
    global _muted
    # Below a container alone, what trains here adds to its run, as in any other child: `job` knows which that is.
    _muted = _muted or any(scope.kind == "leaf" for scope in _open.get())
    _open.set(())
    guard.reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_forked_child)
