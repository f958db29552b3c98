"""Lightning: all that a `Trainer` of `lightning.pytorch` or `pytorch_lightning` does is one run.

    import autotrack
    autotrack.enable("lightning")        # or AUTOTRACK_ENABLED=1 in the environment, and no line at all

    trainer = Trainer(max_epochs=3)
    trainer.fit(model, train_loader, validation_loader)
    trainer.test(model, test_loader)     # the same run, which goes on

What a run holds:

* **params**: the hyperparameters that module and datamodule saved, the trainer's flags, the class and settings of the
  optimizers and learning-rate schedulers, of `EarlyStopping`, and the size of the model;
* **metrics**: what Lightning gives its loggers, with its names and steps, as `CSVLogger` writes them. A metric that
  Lightning's `log_every_n_steps` never let through gets one point, its last, at the end of the training. Then
  `best_model_score` of `ModelCheckpoint`, and `best_score` and `stopped_epoch` of `EarlyStopping`;
* **datasets**: those behind the dataloaders, in the roles `train`, `validation`, `test` and `predict`;
* **tags**: `monitor`, `best_model_path` and `last_model_path` of `ModelCheckpoint`;
* **the model** as `AUTOTRACK_MODELS` says: the module at the end of `fit`, the weights of the best checkpoint, or those
  at each checkpoint;
* **the outcome**: `failed` with the traceback, `killed` for Ctrl-C and SIGTERM.

A `fit` that resumes from a checkpoint (`ckpt_path`), in another process too, goes on with the run that saved it. Of the
processes of a distributed training the one of rank 0 records, however they were launched. What `fast_dev_run`,
`barebones` or a `Tuner` do is not recorded.

Without `enable()`, a callback or a logger records the trainers that it is passed to, in the same way:

    from autotrack_lightning import AutotrackCallback, AutotrackLogger

    Trainer(callbacks=[AutotrackCallback(name="baseline")])
    Trainer(logger=AutotrackLogger(name="baseline"))     # metrics and hyperparameters alone, as any logger of Lightning

Both are those of the namespace that has been imported, `lightning.pytorch` before `pytorch_lightning`; the modules
`autotrack_lightning.for_lightning` and `autotrack_lightning.for_pytorch_lightning` have them by name. With several of
them, or with `enable()` as well, everything is recorded once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from autotrack.plugin import Integration, guarded, hookimpl, is_enabled

if TYPE_CHECKING:
    from autotrack_lightning.for_lightning import AutotrackCallback, AutotrackLogger

LIGHTNING = Integration(
    name="lightning",
    module="lightning_utilities",  # what both namespaces import before anything else
    install="autotrack_lightning.hooks:install",
    requires=("lightning>=2.0", "pytorch-lightning>=2.0"),
)

NAMESPACES = {"lightning.pytorch": "for_lightning", "pytorch_lightning": "for_pytorch_lightning"}
"""The modules of Lightning, the preferred first, and those of ours that derive from their classes."""


@hookimpl
def autotrack_register_integrations(register: Callable[[Integration], None]) -> None:
    """Register this integration."""
    register(LIGHTNING)


def lightning_callbacks() -> list[Any]:
    """What Lightning's entry point adds to every `lightning.pytorch.Trainer`."""
    return automatic_callbacks("lightning.pytorch")


def pytorch_lightning_callbacks() -> list[Any]:
    """What Lightning's entry point adds to every `pytorch_lightning.Trainer`."""
    return automatic_callbacks("pytorch_lightning")


def automatic_callbacks(namespace: str) -> list[Any]:
    """The callback that records a trainer unasked, or none; it never raises, since Lightning guards nothing here."""
    try:
        with guarded("lightning"):
            if is_enabled("lightning"):
                return Unannounced([_part(namespace).AutomaticCallback()])
    except Exception:  # what strict mode lets through must not break the making of a Trainer either
        pass
    return []


class Unannounced(list[Any]):
    """A list that says it is empty: Lightning prints a line into the training's output for one that does not."""

    def __bool__(self) -> bool:
        return False


def __getattr__(name: str) -> Any:
    # Both derive from classes of Lightning, which must not be imported before the user does it.
    if name in ("AutotrackCallback", "AutotrackLogger"):
        namespace = next((it for it in NAMESPACES if it in sys.modules), None)
        if namespace is None:
            namespace = "lightning.pytorch" if find_spec("lightning") is not None else "pytorch_lightning"
        return getattr(_part(namespace), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _part(namespace: str) -> Any:
    return import_module(f"{__name__}.{NAMESPACES[namespace]}")


__all__ = ["LIGHTNING", "AutotrackCallback", "AutotrackLogger", "autotrack_register_integrations"]
