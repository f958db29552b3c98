"""What a fitted estimator tells: results, loss curves, importances, and its weights. Only looked at, never changed."""

from __future__ import annotations

import csv
import io
import numbers
from collections.abc import Iterable, Sequence
from typing import Any

from autotrack.plugin import guarded, settings
from autotrack_sklearn.estimators import innermost, is_forest, is_pipeline, is_search, named

MOST_CLASSES = 100
MOST_WEIGHTS = 100_000
"""Importances beyond this many are left out, with a note."""

PARAMS = ("n_features_in_", "n_outputs_", "n_iter_", "best_index_", "n_splits_", "n_candidates_", "best_iteration_")
METRICS = (
    "best_score_", "oob_score_", "loss_", "best_loss_", "best_validation_score_", "inertia_", "lower_bound_",
    "reconstruction_err_", "log_marginal_likelihood_value_",
)  # fmt: skip
CURVES = (
    "loss_curve_", "validation_scores_", "train_score_", "validation_score_", "oob_scores_", "oob_improvement_",
    "lower_bounds_",
)  # fmt: skip
"""Fitted attributes that are params, metrics and series, under scikit-learn's own names."""


def log_results(run: Any, estimator: Any) -> None:
    """Record what is single: sizes, classes, iterations, best params and scores."""
    inner = innermost(estimator)
    with guarded("sklearn"):
        found: dict[str, Any] = {}
        for name in PARAMS:
            value = _single(_read(estimator, inner, name))
            if value is not None:
                found[name] = value
        classes = _read(estimator, inner, "classes_")
        if hasattr(classes, "tolist"):
            listed = classes.tolist()
            found["classes_"] = listed if len(listed) <= MOST_CLASSES else f"{len(listed)} classes"
        best = vars(estimator).get("best_params_")
        if best:
            found["best_params"] = named(best)
        if found:
            run.log_params(found)
    with guarded("sklearn"):
        metrics = {name: _single(_read(estimator, inner, name)) for name in METRICS}
        numbers_only = {name: value for name, value in metrics.items() if isinstance(value, numbers.Real)}
        if numbers_only:
            run.log_metrics(numbers_only, step=0)


def log_curves(run: Any, estimator: Any, logged: dict[str, int] | None = None) -> None:
    """Record loss curves with step = iteration, from the point that was `logged` last where the training goes on."""
    counts = {} if logged is None else logged
    points: dict[int, dict[str, float]] = {}
    for name in CURVES:
        values = _get(estimator, name)
        if values is None or isinstance(values, str) or not hasattr(values, "__len__"):
            continue
        start = counts.get(name, 0)
        if len(values) < start:  # it began anew
            start = 0
        for step in range(start, len(values)):
            if isinstance(values[step], numbers.Real):
                points.setdefault(step, {})[name] = float(values[step])
        counts[name] = len(values)
    for step in sorted(points):
        run.log_metrics(points[step], step=step)


def log_importances(run: Any, estimator: Any, inner: Any) -> None:
    """Keep `feature_importances_` or `coef_` as `feature_importances.csv`: a row for each feature."""
    values = _forest_importances(inner) if is_forest(inner) else _get(inner, "feature_importances_")
    headers = ["importance"]
    if values is None:
        values = _get(inner, "coef_")
        if values is None:
            return
        if hasattr(values, "toarray"):
            values = values.toarray()
        headers = ["coefficient"]
    shape = getattr(values, "shape", None)
    if not shape or len(shape) > 2 or not shape[-1]:
        return
    if values.size > MOST_WEIGHTS:
        run.note("feature_importances.csv", f"more than {MOST_WEIGHTS} values", int(values.size))
        return
    columns = [values.tolist()] if len(shape) == 1 else values.tolist()
    if len(columns) > 1:
        headers = [f"{headers[0]}_{label}" for label in _labels(inner, len(columns))]
    names = feature_names(estimator, inner, shape[-1])
    run.log_artifact(table(["feature", *headers], zip(names, *columns, strict=True)), "feature_importances.csv")


def keep(run: Any, estimator: Any, step: int | None = None) -> None:
    """Keep the fitted model; of a search the estimator that it refitted."""
    if not keeps_models():
        return
    if is_search(estimator):
        estimator = vars(estimator).get("best_estimator_")
        if estimator is None:
            run.note("model", "the search has refit=False and no best estimator")
            return
    run.log_model(estimator, "model", step=step)


def keeps_models() -> bool:
    """Whether `AUTOTRACK_MODELS` asks for weights."""
    return settings().models != "off"


def feature_names(estimator: Any, inner: Any, count: int) -> Sequence[str]:
    """Names of the `count` features that `inner` was given, `x0` and so on where nobody knows them."""
    found = _get(inner, "feature_names_in_")
    if found is None and inner is not estimator:
        holder = vars(estimator).get("best_estimator_", estimator) if is_search(estimator) else estimator
        if is_pipeline(holder):
            try:
                found = holder[:-1].get_feature_names_out()
            except Exception:  # a step that cannot tell
                found = None
    if found is not None and len(found) == count:
        return [str(name) for name in found]
    return [f"x{index}" for index in range(count)]


def table(headers: Iterable[str], rows: Iterable[Iterable[Any]]) -> bytes:
    """A CSV file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(headers)
    writer.writerows(rows)
    return text.getvalue().encode()


def _forest_importances(forest: Any) -> Any:
    # The forest's own property starts threads for this, which takes 2 % of a fit; the sum over its trees is the same.
    import numpy

    trees = [tree.tree_ for tree in forest.estimators_]
    grown = [tree.compute_feature_importances() for tree in trees if tree.node_count > 1]
    if not grown:
        return numpy.zeros(forest.n_features_in_)
    mean = numpy.mean(grown, axis=0, dtype=numpy.float64)
    return mean / mean.sum()


def _labels(estimator: Any, count: int) -> list[str]:
    classes = _get(estimator, "classes_")
    if classes is not None and len(classes) == count:
        return [str(label) for label in classes]
    return [str(index) for index in range(count)]


def _read(estimator: Any, inner: Any, name: str) -> Any:
    value = _get(estimator, name)
    return value if value is not None or inner is estimator else _get(inner, name)


def _get(estimator: Any, name: str) -> Any:
    try:
        return getattr(estimator, name, None)
    except Exception:  # a property that raises for this configuration
        return None


def _single(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if hasattr(value, "tolist"):
        value = value.tolist()
        while isinstance(value, list) and len(value) == 1:
            value = value[0]
        return value if not isinstance(value, list) or len(value) <= MOST_CLASSES else None
    return value if isinstance(value, numbers.Real) else None
