"""transformers: every `Trainer.train()` is one run, of TRL's trainers and of any other subclass too.

    import autotrack
    autotrack.enable("transformers")     # before or after `import transformers`, and before or after `Trainer(…)`

    trainer = Trainer(model, args, train_dataset=train, eval_dataset=test)
    trainer.train()
    trainer.evaluate()                   # the same run

What a run holds:

* **params**: the training arguments that differ from their defaults, and the main ones in any case; what the trainer
  made of them (`max_steps`, `train_batch_size`, `total_train_batch_size`); class, type, size and number of parameters
  of the model as `model.…`, and the configuration of PEFT's adapters as `peft.…`;
* **`training_args.json`**, **`model_config.json`**, **`peft_config.json`**: the same in full, secrets masked;
* **metrics**: what the trainer logs, under its names and with its steps, so that each series equals
  `state.log_history`; what `predict` measures (`test_…`); `best_metric` at the step of the best checkpoint;
* **datasets**: `train_dataset`, `eval_dataset` (of several, each by its name) and those given to `evaluate` and
  `predict`, as they were passed;
* **the model** after training, which is the best one with `load_best_model_at_end`; of a PEFT model the adapter.
  `AUTOTRACK_MODELS=best` keeps the weights of the best checkpoint instead, `all` those of every checkpoint, `off` none.

A training that resumes from a checkpoint, in the same process or in another, goes on with the run that saved it.
`hyperparameter_search` is one run with a child for each trial. In a distributed training the first process records.
`autotrack run train.py` records a script that does not know autotrack; a variable alone cannot, since transformers asks
no entry point.

Without `enable()`, a callback records the trainer that it is passed to, in the same way:

    from autotrack_transformers import AutotrackCallback

    Trainer(model, args, train_dataset=train, callbacks=[AutotrackCallback(name="baseline")]).train()

`AutotrackCallback(run=run)` records into a run of your own. `TrainingArguments(report_to="autotrack")` asks for the
same by name, once `autotrack_transformers` has been imported or autotrack enabled. All together record once. A backend
that the trainer's own `report_to` feeds, such as MLflow, does not get the run from autotrack a second time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from autotrack.plugin import Integration, hookimpl, observe_for_callback

if TYPE_CHECKING:
    from autotrack_transformers.callback import AutotrackCallback

TRANSFORMERS = Integration(
    name="transformers",
    module="transformers.trainer",
    install="autotrack_transformers.hooks:install",
    requires=("transformers>=4.41",),
)

REPORT_TO = Integration(
    name="transformers report_to",
    module="transformers.integrations.integration_utils",
    install="autotrack_transformers.reporting:install",
)
"""The one word that this module adds by being imported: `report_to="autotrack"`. It observes nothing."""


@hookimpl
def autotrack_register_integrations(register: Callable[[Integration], None]) -> None:
    """Register this integration."""
    register(TRANSFORMERS)


def __getattr__(name: str) -> Any:
    # The callback derives from a class of transformers, which must not be imported before the user does it.
    if name == "AutotrackCallback":
        from autotrack_transformers.callback import AutotrackCallback

        return AutotrackCallback
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


observe_for_callback(REPORT_TO)

__all__ = ["REPORT_TO", "TRANSFORMERS", "AutotrackCallback", "autotrack_register_integrations"]
