"""Series of texts and of histograms as the artifacts that keep them: JSON lines of a step, a time and a value.

A step is an integer, or a decimal as text; a time is ISO 8601 in UTC, and is left out where there was none. JSON has no
infinities: in histograms they are the texts `Infinity` and `-Infinity`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from autotrack_neptune.attributes import Entry, from_iso, iso


def as_lines(entries: Iterable[Entry]) -> bytes:
    """The content of the artifact."""
    lines = []
    for entry in entries:
        held: dict[str, Any] = {"step": entry.step}
        if entry.time is not None:
            held["time"] = iso(entry.time)
        lines.append(json.dumps({**held, "value": _plain(entry.value)}, ensure_ascii=False) + "\n")
    return "".join(lines).encode("utf-8", "surrogatepass")


def from_lines(place: Path) -> Iterator[Entry]:
    """What such an artifact holds. Raises `OSError`."""
    with open(place, encoding="utf-8", errors="surrogatepass", newline="\n") as lines:
        for line in lines:
            held = json.loads(line)
            yield Entry(held["step"], from_iso(held["time"]) if "time" in held else None, held["value"])


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    return value
