"""Files in parts: what two checkpoints have in common is kept once, in `<home>/parts/a/<xxh3_128>-<length>`.

Pieces of a file, such as its tensors, enter in order; a `Recipe` leaves, which names the parts that make the file byte
for byte. A part appears under its name only when it is whole, and is never changed after. This room is used in the
training process, where hashing and writing are all that a kept model costs: two threads share that.

XXH3 is no cryptographic hash, and need not be: it tells parts of one home apart. What the outside knows a file by is
the SHA-256 of all its bytes, which the forwarder takes from the parts as they were written.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from xxhash import xxh3_128_hexdigest

from autotrack.errors import AutotrackError

Piece: TypeAlias = bytes | bytearray | memoryview

LARGEST: Final = 16 << 20
"""Most bytes of one part: a larger piece is cut, so that several threads can work on it."""

SMALL: Final = 4 << 10
"""Pieces below this size share parts with the small ones beside them, never with a large one: it may stay the same."""

MOST: Final = 1024
"""A file is made of hardly more parts than twice this: the larger it is, the more counts as small."""

HELPED_FROM: Final = 8 << 20
"""Bytes from which a second thread is worth its start."""

_NAME: Final = re.compile(r"[0-9a-f]{32}-[1-9][0-9]*")


class PartDamaged(AutotrackError):
    """A part of a file is not there any more, or no longer has the bytes that were kept."""


@dataclass(frozen=True)
class Recipe:
    """Which parts, in which order, make a file of so many bytes."""

    size: int
    parts: tuple[str, ...]

    def encode(self) -> bytes:
        """As JSON."""
        return json.dumps({"bytes": self.size, "parts": self.parts}).encode()

    @classmethod
    def decode(cls, data: bytes) -> Recipe:
        """From JSON. Raises `PartDamaged` for what is no recipe."""
        try:
            read = json.loads(data)
            size, parts = int(read["bytes"]), tuple(read["parts"])
            if not all(map(_NAME.fullmatch, parts)) or sum(map(length_of, parts)) != size:
                raise ValueError("other parts than it says")
        except (ValueError, TypeError, KeyError):
            raise PartDamaged("the list of its parts cannot be read") from None
        return cls(size, parts)


def length_of(name: str) -> int:
    """How many bytes the part of this name has."""
    return int(name.partition("-")[2])


class Parts:
    """The parts below one home. Safe for any number of threads and processes at once."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "parts"

    def path(self, name: str) -> Path:
        """Where the part lies, or would lie. Raises `ValueError` for what is no name of a part."""
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not the name of a part")
        return self.folder / name[0] / name

    def put(self, pieces: Iterable[Piece], size: int = 0) -> Recipe:
        """Keep a file that comes in pieces; `size` is what they have together, where that is known.

        Pieces are asked for one at a time, perhaps from another thread. Raises `OSError` where they cannot be kept, and
        then leaves nothing that was not there before.
        """
        keeping = _Keeping(self, _cut_and_joined(pieces, max(SMALL, size // MOST)))
        helper = threading.Thread(target=keeping.work, name="autotrack-parts", daemon=True)
        try:
            if size >= HELPED_FROM and (os.cpu_count() or 1) > 1:
                try:
                    helper.start()
                except RuntimeError:  # the interpreter is shutting down
                    pass
            keeping.work()
        except BaseException as problem:  # an interrupt: the helper must not go on
            keeping.problem = keeping.problem or problem
            raise
        finally:
            if helper.ident is not None:
                helper.join()
            keeping.undo_if_failed()
        if keeping.problem is not None:
            raise keeping.problem
        return Recipe(sum(map(length_of, keeping.names)), tuple(keeping.names))

    def read(self, name: str) -> bytes:
        """The bytes of a part, which are checked. Raises `PartDamaged` where they are not what was kept."""
        try:
            data = self.path(name).read_bytes()
        except FileNotFoundError:
            raise PartDamaged(f"the part {name} is not in {self.folder} any more") from None
        if _name(xxh3_128_hexdigest(data), data) != name:
            raise PartDamaged(f"the part {name} in {self.folder} no longer has the bytes that were kept")
        return data

    def blocks(self, recipe: Recipe) -> Iterator[memoryview]:
        """The file, part by part. Raises `PartDamaged` at the first that is not what it was."""
        for name in recipe.parts:
            yield memoryview(self.read(name))

    def is_whole(self, name: str) -> bool:
        """Whether the part is there and its bytes still are the ones that were kept."""
        try:
            self.read(name)
        except (PartDamaged, OSError):
            return False
        return True

    def remove_damaged(self, recipe: Recipe) -> None:
        """Remove the parts of `recipe` whose bytes are not what was kept, so that they can be kept again."""
        for name in dict.fromkeys(recipe.parts):
            if not self.is_whole(name):
                self.path(name).unlink(missing_ok=True)

    def names(self) -> Iterator[str]:
        """The name of every part that is kept, in no particular order."""
        for path in self.folder.glob("?/*"):
            if _NAME.fullmatch(path.name):
                yield path.name


class _Keeping:
    """One file on its way into parts. Each thread that calls `work` takes the next part, hashes and writes it."""

    def __init__(self, parts: Parts, content: Iterator[list[memoryview]]) -> None:
        self.names: list[str] = []
        self.problem: BaseException | None = None
        self._parts = parts
        self._content = content
        self._drafts = f".{os.getpid()}-{secrets.token_hex(8)}-"
        self._new: list[Path] = []
        self._taking = threading.Lock()

    def work(self) -> None:
        """Keep part after part until all are taken, or one cannot be kept."""
        while True:
            with self._taking:
                if self.problem is not None:
                    return
                try:
                    part = next(self._content, None)
                except Exception as problem:  # whatever making a piece raises
                    self.problem = problem
                    return
                if part is None:
                    return
                index = len(self.names)
                self.names.append("")
            try:
                self.names[index] = self._keep(part, index)
            except Exception as problem:
                self.problem = self.problem or problem
                return

    def undo_if_failed(self) -> None:
        """A disk that is full gets back what this file had taken of it."""
        if self.problem is not None:
            for path in self._new:
                path.unlink(missing_ok=True)

    def _keep(self, part: list[memoryview], index: int) -> str:
        data = part[0] if len(part) == 1 else memoryview(b"".join(part))
        name = _name(xxh3_128_hexdigest(data), data)
        path = self._parts.path(name)
        try:
            if path.stat().st_size == len(data):
                return name
        except FileNotFoundError:
            pass
        draft = path.parent / f"{self._drafts}{index}"
        try:
            descriptor = _create(draft)
            try:
                while data:
                    data = data[os.write(descriptor, data) :]
            finally:
                os.close(descriptor)
            os.replace(draft, path)  # the same bytes under the same name: whoever comes last changes nothing
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        self._new.append(path)
        return name


def _create(draft: Path) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
    try:
        return os.open(draft, flags, 0o600)
    except FileNotFoundError:
        draft.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(draft, flags, 0o600)


def _name(digest: str, data: Piece) -> str:
    return f"{digest}-{len(data)}"


def _cut_and_joined(pieces: Iterable[Piece], small: int) -> Iterator[list[memoryview]]:
    """Parts as lists of what they are joined from: small neighbours together, large pieces cut."""
    waiting: list[memoryview] = []
    held = 0
    for piece in pieces:
        view = memoryview(piece).cast("B")
        if len(view) < small:
            if view:
                waiting.append(view)
                held += len(view)
            if held >= small:
                yield waiting
                waiting, held = [], 0
            continue
        if waiting:
            yield waiting
            waiting, held = [], 0
        for start in range(0, len(view), LARGEST):
            yield [view[start : start + LARGEST]]
    if waiting:
        yield waiting


__all__ = ["PartDamaged", "Parts", "Piece", "Recipe", "length_of"]
