"""What a trained booster tells: its weights in UBJSON, the importance of its features, the params that it resolved.

Boosters are read only. Weights that were kept come back as what they were saved from.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autotrack.plugin import Saved

RESOLVED = ("objective", "booster", "tree_method", "device", "updater")


def save(model: Any) -> Saved:
    """A `Booster`, or the booster of a fitted estimator, as UBJSON; attributes such as `best_iteration` are in it."""
    booster = model.get_booster() if hasattr(model, "get_booster") else model
    if not hasattr(booster, "save_raw"):
        raise LookupError(f"a {type(model).__qualname__} has no booster that could be saved")
    signature: dict[str, Any] = {
        "class": f"{type(model).__module__}.{type(model).__qualname__}",
        "n_features": int(booster.num_features()),
    }
    if booster.feature_names:
        signature["feature_names"] = list(booster.feature_names)
    return Saved(format="ubj", data=bytes(booster.save_raw("ubj")), signature=signature)


def load(path: Path, signature: Mapping[str, Any]) -> Any:
    """The booster in a file, or the estimator that held it; a class of the user's own gives its booster."""
    import xgboost

    module, _, name = str(signature.get("class", "")).rpartition(".")
    kind = getattr(xgboost, name, None) if module in ("xgboost.core", "xgboost.sklearn") else None
    model = kind() if isinstance(kind, type) and hasattr(kind, "load_model") else xgboost.Booster()
    model.load_model(path)
    return model


def importance(booster: Any) -> bytes:
    """`{"gain": {feature: value}}` as JSON, the greatest first; of a linear booster `{"weight": …}`.

    Raises `ValueError` where xgboost has none.
    """
    told = json.loads(booster.save_config())["learner"]["learner_train_param"]
    if told.get("multi_strategy") == "multi_output_tree" and _release() < (3, 2):
        # Asked for it, xgboost 2.1 ends the process with a segmentation fault; 3.2 answers.
        raise ValueError("this xgboost has no importance for trees with several outputs")
    kind = "weight" if told.get("booster") == "gblinear" else "gain"
    scores = booster.get_score(importance_type=kind)
    ordered = sorted(scores.items(), key=lambda item: _size(item[1]), reverse=True)
    return json.dumps({kind: dict(ordered)}, indent=1).encode()


def resolved(booster: Any) -> dict[str, str]:
    """What xgboost chose, or was told, for `objective`, `booster`, `tree_method`, `device` and `updater`."""
    learner = json.loads(booster.save_config())["learner"]
    trees = learner["gradient_booster"]
    trees = trees.get("gbtree", trees)  # DART keeps its trees one level deeper
    found = {
        "objective": learner["learner_train_param"].get("objective"),
        "booster": learner["learner_train_param"].get("booster"),
        "tree_method": trees.get("gbtree_train_param", {}).get("tree_method"),
        "device": learner["generic_param"].get("device"),
        "updater": trees.get("gbtree_train_param", {}).get("updater"),
    }
    return {name: value for name, value in found.items() if value}


def effective(booster: Any) -> dict[str, str]:
    """Every param that a booster was trained with as its configuration tells them, where nothing else does."""
    learner = json.loads(booster.save_config())["learner"]
    trees = learner["gradient_booster"]
    trees = trees.get("gbtree", trees)
    return {**learner["generic_param"], **trees.get("tree_train_param", {}), **resolved(booster)}


def _release() -> tuple[int, ...]:
    import xgboost

    return tuple(int(part) for part in re.findall(r"\d+", xgboost.__version__)[:2])


def _size(score: Any) -> float:
    # A linear booster with several outputs gives a list for each feature.
    return float(sum(map(abs, score)) if isinstance(score, list) else abs(score))
