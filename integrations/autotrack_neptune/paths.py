"""Under which path of Neptune each name goes, the same in every process, and how far each series has come.

A path of Neptune holds one thing. Params and metrics keep their names, as the exporter's files have them; where a name
is taken by another kind, is one of Neptune's (`sys/`) or ours (`autotrack/`), it goes below `autotrack/`.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from decimal import Decimal
from typing import Any, Final

from autotrack_neptune import naming

PARENT: Final = "autotrack/parent_id"
INTEGRATION: Final = "autotrack/integration"
ENVIRONMENT: Final = "autotrack/environment"
CODE: Final = "autotrack/code"
DATASETS: Final = "autotrack/datasets/"
MODELS: Final = "autotrack/models/"


class Paths:
    """The paths of one run, kept in the delivery's state as `{kinds, last, lines, begun}`."""

    def __init__(self, state: MutableMapping[str, Any]) -> None:
        self._state = state
        self._kinds: dict[str, str] = state.setdefault("kinds", {})
        self._last: dict[str, str] = state.setdefault("last", {})

    def param(self, key: str) -> str:
        """Where a param goes."""
        return self._free("param", key, naming.PARAMS)

    def metric(self, key: str) -> str:
        """Where a series goes."""
        return self._free("metric", key, naming.METRICS)

    def file(self, name: str) -> str:
        """Where an artifact goes."""
        return self._free("file", name, naming.FILES)

    def tag(self, key: str) -> str:
        """Where a tag goes."""
        return naming.TAGS + whole(key)

    def rises(self, key: str, step: Decimal | None) -> bool:
        """Whether a step is beyond the last one of the series, which it then is."""
        before = self._last.get(key)
        if step is None or (before is not None and step <= Decimal(before)):
            return False
        self._last[key] = str(step)
        return True

    @property
    def begun(self) -> bool:
        """Whether this journal is the one that began the run."""
        return bool(self._state.get("begun"))

    def begin(self) -> None:
        """This journal is the one that began the run."""
        self._state["begun"] = True

    def next_line(self, stream: str) -> int:
        """The number of the next text of a stream."""
        lines: dict[str, int] = self._state.setdefault("lines", {})
        lines[stream] = lines.get(stream, -1) + 1
        return lines[stream]

    def _free(self, kind: str, name: str, otherwise: str) -> str:
        path = whole(name)
        taken = self._kinds.setdefault(path, kind)
        return path if taken == kind and not naming.reserved(path) else otherwise + path


def whole(name: str) -> str:
    """A name without empty steps, which a path cannot have: each is `%`, and steps of that sign alone get one more."""
    return "/".join(step + "%" if not step.strip("% ") else step for step in name.split("/"))
