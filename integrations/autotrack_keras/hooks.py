"""Where Keras is observed.

`fit` and its siblings belong to the trainer of the backend, from which `keras.Model` derives: they are observed there,
so that they pickle by reference. `CallbackList` puts its default callbacks together after it has decided, from those of
the user, in which thread to call them all; ours join there, and change nothing of that decision.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from autotrack.plugin import (
    Call,
    Installation,
    Outcome,
    builds_on,
    declared,
    guarded,
    is_silent,
    log_defaults,
    predicted,
    run_of,
    settings,
)
from autotrack_keras import arguments, checkpoints, config, data, evaluating, loading, streams
from autotrack_keras.followers import Ahead, begin, follow, joined
from autotrack_keras.recording import Recording, now, recorded_in


def install(installation: Installation) -> None:
    """Place the observers; keras has been imported."""
    import keras
    from keras.src.callbacks.callback_list import CallbackList

    loading.install(installation)
    for name, observer in (
        ("fit", watch_fit),
        ("evaluate", evaluating.watch_evaluate),
        ("predict", watch_predict),
    ):
        owner = next(kind for kind in keras.Model.__mro__ if name in vars(kind))
        installation.observe(owner, name, observer)
    installation.observe(CallbackList, "_add_default_callbacks", watch_default_callbacks)
    checkpoints.install(installation)
    streams.install(installation)


def watch_fit(call: Call) -> Generator[None, Outcome, None]:
    """`fit`: one run, unless it is part of another training."""
    model = call.args[0]
    given: dict[str, Any] = {}
    leaf = None
    if not is_silent():
        with guarded("keras"):
            given = call.named()
            asked = arguments.asked(given.get("callbacks"))
            leaf = begin(model, asked, continues=checkpoints.continued(model, given))
    if leaf is None:
        with recorded_in(None):  # a training inside another: its epochs are not that one's
            yield
        return
    builds_on(leaf.run, model, "fit")
    recording = Recording(leaf.run, model)
    with leaf:
        recording.configured()
        with guarded("keras"):
            leaf.run.log_params(config.arguments(given, arrays=data.is_arrays(given.get("x"))))
            held = {name: given[name] for name in config.FIT if name in given}
            log_defaults(leaf.run, held, declared(call.function))
        with guarded("keras"):
            if settings().datasets:
                data.log_fit(leaf.run, given)
        with recorded_in(recording), joined(given.get("callbacks")):
            leaf.outcome = yield
        with guarded("keras"):
            recording.finish(failed=leaf.outcome.error is not None)


def watch_default_callbacks(call: Call) -> Generator[None, Outcome, None]:
    """A list of callbacks is being made: ours join it where it has a history, or is that of an `evaluate`."""
    outcome = yield
    if outcome.error is not None:
        return
    container = call.args[0]
    given = call.named()
    around = now()
    if isinstance(around, evaluating.Evaluation):
        container.callbacks.append(around.tested)
    elif given.get("add_history"):
        if isinstance(around, Recording):
            ahead = Ahead()
            ahead.recording = around
            container.callbacks.insert(0, ahead)
        follow(container)


def watch_predict(call: Call) -> Generator[None, Outcome, None]:
    """What a trained model predicts is remembered, so that a metric of it reaches its run."""
    if is_silent():
        return
    run = run_of(call.args[0])
    if run is None:
        return
    outcome = yield
    if outcome.error is None:
        predicted(outcome.result, run)
