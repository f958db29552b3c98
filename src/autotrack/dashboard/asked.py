"""Reading what a request asks for: every value from the address is bounded here, before anything acts on it."""

from __future__ import annotations

import math
import re
from typing import Final

from starlette.requests import Request

from autotrack.errors import UsageError

MOST_RUNS: Final = 200
MOST_COLUMNS: Final = 60
LONGEST_QUERY: Final = 4000
LONGEST_KEY: Final = 600


def text(request: Request, name: str, default: str = "", longest: int = LONGEST_QUERY) -> str:
    """A text. Raises `UsageError` for one that is too long."""
    value = request.query_params.get(name, default)
    if len(value) > longest:
        raise UsageError(f"{name}= has more than {longest} characters")
    return value


def needed(request: Request, name: str, longest: int = LONGEST_KEY) -> str:
    """A text that must be there."""
    value = text(request, name, longest=longest)
    if not value:
        raise UsageError(f"the address lacks {name}=")
    return value


def whole(request: Request, name: str, default: int, least: int, most: int) -> int:
    """A whole number within bounds."""
    value = request.query_params.get(name, "")
    if not value:
        return default
    if len(value) > 18 or not re.fullmatch(r"-?[0-9]+", value) or not least <= int(value) <= most:
        raise UsageError(f"{name}= is a whole number from {least} to {most}")
    return int(value)


def number(request: Request, name: str) -> float | None:
    """A finite number, or None where there is none."""
    value = request.query_params.get(name, "")
    if not value:
        return None
    try:
        found = float(value) if len(value) < 64 else math.nan
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise UsageError(f"{name}= is a number")
    return found


def names(request: Request, name: str, most: int, longest: int = LONGEST_KEY) -> list[str]:
    """The parts of a comma list, each once. A comma inside a part is written in double quotes, as in queries."""
    found = list(dict.fromkeys(part for part in _parts(request.query_params.get(name, "")) if part))
    if len(found) > most or any(len(part) > longest for part in found):
        raise UsageError(f"{name}= names at most {most}, each of at most {longest} characters")
    return found


def choice(request: Request, name: str, *words: str) -> str:
    """One of the words, the first by default."""
    value = request.query_params.get(name) or words[0]
    if value not in words:
        raise UsageError(f"{name}= is one of {', '.join(words)}")
    return value


def _parts(value: str) -> list[str]:
    parts, quoted, escaped = [""], False, False
    for sign in value:
        if sign == "," and not quoted:
            parts.append("")
            continue
        if sign == '"' and not escaped:
            quoted = not quoted
        escaped = sign == "\\" and not escaped
        parts[-1] += sign
    return [part.strip() for part in parts]


__all__ = ["choice", "names", "needed", "number", "text", "whole"]
