"""What an accelerator has prepared, as params and as datasets. All of it is read only, and no loader is iterated."""

from __future__ import annotations

from typing import Any

from autotrack.plugin import declared, describe, describe_with, guarded, register_reader

CHANGING = ("last_epoch", "best", "num_bad_epochs", "cooldown_counter", "T_cur", "verbose", "base_lrs")
"""Attributes of schedulers that steps change, or that say what is said elsewhere."""


def register() -> None:
    """Let `run.log_dataset` know what accelerate puts around loaders and around streams."""
    describe_with("accelerate.data_loader.DataLoaderAdapter", loader)
    describe_with("accelerate.data_loader.IterableDatasetShard", shard)
    register_reader("accelerate.data_loader.DataLoaderAdapter", lambda loader: loader.base_dataloader)


def loader(loader: Any) -> dict[str, Any]:
    """A prepared loader: the one inside."""
    record = describe(loader.base_dataloader, identify=False)
    record.pop("kind", None)
    return record


def shard(dataset: Any) -> dict[str, Any]:
    """The part of a stream that this process reads: the stream."""
    return {"parts": {"of": describe(dataset.dataset, identify=False)}}


def params(accelerator: Any) -> dict[str, Any]:
    """The accelerator's own settings, and class and settings of all that it has prepared."""
    found: dict[str, Any] = {}
    for name in ("num_processes", "mixed_precision", "gradient_accumulation_steps", "distributed_type"):
        with guarded("accelerate"):
            value = getattr(accelerator, name, None)
            found[f"accelerate.{name}"] = getattr(value, "value", value)
    for name, one in _numbered("optimizer", getattr(accelerator, "_optimizers", ())):
        with guarded("accelerate"):
            found |= optimizer(name, unwrapped_optimizer(one))
    for name, one in _numbered("lr_scheduler", getattr(accelerator, "_schedulers", ())):
        with guarded("accelerate"):
            inside = getattr(one, "scheduler", one)
            found[name] = type(inside).__name__
            found |= {
                f"{name}.{key}": value
                for key, value in vars(inside).items()
                if not key.startswith("_") and key not in CHANGING and isinstance(value, int | float | str)
            }
    for name, one in _numbered("model", getattr(accelerator, "_models", ())):
        with guarded("accelerate"):
            module = accelerator.unwrap_model(one)
            parameters = list(one.parameters())
            found[f"{name}.class"] = type(module).__name__
            found[f"{name}.parameters"] = sum(it.numel() for it in parameters)
            found[f"{name}.trainable_parameters"] = sum(it.numel() for it in parameters if it.requires_grad)
    return found


def defaults(accelerator: Any) -> dict[str, Any]:
    """The defaults of the optimizers' settings, from the signatures of their classes."""
    found: dict[str, Any] = {}
    for name, one in _numbered("optimizer", getattr(accelerator, "_optimizers", ())):
        usual = declared(type(unwrapped_optimizer(one)))
        found |= {f"{name}.{key}": value for key, value in usual.items()}
    return found


def optimizer(name: str, optimizer: Any) -> dict[str, Any]:
    """Class and settings of an optimizer; of further groups of parameters, what differs."""
    settings = dict(getattr(optimizer, "defaults", {}))
    groups = list(optimizer.param_groups)
    settings |= {key: value for key, value in groups[0].items() if key in settings} if groups else {}
    found: dict[str, Any] = {name: type(optimizer).__name__}
    found |= {f"{name}.{key}": value for key, value in settings.items()}
    for index, group in enumerate(groups[1:], 1):
        for key, value in settings.items():
            if key in group and repr(group[key]) != repr(value):
                found[f"{name}.group_{index}.{key}"] = group[key]
    return found


def unwrapped_optimizer(optimizer: Any) -> Any:
    """The optimizer inside accelerate's, and DeepSpeed's, wrapper."""
    while hasattr(optimizer, "optimizer"):
        optimizer = optimizer.optimizer
    return optimizer


def datasets(accelerator: Any) -> list[tuple[str, str, Any]]:
    """Role, name and loader of each prepared loader: the first is the training's."""
    found: list[tuple[str, str, Any]] = []
    for index, loader in enumerate(getattr(accelerator, "_dataloaders", ())):
        role = "validation" if index else "train"
        found.append((role, role if index < 2 else f"{role}-{index}", loader))
    return found


def _numbered(name: str, things: Any) -> list[tuple[str, Any]]:
    return [(name if index == 0 else f"{name}_{index}", thing) for index, thing in enumerate(things)]
