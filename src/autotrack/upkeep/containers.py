"""Where a backup lies: in one compressed file, or in a folder to which the next backup only adds what is new.

Files of a home enter, each under its path there; none is under the backup's own name before all are. A file is a tar
archive with the files below `home/` and, at its end, `manifest.json`. A folder has the files that never change where
they have their place in a home, and those that do in a folder of each backup's own; `manifest.json`, replaced in one
step, says which files the backup is made of (`manifest`).
"""

from __future__ import annotations

import gzip
import io
import os
import re
import secrets
import shutil
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import IO, Any, BinaryIO, Final, Protocol

from autotrack.errors import PluginError, UsageError
from autotrack.upkeep.manifest import BLOCK, INSIDE, MANIFEST, File, Hashed, encode, read_manifest

FORGOTTEN: Final = 24 * 3600.0
"""Seconds after which what an interrupted backup has left is removed by the next."""

NEVER_CHANGE: Final = ("blobs", "parts", "archive")
"""Folders of a home whose files never change under their names."""

_OTHERS: Final = (".tar", ".gz", ".zst", ".zip", ".bz2", ".xz", ".7z")
"""Names of files that nobody means as a folder."""

_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_GZIP: Final = b"\x1f\x8b"


class Target(Protocol):
    """What a backup is written to."""

    files: list[File]
    copied: int
    """Bytes that were written; the rest were there."""

    def room(self, name: str) -> Path:
        """A place for a file that is made for the backup; it is added when it is done."""
        ...

    def add(self, path: str, source: BinaryIO, size: int) -> None:
        """Add the next `size` bytes of `source` as the file at `path`."""
        ...

    def has(self, path: str, size: int) -> bool:
        """Whether an earlier backup has this file, which never changes; it is then part of this one."""
        ...


@contextmanager
def writing(place: Path, about: dict[str, Any], *, replace: bool) -> Iterator[Target]:
    """A target, under its name when the block ends; nothing is left of it when the block raises.

    Raises `UsageError` where something else is there, `PluginError` where the compression is not installed.
    """
    packed = re.search(r"\.(tar\.gz|tgz|tar\.zst)$", place.name)
    place.parent.mkdir(parents=True, exist_ok=True)
    _forget(place)
    if packed is None and (place.suffix in _OTHERS or place.is_file()):
        raise UsageError(f"{place.name}: name a file that ends in .tar.gz or .tar.zst, or a folder")
    if packed is None:
        with _in_folder(place, about) as target:
            yield target
        return
    if place.is_dir() or (place.exists() and not replace):
        raise UsageError(f"{place} is there already; --replace puts the new backup in its place")
    with _in_file(place, about) as target:
        yield target


@contextmanager
def _in_file(place: Path, about: dict[str, Any]) -> Iterator[Target]:
    work = _draft(place)
    work.mkdir(mode=0o700)
    try:
        whole = work / "whole"
        with open(whole, "xb", opener=_private) as raw:
            with _compressing(raw, place.name) as stream, tarfile.open(fileobj=stream, mode="w|") as tar:
                target = _Packed(work, tar)
                yield target
                _add(tar, MANIFEST, encode(about, target.files))
            raw.flush()
            os.fsync(raw.fileno())
        whole.replace(place)
    finally:
        shutil.rmtree(work, ignore_errors=True)


@contextmanager
def _in_folder(place: Path, about: dict[str, Any]) -> Iterator[Target]:
    if place.is_dir() and any(place.iterdir()):
        before = {one.path: one for one in read_manifest(place)[1]}
        folder = place
    else:
        before, folder = {}, _draft(place)
        folder.mkdir(mode=0o700)
    state = f"state-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(4)}"
    target = _Folder(folder, state, before)
    try:
        (folder / state).mkdir(mode=0o700)
        yield target
        draft = folder / f".{MANIFEST}"
        with open(draft, "wb", opener=_private) as opened:
            opened.write(encode(about, target.files))
            opened.flush()
            os.fsync(opened.fileno())
        draft.replace(folder / MANIFEST)
    except BaseException:
        shutil.rmtree(folder / state if folder == place else folder, ignore_errors=True)
        raise
    if folder == place:
        _prune(folder, target.files)
        return
    if place.exists():  # it is empty
        place.rmdir()
    folder.rename(place)


