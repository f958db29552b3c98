"""Batches of DataLoaders as they pass: what is known of a dataset that can only be seen by training on it.

A loader whose dataset can be read at once (tensors, tables) is left alone. Of any other, the batches that its iterator
gives to the main process are hashed in the first whole epoch, whoever makes them; the iterator, the workers and the
sampler are what they would be without us. Loaders and iterators are held weakly.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from autotrack.plugin import (
    Call,
    Installation,
    Iteration,
    Outcome,
    Passing,
    Switch,
    awaits_streams,
    current,
    follow_with,
    observe_for_callback,
    settings,
)
from autotrack_torch.tables import is_readable

if TYPE_CHECKING:
    from autotrack.run import Run

_followed: weakref.WeakKeyDictionary[Any, Passing] = weakref.WeakKeyDictionary()
"""By loader: what hears of its batches. Some hear before any run is told of the loader."""
_under_way: weakref.WeakKeyDictionary[Any, Iteration] = weakref.WeakKeyDictionary()
"""By iterator."""
_placing: list[Installation] = []
"""What is to place the observers."""


def register() -> None:
    """Let runs follow loaders; accelerate's have the loader inside."""
    follow_with("torch.utils.data.dataloader.DataLoader", follow, prepare)
    follow_with("accelerate.data_loader.DataLoaderAdapter", lambda loader, run: follow(loader.base_dataloader, run))


def prepare() -> None:
    """Watch loaders from now on, if torch is in use."""
    from autotrack_torch import TORCH

    if "torch.utils.data" in sys.modules and settings().datasets:
        observe_for_callback(TORCH)
        while _placing:
            _place(_placing.pop())


def install(installation: Installation, *, at_once: bool) -> None:
    """Watch loaders `at_once`, or when there is one to follow: until then nothing is placed."""
    for known in (_followed, _under_way, _placing):
        installation.on_remove(known.clear)
    if at_once:
        _place(installation)
    else:
        _placing.append(installation)


def _place(installation: Installation) -> None:
    from torch.utils.data import DataLoader
    from torch.utils.data.dataloader import _BaseDataLoaderIter

    # Batches are many and cost each an observer: nobody watches those of an epoch that no run wants to hear.
    batches = installation.observe_at_times(_BaseDataLoaderIter, "__next__", lambda call: watch_batch(call, batches))
    installation.observe(DataLoader, "__iter__", lambda call: watch_iteration(call, batches))


def follow(loader: Any, run: Run | None) -> Passing | None:
    """What hears of the batches of `loader` from now on, or has heard of them already; None where it can be read."""
    known = _followed.get(loader)
    if known is not None and not known.is_bound and (known.run_id is None or run is None or known.run_id == run.id):
        return known
    if not settings().datasets or is_readable(loader.dataset):
        return None
    prepare()
    passing = _followed[loader] = Passing(run)
    return passing


def watch_iteration(call: Call, batches: Switch) -> Generator[None, Outcome, None]:
    """`DataLoader.__iter__`: an epoch begins, of a loader that a run knows of, or will be told of."""
    loader = call.args[0]
    passing = _followed.get(loader)
    if passing is None or passing.done:
        around = current()
        run = around.run if around is not None else None
        if run is None or not awaits_streams(run) or (passing is not None and passing.run_id == run.id):
            return
        passing = follow(loader, run)
    if passing is None or passing.done:
        return
    outcome = yield
    if outcome.error is None:
        iteration = passing.begin(*_sizes(loader))
        if iteration is not None:
            _under_way[outcome.result] = iteration
            batches.on()


def watch_batch(call: Call, batches: Switch) -> Generator[None, Outcome, None]:
    """`__next__` of a loader's iterator."""
    iteration = _under_way.get(call.args[0])
    if iteration is None:
        _rest(batches)  # an epoch was left, and its iterator is gone
        return
    outcome = yield
    if outcome.error is None:
        iteration.batch(outcome.result)
    elif isinstance(outcome.error, StopIteration):
        iteration.end()
    if iteration.is_over:
        _under_way.pop(call.args[0], None)
        _rest(batches)


def _rest(batches: Switch) -> None:
    """Watch no more batches where none is waited for."""
    if not _under_way:
        batches.off()
        if _under_way:  # in another thread, meanwhile
            batches.on()


def _sizes(loader: Any) -> tuple[int | None, int | None]:
    """After how many batches an epoch is whole, and after how many it is if it is left then.

    A stream may tell a length that is not its own, and asking a loader for that makes it warn: it is only taken from
    one that has been asked by somebody else.
    """
    if loader._dataset_kind == 0:  # map-style
        return len(loader), None
    told = getattr(loader, "_IterableDataset_len_called", None)
    if told is None:
        return None, None
    size = loader.batch_size or 1
    return None, told // size if loader.drop_last else -(-told // size)
