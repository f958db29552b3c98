"""One optimizer in one run: which of its steps are recorded, and what of them.

A step enters after it was taken; rate, gradient norm and loss leave as metrics, class and settings as params. Only a
weak reference to the optimizer is held.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from autotrack.plugin import declared
from autotrack_torch.reading import gradient_norm

if TYPE_CHECKING:
    from autotrack.run import Run
    from autotrack_torch.loops import Loop

FIRST, EARLY = 10, 100
"""The first ten steps are recorded one by one, and up to the hundredth every tenth: a short loop has its curves too."""
EVERY = ((100_000, 100), (10_000_000, 20), (sys.maxsize, 10))
"""From then on every n-th, by how many numbers the optimizer trains. To record one takes about a third of the smallest
step (a layer or two on one core), mostly since the step has filled the processor's caches; so it is well below 1 %."""


class Watched:
    """One optimizer in one run."""

    __slots__ = (
        "_counted",
        "_every",
        "_lr",
        "_prefix",
        "around",
        "first",
        "kind",
        "left",
        "loop",
        "name",
        "optimizer",
        "scopes",
    )

    def __init__(self, optimizer: Any, around: Run | None, loop: Loop | None, number: int = 0) -> None:
        first = first_parameter(optimizer)
        self.kind = type(optimizer)
        self.first: Callable[[], Any] = weakref.ref(first) if first is not None else lambda: None
        self.optimizer: Callable[[], Any] = weakref.ref(optimizer)
        self.name = f"optimizer_{number}" if number else "optimizer"
        self.around = around
        """The run that was open around its first step; with another one around, it is met anew."""
        self.loop = loop
        self.left = 0 if loop is not None else sys.maxsize
        """How many steps are only counted, down, before one is to be seen."""
        self.scopes: Any = None
        """The scopes in which they are counted."""
        self._counted = self.left
        self._every = next(every for most, every in EVERY if size_of(optimizer) < most)
        self._prefix = f"optimizer_{number}/" if number else ""
        self._lr: list[str] = []

    @property
    def steps(self) -> int:
        """How many steps it has taken."""
        return self._counted - self.left

    def see(self, loop: Loop, optimizer: Any, loss: torch.Tensor | None) -> None:
        """A step that is not only counted: it is recorded, if it is its turn."""
        step = self.steps + 1
        every = 1 if step <= FIRST else 10 if step <= EARLY else self._every
        if step % every == 0:
            self._record(loop, optimizer, step, loss)
        every = 1 if step < FIRST else 10 if step < EARLY else self._every
        self.left = every - step % every - 1
        self._counted = step + self.left

    def wake(self) -> None:
        """Let the next step be seen."""
        if self.loop is not None:
            self._counted, self.left = self.steps, 0

    def last(self) -> None:
        """Record how many steps it took in all."""
        self.wake()
        if self.loop is not None:
            self.loop.run.log_metrics({f"{self._prefix}steps": self.steps}, self.steps)

    def _record(self, loop: Loop, optimizer: Any, step: int, loss: torch.Tensor | None) -> None:
        readings, prefix = loop.readings, self._prefix
        if readings.late:
            readings.collect()
        values = self._rates(loop, optimizer, step)
        norm = gradient_norm(optimizer)
        if norm is not None:
            value = readings.read(prefix + "grad_norm", step, norm) if isinstance(norm, torch.Tensor) else norm
            if value is not None:
                values[prefix + "grad_norm"] = value
        if loss is not None:
            value = readings.read(prefix + "loss", step, loss)
            if value is not None:
                values[prefix + "loss"] = value
        loop.run.log_metrics(values, step)

    def _rates(self, loop: Loop, optimizer: Any, step: int) -> dict[str, float]:
        groups = optimizer.param_groups
        while len(self._lr) < len(groups):
            self._lr.append(f"{self._prefix}lr/group_{len(self._lr)}" if self._lr else f"{self._prefix}lr")
        rates = {}
        for key, group in zip(self._lr, groups, strict=False):
            rate = group.get("lr")
            if isinstance(rate, torch.Tensor):  # on a device where the step is captured as a graph
                rate = loop.readings.read(key, step, rate.detach())
            if rate is not None:
                rates[key] = rate
        return rates


def defaults_of(optimizer: Any, name: str) -> dict[str, Any]:
    """The defaults of an optimizer's settings, from the signature of its class: `optimizer.defaults` are its own."""
    return {f"{name}.{key}": value for key, value in declared(type(optimizer)).items()}


def first_parameter(optimizer: Any) -> Any:
    """The first parameter that the optimizer has: whose it is, it is known by."""
    return next((parameter for group in optimizer.param_groups for parameter in group["params"]), None)


def size_of(optimizer: Any) -> int:
    """How many numbers the optimizer trains; 0 where a parameter does not tell."""
    try:
        return sum(parameter.numel() for group in optimizer.param_groups for parameter in group["params"])
    except Exception:  # a class of the user's
        return 0


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
    found[f"{name}.parameters"] = size_of(optimizer)
    return found