class _Packed:
    """One compressed file."""

    def __init__(self, work: Path, tar: tarfile.TarFile) -> None:
        self.files: list[File] = []
        self.copied = 0
        self._work, self._tar = work, tar

    def room(self, name: str) -> Path:
        return self._work / name

    def add(self, path: str, source: BinaryIO, size: int) -> None:
        info = tarfile.TarInfo(INSIDE + path)
        info.size, info.mode, info.mtime = size, 0o600, int(time.time())
        hashed = Hashed(source, size)
        self._tar.addfile(info, hashed)
        self.files.append(File(path, INSIDE + path, size, hashed.digest()))
        self.copied += size

    def has(self, path: str, size: int) -> bool:
        return False


class _Folder:
    """A folder, in which what an earlier backup has need not be copied again."""

    def __init__(self, folder: Path, state: str, before: dict[str, File]) -> None:
        self.files: list[File] = []
        self.copied = 0
        self._folder, self._state, self._before = folder, state, before

    def room(self, name: str) -> Path:
        return self._folder / f".{name}-{secrets.token_hex(4)}"

    def add(self, path: str, source: BinaryIO, size: int) -> None:
        at = path if path.partition("/")[0] in NEVER_CHANGE else f"{self._state}/{path}"
        target = self._folder / at
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = target.with_name(f".{target.name}-{secrets.token_hex(4)}")
        hashed = Hashed(source, size)
        try:
            with open(draft, "xb", opener=_private) as opened:
                while block := hashed.read(BLOCK):
                    opened.write(block)
            if hashed.left:
                raise OSError(f"{path} has become shorter while it was copied")
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
        self.files.append(File(path, at, size, hashed.digest()))
        self.copied += size

    def has(self, path: str, size: int) -> bool:
        known = self._before.get(path)
        if known is None or known.bytes != size or path.partition("/")[0] not in NEVER_CHANGE:
            return False
        name = path.rpartition("/")[2]
        if re.fullmatch(r"[0-9a-f]{64}", name) and name != known.sha256:  # it was damaged then
            return False
        try:
            if (self._folder / known.at).stat().st_size != size:
                return False
        except OSError:
            return False
        self.files.append(known)
        return True


@contextmanager
def unpacking(place: Path) -> Iterator[tarfile.TarFile]:
    """The tar archive in a compressed file. Raises `UsageError` for a file of another kind, `PluginError`."""
    with place.open("rb") as raw:
        head = raw.read(4)
        raw.seek(0)
        if head[:2] == _GZIP:
            stream: Any = gzip.GzipFile(fileobj=raw)
        elif head == _ZSTD:
            stream = zstd().ZstdDecompressor().stream_reader(raw)
        else:
            raise UsageError(f"{place} is no backup of autotrack: it is neither .tar.gz nor .tar.zst, nor a folder")
        with stream, tarfile.open(fileobj=stream, mode="r|") as tar:
            yield tar


def zstd() -> Any:
    """The library that compresses `.tar.zst`. Raises `PluginError` where it is not installed."""
    try:
        return import_module("zstandard")
    except ImportError:
        raise PluginError("a .tar.zst needs what is not installed: pip install zstandard, or name a .tar.gz") from None


@contextmanager
def _compressing(raw: BinaryIO, name: str) -> Iterator[IO[bytes]]:
    if name.endswith(".zst"):
        with zstd().ZstdCompressor(level=3).stream_writer(raw, closefd=False) as stream:
            yield stream
        return
    with gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=1, filename="", mtime=0) as stream:
        yield stream  # type: ignore[misc]


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = len(content), 0o600, int(time.time())
    tar.addfile(info, io.BytesIO(content))


def _draft(place: Path) -> Path:
    return place.with_name(f".{place.name}-{secrets.token_hex(8)}.draft")


def _forget(place: Path) -> None:
    for draft in place.parent.glob(f".{place.name}-*.draft"):
        if time.time() - draft.stat().st_mtime > FORGOTTEN:
            shutil.rmtree(draft, ignore_errors=True)


def _prune(folder: Path, files: list[File]) -> None:
    """Remove what the backups before had and this one has not."""
    kept = {one.at for one in files} | {MANIFEST}
    for place, folders, names in os.walk(folder, topdown=False):
        for name in names:
            path = Path(place, name)
            if path.relative_to(folder).as_posix() not in kept:
                path.unlink()
        for name in folders:
            try:
                Path(place, name).rmdir()
            except OSError:  # something is in it
                pass


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
