"""What a request to AWS must be like, by the service's own model: moto takes what the service refuses.

botocore ships the models and checks of them only that what is required is there and of the right type. This checks the
rest: lengths, ranges, patterns and words, of the parameters of a call (`watch`) and of JSON that has arrived (`Model`).
"""

from __future__ import annotations

import math
import re
import sys
import unicodedata
from functools import lru_cache
from typing import Any

import botocore.loaders
from botocore.model import ServiceModel, Shape

JAVA_LINE_ENDS = "\n\r\x85\u2028\u2029"
LARGEST = {"integer": 2**31 - 1, "long": 2**63 - 1}
SERVICES = ("sagemaker", "sagemaker-metrics", "s3")


@lru_cache
def model(service: str) -> ServiceModel:
    """The model that botocore ships."""
    return ServiceModel(botocore.loaders.Loader().load_service_model(service, "service-2"), service)


def violations(service: str, operation: str, parameters: dict[str, Any]) -> list[str]:
    """Everything in the parameters of an operation that its shapes do not allow."""
    shape = model(service).operation_model(operation).input_shape
    return [] if shape is None else [f"{operation}{where}" for where in _wrong(shape, parameters, "")]


def watch(client: Any, found: list[str]) -> None:
    """Have `found` grow by what is wrong in each request of a boto3 client, before it is sent."""

    def look(params: dict[str, Any], model: Any, **_: Any) -> None:
        found.extend(violations(client.meta.service_model.service_name, model.name, params))

    client.meta.events.register(f"provide-client-params.{client.meta.service_model.service_id.hyphenize()}.*", look)


def _wrong(shape: Shape, value: Any, where: str) -> list[str]:
    kind = shape.type_name
    if kind == "structure":
        return _wrong_structure(shape, value, where)
    found: list[str] = []
    if kind == "list":
        if not isinstance(value, list):
            return [f"{where} is no list"]
        found += _outside(shape, len(value), where, "items")
        for index, item in enumerate(value):
            found += _wrong(shape.member, item, f"{where}[{index}]")  # type: ignore[attr-defined]
    elif kind == "map":
        found += _outside(shape, len(value), where, "keys")
        for key, item in value.items():
            found += _wrong(shape.key, key, f"{where} key {key!r:.40}")  # type: ignore[attr-defined]
            found += _wrong(shape.value, item, f"{where}[{key!r:.40}]")  # type: ignore[attr-defined]
    elif kind == "string":
        found += _wrong_text(shape, value, where)
    elif kind in LARGEST:
        if type(value) is not int or abs(value) > LARGEST[kind]:
            found.append(f"{where}={value!r} is no {kind}")
        else:
            found += _outside(shape, value, where, "")
    elif kind in ("double", "float") and (type(value) not in (int, float) or not math.isfinite(value)):
        found.append(f"{where}={value!r} is no number of JSON")
    elif kind == "boolean" and type(value) is not bool:
        found.append(f"{where}={value!r} is no boolean")
    return found


def _wrong_structure(shape: Shape, value: Any, where: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{where} is no structure"]
    members = shape.members  # type: ignore[attr-defined]
    found = [f"{where}.{name} is missing" for name in shape.required_members if name not in value]  # type: ignore[attr-defined]
    for name, item in value.items():
        if name in members:
            found += _wrong(members[name], item, f"{where}.{name}")
        else:
            found.append(f"{where}.{name} is unknown")
    return found


def _wrong_text(shape: Shape, value: Any, where: str) -> list[str]:
    if not isinstance(value, str):
        return [f"{where}={value!r} is no text"]
    found = _outside(shape, len(value), where, "characters")
    words = shape.enum  # type: ignore[attr-defined]
    if words and value not in words:
        found.append(f"{where}={value!r} is none of {words}")
    pattern = shape.metadata.get("pattern")
    if pattern and not _compiled(pattern).fullmatch(value):
        found.append(f"{where}={value!r:.80} does not match {pattern}")
    return found


def _outside(shape: Shape, size: float, where: str, unit: str) -> list[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if (least is not None and size < least) or (most is not None and size > most):
        return [f"{where} has {size} {unit}, not {least} to {most}"]
    return []


@lru_cache(maxsize=1000)
def _compiled(pattern: str) -> re.Pattern[str]:
    """A pattern as the service reads it: Java's `.` stops at more ends of lines, and it knows classes of Unicode."""
    pattern = re.sub(r"\$\{\d+,\d+\}$", "", pattern)  # a slip in two patterns of the model: the length says the same
    pattern = re.sub(r"\\p\{(\w)\}", lambda match: _class(match[1]), pattern)
    if not re.search(r"[\[\\]\.|\\\.", pattern):
        pattern = re.sub(r"(?<![\\\[])\.(?=[*+{]|$)", f"[^{JAVA_LINE_ENDS}]", pattern)
    return re.compile(pattern)


def _class(name: str) -> str:
    return _classes()[name]


@lru_cache
def _classes() -> dict[str, str]:
    """The classes of Unicode as ranges, by their letter: one look at each character."""
    found: dict[str, list[list[int]]] = {}
    for code in range(sys.maxunicode + 1):
        ranges = found.setdefault(unicodedata.category(chr(code))[0], [])
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return {
        letter: "".join(f"{re.escape(chr(first))}-{re.escape(chr(last))}" for first, last in ranges)
        for letter, ranges in found.items()
    }
