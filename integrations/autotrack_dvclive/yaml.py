"""The little YAML that is written (yaml.org, version 1.2): blocks of keys and lists, whose scalars are JSON's."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any

_PLAIN = re.compile(r"[A-Za-z_][\w./-]*")
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")


def dumped(value: Mapping[str, Any]) -> str:
    """A mapping of scalars, mappings and lists as YAML."""
    return "\n".join(_block(value, 0)) + "\n" if value else "{}\n"


def _block(value: Any, depth: int) -> Iterator[str]:
    margin = "  " * depth
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if isinstance(inner, Mapping | list) and inner:
                yield f"{margin}{_key(key)}:"
                yield from _block(inner, depth + 1)
            else:
                yield f"{margin}{_key(key)}: {_scalar(inner)}"
        return
    for inner in value:
        if isinstance(inner, Mapping) and inner:
            first, *rest = _block(inner, depth + 1)
            yield f"{margin}- {first.lstrip()}"
            yield from rest
        else:
            yield f"{margin}- {_scalar(inner)}"


def _key(key: str) -> str:
    return key if _PLAIN.fullmatch(key) and key.lower() not in _WORDS else _text(key)


def _scalar(value: Any) -> str:
    if isinstance(value, float):
        if not isfinite(value):
            return ".nan" if value != value else ".inf" if value > 0 else "-.inf"
        return repr(value)
    if value is None or isinstance(value, bool | int):
        return json.dumps(value)
    if isinstance(value, Mapping | list):  # empty ones: others are blocks
        return "{}" if isinstance(value, Mapping) else "[]"
    return _text(str(value))


def _text(text: str) -> str:
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))


__all__ = ["dumped"]
