"""Keeping a file in parts: what the home has of it already is not written again.

Pieces of a file, such as its tensors, enter in order; small neighbours are joined and large ones cut to parts, those
that are new go into a pack, and a `Recipe` leaves. Which parts the home has is remembered from one file to the next,
and read from the ends of its packs at the first: of those that were used last, not of all that ever were.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Final, TypeAlias

from autotrack.provenance.hashing import hashed
from autotrack.provenance.parts import Part, PartDamaged, Parts, Recipe, ending, length_of, touched

Piece: TypeAlias = bytes | bytearray | memoryview

LARGEST: Final = 1 << 20
"""Most bytes of one part: what was just hashed is written while it is in the processor's cache."""

SMALL: Final = 4 << 10
"""Pieces below this size share parts with the small ones beside them, never with a large one: it may stay the same."""

MOST: Final = 4096
"""Of small pieces a file has no more parts than this: the larger it is, the more counts as small."""

FORGOTTEN: Final = 24 * 3600.0
"""Seconds after which a draft is taken for a killed process's."""

REMEMBERED: Final = 20_000
"""How many parts are remembered, and four times as many as the last file had: some megabytes."""


def keep(home: Path, pieces: Iterable[Piece], size: int = 0) -> Recipe:
    """Keep a file that comes in pieces; `size` is what they have together, where that is known.

    Pieces are asked for one at a time, perhaps from another thread. Raises `OSError` where they cannot be kept, and
    then leaves nothing that was not there before.
    """
    places: list[Part] = []
    parts = Parts(home)
    with _lock:  # of two threads that keep the same, the second finds what the first has kept
        known = _homes.setdefault(parts.folder, _Known(parts))
        known.look()
        pack = _Pack(parts.folder)
        try:
            with closing(hashed(cut_and_joined(pieces, max(SMALL, size // MOST)), size)) as named:
                for name, data in named:
                    places.append(known.find(name) or pack.find(name) or pack.add(name, data))
            pack.finish()
        except BaseException:
            pack.discard()
            raise
        known.learn(pack.places, at_least=4 * len(places))
    return Recipe(sum(length_of(part.name) for part in places), tuple(places))


class _Known:
    """The parts of one home that this process knows of, those that were used last at the end."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._places: dict[str, Part] = {}
        self._packs: set[str] = set()
        self._touched: dict[str, bool] = {}
        """Of each pack that this file takes parts from, whether it is there: it counts as new, so that it stays."""
        _remove_forgotten(parts.folder)

    def look(self) -> None:
        """Learn of packs that other processes have written, and forget what is gone or damaged."""
        packs = self._parts.relied_on()
        self._touched.clear()
        if not self._packs.issubset(packs):
            self._places.clear()
            self._packs.clear()
        found: list[list[Part]] = []
        count = len(self._places)
        for pack in reversed(packs):
            if pack in self._packs or count >= REMEMBERED:
                continue
            try:
                found.append(self._parts.content(pack))
            except PartDamaged:  # `autotrack verify` tells it
                continue
            count += len(found[-1])
        for content in reversed(found):
            self._places.update((part.name, part) for part in content)
        self._packs.update(packs)

    def find(self, name: str) -> Part | None:
        """Where the part lies; None where that is not known, or the pack has been removed just now."""
        place = self._places.pop(name, None)
        if place is None:
            return None
        if place.pack not in self._touched:
            self._touched[place.pack] = touched(self._parts.folder / place.pack)
        if not self._touched[place.pack]:
            return None
        self._places[name] = place
        return place

    def learn(self, places: dict[str, Part], at_least: int) -> None:
        """Know of what was just written, and forget what was used longest ago."""
        self._places.update(places)
        self._packs.update(place.pack for place in places.values())
        while len(self._places) > max(REMEMBERED, at_least):
            del self._places[next(iter(self._places))]


class _Pack:
    """The pack of one file's new parts; where none is new, there is none."""

    def __init__(self, folder: Path) -> None:
        self.places: dict[str, Part] = {}
        self._folder = folder
        self._name = f"{time.time_ns():016x}-{secrets.token_hex(4)}"
        self._draft = folder / f".{self._name}"
        self._descriptor: int | None = None
        self._size = 0

    def find(self, name: str) -> Part | None:
        """Where the part lies, if it came before."""
        return self.places.get(name)

    def add(self, name: str, data: memoryview) -> Part:
        """Write a part."""
        if self._descriptor is None:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
            self._descriptor = os.open(self._draft, flags, 0o600)
        place = Part(self._name, self._size, name)
        self._write(data)
        self.places[name] = place
        return place

    def finish(self) -> None:
        """Let the pack appear under its name."""
        if self._descriptor is not None:
            self._write(memoryview(ending(list(self.places))))
            self._close()
            os.replace(self._draft, self._folder / self._name)

    def discard(self) -> None:
        """Give the disk back what was written."""
        self._close()
        self._draft.unlink(missing_ok=True)

    def _write(self, data: memoryview) -> None:
        assert self._descriptor is not None
        self._size += len(data)
        while data:
            data = data[os.write(self._descriptor, data) :]

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def cut_and_joined(pieces: Iterable[Piece], small: int) -> Iterator[memoryview]:
    """Parts: small neighbours together, large pieces cut."""
    waiting: list[memoryview] = []
    held = 0
    for piece in chain(pieces, [None]):
        view = memoryview(piece or b"").cast("B")
        if view and len(view) < small:
            waiting.append(view)
            held += len(view)
        if waiting and (held >= small or len(view) >= small or piece is None):
            yield waiting[0] if len(waiting) == 1 else memoryview(b"".join(waiting))
            waiting, held = [], 0
        if len(view) >= small:
            for start in range(0, len(view), LARGEST):
                yield view[start : start + LARGEST]


def _remove_forgotten(folder: Path) -> None:
    for draft in folder.glob(".*"):
        try:
            if time.time() - draft.stat().st_mtime > FORGOTTEN:
                draft.unlink()
        except OSError:  # another process was first
            pass


_lock = threading.RLock()
_homes: dict[Path, _Known] = {}


def _forget() -> None:
    global _lock
    _lock = threading.RLock()  # whoever held it is not in this process
    _homes.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
