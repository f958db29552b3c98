"""Which estimators belong to a run that has trained one: the model, and what has learnt inside it."""

from __future__ import annotations

from typing import Any

from autotrack.plugin import predicted, remember
from autotrack_sklearn import methods
from autotrack_sklearn.estimators import innermost, is_estimator, is_search


def own(model: Any, run: Any) -> None:
    """From now on what is measured on `model`, or on the estimator that has learnt inside it, belongs to `run`."""
    if not is_estimator(model):  # of another library, which told that it was trained
        return
    inner = innermost(model)
    inside = [vars(model).get("best_estimator_")] if is_search(model) else []
    for estimator in {id(one): one for one in (model, inner, *inside) if is_estimator(one)}.values():
        remember(estimator, run)
        methods.watch(type(estimator))
    labels = vars(inner).get("labels_")  # what `fit_predict` returns
    if labels is not None:
        predicted(labels, run)
