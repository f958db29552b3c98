"""Blobs: files of runs, kept once under the SHA-256 of their bytes.

A file lies whole in `<home>/blobs/ab/<sha256>`, or, where it is kept in parts, its recipe does in
`<home>/blobs/ab/<sha256>.parts`; who reads sees no difference. A file or bytes enter and are copied and hashed in one
pass; a digest and a size leave. A blob appears under its name only when it is whole, and is never changed after. This
room is used in the training process, and imports little.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Final

from autotrack.provenance.parts import PartDamaged, Parts, Recipe, touched

BLOCK: Final = 1 << 20
RECIPE: Final = ".parts"
_NAME: Final = re.compile(r"([0-9a-f]{64})(\.parts)?")


@dataclass(frozen=True)
class Blob:
    """A file that is kept: its SHA-256 in hexadecimal, its size, and whether it was there before."""

    digest: str
    bytes: int
    known: bool = False


class Blobs:
    """The blobs below one home. Safe for any number of threads and processes at once."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "blobs"
        self.parts = Parts(home)

    def path(self, digest: str) -> Path:
        """Where the blob lies whole, or would lie. Raises `ValueError` for what is no SHA-256 in lower hexadecimal."""
        if not re.fullmatch(r"[0-9a-f]{64}", digest):
            raise ValueError(f"{digest!r} is not a SHA-256 in lower-case hexadecimal")
        return self.folder / digest[:2] / digest

    def put_file(self, source: str | os.PathLike[str]) -> Blob:
        """Keep a copy of the file as it is now. Raises `OSError` where it cannot be read or kept."""
        with open(source, "rb", buffering=0) as opened:
            return self._put(_blocks(opened))

    def put_bytes(self, data: bytes | bytearray | memoryview) -> Blob:
        """Keep these bytes."""
        view = memoryview(data).cast("B")
        digest = hashlib.sha256(view).hexdigest()
        if self.claim(digest):
            return Blob(digest, len(view), known=True)
        draft = self._draft()
        try:
            with open(draft, "xb", buffering=0, opener=_private) as target:
                _write_all(target.fileno(), view)
            return self._place(draft, Blob(digest, len(view)))
        finally:
            draft.unlink(missing_ok=True)

    def put_stream(self, source: BinaryIO) -> Blob:
        """Keep what can be read from `source` until its end."""
        return self._put(_blocks(source))

    def put_recipe(self, recipe: Recipe) -> Blob:
        """Keep the file that `recipe` makes of parts. Raises `PartDamaged` where they are not what was kept."""
        digest = hashlib.sha256()
        for block in self.parts.blocks(recipe):
            digest.update(block)
        draft = self._draft()
        try:
            with open(draft, "xb", buffering=0, opener=_private) as target:
                _write_all(target.fileno(), memoryview(recipe.encode()))
            return self._place(draft, Blob(digest.hexdigest(), recipe.size), RECIPE)
        finally:
            draft.unlink(missing_ok=True)

    def open(self, digest: str) -> BinaryIO:
        """The blob, to read. Raises `FileNotFoundError` where it is not kept; reading, `PartDamaged`."""
        recipe = self.recipe(digest)
        if recipe is None:
            return self.path(digest).open("rb")
        return io.BufferedReader(_Joined(self.parts.blocks(recipe)), BLOCK)

    def recipe(self, digest: str) -> Recipe | None:
        """What the blob is made of; None where it lies whole, or is not kept. Raises `PartDamaged`."""
        path = self.path(digest)
        if path.is_file():
            return None
        try:
            return Recipe.decode(path.with_name(path.name + RECIPE).read_bytes())
        except FileNotFoundError:
            return None

    def has(self, digest: str) -> bool:
        """Whether the blob is kept; its bytes are not looked at."""
        path = self.path(digest)
        return path.is_file() or path.with_name(path.name + RECIPE).is_file()

    def claim(self, digest: str) -> bool:
        """Whether the blob is kept; where it is, it is as new from now on: `autotrack gc` leaves what is new alone."""
        path = self.path(digest)
        return any(map(touched, (path, path.with_name(path.name + RECIPE))))

    def size(self, digest: str) -> int:
        """How many bytes the blob has. Raises `FileNotFoundError` where it is not kept."""
        recipe = self.recipe(digest)
        return self.path(digest).stat().st_size if recipe is None else recipe.size

    def verify(self, digest: str) -> bool:
        """Whether the blob is there and its bytes still are the ones that were kept."""
        try:
            with self.open(digest) as opened:
                found = hashlib.sha256()
                for block in _blocks(opened):
                    found.update(block)
        except (OSError, PartDamaged):
            return False
        return found.hexdigest() == digest

    def digests(self) -> Iterator[str]:
        """The digest of every blob that is kept, in no particular order."""
        for path in self.folder.glob("??/*"):
            named = _NAME.fullmatch(path.name)
            if named and not (named[2] and path.with_suffix("").is_file()):
                yield named[1]

    def _put(self, blocks: Iterable[memoryview]) -> Blob:
        draft = self._draft()
        digest, size = hashlib.sha256(), 0
        try:
            with open(draft, "xb", buffering=0, opener=_private) as target:
                for block in blocks:
                    digest.update(block)
                    size += len(block)
                    _write_all(target.fileno(), block)
            return self._place(draft, Blob(digest.hexdigest(), size))
        finally:
            draft.unlink(missing_ok=True)

    def _draft(self) -> Path:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self.folder / f".{os.getpid()}-{secrets.token_hex(8)}"

    def _place(self, draft: Path, blob: Blob, suffix: str = "") -> Blob:
        if self.claim(blob.digest):
            return replace(blob, known=True)
        path = self.path(blob.digest)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        os.replace(draft, path.with_name(path.name + suffix))  # whoever comes last with the same bytes changes nothing
        return blob


class _Joined(io.RawIOBase):
    """Blocks as a stream."""

    def __init__(self, blocks: Iterator[memoryview]) -> None:
        self._rest = memoryview(b"")
        self._blocks = blocks

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            following = next(self._blocks, None)
            if following is None:
                return 0
            self._rest = following
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _blocks(source: BinaryIO) -> Iterator[memoryview]:
    buffer = memoryview(bytearray(BLOCK))
    while True:
        read_into = getattr(source, "readinto", None)
        filled = read_into(buffer) if read_into is not None else None
        if filled is None:  # a stream that only has read()
            data = source.read(BLOCK)
            if not data:
                return
            yield memoryview(data)
        elif filled:
            yield buffer[:filled]
        else:
            return


def _write_all(descriptor: int, data: memoryview) -> None:
    view = data
    while view:
        view = view[os.write(descriptor, view) :]


__all__ = ["Blob", "Blobs"]
