"""`cross_validate` and its like: one run, in which each fold, size or value is a step."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

from autotrack.plugin import Call, Outcome, begin_leaf, guarded, is_silent, predicted
from autotrack_sklearn import models
from autotrack_sklearn.arguments import DATA, bind, log_arguments
from autotrack_sklearn.estimators import is_estimator, named, params
from autotrack_sklearn.fitted import table

FUNCTIONS = (
    "cross_validate",
    "cross_val_score",
    "cross_val_predict",
    "learning_curve",
    "validation_curve",
    "permutation_test_score",
)

_UNTOLD = frozenset({*DATA, "estimator", "params", "fit_params", "n_jobs", "verbose", "pre_dispatch"})


def watch(call: Call) -> Generator[None, Outcome, None]:
    """Record one call of one of `FUNCTIONS`."""
    if is_silent():
        return
    function = call.function.__name__
    arguments = bind(call.function, call.args, call.kwargs)
    estimator = arguments.get("estimator")
    leaf = begin_leaf("sklearn", name=f"{function} {type(estimator).__name__}")
    if leaf is None:
        return
    run = leaf.run
    with leaf:
        with guarded("sklearn"):
            given = {name: named(value) for name, value in arguments.items() if name not in _UNTOLD}
            inner = params(estimator) if is_estimator(estimator) else {}
            run.log_params(
                {
                    "function": function,
                    "estimator": type(estimator).__name__,
                    **{f"estimator__{name}": value for name, value in inner.items()},
                    **{name: value for name, value in given.items() if value is not None},
                }
            )
        with guarded("sklearn"):
            routed = arguments.get("params") or arguments.get("fit_params") or {}
            data = {name: arguments[name] for name in DATA if name in arguments}
            log_arguments(run, {**data, **routed})
        leaf.outcome = yield
        if leaf.outcome.error is None:
            with guarded("sklearn"):
                _RESULTS[function](run, leaf.outcome.result, arguments)


def _cross_validate(run: Any, result: Mapping[str, Any], arguments: Mapping[str, Any]) -> None:
    _log_folds(run, {key: values for key, values in result.items() if key not in ("estimator", "indices")})
    for estimator in result.get("estimator", ()):
        models.own(estimator, run)


def _cross_val_score(run: Any, result: Any, arguments: Mapping[str, Any]) -> None:
    _log_folds(run, {"test_score": result})


def _cross_val_predict(run: Any, result: Any, arguments: Mapping[str, Any]) -> None:
    predicted(result, run)


def _learning_curve(run: Any, result: Any, arguments: Mapping[str, Any]) -> None:
    sizes, *scores = result
    keys = ("train_score", "test_score", "fit_time", "score_time")
    _log_ticks(run, "train_size", sizes.tolist(), dict(zip(keys, scores, strict=False)), sizes.tolist())


def _validation_curve(run: Any, result: Any, arguments: Mapping[str, Any]) -> None:
    values = list(arguments.get("param_range", ()))
    keys = ("train_score", "test_score")
    steps = list(range(len(result[0])))
    _log_ticks(run, str(arguments.get("param_name")), values, dict(zip(keys, result, strict=True)), steps)


def _permutation_test_score(run: Any, result: Any, arguments: Mapping[str, Any]) -> None:
    score, permuted, pvalue = result
    run.log_metrics({"score": float(score), "pvalue": float(pvalue)}, step=0)
    for step, value in enumerate(permuted):
        run.log_metrics({"permutation_score": float(value)}, step=step)


_RESULTS = {
    "cross_validate": _cross_validate,
    "cross_val_score": _cross_val_score,
    "cross_val_predict": _cross_val_predict,
    "learning_curve": _learning_curve,
    "validation_curve": _validation_curve,
    "permutation_test_score": _permutation_test_score,
}


def _log_folds(run: Any, series: Mapping[str, Any]) -> None:
    count = min((len(values) for values in series.values()), default=0)
    for fold in range(count):
        run.log_metrics({key: float(values[fold]) for key, values in series.items()}, step=fold)
    summary: dict[str, float] = {}
    for key, values in series.items():
        summary[f"mean_{key}"] = float(values.mean())
        summary[f"std_{key}"] = float(values.std())
    run.log_metrics(summary, step=0)


def _log_ticks(run: Any, axis: str, values: list[Any], scores: Mapping[str, Any], steps: list[int]) -> None:
    """A curve: mean and deviation over the folds at each step, and every fold in `<axis>` order as a table."""
    for index, step in enumerate(steps):
        points: dict[str, float] = {}
        for key, found in scores.items():
            points[f"mean_{key}"] = float(found[index].mean())
            points[f"std_{key}"] = float(found[index].std())
        run.log_metrics(points, step=step)
    rows = (
        [value, key, fold, float(score)]
        for key, found in scores.items()
        for value, row in zip(values, found, strict=False)
        for fold, score in enumerate(row)
    )
    run.log_artifact(table([axis, "measure", "fold", "value"], rows), "curve.csv")
