"""Metrics: points in requests of ten, the most that `BatchPutMetrics` takes.

A point has a step (a whole number from 0 to 2^31 - 1), a value (a finite 64-bit float) and a time. SageMaker shows one
value of a metric at a step, and takes points of the last two weeks alone (`_RawMetricData` in SageMaker's own Python
SDK 2.x knows that window); which points it refuses, its answer says, and each is noted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Final, NamedTuple

from autotrack.backend import BackendUnavailable
from autotrack.events import MetricsLogged
from autotrack_sagemaker.runs import moment
from autotrack_sagemaker.service import Service

POINTS_PER_REQUEST: Final = 10
HIGHEST_STEP: Final = 2**31 - 1

_REFUSALS: Final = {
    "VALIDATION_ERROR": "SageMaker refused the point: it takes those of the last two weeks alone",
    "METRIC_LIMIT_EXCEEDED": "SageMaker keeps no more metrics of this run",
}


class Point(NamedTuple):
    """One point, with what identifies it for ever."""

    writer: str
    sequence: int
    key: str
    step: int
    value: float
    time: datetime


class Series:
    """The points of one run in one batch."""

    def __init__(self, highest: dict[str, int], note: Callable[[str, str], None], *, milliseconds: bool = True) -> None:
        self._note = note
        self._milliseconds = milliseconds
        self._points: list[Point] = []
        self._steps: set[tuple[str, int]] = set()
        self._before = highest
        self.highest = dict(highest)
        """Of each metric, the highest step so far."""

    def add(self, writer: str, sequence: int, event: MetricsLogged) -> None:
        """Take the points of one event; what SageMaker cannot keep is noted."""
        step, time = int(event.step), moment(event.time)  # the forwarder has rounded it
        if time.microsecond and not self._milliseconds:
            self._note("times of points", "this version of botocore sends whole seconds: pip install --upgrade boto3")
        for key, value in event.values.items():
            what = f"metric {key}"
            if not math.isfinite(value):
                self._note(what, "SageMaker takes finite numbers alone: the point is not there")
                continue
            if not 0 <= step <= HIGHEST_STEP:
                self._note(what, f"SageMaker's steps go from 0 to {HIGHEST_STEP}: the point is not there")
                continue
            if (key, step) in self._steps or step <= self._before.get(key, -1):
                self._note(what, "SageMaker shows one value at a step: steps that come again hide others")
            self._steps.add((key, step))
            self.highest[key] = max(step, self.highest.get(key, -1))
            self._points.append(Point(writer, sequence, key, step, value, time))

    def send(self, service: Service, component: str, held: set[tuple[str, int, str]]) -> None:
        """Send those that are not in `held`, the points that the service has confirmed, which grows meanwhile."""
        points = [point for point in self._points if point[:3] not in held]
        for start in range(0, len(points), POINTS_PER_REQUEST):
            chunk = points[start : start + POINTS_PER_REQUEST]
            answer = service.call(
                "batch_put_metrics",
                client="metrics",
                TrialComponentName=component,
                MetricData=[
                    {"MetricName": point.key, "Timestamp": point.time, "Step": point.step, "Value": point.value}
                    for point in chunk
                ],
            )
            self._judge(chunk, answer.get("Errors") or (), held)

    def _judge(self, chunk: list[Point], errors: Iterable[dict[str, Any]], held: set[tuple[str, int, str]]) -> None:
        codes = {int(error.get("MetricIndex", 0)): str(error.get("Code", "")) for error in errors}
        passing = None
        for index, point in enumerate(chunk):
            code = codes.get(index)
            if code is None or code in _REFUSALS:
                held.add(point[:3])
                if code:
                    self._note(f"metric {point.key}", _REFUSALS[code])
            else:
                passing = code
        if passing:
            raise BackendUnavailable(f"SageMaker could not take some points now: {passing}")
