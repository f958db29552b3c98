"""The values that fields are compared with: text, numbers, truth, times and durations.

Numbers are decimals as they are written. A time stands for all of what it names: a day, a second, a microsecond.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, TypeAlias

SECOND: Final = 10**9
"""Nanoseconds."""

LARGEST: Final = 400
"""Digits before or behind the point of a number; a 64-bit float has up to 309 and 324."""


@dataclass(frozen=True)
class Span:
    """From `start` up to, not including, `end`: nanoseconds since the epoch."""

    start: int
    end: int


Literal: TypeAlias = str | Decimal | bool | Span
"""Not-a-number and the infinities are decimals too."""

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,6})?", re.ASCII)
_SPECIAL: Final = {"nan": "NaN", "inf": "Infinity", "infinity": "Infinity"}
_UNITS: Final = {
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), SECOND // 1000),
    **dict.fromkeys(("s", "sec", "second", "seconds"), SECOND),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60 * SECOND),
    **dict.fromkeys(("h", "hour", "hours"), 3600 * SECOND),
    **dict.fromkeys(("d", "day", "days"), 86400 * SECOND),
    **dict.fromkeys(("w", "week", "weeks"), 7 * 86400 * SECOND),
}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([a-z]+)", re.ASCII)
_TIME = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?)?)?(Z|[+-]\d\d:?\d\d)?", re.ASCII
)


def number(text: str) -> Decimal | None:
    """The number that `text` writes; None where it is none. Raises `ValueError` for one beyond what is compared."""
    sign, rest = ("-", text[1:]) if text[:1] == "-" else ("", text.removeprefix("+"))
    if rest.lower() in _SPECIAL:
        return Decimal(sign + _SPECIAL[rest.lower()]) if rest.lower() != "nan" else Decimal("NaN")
    if not _NUMBER.fullmatch(text):
        return None
    value = Decimal(text)
    if value and abs(value.adjusted()) > LARGEST or len(text) > LARGEST:
        raise ValueError("is a number beyond what can be compared")
    return value


def duration(text: str) -> int | None:
    """Nanoseconds of `90s`, `1h30m`, `2.5 days`; None where it is no duration."""
    text, total, at = text.lower().replace(" ", ""), Decimal(0), 0
    while at < len(text):
        part = _DURATION.match(text, at)
        if part is None or part[2] not in _UNITS:
            return None
        total += Decimal(part[1]) * _UNITS[part[2]]
        at = part.end()
    return int(total) if text and total < 2**62 else None


def time(text: str, now: int) -> Span | None:
    """The span that `text` names: `2026-05`, `2026-05-01`, `2026-05-01T12:00:00.5Z`, `now`, `today`, `7d ago`.

    Without a zone it is UTC. None where it is no time. `now` is in nanoseconds.
    """
    word = text.lower()
    if word == "now":
        return Span(now, now + 1)
    if word == "today":
        day = now - now % (86400 * SECOND)
        return Span(day, day + 86400 * SECOND)
    if word.endswith("ago"):
        before = duration(word.removesuffix("ago"))
        return None if before is None else Span(now - before, now - before + 1)
    found = _TIME.fullmatch(text)
    return None if found is None else _span(found)


def _span(found: re.Match[str]) -> Span | None:
    year, month, day, hour, minute, second, part, zone = found.groups()
    try:
        start = datetime(
            int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0), int(second or 0), tzinfo=UTC
        )
        if month is None:
            end = start.replace(year=start.year + 1)
        elif day is None:
            end = (start + timedelta(days=31)).replace(day=1)
        else:
            step = {"days": 1} if hour is None else {"minutes": 1} if second is None else {"seconds": 1}
            end = start + timedelta(**step)
    except (ValueError, OverflowError):
        return None
    shift = 0
    if zone not in (None, "Z"):
        digits = zone[1:].replace(":", "")
        shift = (int(digits[:2]) * 3600 + int(digits[2:]) * 60) * (-1 if zone[0] == "-" else 1)
    first, last = (((moment - _EPOCH) // timedelta(seconds=1) - shift) * SECOND for moment in (start, end))
    if part is not None:
        first += int(part.ljust(9, "0"))
        last = first + 10 ** (9 - len(part))
    return Span(*(max(-_FARTHEST, min(moment, _FARTHEST)) for moment in (first, last)))


_FARTHEST: Final = 2**63 - 1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
