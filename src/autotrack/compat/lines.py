"""A series that is no series of numbers, kept as an artifact of JSON lines that grows with it.

It is kept again when it has grown by a quarter and ten seconds have passed, and when the run ends: a killed process may
lose what came since. A part is closed at 1 MiB and the next begun, so that neither memory nor what is written again
grows without bound.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from autotrack.events import Step

PART: Final = 1 << 20
"""Bytes after which a part is closed."""

PAUSE: Final = 10.0
"""Seconds between two times that it is kept."""


class Lines:
    """One such series: `keep(data, name)` keeps a part, `<path>.jsonl`, then `<path>-2.jsonl` and so on.

    A line is `{step, time, …}`: the step exact (an integer, or a decimal as text), the time ISO 8601 in UTC.
    """

    def __init__(self, keep: Callable[[bytes, str], None], path: str) -> None:
        self._keep = keep
        self._path = path
        self._part = 1
        self._data = bytearray()
        self._kept = 0
        self._when = time.monotonic()

    def add(self, step: Step, seconds: float, told: Mapping[str, Any]) -> None:
        """Append one line; `seconds` since the epoch."""
        moment = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        line = json.dumps({"step": step, "time": moment, **told}, ensure_ascii=False, default=str)
        self._data += line.encode("utf-8", "surrogatepass") + b"\n"
        now = time.monotonic()
        if len(self._data) >= PART:
            self.flush()
            self._part += 1
            self._kept = 0
            self._data.clear()
        elif now - self._when >= PAUSE and len(self._data) > self._kept * 1.25:
            self.flush()

    def flush(self) -> None:
        """Keep what was added since."""
        if len(self._data) == self._kept:
            return
        name = self._path if self._part == 1 else f"{self._path}-{self._part}"
        self._keep(bytes(self._data), f"{name}.jsonl")
        self._kept, self._when = len(self._data), time.monotonic()
