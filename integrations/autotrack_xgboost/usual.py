"""What params are where nothing is said, as xgboost itself tells it: the configuration of a booster that knows nothing.

A kind of booster enters; its defaults leave, by every name that the configuration has for them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

OF_DATA = "learner_model_param"
"""The part of the configuration that tells what was made of the data."""
RESOLVED = ("updater",)
"""Has the name of what xgboost chose, where nothing was given."""


def defaults(booster: Any) -> Mapping[str, Any]:
    """The defaults of params with a booster of this kind, such as `gbtree`; empty where they cannot be asked.

    In a distributed training they cannot: xgboost would wait for the other workers to ask as well.
    """
    from xgboost import collective

    if collective.is_distributed():
        return {}
    return _defaults(str(booster or "gbtree"))


def plain(value: Any, default: Any) -> Any:
    """A given value as its default is written: xgboost takes numbers as text, and True for 1."""
    if isinstance(default, int | float) and not isinstance(default, bool):
        return _number(value) if isinstance(value, str) else int(value) if isinstance(value, bool) else value
    return value


@lru_cache(maxsize=8)
def _defaults(booster: str) -> Mapping[str, Any]:
    import xgboost

    try:
        # Without a number of features it has no configuration.
        config = json.loads(xgboost.Booster({"booster": booster, "num_feature": 1}).save_config())
    except (xgboost.core.XGBoostError, ValueError):  # no such booster: the training will say so
        return {}
    found: dict[str, Any] = {}
    waiting: list[Any] = [config["learner"]]
    while waiting:
        for name, value in waiting.pop().items():
            if isinstance(value, dict) and name != OF_DATA:
                waiting.append(value)
            elif isinstance(value, str) and name not in RESOLVED:
                found.setdefault(name, _number(value))
    return found


def _number(text: str) -> Any:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(str(np.float32(text)))  # with the digits that it was written with
    except ValueError:
        return text
