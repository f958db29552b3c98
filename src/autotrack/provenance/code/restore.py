"""Giving a code capsule back: the files of a run's sources in a new folder, from the record and the blobs alone.

A record's `code` and the blobs enter; files leave. Every byte is checked against the digests of the record before the
first file is written. Nothing is written outside the folder, whatever the names in a capsule say, nothing that exists
is replaced, and neither git nor a filter or hook of git's is run.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from autotrack.errors import AutotrackError
from autotrack.provenance.blobs import Blobs
from autotrack.provenance.code.bundle import Damaged, TreeFile, tree_files

_LINK: Final = "120000"
_NEVER: Final = frozenset({"", ".", "..", ".git"})
"""Parts of a path that lead elsewhere, or to what git runs."""


class CannotRestore(AutotrackError):
    """The record has no capsule, or it is not kept, or not what was recorded; or the folder cannot take it."""


@dataclass(frozen=True)
class Restored:
    """What was written."""

    folder: Path
    files: tuple[str, ...]
    """Paths below the folder, with `/`."""
    entry: Path | None
    """The script that ran, if it is among them."""
    working_folder: Path
    """The folder that it ran in, if it lay below the root; else the root."""
    missing: tuple[str, ...]
    """What the run had and the folder has not, each with its reason: secrets, large files, submodules, LFS content."""


def restore(record: Mapping[str, Any], blobs: Blobs, target: str | os.PathLike[str]) -> Restored:
    """Write the files of the capsule that `record` (a run's `code`) names into `target`, which is made or is empty.

    Raises `CannotRestore` before anything is written where the capsule is not there or not whole, and `OSError`.
    """
    folder = Path(target)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CannotRestore(f"{folder} is not an empty folder")
    files = list(_contents(record, blobs))
    links = {file.path for file in files if file.mode == _LINK}
    for file in files:
        _check_path(file.path, links)
    outward = [file for file in files if file.mode == _LINK and _leads_out(file)]
    if outward:
        files = [file for file in files if file not in outward]
    folders = {os.path.dirname(file.path) for file in files}
    for name in ("", *sorted(folders)):
        os.makedirs(folder / name, exist_ok=True)
    for file in files:
        _write(os.path.join(folder, file.path), file)
    names = tuple(file.path for file in files)
    entry, working = record.get("entry"), record.get("folder")
    return Restored(
        folder,
        names,
        folder / entry if entry in names else None,
        folder / working if working and any(name.startswith(f"{working}/") for name in names) else folder,
        (*_missing(record), *(f"{file.path}: a link to {os.fsdecode(file.content)}" for file in outward)),
    )


def _contents(record: Mapping[str, Any], blobs: Blobs) -> Iterable[TreeFile]:
    kind = record.get("kind")
    named = record.get("bundle") if kind == "git" else record.get("archive")
    if kind not in ("git", "files") or not isinstance(named, Mapping):
        raise CannotRestore(record.get("problem") or "the run has no code capsule")
    digest = named["digest"]
    if not blobs.has(digest):
        raise CannotRestore(f"the blob {digest} is not kept here")
    if not blobs.verify(digest):
        raise CannotRestore(f"the blob {digest} is damaged")
    with blobs.open(digest) as opened:
        data = opened.read()
    try:
        if kind == "git":
            return list(tree_files(data, record["tree"]))
        from autotrack.provenance.code.archive import read

        return [TreeFile(name, "100755" if runs else "100644", content) for name, content, runs in read(data)]
    except (Damaged, ValueError, IndexError) as problem:
        raise CannotRestore(f"the capsule cannot be read: {problem}") from None


def _check_path(path: str, links: set[str]) -> None:
    parts = path.split("/")
    bad = not _NEVER.isdisjoint(part.lower() for part in parts) or "\0" in path
    if os.name == "nt":
        bad = bad or "\\" in path or ":" in path
    if links:
        bad = bad or any("/".join(parts[:depth]) in links for depth in range(1, len(parts)))
    if bad:
        raise CannotRestore(f"the capsule names a file {path!r}, which may not be written")


def _leads_out(link: TreeFile) -> bool:
    """Whether the link leads, or might lead, out of the folder: then it is told and not made."""
    parts = os.fsdecode(link.content).replace("\\", "/").split("/")
    upwards = next((number for number, part in enumerate(parts) if part != ".."), len(parts))
    return not parts[0] or ":" in parts[0] or ".." in parts[upwards:] or upwards > link.path.count("/")


def _write(path: str, file: TreeFile) -> None:
    if file.mode == _LINK:
        os.symlink(os.fsdecode(file.content), path)
        return
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    with open(os.open(path, flags, 0o777 if file.mode == "100755" else 0o666), "wb") as opened:
        opened.write(file.content)


def _missing(record: Mapping[str, Any]) -> Iterable[str]:
    for one in record.get("left_out") or ():
        yield f"{one['path']}: {one['why']}"
    for one in record.get("submodules") or ():
        dirty = ", with changes that are in no commit" if one.get("dirty") else ""
        yield f"{one['path']}: the submodule at {one['commit']}{dirty}"
    for one in record.get("lfs") or ():
        yield f"{one['path']}: kept by Git LFS as {one.get('oid', one.get('why'))}"
    for one in record.get("not_in_capsule") or ():
        yield f"{one['path']}: {one['why']}"
