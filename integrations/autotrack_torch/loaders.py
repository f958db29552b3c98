"""Which DataLoaders a plain loop goes through, and in what role: one that steps follow is training data.

Loaders enter when their iteration begins, and are described then, since many live no longer; records leave for the run.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from autotrack.plugin import Call, Outcome, Told, expect_stream, follow_stream, guarded, rank, settings, tell

if TYPE_CHECKING:
    from autotrack.run import Run

MOST_WAITING = 64


class Begun(NamedTuple):
    """An iteration that has begun: over which loader, and whether gradients were wanted."""

    loader: weakref.ref[Any]
    iterator: weakref.ref[Any]
    described: Told
    with_gradients: bool


class Loaders:
    """The loaders of this process that no run has been told of yet."""

    def __init__(self) -> None:
        self.is_part_of_another: Callable[[], bool] = lambda: False
        self.wake: Callable[[], None] = lambda: None
        """Called when there is something to tell at the next step."""
        self.pending: list[Begun] = []
        self._seen: dict[int, weakref.ref[Any]] = {}
        self._run: str | None = None
        self._told: dict[str, list[dict[str, Any]]] = {}
        self._described: weakref.WeakKeyDictionary[Any, Told] = weakref.WeakKeyDictionary()
        """By dataset, which is fingerprinted once: a loader of it may be made anew in each epoch."""

    def watch_iteration(self, call: Call) -> Generator[None, Outcome, None]:
        """`DataLoader.__iter__`."""
        loader = call.args[0]
        known = self._seen.get(id(loader))
        if (known is not None and known() is loader) or not settings().datasets or self.is_part_of_another():
            return
        if rank() == 0:
            expect_stream(loader)
        outcome = yield
        if outcome.error is None and len(self.pending) < MOST_WAITING:
            reference = weakref.ref(loader)
            self.pending = [one for one in self.pending if one.loader() is not loader]
            described = self._describe(loader)
            self.pending.append(Begun(reference, weakref.ref(outcome.result), described, torch.is_grad_enabled()))
            self.wake()

    def tell(self, run: Run, *, stepped: bool) -> None:
        """Record the data of what has been iterated. At a step, the iterations that go on are the training's."""
        pending, self.pending = self.pending, []
        if self._run != run.id:
            self._run, self._seen, self._told = run.id, {}, {}
            self._described.clear()
        for begun in pending:
            role = "train" if stepped and begun.with_gradients and begun.iterator() is not None else "validation"
            if begun.loader() is not None:
                self._seen[id(begun.loader())] = begun.loader
            told = self._told.setdefault(role, [])
            value = begun.described.data.fingerprint.value if begun.described.data is not None else None
            record = {**begun.described.record, "value": value}
            if record in told:  # a loader that is made anew in each epoch
                continue
            told.append(record)
            name = role if len(told) == 1 else f"{role}-{len(told)}"
            with guarded("torch"):
                run.log_dataset(begun.described, role=role, name=name)
                if begun.loader() is not None:
                    follow_stream(run, begun.loader(), role=role, name=name, described_as=begun.described)

    def _describe(self, loader: Any) -> Told:
        try:
            known = self._described.get(loader.dataset)
            if known is None:
                known = self._described[loader.dataset] = tell(loader)
        except TypeError:  # a list, which cannot be held weakly
            known = tell(loader)
        return known
