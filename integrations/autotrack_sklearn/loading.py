"""Files of estimators that the user loads and saves, and estimators that a fit takes as they are, already fitted."""

from __future__ import annotations

import os
from collections.abc import Generator
from types import ModuleType
from typing import Any

from autotrack.plugin import Call, Installation, Outcome, builds_on, guarded, model_loaded, model_saved


def install(installation: Installation) -> None:
    """Watch the functions of joblib and skops that read and write files, once those are imported."""

    def joblib(module: ModuleType) -> None:
        installation.observe_code(module.load, watch_load)
        installation.observe_code(module.dump, watch_dump)

    def skops(module: ModuleType) -> None:
        installation.observe_code(module.load, watch_load)
        installation.observe_code(module.dump, watch_dump)

    installation.when_imported("joblib.numpy_pickle", joblib)
    installation.when_imported("skops.io._persist", skops)


def watch_load(call: Call) -> Generator[None, Outcome, None]:
    """`joblib.load` and `skops.io.load`: of what they read, models alone are told."""
    outcome = yield
    if outcome.error is None:
        with guarded("sklearn"):
            given = call.named()
            path = _path(given.get("filename", given.get("file")))
            if path is not None and is_model(outcome.result):
                model_loaded(path, _name(call))


def watch_dump(call: Call) -> Generator[None, Outcome, None]:
    """`joblib.dump` and `skops.io.dump`."""
    outcome = yield
    if outcome.error is None:
        with guarded("sklearn"):
            given = call.named()
            path, model = _path(given.get("filename", given.get("file"))), given.get("value", given.get("obj"))
            if path is not None and is_model(model):
                model_saved(path, _name(call), model)


def is_model(value: Any) -> bool:
    """Whether `value` can be fitted, as an estimator of any library can."""
    return not isinstance(value, type) and callable(getattr(value, "fit", None))


def built_on(run: Any, estimator: Any) -> None:
    """Tell which fitted estimators the fit that begins takes as they are."""
    for one in (estimator, *_inside(estimator)):
        frozen = type(one).__name__ == "FrozenEstimator"
        if frozen or getattr(one, "prefit", None) is True or getattr(one, "cv", None) == "prefit":
            held = [getattr(one, "estimator", None), *(pair[-1] for pair in getattr(one, "estimators", None) or ())]
            for inner in held:
                builds_on(run, inner, type(one).__name__)


def _inside(estimator: Any) -> list[Any]:
    """The estimators that another holds; without looking into what surely holds none."""
    if not {"estimator", "estimators", "steps", "transformers", "final_estimator"} & set(vars(estimator)):
        return []
    return [value for value in estimator.get_params(deep=True).values() if hasattr(value, "get_params")]


def _name(call: Call) -> str:
    return f"{call.function.__module__.partition('.')[0]}.{call.function.__name__}"


def _path(file: Any) -> str | os.PathLike[str] | None:
    if isinstance(file, str | os.PathLike):
        return file
    name = getattr(file, "name", None)
    return name if isinstance(name, str) else None
