"""Plain PyTorch loops as runs: what the hooks see of optimizers enters, series and params leave.

The first step of an optimizer opens a run, unless one is open around it. Nobody says when a loop ends, so that run
ends with the process, with `autotrack.disable()`, or in a notebook with the cell. Of optimizers only weak references
are held.
"""

from __future__ import annotations

import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any

import torch

from autotrack.plugin import begin_leaf, carried, current, guarded, is_silent, log_defaults, remember
from autotrack_torch.loaders import Loaders
from autotrack_torch.losses import Losses
from autotrack_torch.optimizers import Watched, defaults_of, first_parameter, settings_of
from autotrack_torch.reading import Readings

if TYPE_CHECKING:
    from autotrack.plugin import Leaf
    from autotrack.run import Run

MOST_OPTIMIZERS = 16
"""Optimizers of one run that are recorded: with one for each parameter there would be hundreds."""
FAULTS = 5

is_compiling = torch.compiler.is_compiling


class Loop:
    """A run that plain loops write into: their own, or one that the user has open around them."""

    def __init__(self, leaf: Leaf) -> None:
        self.run: Run = leaf.run
        self.leaf = leaf
        self.is_open = True
        self.watched: list[Watched] = []
        self._numbers: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self._count = 0
        self.readings = Readings(lambda key, step, value: self.run.log_metrics({key: value}, step))

    def number(self, optimizer: Any) -> int:
        """The optimizer's place among those of this run."""
        found = self._numbers.get(optimizer)
        if found is None:
            found = self._numbers[optimizer] = self._count
            self._count += 1
        return found

    def successor(self, optimizer: Any) -> Watched | None:
        """The record that an optimizer goes on with which was made anew for the parameters of one that is gone."""
        first = first_parameter(optimizer)
        for one in self.watched:
            if one.optimizer() is None and one.kind is type(optimizer) and first is not None and one.first() is first:
                return one
        return None

    def finish(self) -> None:
        """Write what is still on its way: the run is about to end."""
        if not self.is_open:
            return
        self.is_open = False
        self.readings.collect(wait=True)
        for one in self.watched:
            one.last()


