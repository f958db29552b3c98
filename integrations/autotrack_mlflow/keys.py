"""Names of metrics, params and tags: the one rule of MLflow that no set of characters can express.

MLflow takes a key for a path, which must be its own normal form (`_validate_metric_name` in `mlflow.utils.validation`):
`a//b`, `./a`, `/a`, `a/` and `a/../b` are refused.
"""

from __future__ import annotations

import posixpath
from functools import lru_cache
from typing import Final

KEY_LENGTH: Final = 250
KEY_CHARACTERS: Final = r"[/\w.\- :]"


@lru_cache(maxsize=4096)
def safe_key(key: str) -> str:
    """`key` where MLflow takes it as a path, else the nearest key that it does take."""
    if posixpath.normpath(key) == key and key != "." and not key.startswith(("..", "/")):
        return key
    steps = ["_" * max(1, len(step)) if step in ("", ".", "..") else step for step in key.split("/")]
    safe = "/".join(steps)
    return "_" + safe if safe.startswith("..") else safe
