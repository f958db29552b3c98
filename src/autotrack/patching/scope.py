"""Who owns the run right now.

A container (a study, a trial, the user's `with run`) or a leaf (a training call) opens a scope. The first leaf under a
container uses the container's run; a leaf inside a leaf is silent. Scopes ride on a `ContextVar`, which crosses asyncio
but no thread; what starts threads carries the scope by hand. A forked child of a process with an open scope is silent.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, NamedTuple, TypeAlias

from autotrack.outcome import status_of
from autotrack.run import Run

Kind: TypeAlias = Literal["container", "leaf"]


class Scope(NamedTuple):
    """One open scope: what it is and the run that events inside it belong to."""

    kind: Kind
    run: Run


_open: ContextVar[tuple[Scope, ...]] = ContextVar("autotrack_scopes", default=())
_muted = False


def current() -> Scope | None:
    """The innermost open scope of this thread or task, or None."""
    scopes = _open.get()
    return scopes[-1] if scopes else None


def is_silent() -> bool:
    """Whether a training call that begins now belongs to another that is already recorded."""
    return _muted or any(scope.kind == "leaf" for scope in _open.get())


@contextmanager
def container(run: Run) -> Iterator[Run]:
    """Make `run` the owner of what trains inside. Its end is the caller's business."""
    token = _open.set((*_open.get(), Scope("container", run)))
    try:
        yield run
    finally:
        _open.reset(token)


@contextmanager
def leaf(open_run: Callable[[], Run]) -> Iterator[Run | None]:
    """Record one training call: in the container's run, or in one that `open_run` makes and that ends with the call.

    Yields None where the call belongs to another training call and is to stay silent.
    """
    if is_silent():
        yield None
        return
    around = current()
    run = around.run if around else open_run()
    token = _open.set((*_open.get(), Scope("leaf", run)))
    error: BaseException | None = None
    try:
        yield run
    except BaseException as raised:
        error = raised
        raise
    finally:
        _open.reset(token)
        if around is None:
            run.end(status_of(error), error)


def _in_forked_child() -> None:
    global _muted
    _muted = bool(_open.get())
    _open.set(())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_forked_child)
