"""accelerate: what a script tells `Accelerator.log` is one run, with or without trackers.

    import autotrack
    autotrack.enable("accelerate")            # before or after `import accelerate`

    accelerator = Accelerator()
    accelerator.init_trackers("project", config={"lr": 0.1})
    model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
    ...
    accelerator.log({"loss": loss}, step=step)
    accelerator.end_training()

What a run holds:

* **params**: the `config` of `init_trackers`; class and settings of the prepared optimizers, schedulers and models,
  where the config does not say otherwise; as `accelerate.…` the number of processes, the precision and the steps of
  accumulation;
* **metrics**: what is given to `Accelerator.log`, at the step that is given; without one, each series counts its own;
* **datasets**: those of the prepared loaders: the first is the training's, the others are validation;
* **the model** at `end_training`, as `AUTOTRACK_MODELS` says; with `all` also at each `save_state`.

The run begins with the first backward pass or `log` after `init_trackers`, so that `load_state` before it goes on with
the run that saved the state, in another process too. It ends with `end_training`, or with the process: `failed` with
the traceback where an exception ends that. The main process records. Inside a `Trainer` of transformers, accelerate is
a part of its run.

By name or as an object, without `enable()`:

    import autotrack_accelerate
    Accelerator(log_with="autotrack")                        # accelerate 1.15 and later

    from autotrack_accelerate import AutotrackTracker
    Accelerator(log_with=AutotrackTracker(name="baseline"))  # or AutotrackTracker(run=run), into a run of your own

`accelerator.get_tracker("autotrack", unwrap=True)` is then the run. With `enable()` as well, everything is recorded
once. A backend that another tracker of the accelerator feeds, such as MLflow, does not get the run a second time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from autotrack.plugin import Integration, hookimpl, observe_for_callback
from autotrack_accelerate import data

if TYPE_CHECKING:
    from autotrack_accelerate.tracker import AutotrackTracker

ACCELERATE = Integration(
    name="accelerate",
    module="accelerate.accelerator",
    install="autotrack_accelerate.hooks:install",
    requires=("accelerate>=1.0",),
)

LOG_WITH = Integration(
    name="accelerate log_with",
    module="accelerate.tracking",
    install="autotrack_accelerate.naming:install",
)
"""The one word that this module adds by being imported: `log_with="autotrack"`. It observes nothing."""


@hookimpl
def autotrack_register_integrations(register: Callable[[Integration], None]) -> None:
    """Register this integration, and how accelerate's datasets are described, whichever integrations are enabled."""
    register(ACCELERATE)
    data.register()


def __getattr__(name: str) -> Any:
    # The tracker derives from a class of accelerate, which must not be imported before the user does it.
    if name == "AutotrackTracker":
        from autotrack_accelerate.tracker import AutotrackTracker

        return AutotrackTracker
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


observe_for_callback(LOG_WITH)

__all__ = ["ACCELERATE", "LOG_WITH", "AutotrackTracker", "autotrack_register_integrations"]
