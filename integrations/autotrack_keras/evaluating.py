"""`evaluate` of a model that has a run: what it finds goes to that run, under `test/`.

A model that was never trained here has none. It gets one where an `AutotrackCallback` asks for it; inside a run that
the user has opened, it is recorded there. The validation inside `fit` is part of its epochs and silent here.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any
from weakref import WeakKeyDictionary

from autotrack.plugin import (
    Call,
    Leaf,
    Outcome,
    Told,
    current,
    describe,
    follow_stream,
    guarded,
    is_silent,
    rejoin_leaf,
    run_of,
    settings,
    tell,
)
from autotrack_keras import arguments, config, data, streams
from autotrack_keras.followers import Tested, begin, joined
from autotrack_keras.recording import last_epochs, recorded_in

_tests: WeakKeyDictionary[Any, list[dict[str, Any]]] = WeakKeyDictionary()
"""For each run, what was tested in it: the description of the data, and the step of the last time."""


class Evaluation:
    """An `evaluate` that is being recorded."""

    def __init__(self) -> None:
        self.tested = Tested()


def watch_evaluate(call: Call) -> Generator[None, Outcome, None]:
    """`evaluate`, unless it is part of a training."""
    if is_silent():
        return
    given: dict[str, Any] = {}
    leaf = None
    with guarded("keras"):
        given = call.named()
        leaf = _leaf(call.args[0], arguments.asked(given.get("callbacks")))
    if leaf is None:
        return
    evaluation = Evaluation()
    prefix, step = "test", 0
    with leaf:
        with guarded("keras"):
            prefix, step = _place(leaf, given)
        with recorded_in(evaluation), joined(given.get("callbacks"), evaluation.tested):
            outcome = yield
        if outcome.error is not None:
            _failed(leaf, outcome)
        elif found := evaluation.tested.found:
            leaf.run.log_metrics({f"{prefix}/{name}": value for name, value in found.items()}, step)


def _leaf(model: Any, asked: Any) -> Leaf | None:
    run = run_of(model)
    if run is not None and (asked is None or asked.run is None):
        # A run that failed or was killed stays so, whatever is found out about its model later.
        return rejoin_leaf(run, reopen=run.status == "finished")
    around = current()
    if asked is None and (around is None or around.run is None):
        return None
    leaf = begin(model, asked)
    if leaf is not None and run is None:
        leaf.run.log_params({**config.told(model), **config.compiled(model)})
    return leaf


def _failed(leaf: Leaf, outcome: Outcome) -> None:
    """An `evaluate` that raised makes its own run fail; a training that has ended well stays so, with a note."""
    if leaf.run in last_epochs:
        leaf.run.note("evaluate", f"{type(outcome.error).__name__}: {outcome.error}")
    else:
        leaf.outcome = outcome


def _place(leaf: Leaf, given: dict[str, Any]) -> tuple[str, int]:
    """The prefix and the step of what will be found: data of another kind or size is another series."""
    whole = data.whole(given.get("x"), given.get("y"), given.get("sample_weight"))
    told = tell(whole) if settings().datasets else Told(describe(whole, identify=False))
    record = told.record if told.data is None else {**told.record, "value": told.data.fingerprint.value}
    tests = _tests.setdefault(leaf.run, [])
    index = next((at for at, one in enumerate(tests) if one["data"] == record), len(tests))
    name = "test" if index == 0 else f"test-{index + 1}"
    if index == len(tests):
        tests.append({"data": record, "step": -1})
        if settings().datasets:
            leaf.run.log_dataset(told, role="test", name=name)
            if given.get("y") is None and follow_stream(leaf.run, given.get("x"), role="test", name=name):
                streams.limit(given.get("x"), given.get("steps"))
    step = max(last_epochs.get(leaf.run, 0), tests[index]["step"] + 1)
    tests[index]["step"] = step
    return name, step
