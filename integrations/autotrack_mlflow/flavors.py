"""Flavors: what an `MLmodel` file must say so that MLflow loads a model that autotrack saved.

`MLmodel` is YAML, and JSON is YAML: it is written as JSON, with nothing to install. The keys are those that the
`load_model` functions of MLflow 3.17 read.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from autotrack.events import ModelLogged

Flavor = tuple[str, dict[str, Any]]

_BOOSTER: Final = "xgboost.core.Booster"


def _xgboost(extension: str) -> Callable[[str, Path], Flavor]:
    def describe(trained: str, blob: Path) -> Flavor:
        file = f"model.{extension}"
        # MLflow makes an object of this class and lets it load the file; a class of the user's own may not be there.
        made = trained if trained.startswith("xgboost.sklearn.") else _BOOSTER
        flavor = {"data": file, "model_class": made, "model_format": extension, "code": None}
        return file, {"xgboost": flavor, "python_function": _function("mlflow.xgboost", "data", file)}

    return describe


def _sklearn(trained: str, blob: Path) -> Flavor:
    file = "model.skops"
    trusted = _own_types(blob)
    flavor = {"pickled_model": file, "serialization_format": "skops", "skops_trusted_types": trusted, "code": None}
    return file, {"sklearn": flavor, "python_function": _function("mlflow.sklearn", "model_path", file)}


def _keras(trained: str, blob: Path) -> Flavor:
    # MLflow adds the extension to what `data` says.
    flavors = {
        "keras": {"data": "model", "save_exported_model": False},
        "python_function": {"loader_module": "mlflow.keras"},
    }
    return "model.keras", flavors


def _lightgbm(trained: str, blob: Path) -> Flavor:
    file = "model.lgb"
    flavor = {"data": file, "model_class": "lightgbm.basic.Booster", "code": None}
    return file, {"lightgbm": flavor, "python_function": _function("mlflow.lightgbm", "data", file)}


def _catboost(trained: str, blob: Path) -> Flavor:
    file, kind = "model.cb", trained.rpartition(".")[2]
    made = kind if kind in ("CatBoostClassifier", "CatBoostRegressor", "CatBoostRanker") else "CatBoost"
    flavor = {"data": file, "model_type": made, "save_format": "cbm", "code": None}
    return file, {"catboost": flavor, "python_function": _function("mlflow.catboost", "data", file)}


def _own_types(blob: Path) -> list[str]:
    """The types in a skops file that are scikit-learn's or numpy's own.

    skops trusts few of them by itself (in 0.16, no tree) and MLflow loads with the types that `MLmodel` names. The
    file was made from a model that was trained here, so its scikit-learn types are named; types of anybody else are
    left for the reader to trust. The file is a zip archive with its types in `schema.json`.
    """
    try:
        with zipfile.ZipFile(blob) as archive:
            schema = json.loads(archive.read("schema.json"))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return []
    found: set[str] = set()
    waiting: list[Any] = [schema]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            module, name = node.get("__module__"), node.get("__class__")
            if isinstance(module, str) and isinstance(name, str) and module.partition(".")[0] in ("sklearn", "numpy"):
                found.add(f"{module}.{name}")
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node
    return sorted(found)


def _function(loader: str, data_key: str, file: str) -> dict[str, Any]:
    return {"loader_module": loader, data_key: file, **({"data": file} if data_key != "data" else {})}


_FLAVORS: Final[dict[str, Callable[[str, Path], Flavor]]] = {
    "ubj": _xgboost("ubj"),
    "xgboost-ubj": _xgboost("ubj"),
    "xgboost-json": _xgboost("json"),
    "skops": _sklearn,
    "keras": _keras,
    "text": _lightgbm,
    "cbm": _catboost,
}


def file_and_flavors(event: ModelLogged, blob: Path) -> Flavor:
    """The model's file name and its flavors; a format that MLflow cannot load gets one that only names it."""
    describe = _FLAVORS.get(event.format.lower())
    if describe is not None:
        return describe(str((event.signature or {}).get("class", "")), blob)
    extension = "".join(letter if letter.isalnum() else "-" for letter in event.format.lower()) or "bin"
    return f"model.{extension}", {"autotrack": {"data": f"model.{extension}", "format": event.format}}


def mlmodel(event: ModelLogged, *, run_id: str, path: str, model_id: str | None, flavors: dict[str, Any]) -> bytes:
    """The content of the `MLmodel` file."""
    when = datetime.fromtimestamp(event.time / 1e9, UTC).replace(tzinfo=None)
    content = {
        "artifact_path": path,
        "run_id": run_id,
        "utc_time_created": when.isoformat(sep=" ", timespec="microseconds"),
        "model_uuid": event.digest,
        "model_size_bytes": event.bytes,
        "flavors": flavors,
        "metadata": {
            "autotrack.name": event.name,
            "autotrack.digest": event.digest,
            "autotrack.format": event.format,
            **({"autotrack.signature": event.signature} if event.signature else {}),
        },
        **({"model_id": model_id} if model_id else {}),
    }
    return json.dumps(content, indent=2, default=str).encode()
