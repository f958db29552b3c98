"""What SQLite lacks, as functions in Python: exact decimals, the text of JSON, and a value within a document.

PostgreSQL has all of it in SQL (`scalars`). None of them ever raises: what cannot be told is NULL.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection

SYMBOL_FOR_NUL: Final = "\u2400"
_LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")
_INDEX = re.compile(r"-?[0-9]{1,9}")


def prepare(connection: Connection) -> None:
    """Give a connection to SQLite these functions."""
    if connection.dialect.name == "sqlite":
        driver: Any = connection.connection.driver_connection
        driver.create_function("autotrack_compare", 2, compare, deterministic=True)
        driver.create_function("autotrack_text", 1, text_of, deterministic=True)
        driver.create_function("autotrack_small", 1, small, deterministic=True)
        driver.create_function("autotrack_number", 1, number_of, deterministic=True)
        driver.create_function("autotrack_pick", 2, pick, deterministic=True)


def compare(value: str, literal: str) -> int | None:
    """-1, 0 or 1 as the one decimal is below, equal to or above the other."""
    try:
        first, second = Decimal(value), Decimal(literal)
        return (first > second) - (first < second)
    except (ArithmeticError, TypeError, ValueError):
        return None


def text_of(value: str) -> str | None:
    """The text that a JSON string writes, as the text columns hold it: NUL as its symbol, halves of pairs replaced."""
    try:
        text = json.loads(value)
    except (TypeError, ValueError):
        return None
    return shown(text) if isinstance(text, str) else None


def shown(text: str) -> str:
    """`text` as both databases can hold it."""
    return _LONE_SURROGATE.sub("\ufffd", text.replace("\0", SYMBOL_FOR_NUL))


def lower(letter: str) -> str:
    """A letter's small form, where that is one letter."""
    form = letter.lower()
    return form if len(form) == 1 else letter


def small(text: str) -> str | None:
    """The text in small letters, one for one."""
    return "".join(map(lower, text)) if isinstance(text, str) else None


def number_of(value: str) -> float | None:
    """A JSON number as a 64-bit float; an infinity for what is beyond."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def pick(document: str, path: str) -> str | None:
    """The JSON at a path, a JSON list of keys, within a JSON document."""
    try:
        found = json.loads(document)
        for key in json.loads(path):
            found = _step(found, key)
        return json.dumps(found, separators=(",", ":"))
    except (LookupError, TypeError, ValueError, RecursionError):
        return None


def _step(value: Any, key: str) -> Any:
    if isinstance(value, list):
        if not _INDEX.fullmatch(key):
            raise LookupError(key)
        return value[int(key)]
    if isinstance(value, dict):
        return value[key]
    raise LookupError(key)
