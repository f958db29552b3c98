"""A home from a backup: `autotrack restore`. Everything is checked before anything is there under the home's name."""

from __future__ import annotations

import os
import secrets
import shutil
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from autotrack.errors import UsageError
from autotrack.settings import Settings
from autotrack.upkeep import tables
from autotrack.upkeep.containers import unpacking
from autotrack.upkeep.manifest import (
    BLOCK,
    INSIDE,
    MANIFEST,
    BackupDamaged,
    File,
    Hashed,
    checked_path,
    parse_manifest,
    read_manifest,
)

_LARGEST_MANIFEST: Final = 1 << 30


@dataclass
class Restored:
    """What was restored, or with `check` looked at."""

    home: Path
    made_at: str = ""
    runs: int = 0
    files: int = 0
    bytes: int = 0

    def record(self) -> dict[str, Any]:
        """As it is printed."""
        return {**vars(self), "home": str(self.home)}


def restore(
    place: Path,
    home: Path,
    settings: Settings,
    *,
    check: bool = False,
    seen: Callable[[str], None] = lambda path: None,
) -> Restored:
    """Make `home` what it was when the backup at `place` was made; with `check`, only look whether that can be done.

    Raises `UsageError` where the home is not empty or `place` is no backup, `BackupDamaged` where a file is not what
    the backup's manifest says; nothing is then at `home` that was not there before.
    """
    if not check and home.exists() and {path.name for path in home.iterdir()} - {".gitignore"}:
        raise UsageError(f"{home} is not empty: restore into a home that does not exist yet (--home DIR)")
    home = home.absolute()
    home.parent.mkdir(parents=True, exist_ok=True)
    draft = home.with_name(f".{home.name}-{secrets.token_hex(8)}.draft")
    draft.mkdir(mode=0o700)
    try:
        if place.is_dir():
            told, files = read_manifest(place)
            for one in files:
                seen(one.path)
                _from_folder(place, one, draft)
        else:
            told, files = _from_file(place, draft, seen)
        made = Restored(home, str(told.get("made_at", "")), int(told.get("runs", 0)), len(files))
        made.bytes = sum(one.bytes for one in files)
        if not check:
            if settings.store_url is not None:
                tables.bring_in(draft, settings)
            _place(draft, home)
        return made
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _from_folder(place: Path, file: File, draft: Path) -> None:
    source = place / file.at
    if source.is_symlink():
        raise BackupDamaged(f"{source} is a link, which no backup has: nothing was restored")
    try:
        with source.open("rb") as opened:
            digest, size = _write(opened, draft / file.path, file.bytes)
            more = opened.read(1)
    except FileNotFoundError:
        raise BackupDamaged(f"{source} is missing from the backup: nothing was restored") from None
    if more or (digest, size) != (file.sha256, file.bytes):
        raise _altered(place, file.path)


def _from_file(place: Path, draft: Path, seen: Callable[[str], None]) -> tuple[dict[str, Any], list[File]]:
    found: dict[str, tuple[str, int]] = {}
    manifest: bytes | None = None
    try:
        with unpacking(place) as tar:
            for member in tar:
                seen(member.name)
                opened = tar.extractfile(member) if member.isreg() else None
                if opened is None:
                    raise BackupDamaged(f"{place} holds {member.name!r}, which is no file: nothing was restored")
                if member.name == MANIFEST:
                    manifest = opened.read(_LARGEST_MANIFEST)
                    continue
                path = checked_path(member.name.removeprefix(INSIDE), place)
                if not member.name.startswith(INSIDE) or str(path) in found:
                    raise BackupDamaged(f"{place} holds {member.name!r}, which no backup has: nothing was restored")
                found[str(path)] = _write(opened, draft / path, member.size)
    except (tarfile.TarError, EOFError, zlib.error, OSError) as problem:
        if isinstance(problem, OSError) and problem.errno is not None:  # the disk's, not the archive's
            raise
        raise BackupDamaged(f"{place} cannot be unpacked ({problem}): nothing was restored") from problem
    if manifest is None:
        raise BackupDamaged(f"{place} has no {MANIFEST}, and so is not whole: nothing was restored")
    told, files = parse_manifest(manifest, place)
    for one in files:
        if found.pop(one.path, None) != (one.sha256, one.bytes):
            raise _altered(place, one.path)
    if found:
        raise BackupDamaged(f"{place} holds {next(iter(found))!r}, which its manifest lacks: nothing was restored")
    return told, files


def _write(source: IO[bytes], target: Path, size: int) -> tuple[str, int]:
    """Write the next bytes of `source`; gives their SHA-256 and number."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    hashed = Hashed(source, size)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
    with os.fdopen(os.open(target, flags, 0o600), "wb") as opened:
        while block := hashed.read(BLOCK):
            opened.write(block)
    return hashed.digest(), size - hashed.left


def _altered(place: Path, path: str) -> BackupDamaged:
    return BackupDamaged(f"{path} in {place} is not what was backed up: nothing was restored; try another backup")


def _place(draft: Path, home: Path) -> None:
    if home.exists():
        (home / ".gitignore").unlink(missing_ok=True)
        home.rmdir()
    draft.rename(home)
