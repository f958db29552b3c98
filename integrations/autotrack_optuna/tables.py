"""What a study tells of itself: how it searches, its trials as a table, and the best of them."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from autotrack.plugin import plain

MOST_ROWS = 100_000

_METRIC_NAMES = "study:metric_names"
_PLAIN = (bool, int, float, str)


def value_names(study: Any) -> list[str]:
    """The names of the series of a study's values: `value`, or `value/…` with a name or number for each objective."""
    names = study._storage.get_study_system_attrs(study._study_id).get(_METRIC_NAMES)
    if names:
        return [f"value/{name}" for name in names]
    count = len(study.directions)
    return ["value"] if count == 1 else [f"value/{index}" for index in range(count)]


def configuration(role: str, part: Any) -> dict[str, Any]:
    """A sampler or a pruner as params: its class, and those of its options that are plain values."""
    params: dict[str, Any] = {role: type(part).__name__}
    for name, value in getattr(part, "__dict__", {}).items():
        if type(value) in _PLAIN:
            params[f"{role}.{name.lstrip('_')}"] = value
    return params


def is_feasible(trial: Any) -> bool:
    """Whether a trial keeps the constraints of its study, if it has any."""
    constraints: list[float] = []
    for key, value in trial.system_attrs.items():
        if key == "constraints" or key.startswith("constraints:"):  # all of them, or one of a name
            constraints += value if isinstance(value, list | tuple) else [value]
    return not any(value > 0 for value in constraints)


def best(study: Any) -> dict[str, Any]:
    """The best trial and its params; of several objectives, the numbers of the trials on the Pareto front."""
    if len(study.directions) > 1:
        return {"best_trials": sorted(trial.number for trial in study.best_trials)}
    try:
        trial = study.best_trial
    except ValueError:  # none is complete, or none keeps the constraints
        return {}
    return {"best_trial": trial.number, **{f"best_params.{name}": value for name, value in trial.params.items()}}


def log_trials(run: Any, study: Any) -> None:
    """Keep the trials of a study as a table, and of several objectives the best ones as another."""
    trials = study.get_trials(deepcopy=False)
    run.log_artifact(_table(trials[:MOST_ROWS], study), "trials.csv")
    if len(trials) > MOST_ROWS:
        run.note("trials.csv", f"only the first {MOST_ROWS} trials are in it", len(trials) - MOST_ROWS)
    if len(study.directions) > 1:
        run.log_artifact(_table(sorted(study.best_trials, key=lambda it: it.number), study), "best_trials.csv")


def _table(trials: list[Any], study: Any) -> bytes:
    names = value_names(study)
    params = sorted({name for trial in trials for name in trial.params})
    attributes = sorted({name for trial in trials for name in trial.user_attrs})
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["number", "state", *names, "started_at", "ended_at"]
        + [f"params.{name}" for name in params]
        + [f"user_attrs.{name}" for name in attributes]
    )
    for trial in trials:
        values = list(trial.values or []) + [None] * len(names)
        told = plain(trial.user_attrs)
        row = [trial.number, trial.state.name, *values[: len(names)], trial.datetime_start, trial.datetime_complete]
        row += [trial.params.get(name) for name in params]
        row += [_cell(told.get(name)) for name in attributes]
        writer.writerow(row)
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    return value if value is None or type(value) in _PLAIN else json.dumps(value)
