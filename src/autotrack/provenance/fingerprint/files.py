"""The files of a folder as they lie there: what is data of them, and by what a change of one is seen."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

LEFT_OUT: Final = frozenset(
    {
        ".autotrack",
        ".git",
        ".dvc",
        ".hg",
        ".svn",
        "__pycache__",
        ".ipynb_checkpoints",
        ".DS_Store",
        "Thumbs.db",
        "desktop.ini",
    }
)
"""Names of files and folders that are no data."""

MOST_FILES: Final = 1_000_000
MOST_SECONDS: Final = 5.0
"""Where a folder has more files, or takes longer to list, what is trained with is told by its path alone."""


@dataclass(frozen=True)
class File:
    """One file: where it is, and its path below the folder."""

    place: str
    name: str
    size: int
    sign: tuple[int, ...] = ()
    """What changes with its content: size, both times, inode."""


def bounded(files: Iterator[File], seconds: float) -> Iterator[File]:
    """The files. Raises `OSError` where there are too many, or they take too long."""
    until = time.monotonic() + seconds
    for count, file in enumerate(files):
        if count >= MOST_FILES or (not count % 1000 and time.monotonic() > until):
            raise OSError("too many files")
        yield file


def walk(folder: str) -> Iterator[File]:
    """All files below a folder, in no order; what cannot be read is told with the size 0."""
    waiting: list[tuple[str, frozenset[tuple[int, int]]]] = [(folder, frozenset())]
    while waiting:
        here, above = waiting.pop()
        try:
            status = os.stat(here)
            inode = (status.st_dev, status.st_ino)
            if inode in above:  # a link to a folder that it lies in
                continue
            entries = list(os.scandir(here))
        except OSError:
            yield File(
                here, _below(here, folder) + "/", 0
            )  # no file can be read under this name: it shows as unreadable
            continue
        for entry in entries:
            if entry.name in LEFT_OUT:
                continue
            try:
                if entry.is_dir():
                    waiting.append((entry.path, above | {inode}))
                elif entry.is_file():
                    yield file_at(entry.path, folder, entry.stat())
                elif entry.is_symlink():  # to nothing
                    yield File(entry.path, _below(entry.path, folder), 0)
            except OSError:
                yield File(entry.path, _below(entry.path, folder), 0)


def file_at(place: str, root: str, status: os.stat_result) -> File:
    """The file at `place`, named below `root`."""
    return File(place, _below(place, root), status.st_size, sign_of(status))


def _below(place: str, root: str) -> str:
    return os.path.relpath(place, root).replace(os.sep, "/")


def sign_of(status: os.stat_result) -> tuple[int, ...]:
    """What changes with a file's content."""
    return (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
