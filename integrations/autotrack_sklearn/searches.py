"""The candidates of a search: a table, and when asked a child run for each of the best."""

from __future__ import annotations

from typing import Any

import autotrack_sklearn
from autotrack.plugin import open_child
from autotrack_sklearn.estimators import named
from autotrack_sklearn.fitted import table

MOST_ROWS = 100_000


def log_candidates(run: Any, search: Any) -> None:
    """Record `cv_results_` as `cv_results.csv`, in scikit-learn's own order, and the children."""
    results = vars(search).get("cv_results_")
    if not results:
        return
    count = len(results["params"])
    columns = {key: [_plain(value) for value in list(values)[:MOST_ROWS]] for key, values in results.items()}
    run.log_artifact(table(columns, zip(*columns.values(), strict=True)), "cv_results.csv")
    if count > MOST_ROWS:
        run.note("cv_results.csv", f"only the first {MOST_ROWS} candidates are in it", count - MOST_ROWS)
    ranks = results.get(_rank_key(search, results))
    order = range(count) if ranks is None else sorted(range(count), key=lambda index: ranks[index])
    for index in list(order)[: autotrack_sklearn.chosen.max_children]:
        _log_child(run, search, results, index)


def _log_child(run: Any, search: Any, results: Any, index: int) -> None:
    name = f"{type(search.estimator).__name__} candidate {index}"
    child = open_child(run, name, "sklearn")
    child.log_params(named(results["params"][index]))
    single: dict[str, Any] = {}
    folds: dict[int, dict[str, float]] = {}
    for key, values in results.items():
        if key == "params" or key.startswith("param_"):
            continue
        fold, _, measure = key.removeprefix("split").partition("_")
        if key.startswith("split") and fold.isdigit():
            folds.setdefault(int(fold), {})[measure] = float(values[index])
        else:
            single[key] = float(values[index])
    for fold_number in sorted(folds):
        child.log_metrics(folds[fold_number], step=fold_number)
    child.log_metrics(single, step=0)
    child.end("finished")


def _rank_key(search: Any, results: Any) -> str:
    chosen = f"rank_test_{search.refit}" if isinstance(search.refit, str) else "rank_test_score"
    return chosen if chosen in results else next((key for key in results if key.startswith("rank_")), "")


def _plain(value: Any) -> Any:
    if getattr(value, "mask", None) is not None:  # masked: this candidate does not have that param
        return ""
    return named(value)
