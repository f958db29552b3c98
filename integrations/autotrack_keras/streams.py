"""What Keras makes of a `PyDataset` or a generator, batch by batch: hashed as it passes to training, never taken.

Keras looks at a batch or two before it trains, and reads ahead. So batches belong to the generator that gives them, and
only as many are looked at as an epoch has. A pipeline of `tf.data` runs outside Python, where nobody can look.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from autotrack.plugin import Call, Installation, Iteration, Outcome, Passing, follow_with, settings

if TYPE_CHECKING:
    from autotrack.run import Run

ADAPTERS = "keras.src.trainers.data_adapters."

_followed: WeakKeyDictionary[Any, Passing] = WeakKeyDictionary()
_steps: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
"""How many batches of it make an epoch, where the call says so."""
_under_way: WeakKeyDictionary[Any, Iteration] = WeakKeyDictionary()
"""By the generator of batches that Keras makes of a `PyDataset`."""


def register() -> None:
    """Let runs follow what Keras reads batch by batch."""
    follow_with(ADAPTERS + "py_dataset_adapter.PyDataset", follow)
    follow_with("builtins.generator", follow)


def install(installation: Installation) -> None:
    """Place the observers; keras has been imported."""
    from keras.src.trainers.data_adapters.generator_data_adapter import GeneratorDataAdapter
    from keras.src.trainers.data_adapters.py_dataset_adapter import PyDatasetAdapter

    installation.observe(PyDatasetAdapter, "_get_iterator", watch_iterator)
    installation.observe(PyDatasetAdapter, "_standardize_batch", watch_batch)
    installation.observe(GeneratorDataAdapter, "__init__", watch_generator)
    for known in (_followed, _steps, _under_way):
        installation.on_remove(known.clear)


def follow(data: Any, run: Run | None) -> Passing | None:
    """What hears of the batches of `data` in one training."""
    if not settings().datasets:
        return None
    passing = _followed[data] = Passing(run)
    return passing


def limit(data: Any, steps: Any) -> None:
    """An epoch has `steps` batches of `data`, if the call says how many."""
    if steps is not None and data in _followed:
        _steps[data] = int(steps)


def watch_iterator(call: Call) -> Generator[None, Outcome, None]:
    """Keras begins to read a `PyDataset`."""
    dataset = call.args[0].py_dataset
    passing = _followed.get(dataset)
    if passing is None or passing.done:
        return
    batches = dataset.num_batches
    outcome = yield
    iteration = passing.begin(batches if batches is not None else _steps.get(dataset))
    if iteration is not None:
        _under_way[outcome.result] = iteration


def watch_batch(call: Call) -> Generator[None, Outcome, None]:
    """A batch of a `PyDataset`, as it was made."""
    if not _under_way:
        return
    frame: Any = sys._getframe()
    while frame is not None and not frame.f_code.co_name.endswith("_generator"):
        frame = frame.f_back
    for generator, iteration in list(_under_way.items()):
        if generator.gi_frame is frame:
            iteration.batch(call.args[1])
            if iteration.is_over:
                del _under_way[generator]
    return
    yield


def watch_generator(call: Call) -> Generator[None, Outcome, None]:
    """Keras has taken a generator: what it will read from it passes by us."""
    generator = call.args[1] if call.args[1:] else call.kwargs.get("generator")
    passing = _followed.get(generator)
    if passing is None or passing.done:
        return
    steps = _steps.get(generator)
    outcome = yield
    if outcome.error is None:
        adapter = call.args[0]  # Keras's own, made for this call alone
        adapter.generator = _passing_by(adapter.generator, passing, steps)


def _passing_by(
    batches: Callable[[], Iterator[Any]], passing: Passing, steps: int | None
) -> Callable[[], Iterator[Any]]:
    def read() -> Iterator[Any]:
        iteration = passing.begin(steps)
        for batch in batches():
            if iteration is not None:
                iteration.batch(batch)
            yield batch
        if iteration is not None:
            iteration.end()

    return read
