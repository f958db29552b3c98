"""Reading an OCI image layout that may have come from anywhere.

The path of a folder or of a tar file enters, its manifest and files leave, each checked against its SHA-256 and size.
Nothing in a layout is ever used as a path: files are found by digest, links and whatever else lies there are refused,
and no size is believed before the file has it. Nothing is compressed, so that nothing can grow while it is read.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, Final, cast

from autotrack.registry.layout import FILEPATH, Damaged, Layer

MOST_JSON: Final = 64 << 20
"""Bytes of a file that is read whole: an index, a manifest, a record."""
MOST_FILES: Final = 10_000

_BLOCK: Final = 1 << 20
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_BLOB = re.compile(r"blobs/sha256/([0-9a-f]{64})")
_FOLDERS = frozenset({"", ".", "blobs", "blobs/sha256"})


@dataclass(frozen=True)
class Bundle:
    """A layout that has been opened, and whose every file has been found to be what it says."""

    manifest: dict[str, Any]
    digest: str
    """Of the manifest: it identifies all."""
    config: dict[str, Any]
    layers: dict[str, Layer]
    """By name."""

    def json(self, name: str) -> Any:
        """What the JSON file of this name holds. Raises `Damaged`."""
        layer = self.layers.get(name)
        if layer is None:
            raise Damaged(f"the bundle has no {name}: it is not one that autotrack has written")
        if layer.size > MOST_JSON:
            raise Damaged(f"{name} has {layer.size} bytes; at most {MOST_JSON} are read")
        with layer.open() as opened:
            return _parsed(opened.read(), name)


@contextmanager
def opened(path: Path, *, artifact_type: str) -> Iterator[Bundle]:
    """The bundle in a folder or a tar file, each file checked against its digest and size. Raises `Damaged`."""
    with _files(path) as files:
        if _json(files, "oci-layout").get("imageLayoutVersion") != "1.0.0":
            raise Damaged(f"{path} is no OCI image layout of version 1.0.0")
        listed = _json(files, "index.json").get("manifests")
        found = [one for one in listed or () if isinstance(one, dict) and _type_of(one, files) == artifact_type]
        if len(found) != 1:
            raise Damaged(f"{path} has {len(found)} manifests of {artifact_type}, and not one")
        digest = _checked(found[0], files, MOST_JSON)
        manifest = _json(files, f"blobs/sha256/{digest}")
        layers, config = manifest.get("layers"), manifest.get("config")
        if not isinstance(layers, list) or not isinstance(config, dict) or len(layers) > MOST_FILES:
            raise Damaged(f"the manifest of {path} does not name its files")
        held = {}
        for one in layers:
            inside = _checked(one, files)
            name = str((one.get("annotations") or {}).get(FILEPATH) or inside)
            if name in held:
                raise Damaged(f"{path} has two files called {name}")
            _, opener = files[f"blobs/sha256/{inside}"]
            held[name] = Layer(name, str(one["mediaType"]), inside, int(one["size"]), opener)
        told = _json(files, f"blobs/sha256/{_checked(config, files, MOST_JSON)}")
        yield Bundle(manifest, digest, told, held)


_Files = dict[str, tuple[int, Callable[[], BinaryIO]]]


@contextmanager
def _files(path: Path) -> Iterator[_Files]:
    """The regular files of a layout: their sizes as they are, and how they are read."""
    if path.is_dir():
        yield dict(_in_folder(path))
        return
    try:
        archive = tarfile.open(path, "r:")  # noqa: SIM115  not compressed: nothing can grow while it is read
    except (OSError, tarfile.TarError) as problem:
        raise Damaged(f"{path} is neither a folder nor a tar file that can be read ({problem})") from problem
    with archive:
        yield dict(_in_tar(archive, path))


def _in_folder(path: Path) -> Iterator[tuple[str, tuple[int, Callable[[], BinaryIO]]]]:
    for folder, folders, names in os.walk(path, followlinks=False):
        within = Path(folder).relative_to(path).as_posix()
        for name in (*folders, *names):
            place = Path(folder, name)
            inside = name if within == "." else f"{within}/{name}"
            mode = place.lstat().st_mode
            if stat.S_ISDIR(mode) and inside in _FOLDERS:
                continue
            if not stat.S_ISREG(mode) or not _is_expected(inside):
                raise Damaged(f"{path} holds {inside!r}, which has no place in a bundle")
            yield inside, (place.lstat().st_size, _opener(place))


def _opener(place: Path) -> Callable[[], BinaryIO]:
    def open_it() -> BinaryIO:
        # What was a file when it was looked at must not have become a link to another since.
        return cast(BinaryIO, os.fdopen(os.open(place, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)), "rb"))

    return open_it


def _in_tar(archive: tarfile.TarFile, path: Path) -> Iterator[tuple[str, tuple[int, Callable[[], BinaryIO]]]]:
    seen: set[str] = set()
    try:
        for count, member in enumerate(archive):
            inside = member.name.removeprefix("./").rstrip("/")
            if member.isdir() and inside in _FOLDERS:
                continue
            if (
                not member.isreg()
                or member.issparse()
                or not _is_expected(inside)
                or inside in seen
                or count > 2 * MOST_FILES
            ):
                raise Damaged(f"{path} holds {member.name!r}, which has no place in a bundle")
            seen.add(inside)
            yield inside, (member.size, _member_opener(archive, member))
    except tarfile.TarError as problem:
        raise Damaged(f"{path} cannot be read to its end ({problem})") from problem


def _member_opener(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Callable[[], BinaryIO]:
    def open_it() -> BinaryIO:
        found: IO[bytes] | None = archive.extractfile(member)
        assert found is not None, "a regular file can be read"
        return cast(BinaryIO, found)

    return open_it


def _is_expected(inside: str) -> bool:
    return inside in ("oci-layout", "index.json") or _BLOB.fullmatch(inside) is not None


def _type_of(descriptor: dict[str, Any], files: _Files) -> Any:
    """The artifact type of a manifest; tools that copy layouts need not repeat it in the index."""
    if "artifactType" in descriptor:
        return descriptor["artifactType"]
    try:
        return _json(files, f"blobs/sha256/{_checked(descriptor, files, MOST_JSON)}").get("artifactType")
    except Damaged:
        return None


def _checked(descriptor: Any, files: _Files, most: int | None = None) -> str:
    """The digest of a descriptor whose file is there, has the size that it says, and those bytes. Raises `Damaged`."""
    told = descriptor if isinstance(descriptor, dict) else {}
    named = _DIGEST.fullmatch(str(told.get("digest")))
    size = told.get("size")
    if (
        named is None
        or not isinstance(size, int)
        or isinstance(size, bool)
        or not isinstance(told.get("mediaType"), str)
    ):
        raise Damaged("the bundle names a file without a SHA-256, a size or a media type")
    held = files.get(f"blobs/sha256/{named[1]}")
    if held is None:
        raise Damaged(f"the file sha256:{named[1]} is missing from the bundle")
    if held[0] != size or (most is not None and size > most):
        raise Damaged(f"the file sha256:{named[1]} has {held[0]} bytes and not {size}, or too many")
    found = hashlib.sha256()
    try:
        with held[1]() as opened_file:
            while block := opened_file.read(_BLOCK):
                found.update(block)
    except (OSError, tarfile.TarError) as problem:
        raise Damaged(f"the file sha256:{named[1]} cannot be read ({problem})") from problem
    if found.hexdigest() != named[1]:
        raise Damaged(f"the file sha256:{named[1]} is another: its SHA-256 is {found.hexdigest()}")
    return named[1]


def _json(files: _Files, name: str) -> dict[str, Any]:
    held = files.get(name)
    if held is None:
        raise Damaged(f"the bundle has no {name}")
    if held[0] > MOST_JSON:
        raise Damaged(f"{name} has {held[0]} bytes; at most {MOST_JSON} are read")
    with held[1]() as opened_file:
        told = _parsed(opened_file.read(), name)
    if not isinstance(told, dict):
        raise Damaged(f"{name} is no JSON object")
    return told


def _parsed(data: bytes, name: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as problem:
        raise Damaged(f"{name} is no JSON ({problem})") from problem


__all__ = ["Bundle", "opened"]
