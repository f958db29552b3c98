"""The module `neptune_scale.legacy`: a run of Neptune 3 with paths in brackets."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from autotrack.compat.neptune_scale import run


class Attribute:
    """A path of a run."""

    def __init__(self, run: Run, path: str) -> None:
        self._run = run
        self._path = path

    def assign(self, value: Any, *, wait: bool = False) -> None:
        """Put a value, or a mapping of paths and values, under the path."""
        self._run.log_configs({self._path: value})

    def append(
        self,
        value: Any,
        *,
        step: float | int,
        preview: bool = False,
        preview_completion: float | None = None,
        timestamp: float | datetime | None = None,
        wait: bool = False,
        **kwargs: Any,
    ) -> None:
        """Append a value, or one of each path of a mapping, at `step`."""
        when = datetime.fromtimestamp(timestamp) if isinstance(timestamp, int | float) else timestamp
        data = dict(run._leaves(value, self._path)) if isinstance(value, Mapping) else {self._path: value}
        self._run.log_metrics(data, step, timestamp=when, preview=preview, preview_completion=preview_completion)

    def extend(
        self,
        values: Collection[float | int],
        *,
        steps: Collection[float | int],
        timestamps: Collection[float | datetime] | None = None,
        previews: Collection[bool] | None = None,
        preview_completions: Collection[float] | None = None,
        wait: bool = False,
        **kwargs: Any,
    ) -> None:
        """Append several values. Raises `ValueError` where steps or times are not as many."""
        for other in (steps, timestamps, previews, preview_completions):
            if other is not None and len(other) != len(values):
                raise ValueError("All lists provided to extend must have the same length")
        times: list[Any] = list(timestamps) if timestamps is not None else [None] * len(values)
        early = list(previews) if previews is not None else [False] * len(values)
        for value, step, when, preview in zip(values, steps, times, early, strict=True):
            self.append(value, step=step, timestamp=when, preview=preview)

    def add(self, values: str | Collection[str], *, wait: bool = False) -> None:
        """Add words to the set under the path, `sys/tags` or `sys/group_tags`."""
        words = [values] if isinstance(values, str) else list(values)
        self._run.add_tags(words, group_tags=self._path.endswith("group_tags"))

    def remove(self, values: str | Collection[str], *, wait: bool = False) -> None:
        """Remove words from the set under the path."""
        words = [values] if isinstance(values, str) else list(values)
        self._run.remove_tags(words, group_tags=self._path.endswith("group_tags"))


class Run(run.Run):
    """A run whose paths are reached by brackets."""

    def __getitem__(self, path: str) -> Attribute:
        return Attribute(self, path.strip("/"))

    def __setitem__(self, key: str, value: Any) -> None:
        self[key].assign(value)


__all__ = ["Run"]
