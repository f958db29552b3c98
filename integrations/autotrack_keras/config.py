"""What a model and its `compile` tell, as params. They are only looked at: nothing is built or changed."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import keras

from autotrack.plugin import declared
from autotrack_keras.serializing import serializing

FIT = (
    "epochs", "initial_epoch", "batch_size", "steps_per_epoch", "shuffle", "class_weight", "validation_split",
    "validation_steps", "validation_batch_size", "validation_freq",
)  # fmt: skip
"""Arguments of `fit` that are params; those that are None only where they say something."""

AS_COMPILED = ("run_eagerly", "steps_per_execution", "auto_scale_loss")
"""Arguments of `compile` that stay what they were given as."""

COMPILED = ("loss", "loss_weights", "metrics", "weighted_metrics", "auto_scale_loss")

EARLY_STOPPING = (
    "monitor", "mode", "min_delta", "patience", "baseline", "restore_best_weights", "start_from_epoch",
)  # fmt: skip
CHECKPOINT = ("filepath", "monitor", "mode", "save_best_only", "save_weights_only", "save_freq")


def run_name(model: Any) -> str:
    """The name that the user gave the model, else its class."""
    kind = type(model).__name__
    name = str(getattr(model, "name", kind))
    # Keras's own: the class in snake case, and a number from the second model on.
    automatic = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", kind).lower().lstrip("_")
    return kind if re.fullmatch(rf"_*{re.escape(automatic)}(_\d+)?", name) else name


def arguments(given: Mapping[str, Any], *, arrays: bool) -> dict[str, Any]:
    """The params in the arguments of `fit`; `arrays`: Keras makes the batches itself, of 32 if nothing was said."""
    params = {name: given[name] for name in FIT if given.get(name) is not None}
    if arrays and given.get("batch_size") is None and given.get("steps_per_epoch") is None:
        params["batch_size"] = 32
    return params


def compiled(model: Any) -> dict[str, Any]:
    """The params of `compile`: optimizer with its schedule, losses, metrics, how steps are run."""
    params: dict[str, Any] = {}
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None:
        params |= described("optimizer", optimizer)
    config = getattr(getattr(model, "_compile_config", None), "config", None)
    if isinstance(config, Mapping):
        for name in COMPILED:
            if config.get(name) is not None:
                params |= described(name, config[name])
    for name in ("jit_compile", "run_eagerly", "steps_per_execution"):
        if getattr(model, "compiled", False) and getattr(model, name, None) is not None:
            params[name] = getattr(model, name)
    return params


def compiled_defaults(model: Any) -> dict[str, Any]:
    """The defaults of what `compiled` tells, from the signatures of `compile` and of the optimizer's class."""
    usual = declared(type(model).compile) if hasattr(type(model), "compile") else {}
    found = {name: usual[name] for name in AS_COMPILED if name in usual}
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None:
        found |= {f"optimizer.{name}": value for name, value in declared(type(optimizer)).items()}
    return found


def told(model: Any) -> dict[str, Any]:
    """The params that are the model's own."""
    policy = getattr(model, "dtype_policy", None)
    return {
        "backend": keras.backend.backend(),
        "model": type(model).__name__,
        "dtype_policy": getattr(policy, "name", None) or str(policy),
    }


def counts(model: Any) -> dict[str, int]:
    """How many weights a built model has. Of `count_params` only the sum could be had."""
    trainable = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    frozen = sum(math.prod(weight.shape) for weight in model.non_trainable_weights)
    return {"trainable_params": trainable, "non_trainable_params": frozen, "total_params": trainable + frozen}


def architecture(model: Any) -> str:
    """The model as JSON. Raises what the model's own `get_config` raises."""
    with serializing():
        return str(model.to_json(indent=1))


def described(name: str, value: Any) -> dict[str, Any]:
    """Flat params of a thing of Keras: `optimizer: SGD`, `optimizer.momentum: 0.9`, `optimizer.learning_rate: Step`."""
    if isinstance(value, Mapping):
        if "class_name" in value and "config" in value:  # as Keras serialises a thing
            config = value["config"]
            if not isinstance(config, Mapping):
                return {name: config if value["class_name"] == "function" else value["class_name"]}
            return {name: value["class_name"], **_settings(name, config)}
        flat: dict[str, Any] = {}
        for key, one in value.items():
            flat |= described(f"{name}.{key}", one)
        return flat
    if isinstance(value, list | tuple):
        return {name: [_short(one) for one in value]}
    if isinstance(value, str | int | float | None):
        return {name: value}
    if callable(value) and hasattr(value, "__name__"):
        return {name: value.__name__}
    if hasattr(value, "get_config"):
        return {name: type(value).__name__, **_settings(name, _config(value))}
    return {name: value}


def _settings(name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, one in config.items():
        if key not in ("name", "dtype") and one is not None:
            flat |= described(f"{name}.{key}", one)
    return flat


def _config(value: Any) -> Mapping[str, Any]:
    try:
        with serializing():
            config = value.get_config()
    except Exception:  # a class of the user's that cannot be serialised: its name must do
        return {}
    return config if isinstance(config, Mapping) else {}


def _short(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_short(one) for one in value]
    if isinstance(value, str | int | float | None):
        return value
    return getattr(value, "name", None) or getattr(value, "__name__", None) or type(value).__name__
