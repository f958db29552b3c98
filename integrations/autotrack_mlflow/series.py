"""Metrics: many points in few requests.

MLflow identifies a point by key, step, millisecond and value, so sending it again changes nothing, and two values at
one step and millisecond are two points. Two *equal* values there are one, which is noted. It stores an infinity as
1.797e308 with its sign, which `Limits.infinities` declares.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import ROUND_FLOOR, Decimal
from typing import Any, Final

from autotrack.events import MetricsLogged, Step
from autotrack_mlflow.client import Client
from autotrack_mlflow.keys import safe_key

POINTS_PER_REQUEST: Final = 1000


class Series:
    """The points of one run in one batch."""

    def __init__(self, run: str, note: Callable[[str, str, str], None]) -> None:
        self._run = run
        self._note = note
        self._points: list[dict[str, Any]] = []
        self._seen: set[tuple[str, int, int, str]] = set()

    def add(self, event: MetricsLogged) -> None:
        """Take the points of one event; what MLflow stores otherwise is noted."""
        step = whole_step(event.step)
        if isinstance(event.step, str):
            for key in event.values:
                self._note(self._run, f"metric {key}", "MLflow's steps are integers; a fractional one is rounded down")
        time = max(0, event.time // 1_000_000)
        for key, number in event.values.items():
            name = safe_key(key)
            if name != key:
                self._note(self._run, f"metric {key}", f"MLflow does not take this name; it is {name}")
            value: float | str = number
            if not math.isfinite(number):
                value = "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"
            identity = (name, step, time, repr(value))
            if identity in self._seen:
                self._note(self._run, f"metric {key}", "MLflow keeps one of equal values at one step and millisecond")
                continue
            self._seen.add(identity)
            self._points.append({"key": name, "value": value, "timestamp": time, "step": step})

    def send(self, client: Client, run_id: str) -> None:
        """Send all points, as few requests as MLflow allows."""
        for start in range(0, len(self._points), POINTS_PER_REQUEST):
            body = {"run_id": run_id, "metrics": self._points[start : start + POINTS_PER_REQUEST]}
            client.post("runs/log-batch", body)


def whole_step(step: Step | None) -> int:
    """`step` rounded down to an integer; 0 for none."""
    if isinstance(step, str):
        return int(Decimal(step).to_integral_value(ROUND_FLOOR))
    return step or 0
