"""Blobs: files of runs, kept once under the SHA-256 of their bytes, in `<home>/blobs/ab/<sha256>`.

A file or bytes enter and are copied and hashed in one pass; a digest and a size leave. A blob appears under its name
only when it is whole, and is never changed after. This room is used in the training process: standard library only.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final

BLOCK: Final = 1 << 20
_DIGEST = re.compile(r"[0-9a-f]{64}")


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

    def path(self, digest: str) -> Path:
        """Where the blob lies, or would lie. Raises `ValueError` for what is no SHA-256 in lower hexadecimal."""
        if not _DIGEST.fullmatch(digest):
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
        if self.path(digest).exists():
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

    def open(self, digest: str) -> BinaryIO:
        """The blob, to read. Raises `FileNotFoundError` where it is not kept."""
        return self.path(digest).open("rb")

    def has(self, digest: str) -> bool:
        """Whether the blob is kept; its bytes are not looked at."""
        return self.path(digest).is_file()

    def verify(self, digest: str) -> bool:
        """Whether the blob is there and its bytes still are the ones that were kept."""
        try:
            with self.open(digest) as opened:
                found = hashlib.sha256()
                for block in _blocks(opened):
                    found.update(block)
        except OSError:
            return False
        return found.hexdigest() == digest

    def digests(self) -> Iterator[str]:
        """The digest of every blob that is kept, in no particular order."""
        for path in self.folder.glob("??/*"):
            if _DIGEST.fullmatch(path.name):
                yield path.name

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

    def _place(self, draft: Path, blob: Blob) -> Blob:
        path = self.path(blob.digest)
        if path.exists():
            return replace(blob, known=True)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        os.replace(draft, path)  # the same bytes under the same name: whoever comes last changes nothing
        return blob


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
