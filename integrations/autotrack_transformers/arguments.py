"""Training arguments as params: what differs from the defaults, in the words of the framework.

The arguments are read only. Defaults are those that the dataclass declares; what it fills in by itself when it is made,
such as an empty list for no text, counts as a default too.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from typing import Any

from autotrack.plugin import Call

ALWAYS = (
    "learning_rate", "num_train_epochs", "per_device_train_batch_size", "gradient_accumulation_steps", "optim",
    "lr_scheduler_type", "weight_decay", "warmup_steps", "seed",
)  # fmt: skip
"""What decides most trainings, and is to be seen beside other runs whether or not it was given."""

DATED = ("logging_dir",)
"""Filled in with the time of day, and no setting of the training."""


def named(call: Call) -> dict[str, Any]:
    """The arguments of a call of a method by the names of its parameters."""
    parameters = list(inspect.signature(call.function).parameters)
    return {**dict(zip(parameters, call.args, strict=False)), **call.kwargs}


def whole(config: Any) -> dict[str, Any]:
    """Everything that a configuration with `to_dict` holds. What cannot be told so gives nothing."""
    if is_dataclass(config):
        # transformers makes texts of types inside the very dicts that the user gave, such as `model_init_kwargs`.
        config = copy.copy(config)
        vars(config).update({name: _same(value) for name, value in vars(config).items() if isinstance(value, dict)})
    to_dict: Callable[[], dict[str, Any]] | None = getattr(config, "to_dict", None)
    return dict(to_dict()) if callable(to_dict) else {}


def difference(config: Any, always: tuple[str, ...] = ()) -> dict[str, Any]:
    """What of a dataclass with `to_dict` differs from its defaults, and `always` in any case."""
    return compared(config, always)[0]


def compared(config: Any, always: tuple[str, ...] = ()) -> tuple[dict[str, Any], dict[str, Any]]:
    """What `difference` gives, and of each of these the default; one that was left alone is its own default."""
    told = whole(config)
    if not is_dataclass(config):
        return told, {}
    found: dict[str, Any] = {}
    defaults: dict[str, Any] = {}
    for field in fields(config):
        name = field.name
        if name not in told or name in DATED:
            continue
        if name == "fsdp_config" and not getattr(config, "fsdp", None):  # transformers 4 fills it where nothing is said
            continue
        unchanged = _is_default(field, getattr(config, name, None), told[name])
        if name in always or not unchanged:
            found[name] = _text(told[name])
            if unchanged:
                defaults[name] = found[name]
            elif (default := _default(field)) is not MISSING:
                defaults[name] = _text(default)
    if found.get("run_name") == found.get("output_dir", MISSING):  # transformers 4 names a run by its folder
        found.pop("run_name", None)
    return found, defaults


def _same(value: Any) -> Any:
    return {name: _same(one) for name, one in value.items()} if isinstance(value, dict) else value


def _default(field: Field[Any]) -> Any:
    """What a field is where nothing is given; `MISSING` where something must be."""
    if field.default is not MISSING or field.default_factory is MISSING:
        return field.default
    return field.default_factory()


def _is_default(field: Field[Any], given: Any, told: Any) -> bool:
    default = _default(field)
    if default is MISSING:
        default = None
    if given is None or _value(default) == _value(told) or _value(default) == _value(given):
        return True
    if is_dataclass(given) and not isinstance(given, type):
        return default is None and _equals_new(given)
    if default in (None, "", "none"):
        return given is False or isinstance(given, list | tuple | dict | str) and len(given) == 0
    return False


def _equals_new(config: Any) -> bool:
    try:
        return bool(config == type(config)())
    except Exception:  # it cannot be made without arguments
        return False


def _value(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


def _text(value: Any) -> Any:
    # A set has another order in every process.
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    return dict(value) if isinstance(value, Mapping) else _value(value)
