"""What a trained booster tells: its weights as text, the importance of its features, the params that it resolved.

Boosters are read only. Weights that were kept come back as a `Booster`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from autotrack.plugin import Saved

RESOLVED = (
    "objective", "boosting", "metric", "tree_learner", "device_type", "num_class", "num_iterations", "learning_rate",
    "num_leaves", "max_depth", "min_data_in_leaf",
)  # fmt: skip
"""The params that LightGBM's own documentation calls core ones or the first to tune."""

MOST_CLASSES = 1000
"""Class labels beyond this many are left out of a signature."""

_PARAM = re.compile(r"^\[(\w+): (.*)\]$", re.MULTILINE)
_DEFAULT_NAME = re.compile(r"Column_\d+")

_written: ContextVar[tuple[Any, str] | None] = ContextVar("autotrack_lightgbm_written", default=None)


def save(model: Any) -> Saved:
    """A `Booster`, or the booster of a fitted estimator, with all of its rounds."""
    booster = model if hasattr(model, "model_to_string") else getattr(model, "booster_", None)
    if booster is None or not hasattr(booster, "num_feature"):  # a CVBooster is several
        raise LookupError(f"a {type(model).__qualname__} has no booster that could be saved")
    signature: dict[str, Any] = {
        "class": f"{type(model).__module__}.{type(model).__qualname__}",
        "n_features": int(booster.num_feature()),
    }
    names = booster.feature_name()
    if not all(_DEFAULT_NAME.fullmatch(name) for name in names):
        signature["feature_names"] = list(names)
    if booster.best_iteration > 0:  # the text does not hold it, and the booster predicts with the rounds up to it
        signature["best_iteration"] = int(booster.best_iteration)
    classes: Any = getattr(model, "classes_", None)
    if hasattr(classes, "tolist") and len(classes) <= MOST_CLASSES:
        signature["classes"] = classes.tolist()
    known = _written.get()
    text = known[1] if known is not None and known[0] is booster else booster.model_to_string(num_iteration=-1)
    return Saved(format="text", data=text.encode(), signature=signature)


@contextmanager
def written(booster: Any, text: str | None) -> Iterator[None]:
    """Inside, `booster` is saved as `text`: lightgbm has just rebuilt it from that, and to write it takes long."""
    token = _written.set((booster, text) if text is not None else None)
    try:
        yield
    finally:
        _written.reset(token)


def load(path: str | os.PathLike[str], signature: Mapping[str, Any]) -> Any:
    """The booster in a file, that of the estimator where one was kept: lightgbm reads no estimators."""
    import lightgbm

    booster = lightgbm.Booster(model_file=os.fspath(path))
    booster.best_iteration = int(signature.get("best_iteration", booster.best_iteration))
    return booster


def up_to_best(booster: Any) -> Any:
    """A booster with the rounds up to the best one alone."""
    import lightgbm

    best = lightgbm.Booster(model_str=booster.model_to_string(num_iteration=booster.best_iteration))
    best.best_iteration = booster.best_iteration
    return best


def importance(booster: Any) -> bytes:
    """`{"gain": {feature: value}, "split": {feature: count}}` as JSON, the greatest gain first."""
    gains = booster.feature_importance("gain").tolist()
    splits = booster.feature_importance("split").tolist()
    rows = sorted(zip(booster.feature_name(), gains, splits, strict=True), key=lambda row: row[1], reverse=True)
    found = {"gain": {name: gain for name, gain, _ in rows}, "split": {name: int(count) for name, _, count in rows}}
    return json.dumps(found, indent=1).encode()


def resolved(booster: Any, given: Set[str]) -> dict[str, Any]:
    """What lightgbm chose for the params in `RESOLVED` that are not `given` under any of their names."""
    text = booster.model_to_string(num_iteration=1)  # the params stand behind the trees
    told = dict(_PARAM.findall(text[text.rfind("\nparameters:") :]))
    return {name: _value(told[name]) for name in RESOLVED if name in told and not aliases(name) & given}


def aliases(name: str) -> set[str]:
    """Every name of a param."""
    from lightgbm import basic

    known = getattr(basic, "_ConfigAliases", None)
    return set(known.get(name)) if known is not None else {name}


def _value(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
