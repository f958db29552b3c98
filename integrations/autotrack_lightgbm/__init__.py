"""LightGBM: every `lightgbm.train`, `lightgbm.cv` and `LGBMClassifier.fit` (and its siblings) is one run.

    import autotrack
    autotrack.enable("lightgbm")         # before or after `import lightgbm`; `from lightgbm import train` is covered

    booster = lightgbm.train({"num_leaves": 15}, train, 100, valid_sets=[train, test], valid_names=["train", "test"])

What a run holds:

* **params**: what was given to `train` or `cv` with `num_boost_round`, or `get_params()` of the estimator, with the
  rounds of `early_stopping`; and what LightGBM made of `objective`, `boosting`, `metric`, `learning_rate`, `num_leaves`
  and a few others where they were left open;
* **metrics**: one series for each evaluation set and metric, `test/l2` or `valid_0/auc`, equal to what
  `record_evaluation` gives, with the round as the step. `cv` gives `valid/l2` (the mean) and `valid/l2-std`. Early
  stopping adds `best_iteration`, which LightGBM counts from 1, and `best_score`, at that round;
* **datasets**: what was passed to `fit` or to `Dataset`, in the roles `train` and `validation`. It is looked at before
  LightGBM frees it;
* **the model** in LightGBM's own text format: `run.load_model()` gives a `Booster` that predicts the same, and
  `lightgbm.Booster(model_file=…)` reads the file. `AUTOTRACK_MODELS=best` keeps the rounds up to the best one instead,
  `all` both, `off` none;
* **`feature_importance.json`**: the gain of each feature, and how often it was split on.

A training inside another, such as the folds of a search or a step of a pipeline, is part of that one's run. A loop of
`Booster.update` is not recorded: there is no call to span.

Without `enable()`, a callback records the trainings that it is passed to, in the same way:

    from autotrack_lightgbm import AutotrackCallback

    lightgbm.train(params, train, callbacks=[AutotrackCallback(name="baseline")])
    LGBMClassifier().fit(X, y, callbacks=[AutotrackCallback()])

`AutotrackCallback(run=run)` records into a run of your own. With `enable()` as well, everything is recorded once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from autotrack.plugin import Integration, ModelFormat, hookimpl

if TYPE_CHECKING:
    from autotrack_lightgbm.callback import AutotrackCallback

LIGHTGBM = Integration(
    name="lightgbm",
    module="lightgbm",
    install="autotrack_lightgbm.hooks:install",
    requires=("lightgbm>=4.0",),
)


@hookimpl
def autotrack_register_integrations(register: Callable[[Integration], None]) -> None:
    """Register this integration."""
    register(LIGHTGBM)


@hookimpl
def autotrack_register_formats(register: Callable[[ModelFormat], None]) -> None:
    """Register how boosters and estimators are saved and read."""
    register(
        ModelFormat(
            package="lightgbm",
            save="autotrack_lightgbm.model:save",
            load="autotrack_lightgbm.model:load",
            formats=("text",),
        )
    )


def __getattr__(name: str) -> Any:
    if name == "AutotrackCallback":
        from autotrack_lightgbm.callback import AutotrackCallback

        return AutotrackCallback
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["LIGHTGBM", "AutotrackCallback", "autotrack_register_formats", "autotrack_register_integrations"]
