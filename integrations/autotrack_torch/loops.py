"""Plain PyTorch loops as runs: what the hooks see of optimizers enters, series and params leave.

The first step of an optimizer opens a run, unless one is open around it. Nobody says when a loop ends, so that run
ends with the process, with `autotrack.disable()`, or in a notebook with the cell. Of optimizers only weak references
are held.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from autotrack.plugin import begin_leaf, current, guarded, is_silent, remember
from autotrack_torch.loaders import Loaders
from autotrack_torch.losses import Losses
from autotrack_torch.reading import Readings, gradient_norm

if TYPE_CHECKING:
    from autotrack.plugin import Leaf
    from autotrack.run import Run

EVERY = 20
"""Steps between two looks at an optimizer. A look costs about 5 % of the smallest step (a layer or two on one core), so
that all of them together stay well below 1 % of a loop."""
FIRST = 10
"""The first steps are looked at one by one, so that a short loop has its curves too."""
MOST_OPTIMIZERS = 16
"""Optimizers of one run that are recorded: with one for each parameter there would be hundreds."""
FAULTS = 5


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
            one.last_look()


class Watched:
    """One optimizer in one run."""

    __slots__ = ("_lr", "_prefix", "around", "first", "kind", "loop", "name", "optimizer", "steps")

    def __init__(self, optimizer: Any, around: Run | None, loop: Loop | None, number: int = 0) -> None:
        first = first_parameter(optimizer)
        self.kind = type(optimizer)
        self.first: Callable[[], Any] = weakref.ref(first) if first is not None else lambda: None
        self.optimizer: Callable[[], Any] = weakref.ref(optimizer)
        self.name = f"optimizer_{number}" if number else "optimizer"
        self.around = around
        """The run that was open around its first step; with another one around, it is met anew."""
        self.loop = loop
        self.steps = 0
        self._prefix = f"optimizer_{number}/" if number else ""
        self._lr: list[str] = []

    def look(self, optimizer: Any, loss: torch.Tensor | None) -> None:
        """Record this step."""
        loop = self.loop
        if loop is None:
            return
        loop.readings.collect()
        values = self._rates(optimizer)
        for name, number in (("grad_norm", gradient_norm(optimizer)), ("loss", loss)):
            if number is not None:
                value = loop.readings.read(self._prefix + name, self.steps, number)
                if value is not None:
                    values[self._prefix + name] = value
        loop.run.log_metrics(values, self.steps)

    def last_look(self) -> None:
        """How many steps it took in all."""
        if self.loop is not None:
            self.loop.run.log_metrics({f"{self._prefix}steps": self.steps}, self.steps)

    def _rates(self, optimizer: Any) -> dict[str, float]:
        groups = optimizer.param_groups
        while len(self._lr) < len(groups):
            self._lr.append(f"{self._prefix}lr/group_{len(self._lr)}" if self._lr else f"{self._prefix}lr")
        rates = {}
        for key, group in zip(self._lr, groups, strict=False):
            rate = group.get("lr")
            if isinstance(rate, torch.Tensor):  # on a device where the step is captured as a graph
                rate = self.loop.readings.read(key, self.steps, rate.detach()) if self.loop is not None else None
            if rate is not None:
                rates[key] = rate
        return rates


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

    def after_step(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        """An optimizer has stepped: what torch calls after every step of every optimizer."""
        if self._faults >= FAULTS or torch.compiler.is_compiling():
            return
        with guarded("torch"):
            self._after_step(optimizer, args, kwargs)
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
        self._borrowed.clear()
        self._watched.clear()

    def in_forked_child(self) -> None:
        """The parent's loop is not this process's, and what this one trains is a part of it."""
        if self.own is not None or self._borrowed:
            self._faults = FAULTS
        self._opening = threading.Lock()
        self.forget()

    def _after_step(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        scope = current()
        around = None
        if scope is not None and not self._is_in_own(scope):
            if is_silent():
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
        if watched.loop is None:
            return
        watched.steps = step = watched.steps + 1
        if self.loaders.pending:
            self.loaders.tell(watched.loop.run, stepped=True)
        loss = None
        if self.losses is not None:
            loss = self.losses.take(closure=len(args) > 1 and args[1] is not None or kwargs.get("closure") is not None)
        if step <= FIRST or step % EVERY == 0:
            watched.look(optimizer, loss)

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
                watched.loop.run.log_params(settings_of(optimizer, watched.name))
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


def first_parameter(optimizer: Any) -> Any:
    """The first parameter that the optimizer has: whose it is, it is known by."""
    return next((parameter for group in optimizer.param_groups for parameter in group["params"]), None)


def settings_of(optimizer: Any, name: str) -> dict[str, Any]:
    """Class, settings and size of an optimizer as params; of further groups of parameters, what differs."""
    groups = optimizer.param_groups
    settings = dict(optimizer.defaults)
    settings |= {key: value for key, value in groups[0].items() if key in settings}
    found: dict[str, Any] = {name: type(optimizer).__name__}
    found |= {f"{name}.{key}": value for key, value in settings.items()}
    for index, group in enumerate(groups[1:], 1):
        for key, value in settings.items():
            if key in group and repr(group[key]) != repr(value):
                found[f"{name}.group_{index}.{key}"] = group[key]
    found[f"{name}.parameters"] = sum(parameter.numel() for group in groups for parameter in group["params"])
    return found
