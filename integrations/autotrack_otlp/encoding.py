"""OTLP's messages (opentelemetry-proto 1.8), as protobuf or as JSON, and what is needed of the answer.

Only the handful of fields that metrics need. In protobuf a field is its number and wire type as a varint, then its
value; in JSON 64-bit integers are text and names are in camel case.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from autotrack import protobuf
from autotrack.protobuf import sized

SCOPE: Final = "autotrack"
INT64: Final = range(-(2**63), 2**63)

Value: TypeAlias = str | bool | int | float | None
Attributes: TypeAlias = Mapping[str, Value]


@dataclass(frozen=True)
class Point:
    """One data point of a gauge: nanoseconds since the epoch, a float or an integer of 64 bits, attributes."""

    time: int
    value: float | int
    attributes: Attributes


@dataclass
class Part:
    """Points of one resource, by the name of their metric (`ResourceMetrics`)."""

    resource: Attributes
    metrics: dict[str, list[Point]] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What the server said of an accepted request (`ExportMetricsPartialSuccess`)."""

    rejected: int = 0
    message: str = ""


def as_protobuf(parts: Sequence[Part]) -> bytes:
    """An `ExportMetricsServiceRequest`."""
    return b"".join(sized(1, _part(part)) for part in parts)


def as_json(parts: Sequence[Part]) -> bytes:
    """The same as JSON."""
    told = [
        {
            "resource": {"attributes": _json_attributes(part.resource)},
            "scopeMetrics": [
                {
                    "scope": {"name": SCOPE},
                    "metrics": [
                        {"name": name, "gauge": {"dataPoints": [_json_point(point) for point in points]}}
                        for name, points in part.metrics.items()
                    ],
                }
            ],
        }
        for part in parts
    ]
    return json.dumps({"resourceMetrics": told}, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()


def answer_from(body: bytes, content_type: str) -> Answer:
    """What an `ExportMetricsServiceResponse` says; nothing where it cannot be read: the request was accepted."""
    try:
        if "json" in content_type:
            told = (json.loads(body or b"{}") or {}).get("partialSuccess") or {}
            return Answer(int(told.get("rejectedDataPoints") or 0), str(told.get("errorMessage") or ""))
        partial = dict(protobuf.fields(protobuf.as_bytes(dict(protobuf.fields(body)).get(1, b""))))
        return Answer(protobuf.as_signed(partial.get(1, 0)), protobuf.as_text(partial.get(2, b"")))
    except (ValueError, TypeError, AttributeError):
        return Answer()


def _part(part: Part) -> bytes:
    resource = b"".join(sized(1, _attribute(*one)) for one in part.resource.items())
    metrics = (_metric(name, points) for name, points in part.metrics.items())
    scope = sized(1, sized(1, SCOPE)) + b"".join(sized(2, one) for one in metrics)
    return sized(1, resource) + sized(2, scope)


def _metric(name: str, points: Iterable[Point]) -> bytes:
    gauge = b"".join(sized(1, _point(point)) for point in points)
    return sized(1, name) + sized(5, gauge)


def _point(point: Point) -> bytes:
    value = struct.pack("<Bd" if isinstance(point.value, float) else "<Bq", _VALUE[type(point.value)], point.value)
    time = struct.pack("<BQ", 3 << 3 | 1, max(0, point.time))
    return time + value + b"".join(sized(7, _attribute(*one)) for one in point.attributes.items())


_VALUE: Final[dict[type[Any], int]] = {float: 4 << 3 | 1, int: 6 << 3 | 1}


def _attribute(key: str, value: Value) -> bytes:
    if value is None:
        told = b""
    elif isinstance(value, bool):
        told = bytes((2 << 3, value))
    elif isinstance(value, int):
        told = protobuf.integer(3, value)
    elif isinstance(value, float):
        told = struct.pack("<Bd", 4 << 3 | 1, value)
    else:
        told = sized(1, value)
    return sized(1, key) + sized(2, told)


def _json_point(point: Point) -> dict[str, Any]:
    told: dict[str, Any] = {
        "attributes": _json_attributes(point.attributes),
        "timeUnixNano": str(max(0, point.time)),
    }
    if isinstance(point.value, float):
        told["asDouble"] = _json_float(point.value)
    else:
        told["asInt"] = str(point.value)
    return told


def _json_attributes(attributes: Attributes) -> list[dict[str, Any]]:
    return [{"key": key, "value": _json_value(value)} for key, value in attributes.items()]


def _json_value(value: Value) -> dict[str, Any]:
    if value is None:
        return {}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": _json_float(value)}
    return {"stringValue": value}


def _json_float(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


__all__ = ["INT64", "Answer", "Attributes", "Part", "Point", "Value", "answer_from", "as_json", "as_protobuf"]
