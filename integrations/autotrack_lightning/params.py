"""What a trainer, its module, optimizers and schedulers are set to, as params. All of it is read only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

from autotrack.plugin import declared, guarded

FLAGS = (
    "max_epochs", "min_epochs", "max_steps", "min_steps", "accumulate_grad_batches", "gradient_clip_val",
    "gradient_clip_algorithm", "precision", "num_devices", "num_nodes", "limit_train_batches", "limit_val_batches",
    "limit_test_batches", "limit_predict_batches", "check_val_every_n_epoch", "val_check_interval", "log_every_n_steps",
    "overfit_batches", "reload_dataloaders_every_n_epochs", "num_sanity_val_steps",
)  # fmt: skip
"""Attributes of a trainer that are arguments of `Trainer`; the trainer keeps the arguments themselves nowhere."""

OF_LIGHTNING = ("_class_path", "_instantiator")
"""Entries of `hparams` that are Lightning's own."""

ALL_ARGUMENTS = "kwargs"
"""What Lightning calls hyperparameters that are arguments of `__init__`, and not a mapping of the user's."""

EARLY_STOPPING = ("monitor", "mode", "patience")


def hyperparameters(params: Any) -> dict[str, Any]:
    """Saved hyperparameters by name; a namespace is read as a mapping."""
    given = params if isinstance(params, Mapping) else vars(params)
    return {str(key): value for key, value in given.items() if key not in OF_LIGHTNING}


def saved(trainer: Any, module: Any) -> dict[str, Any]:
    """The hyperparameters that module and datamodule saved to be logged; where both have one, the module's is first."""
    return {name: value for name, value, _, _ in _saved(trainer, module)}


def saved_defaults(trainer: Any, module: Any) -> dict[str, Any]:
    """Of those that are arguments of their owner's `__init__`, the defaults in its signature."""
    found: dict[str, Any] = {}
    for name, _, owner, key in _saved(trainer, module):
        usual = declared(type(owner))
        if key in usual and getattr(owner, "_hparams_name", None) == ALL_ARGUMENTS:
            found.setdefault(name, usual[key])
    return found


def _saved(trainer: Any, module: Any) -> Iterator[tuple[str, Any, Any, str]]:
    """Each hyperparameter: the name that it has in the run, its value, its owner, and what the owner calls it."""
    found: dict[str, Any] = {}
    for owner, prefix in ((module, "module."), (trainer.datamodule, "datamodule.")):
        if owner is None or not getattr(owner, "_log_hyperparams", False):
            continue
        for key, value in hyperparameters(owner.hparams_initial).items():
            name = f"{prefix}{key}" if key in found and not _same(found[key], value) else key
            found[name] = value
            yield name, value, owner, key


def flags(trainer: Any) -> dict[str, Any]:
    """The trainer's flags that are set, and the classes of its strategy and accelerator."""
    found = {name: getattr(trainer, name, None) for name in FLAGS}
    found |= {name: type(getattr(trainer, name)).__name__ for name in ("strategy", "accelerator")}
    return {
        name: value.value if isinstance(value, Enum) else value for name, value in found.items() if value is not None
    }


def flag_defaults(trainer: Any) -> dict[str, Any]:
    """The defaults of the flags that the trainer keeps as they were given; one that is None it replaces by its own."""
    return {name: value for name, value in declared(type(trainer)).items() if name in FLAGS and value is not None}


def model(module: Any) -> dict[str, Any]:
    """The class of the module and how many parameters it has."""
    every = trained = 0
    for parameter in module.parameters():
        if not hasattr(parameter, "materialize"):  # a lazy one has no size yet
            every += parameter.numel()
            trained += parameter.numel() if parameter.requires_grad else 0
    return {"class": type(module).__name__, "parameters": every, "trainable_parameters": trained}


def optimizers(trainer: Any) -> dict[str, Any]:
    """Class and settings of each optimizer and each learning-rate scheduler."""
    found: dict[str, Any] = {}
    for name, optimizer in _numbered("optimizer", list(trainer.optimizers or ())):
        inner = getattr(optimizer, "optimizer", optimizer)  # Lightning's wrapper, where it is one
        found[name] = type(inner).__name__
        groups = [_group(inner, group) for group in inner.param_groups]
        found |= {f"{name}.{key}": value for key, value in groups[0].items() if value is not None}
        for index, group in enumerate(groups[1:], 1):
            found |= {
                f"{name}.group_{index}.{key}": value
                for key, value in group.items()
                if not _same(groups[0].get(key), value)
            }
    for name, config in _numbered("lr_scheduler", list(trainer.lr_scheduler_configs or ())):
        found[name] = type(config.scheduler).__name__
        for key in ("interval", "frequency", "monitor"):
            if getattr(config, key, None) is not None:
                found[f"{name}.{key}"] = getattr(config, key)
        with guarded("lightning"):
            found |= {f"{name}.{key}": value for key, value in _settings(config.scheduler).items()}
    return found


def defaults(trainer: Any) -> dict[str, Any]:
    """The defaults of the settings in `optimizers` and `early_stopping`, from the signatures of their classes."""
    found: dict[str, Any] = {}
    for name, optimizer in _numbered("optimizer", list(trainer.optimizers or ())):
        inner = getattr(optimizer, "optimizer", optimizer)
        found |= {f"{name}.{key}": value for key, value in declared(type(inner)).items()}
    for name, config in _numbered("lr_scheduler", list(trainer.lr_scheduler_configs or ())):
        kept = vars(config.scheduler)  # where an argument was None, a scheduler may have something else there
        usual = declared(type(config.scheduler)).items()
        found |= {f"{name}.{key}": value for key, value in usual if key in kept and value is not None}
    for name, callback in _numbered("early_stopping", list(trainer.early_stopping_callbacks)):
        found |= {f"{name}.{key}": value for key, value in declared(type(callback)).items()}
    return found


def early_stopping(trainer: Any) -> dict[str, Any]:
    """The settings of `EarlyStopping`, of each one where there are several."""
    found: dict[str, Any] = {}
    for name, callback in _numbered("early_stopping", list(trainer.early_stopping_callbacks)):
        found |= {f"{name}.{key}": getattr(callback, key, None) for key in EARLY_STOPPING}
        found[f"{name}.min_delta"] = abs(callback.min_delta)  # it is kept with the sign of its direction
    return found


def _group(optimizer: Any, group: dict[str, Any]) -> dict[str, Any]:
    """The settings of a group of parameters; of one whose learning rate is scheduled, that from which it starts."""
    settings = {key: group[key] for key in getattr(optimizer, "defaults", group) if key in group and key != "params"}
    if "initial_lr" in group:
        settings["lr"] = group["initial_lr"]
    return settings


def _settings(scheduler: Any) -> dict[str, Any]:
    """The plain public attributes of a scheduler that no step changes."""
    changing = ("last_epoch", "best", "num_bad_epochs", "cooldown_counter", "T_cur", "verbose", "base_lrs")
    return {
        name: value
        for name, value in vars(scheduler).items()
        if not name.startswith("_") and name not in changing and isinstance(value, int | float | str | list)
    }


def _numbered(name: str, things: list[Any]) -> list[tuple[str, Any]]:
    return [(name if len(things) == 1 else f"{name}_{index}", thing) for index, thing in enumerate(things)]


def _same(one: Any, other: Any) -> bool:
    try:
        return one is other or bool(one == other)
    except Exception:  # arrays and the like have no single answer
        return False
