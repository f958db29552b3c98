"""Where transformers is observed.

The callback class is added to the list of callbacks that every `Trainer` starts with, in place, so that every name
bound to that list sees it. `train`, `evaluate`, `predict`, `log` and `hyperparameter_search` are observed on `Trainer`
itself, which subclasses call: a callback is told neither an exception nor the trainer, its data or what it resumes
from.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from autotrack.plugin import Call, Installation, Leaf, Outcome, builds_on, guarded, predicted
from autotrack_transformers import loading, reporting, searches
from autotrack_transformers.arguments import named
from autotrack_transformers.callback import EnabledCallback
from autotrack_transformers.recording import Recording, now, recorded_in
from autotrack_transformers.stages import begin_evaluation, begin_training, heard, rejoin


def install(installation: Installation) -> None:
    """Place the observers; `transformers.trainer` has been imported."""
    from transformers import trainer

    loading.install(installation)
    reporting.install(installation)
    defaults: list[Any] = trainer.DEFAULT_CALLBACKS
    defaults.append(EnabledCallback)
    installation.on_remove(lambda: defaults.remove(EnabledCallback))
    for name, observer in (
        ("train", watch_train),
        ("evaluate", watch_evaluate),
        ("predict", watch_predict),
        ("log", watch_log),
        ("hyperparameter_search", searches.watch_search),
    ):
        installation.observe(trainer.Trainer, name, observer)


def watch_train(call: Call) -> Generator[None, Outcome, None]:
    """`train`: a run of its own, or the next part of the one that it resumes."""
    trainer, trial = call.args[0], None
    leaf: Leaf | None = None
    with guarded("transformers"):
        given = named(call)
        trial = given.get("trial")
        leaf = searches.begin_trial(trainer, trial) or begin_training(trainer, given.get("resume_from_checkpoint"))
    if leaf is None:
        with recorded_in(None):  # a training inside another: its events are not that one's
            yield
        return
    with leaf, heard(trainer, leaf) as recording:
        builds_on(leaf.run, trainer.model, "Trainer.train")
        with guarded("transformers"):
            recording.begin_training(trainer, trial)
        leaf.outcome = outcome = yield
        if outcome.error is None:
            recording.finish(trainer)
        if trial is not None:
            with guarded("transformers"):
                searches.end_trial(trainer, trial, leaf, outcome)


def watch_evaluate(call: Call) -> Generator[None, Outcome, None]:
    """`evaluate` before, after or without a training; inside one, it is part of that."""
    yield from _watch_evaluation(call, _record_evaluated)


def watch_predict(call: Call) -> Generator[None, Outcome, None]:
    """`predict`, as `evaluate`."""
    yield from _watch_evaluation(call, _record_predicted)


def watch_log(call: Call) -> Generator[None, Outcome, None] | None:
    """`log` after a training, by the user or a subclass: a row of `log_history` that no other observed call spans."""
    return _watch_later_log(call.args[0]) if now() is None else None


def _watch_later_log(trainer: Any) -> Generator[None, Outcome, None]:
    leaf: Leaf | None = None
    with guarded("transformers"):
        leaf = rejoin(trainer)
    if leaf is None:
        return
    with leaf, heard(trainer, leaf):
        yield


def _watch_evaluation(call: Call, record_data: Any) -> Generator[None, Outcome, None]:
    trainer = call.args[0]
    around = now()
    if around is not None and around.of(trainer):
        return
    leaf: Leaf | None = None
    with guarded("transformers"):
        leaf = begin_evaluation(trainer)
    if leaf is None:
        with recorded_in(None):
            yield
        return
    with leaf, heard(trainer, leaf) as recording:
        with guarded("transformers"):
            recording.describe(trainer.args, trainer.model)
        with guarded("transformers"):
            record_data(recording, trainer, named(call))
        leaf.outcome = outcome = yield
        if outcome.error is None and hasattr(outcome.result, "predictions"):
            with guarded("transformers"):
                predicted(outcome.result.predictions, leaf.run)


def _record_evaluated(recording: Recording, trainer: Any, given: dict[str, Any]) -> None:
    chosen = given.get("eval_dataset")
    if isinstance(chosen, str):  # one of several, by its name
        recording.dataset(trainer.eval_dataset[chosen], "validation", chosen)
        return
    used = trainer.eval_dataset if chosen is None else chosen
    recording.dataset(used, "validation", given.get("metric_key_prefix") or "eval")


def _record_predicted(recording: Recording, trainer: Any, given: dict[str, Any]) -> None:
    recording.dataset(given.get("test_dataset"), "test", given.get("metric_key_prefix") or "test")
