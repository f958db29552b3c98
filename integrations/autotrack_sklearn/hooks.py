"""Where scikit-learn is observed: one global that every fit looks up, and functions where they are defined.

No class of the user's is touched. Modules of scikit-learn that the user has not imported are not imported for this:
their places are observed once they are there.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import partial
from types import CodeType, ModuleType
from typing import Any

from autotrack.plugin import Installation, guarded
from autotrack_sklearn import folds, loading, methods, models, scores, threads, trainings


def install(installation: Installation) -> None:
    """Place every observer."""
    loading.install(installation)
    places: dict[str, Callable[[Installation, ModuleType], None]] = {
        "sklearn.utils.parallel": _parallel,
        "sklearn.metrics": _metrics,
        "sklearn.model_selection": _model_selection,
        "sklearn.inspection": _inspection,
    }
    # `import sklearn` itself imports `sklearn.base`, so the package is not whole yet.
    base: Any = sys.modules["sklearn.base"]
    if "callback_management_context" in _names(base._fit_context.__code__):
        # 1.9 and later: each decorated fit imports this name at every call.
        places["sklearn.callback._callback_support"] = _context
    else:
        # Before: this global is looked up at every call, by the same decorator.
        installation.observe_context(base, "config_context", trainings.watch_fit)
    installation.observe(base.BaseEstimator, "_validate_params", trainings.watch_validation)
    methods.place_with(installation, predict=scores.watch_predict, score=scores.watch_score)
    installation.when_trained(models.own)
    for name, place in places.items():
        installation.when_imported(name, partial(place, installation))


def _context(installation: Installation, module: Any) -> None:
    installation.observe_context(module, "callback_management_context", trainings.watch_fit)


def _parallel(installation: Installation, module: Any) -> None:
    installation.observe(module, "get_config", threads.watch_config)
    installation.observe(module._FuncWrapper, "__call__", threads.watch_task)


def _metrics(installation: Installation, module: Any) -> None:
    for name in module.__all__:
        function = getattr(module, name, None)
        if inspect.isfunction(function):
            _observe_inner(installation, function, scores.watch_metric)
    with guarded("sklearn"):
        installation.observe(module._scorer._BaseScorer, "__call__", scores.watch_scorer)


def _model_selection(installation: Installation, module: Any) -> None:
    for name in folds.FUNCTIONS:
        if not _observe_inner(installation, getattr(module, name, None), folds.watch):
            # Not decorated before 1.4: names that were imported from here before this are not seen.
            for place in (module, module._validation):
                installation.observe(place, name, folds.watch)


def _inspection(installation: Installation, module: Any) -> None:
    for name in ("permutation_importance", "partial_dependence"):
        _observe_inner(installation, getattr(module, name, None), scores.watch_inspection)


def _observe_inner(installation: Installation, function: Any, observer: Any) -> bool:
    """Observe a function inside its decorator; whether it has that decorator."""
    # `validate_params` closes over the function that it checks: every name for it, old or new, calls through that cell.
    try:
        installation.observe_cell(function, "func", observer)
    except LookupError:
        return False
    return True


def _names(code: CodeType) -> set[str]:
    """Every name that a function uses, in the functions inside it too."""
    found = set(code.co_names)
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            found |= _names(inner)
    return found
