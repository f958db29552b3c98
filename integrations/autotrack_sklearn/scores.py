"""What is measured on a model after its fit goes to the run of that model.

Only what the user asks for: a measurement inside a training, or inside another measurement, is silent. The key is
scikit-learn's own name; measured again it is the next step of that series.
"""

from __future__ import annotations

import numbers
import weakref
from collections.abc import Generator, Mapping
from typing import Any

from autotrack.plugin import Call, Outcome, guarded, is_silent, predicted, run_behind, run_of, silence
from autotrack_sklearn import continuing
from autotrack_sklearn.arguments import bind, is_data
from autotrack_sklearn.splits import split_of

_series: weakref.WeakKeyDictionary[Any, dict[str, tuple[str, int]]] = weakref.WeakKeyDictionary()
"""For each run and key: the options that it was first measured with, and the next step."""


def watch_predict(call: Call) -> Generator[None, Outcome, None]:
    """Remember which run an array of predictions came from."""
    if is_silent():
        return
    run = run_of(call.args[0]) if call.args else None
    if run is None:
        return
    given = _first(call)
    with guarded("sklearn"):
        continuing.used(call.args[0])
    split = split_of(given)
    with silence():
        outcome = yield
    if outcome.error is None:
        predicted(outcome.result, run, split, given)


def watch_score(call: Call) -> Generator[None, Outcome, None]:
    """`model.score(X, y)`."""
    if is_silent():
        return
    run = run_of(call.args[0]) if call.args else None
    if run is None:
        return
    with guarded("sklearn"):
        continuing.used(call.args[0])
    split = split_of(*bind(call.function, call.args, call.kwargs).values())
    with silence():
        outcome = yield
    _record(run, "score", split, "", outcome)


def watch_scorer(call: Call) -> Generator[None, Outcome, None]:
    """`get_scorer("f1_macro")(model, X, y)`."""
    if is_silent() or len(call.args) < 2:
        return
    scorer, model = call.args[:2]
    run = run_of(model)
    if run is None:
        return
    split = split_of(*call.args[2:], *call.kwargs.values())
    with silence():
        outcome = yield
    if outcome.error is None:
        _record(run, _scorer_name(scorer), split, "", outcome)


def watch_metric(call: Call) -> Generator[None, Outcome, None]:
    """A function of `sklearn.metrics` on predictions of a model that has a run."""
    if is_silent():
        return
    arguments = bind(call.function, call.args, call.kwargs)
    # The truth comes last: a user may hand in one model's predictions as the truth for another's.
    found = run_behind(value for _, value in sorted(arguments.items(), key=lambda item: item[0] == "y_true"))
    if found is None:
        return
    run, predicted_split = found
    split = split_of(*arguments.values()) or predicted_split
    with silence():
        outcome = yield
    _record(run, call.function.__name__, split, _options(arguments), outcome)


def watch_inspection(call: Call) -> Generator[None, Outcome, None]:
    """`permutation_importance` and its like measure a model hundreds of times: none of it is a point of a series."""
    if is_silent():
        return
    with silence():
        yield


def _record(run: Any, name: str, split: str, options: str, outcome: Outcome) -> None:
    if outcome.error is not None or not isinstance(outcome.result, numbers.Real):
        return
    key = f"{split}/{name}" if split else name
    seen = _series.setdefault(run, {})
    if seen.get(key, (options, 0))[0] != options:
        key = f"{key}({options or 'default'})"  # another average of the same metric is another series
    step = seen.get(key, (options, 0))[1]
    seen[key] = (options, step + 1)
    run.log_metrics({key: float(outcome.result)}, step=step)


def _options(arguments: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name}={value}"
        for name, value in sorted(arguments.items())
        if value is not None and not is_data(name, value) and isinstance(value, bool | int | float | str)
    )


def _scorer_name(scorer: Any) -> str:
    """The name that scikit-learn lists a scorer under, or the name of its function, `neg_` where lower is better."""
    from sklearn.metrics import _scorer

    looks = ("_score_func", "_sign", "_kwargs")
    for name, known in _scorer._SCORERS.items():
        if all(getattr(known, look, None) == getattr(scorer, look, known) for look in looks):
            return str(name)
    name = getattr(getattr(scorer, "_score_func", None), "__name__", "score")
    return f"neg_{name}" if getattr(scorer, "_sign", 1) < 0 else str(name)


def _first(call: Call) -> Any:
    if len(call.args) > 1:
        return call.args[1]
    return next(iter(call.kwargs.values()), None)
