"""What a trained model tells: its weights as `cbm`, the importance of its features, the params that it resolved.

Models are read only. Weights that were kept come back as a model of the same class.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autotrack.plugin import Saved

NAMES: dict[str, frozenset[str]] = {
    "loss_function": frozenset({"objective"}),
    "eval_metric": frozenset(),
    "iterations": frozenset({"num_boost_round", "n_estimators", "num_trees"}),
    "learning_rate": frozenset({"eta"}),
    "depth": frozenset({"max_depth"}),
    "l2_leaf_reg": frozenset({"reg_lambda"}),
    "border_count": frozenset({"max_bin"}),
    "random_seed": frozenset({"random_state"}),
    "task_type": frozenset(),
    "boosting_type": frozenset(),
    "bootstrap_type": frozenset(),
    "grow_policy": frozenset(),
    "leaf_estimation_method": frozenset(),
    "use_best_model": frozenset(),
}
"""The params that are recorded as catboost resolved them, with the other names that each may be given by."""


def save(model: Any) -> Saved:
    """A fitted model as catboost's own binary."""
    if not hasattr(model, "save_model"):
        raise LookupError(f"a {type(model).__qualname__} is no model of catboost that could be saved")
    if not model.is_fitted():
        raise LookupError("the model is not fitted")
    signature: dict[str, Any] = {"class": class_of(model), "n_features": int(model.get_n_features_in())}
    names = model.feature_names_
    if any(name not in ("", str(index)) for index, name in enumerate(names)):
        signature["feature_names"] = list(names)
    handle, path = tempfile.mkstemp(suffix=".cbm")  # catboost saves to a file alone
    os.close(handle)
    try:
        model.save_model(path, format="cbm")
        return Saved(format="cbm", data=Path(path).read_bytes(), signature=signature)
    finally:
        os.unlink(path)


def load(path: str | os.PathLike[str], signature: Mapping[str, Any]) -> Any:
    """The model in a file, as the class of catboost that it was saved from."""
    return _new(str(signature.get("class", ""))).load_model(os.fspath(path), format="cbm")


def class_of(model: Any) -> str:
    """The class of catboost that a model is of; of a class of the user's, the one that it derives from."""
    for kind in type(model).__mro__:
        if kind.__module__.partition(".")[0] == "catboost":
            return f"{kind.__module__}.{kind.__qualname__}"
    return "catboost.core.CatBoost"


def up_to(model: Any, trees: int) -> Any:
    """A copy of a model with its first `trees` trees alone."""
    shorter = _new(class_of(model))  # not `model.copy()`: a class of the user's may need arguments
    shorter.__setstate__(model.__getstate__())
    shorter.shrink(trees)
    return shorter


def importance(model: Any) -> bytes:
    """`{"PredictionValuesChange": {feature: value}}` as JSON, the greatest first, where the training computed it.

    Raises `LookupError` where it did not: of a ranking loss, and with embeddings, it is not known without the data.
    """
    values = model.feature_importances_
    if values is None or not getattr(values, "shape", ()):
        raise LookupError("catboost computes it for this loss from data alone: model.get_feature_importance(pool)")
    rows = sorted(zip(model.feature_names_, values.tolist(), strict=True), key=lambda row: row[1], reverse=True)
    return json.dumps({"PredictionValuesChange": dict(rows)}, indent=1).encode()


def resolved(model: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """What catboost chose for the params in `NAMES` that are not `given` under any of their names."""
    told = model.get_all_params()
    return {name: told[name] for name, more in NAMES.items() if name in told and not {name, *more} & given.keys()}


def _new(name: str) -> Any:
    """An empty model of a class of catboost, `CatBoost` where it has none of that name."""
    import catboost

    kind = getattr(catboost, name.rpartition(".")[2], None)
    return kind() if isinstance(kind, type) and issubclass(kind, catboost.CatBoost) else catboost.CatBoost()
