"""XGBoost: every `xgboost.train`, `xgboost.cv` and `XGBClassifier.fit` (and its siblings) is one run.

    import autotrack
    autotrack.enable("xgboost")          # before or after `import xgboost`, and `from xgboost import train` is covered

    booster = xgboost.train({"max_depth": 3}, train, 100, evals=[(train, "train"), (test, "test")])

What a run holds:

* **params**: what was given to `train` or `cv` with `num_boost_round` and `early_stopping_rounds`, or `get_params()` of
  the estimator; and what XGBoost made of `objective`, `booster`, `tree_method`, `device` and `updater` where they were
  left open;
* **metrics**: one series for each evaluation set and metric, `test/rmse` or `validation_0/logloss`, equal to
  `evals_result` with the round as the step. `cv` gives `test/rmse` (the mean) and `test/rmse-std`, equal to its table.
  Early stopping adds `best_iteration` and `best_score`, at that round;
* **datasets**: what was passed to `fit` or to `DMatrix`, in the roles `train` and `validation`;
* **the model** in XGBoost's own UBJSON, with `best_iteration`: `run.load_model()` gives the booster or the estimator
  back, `xgboost.Booster(model_file=…)` and `XGBClassifier().load_model(…)` read the file. `AUTOTRACK_MODELS=best` keeps
  the rounds up to the best one instead, `all` both, `off` none;
* **`feature_importance.json`**: the gain of each feature that a tree uses (of `gblinear`, the weights).

A training inside another, such as the folds of a search or a step of a pipeline, is part of that one's run. In a
distributed training the first worker records. A loop of `Booster.update` is not recorded: there is no call to span.

Without `enable()`, a callback records the trainings that it is passed to, in the same way:

    from autotrack_xgboost import AutotrackCallback

    xgboost.train(params, train, callbacks=[AutotrackCallback(name="baseline")])
    XGBClassifier(callbacks=[AutotrackCallback()]).fit(X, y)

`AutotrackCallback(run=run)` records into a run of your own. With `enable()` as well, everything is recorded once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from autotrack.plugin import Demo, Integration, ModelFormat, hookimpl

if TYPE_CHECKING:
    from autotrack_xgboost.callback import AutotrackCallback

XGBOOST = Integration(
    name="xgboost",
    module="xgboost",
    install="autotrack_xgboost.hooks:install",
    requires=("xgboost>=2.0", "xgboost-cpu>=2.0"),
)


@hookimpl
def autotrack_register_integrations(register: Callable[[Integration], None]) -> None:
    """Register this integration."""
    register(XGBOOST)


@hookimpl
def autotrack_register_formats(register: Callable[[ModelFormat], None]) -> None:
    """Register how boosters and estimators are saved and read."""
    register(
        ModelFormat(
            package="xgboost",
            save="autotrack_xgboost.model:save",
            load="autotrack_xgboost.model:load",
            formats=("ubj",),
        )
    )


@hookimpl
def autotrack_register_demos(register: Callable[[Demo], None]) -> None:
    """Offer trainings to `autotrack demo`."""
    register(Demo("autotrack_xgboost.demo:trainings", needs=("xgboost", "scikit-learn")))


def __getattr__(name: str) -> Any:
    # The callback derives from a class of xgboost, which must not be imported before the user does it.
    if name == "AutotrackCallback":
        from autotrack_xgboost.callback import AutotrackCallback

        return AutotrackCallback
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["XGBOOST", "AutotrackCallback", "autotrack_register_integrations"]
