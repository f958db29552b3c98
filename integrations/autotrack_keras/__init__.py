"""Keras: every `fit` is one run, on torch, JAX and TensorFlow, and `evaluate` adds to the run of its model.

    import autotrack
    autotrack.enable("keras")          # before or after `import keras`

    model.fit(x, y, epochs=10, validation_split=0.2)
    model.evaluate(x_test, y_test)

What a run holds:

* **params**: the arguments of `fit`, what `compile` was given (`optimizer`, `optimizer.learning_rate`, `loss`,
  `metrics`, `jit_compile`), `backend`, `dtype_policy`, the numbers of weights, and what `EarlyStopping` and
  `ModelCheckpoint` watch;
* **metrics**: each epoch's logs under Keras's own names, such as `loss` and `val_loss`, equal to `history.history` with
  the epoch as the step. `AUTOTRACK_BATCH_METRICS=n` adds `batch/loss` of every n-th step, counted over all epochs.
  `evaluate` adds `test/loss`. `EarlyStopping` adds `early_stopping/best`, `early_stopping/best_epoch` and
  `early_stopping/stopped_epoch`, `ModelCheckpoint` adds `model_checkpoint/best`;
* **datasets**: what was passed to `fit` and `evaluate`, in the roles `train`, `validation` and `test`: arrays, frames
  and `tf.data` with their fingerprint; `PyDataset`, `DataLoader` and generators as they pass, nothing is consumed;
* **the model** as `.keras`, with its optimizer's state: `run.load_model()` and `keras.saving.load_model` read it.
  `AUTOTRACK_MODELS=best` keeps the best file of a `ModelCheckpoint(save_best_only=True)` instead, `all` each file that
  it writes and the final model, `off` none;
* **`model.json`**: the architecture.

A training that goes on from a backup of `BackupAndRestore`, or with `initial_epoch` from a checkpoint that was loaded,
goes on with the run that wrote it. Loops of `train_on_batch` are not recorded: there is no call to span.

Without `enable()`, a callback records the trainings that it is passed to, in the same way:

    from autotrack_keras import AutotrackCallback

    model.fit(x, y, callbacks=[AutotrackCallback(name="baseline")])

`AutotrackCallback(run=run)` records into a run of your own. With `enable()` as well, everything is recorded once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from autotrack.plugin import Integration, ModelFormat, hookimpl
from autotrack_keras import data

if TYPE_CHECKING:
    from autotrack_keras.callback import AutotrackCallback

KERAS = Integration(
    name="keras",
    module="keras",
    install="autotrack_keras.hooks:install",
    requires=("keras>=3.5",),
)


@hookimpl
def autotrack_register_integrations(register: Callable[[Integration], None]) -> None:
    """Register this integration, and how Keras's datasets are described, whichever integrations are enabled."""
    register(KERAS)
    data.register()


@hookimpl
def autotrack_register_formats(register: Callable[[ModelFormat], None]) -> None:
    """Tell how Keras models are saved and read."""
    for package, save in (("keras", "save"), ("autotrack_keras", "save_file")):
        register(
            ModelFormat(
                package=package,
                save=f"autotrack_keras.weights:{save}",
                load="autotrack_keras.weights:load",
                formats=("keras",),
                needs=("keras",),
            )
        )


def __getattr__(name: str) -> Any:
    # The callback derives from a class of keras, which must not be imported before the user does it.
    if name == "AutotrackCallback":
        from autotrack_keras.callback import AutotrackCallback

        return AutotrackCallback
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["KERAS", "AutotrackCallback", "autotrack_register_formats", "autotrack_register_integrations"]
