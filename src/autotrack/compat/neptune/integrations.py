"""The package `neptune.integrations`, as far as it is here.

`python_logger` and `utils` are. The others are packages of their own (`neptune-sklearn`, `neptune-xgboost`, …) that
import `neptune`: after `autotrack.compat.install("neptune")` they run on the drop-in, where they are installed.
"""

from __future__ import annotations

from typing import Any

__all__: list[str] = []


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise AttributeError(
        f"neptune.integrations.{name} is no part of the drop-in. Where neptune-{name.replace('_', '-')} is "
        'installed, it runs after autotrack.compat.install("neptune"); or let autotrack.enable() record the product'
    )
