"""Names: what a metric, a param and a label are called in W&B, always the same for one name, and never two alike."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final

STEP: Final = "autotrack/step"
"""The column with the true step, which is every metric's x-axis: W&B's own step only ever counts rows."""
_OURS: Final = "autotrack/"
LONGEST_LABEL: Final = 64
"""Characters that a W&B tag may have."""
LONGEST_COLLECTION: Final = 128
_NOT_IN_AN_ID: Final = re.compile(r"[^\w-]", re.ASCII)
_NOT_IN_A_COLLECTION: Final = re.compile(r"[^\w.-]", re.ASCII)


def run_id(run: str) -> str:
    """The id of a run there, of ours."""
    return _NOT_IN_AN_ID.sub("_", run)


def collection_name(model: str) -> str:
    """The collection that a registered model is in the registry: two models are two collections."""
    name = _NOT_IN_A_COLLECTION.sub("_", model)
    if name == model and len(name) <= LONGEST_COLLECTION:
        return name
    mark = hashlib.sha256(model.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{name[: LONGEST_COLLECTION - 9]}-{mark}"


def metric_name(key: str) -> str:
    """What a metric is called there: names that begin with `_` are W&B's own, those with `autotrack/` are ours."""
    if key.startswith(_OURS):
        return f"{_OURS}user/{key.removeprefix(_OURS)}"
    return _OURS + key if key.startswith("_") or not key else key


def defined_name(name: str) -> str:
    """A metric's name as `define_metric` takes it, where a dot leads into a nested value unless it is escaped."""
    return name.replace(".", "\\.")


def label(key: str, value: str) -> str:
    """One of our tags as a W&B tag, which is a word; the whole tag is in the config as well."""
    return (key if value in ("", "true", "True") else f"{key}: {value}")[:LONGEST_LABEL]


class ConfigPaths:
    """Where params are in a run's config: `optimizer.lr` is `lr` in `optimizer`, as W&B shows nested values.

    A param whose place is taken by another one stays a key with dots. `paths` is kept in the delivery's state.
    """

    def __init__(self, paths: dict[str, list[str]]) -> None:
        self.paths = paths
        self._values = {tuple(path) for path in paths.values()}
        self._groups = {path[:end] for path in self._values for end in range(1, len(path))}

    def of(self, key: str) -> list[str]:
        """The place of a param, found once and then kept."""
        known = self.paths.get(key)
        if known is not None:
            return known
        path = self._free(key)
        self.paths[key] = list(path)
        self._values.add(path)
        self._groups |= {path[:end] for end in range(1, len(path))}
        return list(path)

    def _free(self, key: str) -> tuple[str, ...]:
        nested = tuple(key.split("."))
        for path in (nested, (key,)):
            if all(path) and path[0] not in ("autotrack", "_wandb") and self._is_free(path):
                return path
        name = f"{key}#"
        while not self._is_free((name,)):
            name += "#"
        return (name,)

    def _is_free(self, path: tuple[str, ...]) -> bool:
        if path in self._values or path in self._groups:
            return False
        return not any(path[:end] in self._values for end in range(1, len(path)))


def item(path: str | list[str], value_json: str) -> dict[str, Any]:
    """A `ConfigItem`, `SummaryItem` or `HistoryItem`."""
    if isinstance(path, str):
        return {"key": path, "value_json": value_json}
    return {"nested_key": path, "value_json": value_json}
