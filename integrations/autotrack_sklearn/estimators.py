"""Looking at estimators without changing them: what makes a run, and their params by readable names."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from autotrack.plugin import declared, log_defaults

TRAINED = frozenset(
    {"classifier", "regressor", "clusterer", "outlier_detector", "density_estimator", "DensityEstimator"}
)
"""Kinds of estimators whose fit makes a run."""


def makes_run(estimator: Any) -> bool:
    """Whether a fit of `estimator` is a training: it predicts, clusters, or searches for something."""
    return is_search(estimator) or kind(estimator) in TRAINED


def kind(estimator: Any) -> str | None:
    """scikit-learn's own word for what an estimator is; for a pipeline that of its last step."""
    try:
        from sklearn.utils import get_tags
    except ImportError:  # before 1.6
        return getattr(estimator, "_estimator_type", None)
    try:
        found = get_tags(estimator).estimator_type
    except Exception:  # tags of third-party estimators, or of a pipeline whose last step has none
        found = getattr(estimator, "_estimator_type", None)
    return found if isinstance(found, str) else None


def is_search(estimator: Any) -> bool:
    """Whether it is a grid, randomised or halving search."""
    return _is_a(estimator, "sklearn.model_selection._search", "BaseSearchCV")


def is_pipeline(estimator: Any) -> bool:
    """Whether it is a pipeline, of scikit-learn or derived from one, as imbalanced-learn's."""
    return _is_a(estimator, "sklearn.pipeline", "Pipeline")


def is_forest(estimator: Any) -> bool:
    """Whether it is a random forest or one of extremely randomised trees."""
    return _is_a(estimator, "sklearn.ensemble._forest", "BaseForest")


def is_estimator(value: Any) -> bool:
    """Whether it has params and can be fitted; a class is none."""
    return not isinstance(value, type) and hasattr(value, "get_params") and hasattr(value, "fit")


def params(estimator: Any) -> dict[str, Any]:
    """All params, `step__name` for nested ones, with an estimator shown by the name of its class."""
    return {key: named(value) for key, value in estimator.get_params(deep=True).items()}


def log_params(run: Any, estimator: Any) -> None:
    """Record all params, and which of them are the defaults of their classes."""
    held = estimator.get_params(deep=True)
    run.log_params({key: named(value) for key, value in held.items()})
    log_defaults(run, held, defaults(estimator, held))


def defaults(estimator: Any, held: Mapping[str, Any]) -> dict[str, Any]:
    """The default of each param of the estimator and of all inside it, as its class declares it.

    `held` are those params.
    """
    owners = {"": estimator, **{f"{key}__": value for key, value in held.items() if is_estimator(value)}}
    return {
        f"{prefix}{name}": default
        for prefix, owner in owners.items()
        for name, default in declared(type(owner)).items()
    }


def named(value: Any) -> Any:
    """`value` with every estimator in it replaced by the name of its class; what holds none is given back itself."""
    if is_estimator(value):
        return _ClassName(type(value).__name__)
    if isinstance(value, Mapping):
        return {key: named(item) for key, item in value.items()}
    if type(value) in (list, tuple) and len(value) <= 1000:
        inner = [named(item) for item in value]
        if any(new is not old for new, old in zip(inner, value, strict=True)):
            return inner if type(value) is list else tuple(inner)
    return value


def innermost(estimator: Any) -> Any:
    """The estimator that has learnt: a search's best one, a pipeline's last step, a target transformer's regressor."""
    for _ in range(8):
        if is_search(estimator):
            inner = vars(estimator).get("best_estimator_")
        elif is_pipeline(estimator):
            inner = estimator.steps[-1][1] if estimator.steps else None
        else:
            inner = vars(estimator).get("regressor_")
        if not is_estimator(inner):
            return estimator
        estimator = inner
    return estimator


class _ClassName(str):
    """A class name that shows in the repr of a list as it is, without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _is_a(estimator: Any, module: str, name: str) -> bool:
    # An estimator of that class can only exist once its module has been imported.
    found = getattr(sys.modules.get(module), name, None)
    return found is not None and isinstance(estimator, found)
