"""Runs that were removed for good, as the journals tell it: the removal of a run is an event like any other.

A home enters; which of its runs are gone leaves, with when, by whom and why. Tombstones lie in journals of their own,
whose names end in `-removal`, so that whoever delivers an event can know of all of them without reading every journal.
One event tells of all runs that one command removed, so that either all of them are gone or none.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from autotrack.events import AnyEvent, ProvenanceLogged, Record, TagsSet, WriterEnded
from autotrack.journal.reader import Journal

TOMBSTONE: Final = "tombstone"
"""The kind of a `ProvenanceLogged` that belongs to no run: its record maps ids of removed runs to `{who, why}`."""

REMOVAL: Final = "removal"
_SUFFIX: Final = f"-{REMOVAL}"
_SETTLED: Final = 1.0
"""Seconds after which a folder's time tells of every change: the clocks of file systems are coarse."""
_SHARE: Final = 20.0
"""A look that took long is not repeated before so many times as long have passed."""


class Removal(NamedTuple):
    """A run that was removed. Nothing of it is known but its id."""

    run: str
    time: int
    who: str
    why: str


class _Known(NamedTuple):
    stamp: tuple[int, ...]
    looked: float
    took: float
    whole: bool
    runs: Mapping[str, Removal]


_known: dict[Path, _Known] = {}


def is_tombstone(event: AnyEvent) -> bool:
    """Whether the event says that runs were removed."""
    return isinstance(event, ProvenanceLogged) and event.kind == TOMBSTONE and not event.run


def removals(event: AnyEvent) -> Iterator[Removal]:
    """The runs that the event says were removed."""
    if isinstance(event, ProvenanceLogged) and is_tombstone(event):
        for run, told in event.record.items():
            words = told if isinstance(told, dict) else {}
            yield Removal(run, event.time, str(words.get("who", "")), str(words.get("why", "")))


def is_removal(journal: str) -> bool:
    """Whether the journal of this name is one of tombstones, which every home keeps."""
    return journal.endswith(_SUFFIX)


def removed_runs(home: Path) -> Mapping[str, Removal]:
    """By id, every run that a journal of the home says was removed. Cheap where nothing has changed since."""
    held = _known.get(home)
    stamp = tuple(map(_touched, _places(home)))
    if held is not None and held.whole:
        settled = held.looked - max(stamp) / 1e9 > _SETTLED
        if held.stamp == stamp and settled or time.time() - held.looked < held.took * _SHARE:
            return held.runs
    begun = time.time()
    runs: dict[str, Removal] = {}
    whole = True
    for place in _places(home):  # in the order in which journals move, so that none is missed
        for name in _names(place):
            try:
                ended = _read(place / name, runs)
            except OSError:  # it moves at this moment
                ended = False
            whole = whole and ended
    _known[home] = _Known(stamp, begun, time.time() - begun, whole, runs)
    return runs


def without(record: Record) -> Record:
    """The record, in its place in the journal, with an event that says nothing."""
    return msgspec.structs.replace(record, event=TagsSet("", record.event.time, {}))


def _places(home: Path) -> tuple[Path, Path]:
    return home / "journals", home / "archive"


def _names(place: Path) -> list[str]:
    try:
        return [name for name in os.listdir(place) if name.endswith(_SUFFIX) and not name.startswith(".")]
    except OSError:
        return []


def _read(folder: Path, runs: dict[str, Removal]) -> bool:
    """Add what a journal of tombstones tells; whether it has ended, so that it tells no more."""
    ended = folder.parent.name == "archive"
    for record in Journal(folder).records():
        for one in removals(record.event):
            runs.setdefault(one.run, one)
        ended = ended or isinstance(record.event, WriterEnded)
    return ended


def _touched(place: Path) -> int:
    try:
        return place.stat().st_mtime_ns
    except OSError:
        return 0
