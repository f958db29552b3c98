"""Single values as the exporter's columns have them: a type, and a column for each type."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any, Final

from autotrack.events import Scalar
from autotrack_neptune.attributes import MILLISECOND, from_iso

COLUMNS: Final = {
    "string": "string_value",
    "int": "int_value",
    "float": "float_value",
    "bool": "bool_value",
    "datetime": "datetime_value",
    "string_set": "string_set_value",
    **dict.fromkeys(("file", "file_series", "file_set", "artifact"), "file_value"),
}


def row(path: str, kind: str, value: Any) -> dict[str, Any]:
    """One attribute with one value."""
    return {"attribute_path": path, "attribute_type": kind, COLUMNS[kind]: value}


def typed(param: Scalar) -> tuple[str, Any]:
    """A param with the type that Neptune has for it; None and what does not fit 64 bits are texts."""
    if isinstance(param, bool):
        return "bool", param
    if isinstance(param, int) and -(2**63) <= param < 2**63:
        return "int", param
    return ("float", param) if isinstance(param, float) else ("string", str(param))


def as_type(kind: str, tag: str) -> tuple[str, Any]:
    """A value of Neptune's that was carried as text, with its type again; a string where it is none of it."""
    value: Any = tag if kind == "string" else None
    if kind == "datetime":
        ns = from_iso(tag)
        value = None if ns is None else ns // MILLISECOND
    elif kind in ("float", "int"):
        number = number_of(tag)
        value = int(number) if number is not None and kind == "int" else number
    elif kind == "bool":
        value = {"true": True, "false": False}.get(tag)
    elif kind == "string_set":
        try:
            held = json.loads(tag)
        except ValueError:
            held = None
        value = [str(one) for one in held] if isinstance(held, list) else None
    return ("string", tag) if value is None else (kind, value)


def number_of(text: str) -> float | None:
    """A finite number out of a text."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def histogram(value: Any) -> dict[str, Any]:
    """A histogram with all its numbers as floats."""
    return {
        "type": value.get("type"),
        "edges": [float(one) for one in value.get("edges") or []],
        "values": [float(one) for one in value.get("values") or []],
    }


def digests(record: Any) -> Iterator[str]:
    """The blobs that a record names: wherever an object has `digest` and `bytes`."""
    if isinstance(record, dict):
        if isinstance(record.get("digest"), str) and "bytes" in record:
            yield record["digest"]
        record = list(record.values())
    if isinstance(record, list):
        for one in record:
            yield from digests(one)
