"""Where Optuna is observed.

Three globals that Optuna looks up at each call span a study, what one thread does of it, and a trial: `_optimize`, all
that `Study.optimize` does, `_optimize_sequential` and `_run_trial`. (`study.optimize(f, callbacks=[callback])` takes
hold of the method before our callback is made; so the method is not the place.) The number of a trial is known when
`Study.ask` answers inside. What a trial suggests and reports is seen at `Trial`, so that it is kept however the trial
ends. The objective is never wrapped.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from autotrack.plugin import Call, Installation, Outcome, guarded, resume, silence
from autotrack_optuna import studies, trials
from autotrack_optuna.trials import Expected


def install(installation: Installation) -> None:
    """Place the observers; optuna has been imported."""
    import optuna
    import optuna.study._optimize
    import optuna.study.study

    installation.observe(optuna.study.study, "_optimize", watch_optimize)
    installation.observe(optuna.study.Study, "ask", watch_ask)
    installation.observe(optuna.study._optimize, "_optimize_sequential", watch_sequence)
    installation.observe(optuna.study._optimize, "_run_trial", watch_trial)
    installation.observe(optuna.study._optimize, "_log_failed_trial", watch_failed_trial)
    installation.observe(optuna.trial.Trial, "_suggest", watch_suggest)
    installation.observe(optuna.trial.Trial, "report", watch_report)
    for name in ("FanovaImportanceEvaluator", "MeanDecreaseImpurityImportanceEvaluator"):
        if hasattr(optuna.importance, name):  # they fit forests of scikit-learn, which are no trainings of the user's
            installation.observe(getattr(optuna.importance, name), "evaluate", watch_importance)


def watch_optimize(call: Call) -> Generator[None, Outcome, None]:
    """`Study.optimize`: a run, which begins with the first trial."""
    study = call.args[0] if call.args else call.kwargs["study"]
    if studies.is_nested(study):  # optuna refuses it, and the study around it is recorded
        return
    optimizing = studies.begin(study, call)
    outcome = yield
    with guarded("optuna"):
        studies.end(study, optimizing, outcome)


def watch_sequence(call: Call) -> Generator[None, Outcome, None]:
    """What one thread does of a study: all trials, or, of several threads, one; and the callbacks between them."""
    optimizing = studies.under_way(call.args[0] if call.args else call.kwargs["study"])
    if optimizing is None:
        return
    with resume(optimizing.scopes):
        yield
        optimizing.leave()


def watch_trial(call: Call) -> Generator[None, Outcome, None]:
    """One trial, in the thread that runs it."""
    study = call.args[0] if call.args else call.kwargs["study"]
    optimizing = studies.under_way(study)
    if optimizing is None:
        return
    expected = Expected(study, optimizing)
    with trials.expecting(expected):
        outcome = yield
    with guarded("optuna"):
        expected.end(outcome)


def watch_ask(call: Call) -> Generator[None, Outcome, None]:
    """A trial has its number; one that the user asks for by hand is not recorded."""
    expected = trials.expected()
    if expected is None or expected.asked or not call.args or expected.study is not call.args[0]:
        return
    outcome = yield
    with guarded("optuna"):
        expected.begin(outcome.result)


def watch_failed_trial(call: Call) -> Generator[None, Outcome, None]:
    """A trial has failed: Optuna logs the exception, and keeps it nowhere."""
    expected = trials.expected()
    if expected is not None:
        information = call.kwargs.get("exc_info")
        expected.error = information[1] if information else None
        expected.reason = str(call.kwargs.get("message", call.args[-1] if call.args else ""))
    return
    yield


def watch_suggest(call: Call) -> Generator[None, Outcome, None]:
    """A param of a trial gets its value."""
    recording = trials.recording_of(call.args[0])
    if recording is None:
        return
    outcome = yield
    if outcome.error is None:
        name, distribution = _arguments(call, "name", "distribution")
        recording.suggested(name, outcome.result, distribution)


def watch_report(call: Call) -> Generator[None, Outcome, None]:
    """A trial reports an intermediate value."""
    recording = trials.recording_of(call.args[0])
    if recording is None:
        return
    outcome = yield
    if outcome.error is None:
        value, step = _arguments(call, "value", "step")
        recording.reported(int(step), float(value))  # as Optuna has converted them


def watch_importance(call: Call) -> Generator[None, Outcome, None]:
    """The importance of params is computed with trainings of its own."""
    with silence():
        yield


def _arguments(call: Call, *names: str) -> list[Any]:
    given = call.args[1:]
    return [given[index] if index < len(given) else call.kwargs[name] for index, name in enumerate(names)]
