"""CatBoost: every `fit` of `CatBoost` and its classes, every `catboost.train` and `catboost.cv` is one run.

    import autotrack
    autotrack.enable("catboost")         # before or after `import catboost`, and `from catboost import cv` is covered

    model = CatBoostClassifier(iterations=200).fit(X, y, eval_set=(X_test, y_test))

What a run holds:

* **params**: `get_params()` of the model, what `fit` was given beside the data, and what CatBoost made of
  `loss_function`, `learning_rate`, `depth` and others where they were left open;
* **metrics**: one series for each data set and metric, `learn/RMSE` or `validation/RMSE`, equal to `get_evals_result()`
  with the iteration as the step. `cv` gives `test/RMSE` (the mean) and `test/RMSE-std`, equal to its table.
  With an `eval_set`, `best_iteration` and `best_score` come at that iteration;
* **datasets**: what was passed to `fit` or to `Pool`, in the roles `train` and `validation`;
* **the model** in CatBoost's own `cbm`: `run.load_model()` and `load_model(path)` of its class read it.
  `AUTOTRACK_MODELS=best` keeps the trees up to the best iteration instead, `all` both, `off` none;
* **`feature_importance.json`**: the importance of each feature, where CatBoost has it at hand.

`grid_search`, `randomized_search` and `select_features` are one run each, with the params or features that were found.
A training inside another, such as the folds of a search or a step of a pipeline, is part of that one's run.

The series are read when the training has ended. CatBoost can call a callback after each iteration, but it hands that a
copy of all evaluations so far: with 4000 quick iterations this made the training twenty times slower, even where the
callback does nothing. Whoever wants to watch the series grow asks for it:

    from autotrack_catboost import AutotrackCallback

    model.fit(X, y, eval_set=(X_test, y_test), callbacks=[AutotrackCallback(name="baseline")])

That also records without `enable()`; with it, everything is recorded once. `AutotrackCallback(run=run)` records into a
run of your own. Where a training without it is ended by an exception or Ctrl-C, its series are taken from the files
that CatBoost writes to `train_dir`, which have ten digits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from autotrack.plugin import Integration, ModelFormat, hookimpl

if TYPE_CHECKING:
    from autotrack_catboost.callback import AutotrackCallback

CATBOOST = Integration(
    name="catboost",
    module="catboost",
    install="autotrack_catboost.hooks:install",
    requires=("catboost>=1.2",),
)


@hookimpl
def autotrack_register_integrations(register: Callable[[Integration], None]) -> None:
    """Register this integration."""
    register(CATBOOST)


@hookimpl
def autotrack_register_formats(register: Callable[[ModelFormat], None]) -> None:
    """Register how models are saved and read."""
    register(
        ModelFormat(
            package="catboost",
            save="autotrack_catboost.model:save",
            load="autotrack_catboost.model:load",
            formats=("cbm",),
        )
    )


def __getattr__(name: str) -> Any:
    if name == "AutotrackCallback":
        from autotrack_catboost.callback import AutotrackCallback

        return AutotrackCallback
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["CATBOOST", "AutotrackCallback", "autotrack_register_formats", "autotrack_register_integrations"]