class Loops:
    """All plain loops of this process."""

    def __init__(self, loaders: Loaders) -> None:
        self.loaders = loaders
        self.losses: Losses | None = None
        """What sees the loss, where it is wanted."""
        self.own: Loop | None = None
        self._borrowed: dict[str, Loop] = {}
        self._watched: dict[int, Watched] = {}
        self._created: list[weakref.ref[Any]] = []
        self._faults = 0
        self._opening = threading.Lock()
        self._silent: Any = None
        """Scopes of another training, as they were met last."""
        self._is_attentive = False
        """Whether the loss is being looked at, since some optimizer's next step is to be recorded."""
        loaders.wake = self._wake

    def after_step(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        """An optimizer has stepped: what torch calls after every step of every optimizer.

        What most steps pay is the first lines, which therefore call almost nothing: after a step the processor's caches
        hold the step, and whatever else is touched costs many times of what it costs alone.
        """
        if is_compiling():  # the step is being traced
            return
        scopes = carried()
        watched = self._watched.get(id(optimizer))
        if watched is not None and watched.left and watched.scopes is scopes and not self._is_attentive:
            watched.left = left = watched.left - 1
            if not left and self.losses is not None:
                self.losses.wanted = self._is_attentive = True
            return
        if scopes is self._silent or self._faults >= FAULTS:
            return
        with guarded("torch"):
            self._see(optimizer, args, kwargs, scopes)
            return
        self._faults += 1

    def is_part_of_another(self) -> bool:
        """Whether what happens now belongs to a training that another integration records."""
        return is_silent() and not self._is_in_own(current())

    def _is_in_own(self, scope: Any) -> bool:
        """Whether the innermost scope is of a training that has joined this loop's run, such as accelerate's."""
        return scope is not None and self.own is not None and scope.run is self.own.run

    def created(self, optimizer: Any) -> None:
        """An optimizer has been made: those of one run are numbered in this order."""
        self._created = [one for one in self._created if one() is not None]
        self._created.append(weakref.ref(optimizer))

    def end(self, error: BaseException | None = None) -> None:
        """End the run of this process's loops, and no longer write into others."""
        for loop in (*self._borrowed.values(), *((self.own,) if self.own else ())):
            with guarded("torch"):
                loop.finish()
        if self.own is not None:
            self.own.leaf.end(error)
        self.forget()

    def forget(self) -> None:
        """Know of no optimizer and no run any more."""
        self.own = None
        self._silent = None
        self._borrowed.clear()
        self._watched.clear()

    def in_forked_child(self) -> None:
        """The parent's loop is not this process's, and what this one trains is a part of it."""
        if self.own is not None or self._borrowed:
            self._faults = FAULTS
        self._opening = threading.Lock()
        self.forget()

    def _see(self, optimizer: Any, args: Any, kwargs: Any, scopes: Any) -> None:
        scope = current()
        around = None
        if scope is not None and not self._is_in_own(scope):
            if is_silent():
                self._silent = scopes
                return
            around = scope.run
        watched = self._watched.get(id(optimizer))
        if (
            watched is None
            or watched.around is not around
            or watched.optimizer() is not optimizer
            or (watched.loop is not None and not watched.loop.is_open)
        ):
            watched = self._meet(optimizer, around)
        watched.scopes = scopes
        if watched.loop is None:
            return
        if self.loaders.pending:
            self.loaders.tell(watched.loop.run, stepped=True)
        if self.losses is None:
            watched.see(watched.loop, optimizer, None)
            return
        loss = self.losses.take(closure=len(args) > 1 and args[1] is not None or kwargs.get("closure") is not None)
        watched.see(watched.loop, optimizer, loss)
        self._is_attentive = any(one.left == 0 for one in self._watched.values())
        self.losses.wanted = self._is_attentive

    def _wake(self) -> None:
        for one in self._watched.values():
            one.wake()

    def _meet(self, optimizer: Any, around: Run | None) -> Watched:
        with self._opening:
            loop = self._loop(around)
        watched = loop.successor(optimizer) if loop is not None else None
        if watched is None:
            number = self._number(optimizer, loop) if loop is not None else 0
            watched = Watched(optimizer, around, loop if number < MOST_OPTIMIZERS else None, number)
            if watched.loop is not None:
                watched.loop.watched.append(watched)
        key = id(optimizer)

        def forget(gone: weakref.ref[Any]) -> None:
            known = self._watched.get(key)
            if known is not None and known.optimizer is gone:
                del self._watched[key]

        watched.optimizer = weakref.ref(optimizer, forget)
        self._watched[key] = watched
        if watched.loop is not None:
            with guarded("torch"):
                remember(optimizer, watched.loop.run)  # accelerate, which may hear of it later, goes on with that run
                found = settings_of(optimizer, watched.name)
                watched.loop.run.log_params(found)
                log_defaults(watched.loop.run, found, defaults_of(optimizer, watched.name))
        return watched

    def _loop(self, around: Run | None) -> Loop | None:
        known = self.own if around is None else self._borrowed.get(around.id)
        if known is not None and known.is_open:
            return known
        if isinstance(threading.current_thread(), threading._DummyThread):
            return None  # a thread of the backward pass, which knows of no training that it may be a part of
        leaf = begin_leaf("torch", name="")  # after the script
        if leaf is None:
            return None
        leaf.leave()  # nobody says when a loop ends: what else trains meanwhile is not silent
        loop = Loop(leaf)
        if leaf.owns:
            self.own = loop
            self._end_with_cell()
        else:
            self._borrowed[leaf.run.id] = loop
        leaf.run.when_ended.append(lambda: self._ended(loop))
        return loop

    def _ended(self, loop: Loop) -> None:
        with guarded("torch"):
            self.loaders.tell(loop.run, stepped=False)
            loop.finish()
        if self.own is loop:
            self.own = None
        self._borrowed.pop(loop.run.id, None)

    def _number(self, optimizer: Any, loop: Loop) -> int:
        for reference in self._created:  # those that were made before it come before it, whichever steps first
            made = reference()
            if made is optimizer:
                break
            if made is not None and id(made) not in self._watched:
                loop.number(made)
        return loop.number(optimizer)

    def _end_with_cell(self) -> None:
        """In a notebook the run of a loop ends with the cell."""
        ipython = sys.modules.get("IPython")
        shell = ipython.get_ipython() if ipython is not None else None
        if shell is None:
            return

        def done(result: Any) -> None:
            with guarded("torch"):
                shell.events.unregister("post_run_cell", done)
                self.end(getattr(result, "error_in_exec", None) or getattr(result, "error_before_exec", None))

        shell.events.register("post_run_cell", done)
