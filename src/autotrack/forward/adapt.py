"""Making events fit what a backend declares that it can carry, and telling what was changed.

The local record keeps every full value. Names are made safe without collisions: the table of a run's names is kept
with the delivery's progress, so that a restart gives the same names.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import msgspec

from autotrack.backend import Limits
from autotrack.events import MetricsLogged, ParamsLogged, Record, TagsSet
from autotrack.forward.progress import Progress


class Adapter:
    """Adapts the events of one journal for one backend."""

    def __init__(self, limits: Limits, progress: Progress) -> None:
        self._limits = limits
        self._progress = progress
        self._unsafe = _outside(limits.key_characters)
        self._taken: dict[str, set[str]] = {}
        self._plain = replace(limits, registry=False) == Limits()

    def adapt(self, record: Record) -> Record:
        """The record as the backend gets it: the very same where nothing had to be changed."""
        if self._plain:
            return record
        event = record.event
        changes: dict[str, Any] = {}
        if isinstance(event, MetricsLogged):
            changes = {"values": self._keys(event.run, event.values), "step": self._step(event)}
            if not self._limits.infinities and any(map(math.isinf, event.values.values())):
                self._progress.note(event.run, "infinite values", "the backend stores them as the largest float")
        elif isinstance(event, ParamsLogged):
            changes = {"params": self._texts(event.run, self._keys(event.run, event.params), self._limits.param_length)}
        elif isinstance(event, TagsSet):
            changes = {"tags": self._texts(event.run, self._keys(event.run, event.tags), self._limits.tag_length)}
        if all(getattr(event, name) is value for name, value in changes.items()):
            return record
        return msgspec.structs.replace(record, event=msgspec.structs.replace(event, **changes))

    def _keys(self, run: str, values: dict[str, Any]) -> dict[str, Any]:
        limits = self._limits
        if limits.key_characters is None and limits.key_length is None:
            return values
        table = self._progress.names.setdefault(run, {})
        if all(table.get(key) == key for key in values):
            return values
        return {table.get(key) or self._safe(run, key, table): value for key, value in values.items()}

    def _safe(self, run: str, key: str, table: dict[str, str]) -> str:
        taken = self._taken.get(run)
        if taken is None:
            taken = self._taken[run] = set(table.values())
        name = self._unsafe("_", key) if self._unsafe else key
        if not name.strip("_./ "):
            name = "name" + name
        longest = self._limits.key_length
        name = name[:longest]
        number = 1
        unique = name
        while unique in taken:
            number += 1
            ending = f"_{number}"
            unique = (name[: longest - len(ending)] if longest else name) + ending
        table[key] = unique
        taken.add(unique)
        if unique != key:
            self._progress.note(run, f"name {key!r}", f"is called {unique!r} there")
        return unique

    def _texts(self, run: str, values: dict[str, Any], longest: int | None) -> dict[str, Any]:
        if longest is None or not any(isinstance(value, str) and len(value) > longest for value in values.values()):
            return values
        cut = {}
        for key, value in values.items():
            if isinstance(value, str) and len(value) > longest:
                self._progress.note(run, f"value of {key!r}", f"was cut to {longest} of its {len(value)} characters")
                value = value[:longest]
            cut[key] = value
        return cut

    def _step(self, event: MetricsLogged) -> Any:
        if not self._limits.integer_steps or isinstance(event.step, int):
            return event.step
        self._progress.note(event.run, "fractional steps", "the backend takes integers: rounded down")
        return math.floor(Decimal(event.step))


def _outside(characters: str | None) -> Callable[[str, str], str] | None:
    if characters is None:
        return None
    return re.compile("[^" + characters.removeprefix("[")).sub
