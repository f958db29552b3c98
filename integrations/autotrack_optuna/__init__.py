"""Optuna: a study is a run, and each of its trials a child of it.

    import autotrack
    autotrack.enable("optuna")          # before or after `import optuna`

    study = optuna.create_study(direction="maximize")
    study.optimize(objective, n_trials=50, n_jobs=2)

What the run of the study holds:

* **params**: `study_name`, `direction` (or `directions`), the storage, the sampler and the pruner with their options,
  the arguments of `optimize`, the `distributions` of the params; at the end `best_trial` and `best_params`, or, where
  there are several objectives, `best_trials`;
* **metrics**: with the trial's number as the step, `value` (of several objectives `value/0`, `value/1`, … or the names
  that `set_metric_names` gave) of each complete trial, and `best_value`, the best one so far;
* **`trials.csv`**: all trials of the study; for several objectives also `best_trials.csv`, the Pareto front.

And that of a trial, which is called `trial 3`: its params and their distributions as they are suggested, what it
reports as the series `intermediate_value`, its `value`, its user attributes as tags; and everything that is trained in
it, with any framework. It ends `finished`, `pruned`, or, whether `optimize` catches its error or not, `failed`.

A further `optimize` goes on with the run of its study. So do other processes that work on one study through a shared
storage. A study inside a trial is a child of the trial. Trials that are handled with `ask` and `tell` are not recorded:
there is no call to span.

Without `enable()`, a callback records the studies that it is passed to, in the same way:

    from autotrack_optuna import AutotrackCallback

    study.optimize(objective, n_trials=50, callbacks=[AutotrackCallback(name="search")])

`AutotrackCallback(run=run)` records into a run of your own. With `enable()` as well, everything is recorded once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from autotrack.plugin import Integration, hookimpl

if TYPE_CHECKING:
    from autotrack_optuna.callback import AutotrackCallback

OPTUNA = Integration(
    name="optuna",
    module="optuna",
    install="autotrack_optuna.hooks:install",
    requires=("optuna>=4.0",),
)


@hookimpl
def autotrack_register_integrations(register: Callable[[Integration], None]) -> None:
    """Register this integration."""
    register(OPTUNA)


def __getattr__(name: str) -> Any:
    # Loaded when it is asked for, as the callbacks of the other integrations are.
    if name == "AutotrackCallback":
        from autotrack_optuna.callback import AutotrackCallback

        return AutotrackCallback
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["OPTUNA", "AutotrackCallback", "autotrack_register_integrations"]
