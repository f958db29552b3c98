"""Files in parts: what two checkpoints have in common is kept once, in packs, `<home>/parts/<pack>`.

A `Recipe` enters, which says where the parts lie that make a file byte for byte; their bytes leave, checked. What is
new of a file is written into one pack (`autotrack.provenance.packing`): a file for each part would cost more than its
bytes. A pack appears under its name only when it is whole, and is never changed after. It ends with the list of the
parts in it, as JSON, the length of that list as 8 bytes, little-endian, and the 8 bytes `atparts1`.

XXH3 is no cryptographic hash, and need not be: it tells parts of one home apart. What the outside knows a file by is
the SHA-256 of all its bytes, which the forwarder takes from the parts as they were written.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Final, NamedTuple

from xxhash import xxh3_128_hexdigest

from autotrack.errors import AutotrackError

DAMAGED: Final = ".damaged"
"""Beside a pack, after whose name it is called: parts that lie in it are not relied on any more."""

_NAME: Final = re.compile(r"[0-9a-f]{32}-[1-9][0-9]*")
_PACK: Final = re.compile(r"[0-9a-f]{16}-[0-9a-f]{8}")
_MAGIC: Final = b"atparts1"


def ending(names: list[str]) -> bytes:
    """What a pack of the parts of these names ends with."""
    told = json.dumps(names).encode()
    return told + len(told).to_bytes(8, "little") + _MAGIC


def name_of(data: bytes | memoryview) -> str:
    """What a part with these bytes is called."""
    return f"{xxh3_128_hexdigest(data)}-{len(data)}"


class PartDamaged(AutotrackError):
    """A part of a file is not there any more, or no longer has the bytes that were kept."""


class Part(NamedTuple):
    """So many bytes (`name` is `<xxh3_128>-<length>`) in a pack."""

    pack: str
    offset: int
    name: str


@dataclass(frozen=True)
class Recipe:
    """Which parts, in which order, make a file of so many bytes."""

    size: int
    parts: tuple[Part, ...]

    def encode(self) -> bytes:
        """As JSON, in which each pack is named once."""
        packs = {pack: index for index, pack in enumerate(dict.fromkeys(part.pack for part in self.parts))}
        parts = [[packs[pack], offset, name] for pack, offset, name in self.parts]
        return json.dumps({"bytes": self.size, "packs": list(packs), "parts": parts}, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, data: bytes) -> Recipe:
        """From JSON. Raises `PartDamaged` for what is no recipe."""
        try:
            read = json.loads(data)
            parts = tuple(Part(read["packs"][pack], int(offset), name) for pack, offset, name in read["parts"])
            if not all(_PACK.fullmatch(part.pack) and _NAME.fullmatch(part.name) for part in parts):
                raise ValueError("no names of parts")
            if sum(length_of(part.name) for part in parts) != read["bytes"]:
                raise ValueError("other parts than it says")
        except (ValueError, TypeError, KeyError, IndexError):
            raise PartDamaged("the list of its parts cannot be read") from None
        return cls(read["bytes"], parts)


def touched(path: Path) -> bool:
    """Whether there is a file, which counts as just written from now on: what is new is not removed as unneeded."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    except OSError:  # it may not be changed here, and so not removed either
        return path.is_file()
    return True


def length_of(name: str) -> int:
    """How many bytes the part of this name has."""
    return int(name.partition("-")[2])


class Parts:
    """The parts below one home. Safe for any number of threads and processes at once."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "parts"

    def blocks(self, recipe: Recipe) -> Iterator[memoryview]:
        """The file, part by part. Raises `PartDamaged` at the first that is not what it was."""
        for name, parts in groupby(recipe.parts, key=attrgetter("pack")):
            path = self.folder / name
            try:
                opened = path.open("rb")
            except FileNotFoundError:
                raise PartDamaged(f"{path}, which holds parts of it, is not there any more") from None
            with opened:
                for part in parts:
                    opened.seek(part.offset)
                    data = opened.read(length_of(part.name))
                    if name_of(data) != part.name:
                        raise PartDamaged(f"the part {part.name} in {path} no longer has the bytes that were kept")
                    yield memoryview(data)

    def is_whole(self, part: Part) -> bool:
        """Whether the part is there and its bytes still are the ones that were kept."""
        try:
            for _ in self.blocks(Recipe(0, (part,))):
                pass
        except (PartDamaged, OSError):
            return False
        return True

    def mark_damaged(self, recipe: Recipe) -> None:
        """Rely no more on the packs in which parts of `recipe` are damaged: what comes again is kept again."""
        marked: set[str] = set()
        for part in recipe.parts:
            if part.pack not in marked and not self.is_whole(part):
                marked.add(part.pack)
                (self.folder / f"{part.pack}{DAMAGED}").touch(mode=0o600)

    def packs(self) -> list[str]:
        """The names of all packs, oldest first."""
        return sorted(filter(_PACK.fullmatch, self._files()))

    def relied_on(self) -> list[str]:
        """The names of the packs that are not known to be damaged, oldest first."""
        files = self._files()
        return sorted(name for name in files if _PACK.fullmatch(name) and name + DAMAGED not in files)

    def content(self, pack: str) -> list[Part]:
        """The parts in a pack, as its end tells them. Raises `PartDamaged` where that cannot be read."""
        try:
            with (self.folder / pack).open("rb") as opened:
                end = opened.seek(-16, os.SEEK_END)
                tail = opened.read()
                length = int.from_bytes(tail[:8], "little")
                opened.seek(end - length)
                names = json.loads(opened.read(length)) if tail[8:] == _MAGIC else None
        except (OSError, ValueError):
            names = None
        found, offset = [], 0
        if isinstance(names, list) and all(isinstance(name, str) and _NAME.fullmatch(name) for name in names):
            for name in names:
                found.append(Part(pack, offset, name))
                offset += length_of(name)
            return found
        raise PartDamaged(f"{self.folder / pack} does not end as a pack does")

    def _files(self) -> set[str]:
        try:
            return set(os.listdir(self.folder))
        except FileNotFoundError:
            return set()


__all__ = ["Part", "PartDamaged", "Parts", "Recipe", "ending", "length_of", "name_of", "touched"]
