"""The manifest of a backup: which files it is made of, where each belongs and lies, and its SHA-256.

Whoever reads a backup trusts nothing in it: paths that would lead out of a home are refused here.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final

from autotrack.errors import AutotrackError, UsageError

MANIFEST: Final = "manifest.json"
INSIDE: Final = "home/"
FORMAT: Final = "autotrack-backup"
VERSION: Final = 1
BLOCK: Final = 1 << 20


class BackupDamaged(AutotrackError):
    """A backup that is not whole, or not what it says it is."""


@dataclass(frozen=True)
class File:
    """A file of a backup: its path in the home, where it lies in the backup, its size and SHA-256."""

    path: str
    at: str
    bytes: int
    sha256: str


class Hashed:
    """The next `left` bytes of a stream, hashed as they are read."""

    def __init__(self, source: IO[bytes], left: int) -> None:
        self.left = left
        self._source = source
        self._hash = hashlib.sha256()

    def read(self, count: int = -1) -> bytes:
        """At most `count` bytes, none beyond those that are left."""
        data = self._source.read(self.left if count < 0 else min(count, self.left))
        self._hash.update(data)
        self.left -= len(data)
        return data

    def digest(self) -> str:
        """The SHA-256 of what was read."""
        return self._hash.hexdigest()


def encode(about: dict[str, Any], files: list[File]) -> bytes:
    """The manifest of these files; `about` is what else is said of the backup."""
    told = {"format": FORMAT, "version": VERSION, **about, "files": [asdict(one) for one in files]}
    return json.dumps(told, indent=0).encode()


def read_manifest(folder: Path) -> tuple[dict[str, Any], list[File]]:
    """What a backup in a folder says of itself. Raises `UsageError` where it is none, `BackupDamaged`."""
    try:
        content = (folder / MANIFEST).read_bytes()
    except OSError:
        raise UsageError(f"{folder} is no backup of autotrack: it has no {MANIFEST}") from None
    return parse_manifest(content, folder)


def parse_manifest(content: bytes, place: Path) -> tuple[dict[str, Any], list[File]]:
    """The manifest's own words, and its files, whose paths are safe. Raises `BackupDamaged`."""
    try:
        told = json.loads(content)
        if told["format"] != FORMAT:
            raise ValueError("another format")
        files = [File(str(one["path"]), str(one["at"]), int(one["bytes"]), str(one["sha256"])) for one in told["files"]]
    except (ValueError, KeyError, TypeError) as problem:
        raise BackupDamaged(f"the manifest of {place} cannot be read ({problem}): nothing was restored") from None
    if told.get("version") != VERSION:
        raise BackupDamaged(f"{place} was made by a newer autotrack: upgrade to restore it")
    for one in files:
        checked_path(one.path, place)
        checked_path(one.at, place)
    return told, files


def checked_path(name: str, place: Path) -> PurePosixPath:
    """A path that stays where it belongs. Raises `BackupDamaged` for any other."""
    path = PurePosixPath(name)
    odd = path.is_absolute() or not path.parts or ".." in path.parts or str(path) != name
    if odd or "\0" in name or "\\" in name or ":" in path.parts[0]:
        raise BackupDamaged(f"{place} holds a file with the path {name!r}, which no backup has: nothing was restored")
    return path
