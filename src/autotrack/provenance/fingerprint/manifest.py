"""Folders and lists of files as a table: one row a file, with its path in the folder, its size and its SHA-256.

A path enters, a `Table` leaves, which is fingerprinted like any other; so a folder of images has `value`, `rows` and a
grid, and a diff names its files. Rows are in the order of their paths, written with `/`. Links are followed. What tools
leave behind (`.git`, `.DS_Store`, `__pycache__`, …) is not data and is left out. Files are read when a chunk of their
digests is asked for. A digest that was taken before is used again while path, size, both times and inode of the file
are the same; those of one folder lie in one file below `<home>/cache/manifests`.

A file alone is a manifest of one row: its bytes are what is identified, not what a parser would make of them.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from autotrack.provenance.fingerprint.chunks import NULL, Chunk, Numbers, Opaque, Texts
from autotrack.provenance.fingerprint.files import MOST_SECONDS, File, bounded, file_at, sign_of, walk
from autotrack.provenance.fingerprint.rowsets import RowSet
from autotrack.provenance.fingerprint.tables import ROWS_PER_LEAF, Column, Table

COLUMNS: Final = (("path", "string"), ("bytes", "int64"), ("sha256", "string"))

BY_CONTENT: Final = ("", "file")
"""Name and type of the one column of a set of files."""

BLOCK: Final = 1 << 20
LEAF_BYTES: Final = 64 << 20
"""Bytes of files in one leaf, about: a folder of large files has leaves of few."""

SLOWER: Final = 4
"""How many times longer a byte takes here than one of a column of numbers, for the budget."""

FRESH: Final = 2_000_000_000
"""Nanoseconds: a file that was changed this shortly ago may change again without another time: it is not remembered."""

MOST_REMEMBERED: Final = 2_000_000

MOST_LISTED: Final = 200_000
"""Files beyond which a record has no list of them."""


@dataclass
class Caching:
    """Where digests are remembered meanwhile, and the manifests that were made."""

    home: Path | None
    made: list[Manifest] = field(default_factory=list)

    def record(self) -> dict[str, Any]:
        """What a dataset's record has of the manifest that it is: `{n_rows, n_columns, columns, bytes, manifest}`.

        `manifest` is the bytes of a blob: a line of JSON for each file, `["path", bytes, "sha256"]`, with null for a
        digest that was not taken.
        """
        if len(self.made) != 1:
            return {}
        (one,) = self.made
        told: dict[str, Any] = {"n_rows": len(one.files), "n_columns": len(COLUMNS)}
        told["columns"] = [{"name": name, "dtype": declared} for name, declared in COLUMNS]
        told["bytes"] = sum(file.size for file in one.files)
        if len(one.files) <= MOST_LISTED:
            told["manifest"] = "".join(f"{line}\n" for line in one.lines()).encode()
        return told

    def row_set(self) -> RowSet | None:
        """The digests of the files, to tell which are in another dataset as well; None where it is no manifest."""
        return self.made[0].row_set() if len(self.made) == 1 else None


_caching: ContextVar[Caching | None] = ContextVar("autotrack_manifests", default=None)


@contextmanager
def cached_in(home: Path | None) -> Iterator[Caching]:
    """Remember digests of files in `home` meanwhile."""
    caching = Caching(home)
    token = _caching.set(caching)
    try:
        yield caching
    finally:
        _caching.reset(token)


class Manifest:
    """Files in the order of their names, with digests that are taken when they are asked for."""

    def __init__(self, root: str, files: Sequence[File]) -> None:
        self.root, self.files = root, files
        caching = _caching.get()
        self._home = None if caching is None else caching.home
        if caching is not None:
            caching.made.append(self)
        self._taken: dict[str, str] = {}
        self._known: dict[str, list[Any]] | None = None
        self._new = 0

    def table(self) -> Table:
        """The table that is fingerprinted."""
        total = sum(file.size for file in self.files)
        unread = sum(file.size for file in self.files if self._remembered(file, file.sign) is None)
        reads = (self._names, self._sizes, self._digests)
        sizes = (
            sum(len(file.name) for file in self.files),
            8 * len(self.files),
            SLOWER * unread + 64 * len(self.files),
        )
        columns = [
            Column(name, declared, read, size)
            for (name, declared), read, size in zip(COLUMNS, reads, sizes, strict=True)
        ]
        rows = ROWS_PER_LEAF
        while rows > 1 and self.files and total / len(self.files) * rows > LEAF_BYTES:
            rows //= 2
        return Table(len(self.files), columns, {"manifest": True}, rows)

    def digest(self, file: File) -> str | None:
        """The file's SHA-256 in hexadecimal; None where it cannot be read."""
        taken = self._taken.get(file.name)
        if taken is not None:
            return taken
        try:
            status = os.stat(file.place)
            sign = sign_of(status)
            known = self._remembered(file, sign)
            if known is not None:
                self._taken[file.name] = known
                return known
            found = hashlib.sha256()
            buffer = memoryview(bytearray(BLOCK))
            with open(file.place, "rb", buffering=0) as opened:
                while count := opened.readinto(buffer):
                    found.update(buffer[:count])
        except OSError:
            return None
        if time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > FRESH:
            self._cache()[file.name] = [*sign, found.hexdigest()]
            self._new += 1
        self._taken[file.name] = found.hexdigest()
        return self._taken[file.name]

    def row_set(self) -> RowSet:
        """The beginnings of the digests that were taken: the files by their contents alone."""
        taken = [self._taken[file.name] for file in self.files if file.name in self._taken]
        hashes = np.array([int(digest[:16], 16) for digest in taken], np.uint64)
        made = RowSet.of(hashes, covered=len(taken) == len(self.files), columns=[BY_CONTENT])
        return replace(made, n_rows=len(self.files))

    def lines(self) -> Iterator[str]:
        """Each file as a line of JSON: `["path", bytes, "sha256"]`; null where its digest was not taken."""
        for file in self.files:
            yield json.dumps([file.name, file.size, self._taken.get(file.name)])

    def save(self) -> None:
        """Remember the digests that are new. Nothing is told where that cannot be done."""
        if self._home is None or not self._new or self._known is None or len(self._known) > MOST_REMEMBERED:
            return
        path = self._cache_path(self._home)
        draft = path.with_name(f".{os.getpid()}-{secrets.token_hex(4)}")
        here = {file.name for file in self.files}
        kept = {name: entry for name, entry in self._known.items() if name in here}
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft.write_text(json.dumps({"root": self.root, "files": kept}, separators=(",", ":")))
            os.replace(draft, path)
            self._new = 0
        except OSError:
            draft.unlink(missing_ok=True)

    def _remembered(self, file: File, sign: tuple[int, ...]) -> str | None:
        known = self._cache().get(file.name)
        return str(known[4]) if known is not None and tuple(known[:4]) == sign else None

    def _cache(self) -> dict[str, list[Any]]:
        if self._known is None:
            self._known = self._read_cache()
        return self._known

    def _read_cache(self) -> dict[str, list[Any]]:
        if self._home is not None:
            try:
                told = json.loads(self._cache_path(self._home).read_text())
                if told["root"] == self.root:
                    return dict(told["files"])
            except (OSError, ValueError, KeyError, TypeError):  # none yet, or damaged
                pass
        return {}

    def _cache_path(self, home: Path) -> Path:
        name = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:32]
        return home / "cache" / "manifests" / f"{name}.json"

    def _names(self, start: int, stop: int) -> Chunk:
        return texts([file.name for file in self.files[start:stop]])

    def _sizes(self, start: int, stop: int) -> Chunk:
        sizes = [file.size for file in self.files[start:stop]]
        return Numbers(len(sizes), None, NULL, np.array(sizes, np.int64))

    def _digests(self, start: int, stop: int) -> Chunk:
        found = [self.digest(file) for file in self.files[start:stop]]
        self.save()
        known = [digest for digest in found if digest is not None]
        if len(known) < len(found):  # unknown contents must not look like equal ones
            return Opaque(len(found), None, NULL, "unreadable file")
        return texts(known)


def texts(values: Sequence[str]) -> Texts:
    """Texts as a canonical chunk; names of files that are no UTF-8 keep their bytes."""
    encoded = [value.encode("utf-8", "surrogateescape") for value in values]
    lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
    return Texts(len(encoded), None, NULL, lengths, b"".join(encoded), False)


def of_path(path: Any, *, within: float | None = None) -> Manifest | None:
    """The files at `path`, a file or a folder; None where there is nothing.

    With `within`, seconds, also for a folder that takes longer to list or has more than `MOST_FILES`.
    """
    text = os.fsdecode(path)
    try:
        if os.path.isdir(text):
            files = walk(text) if within is None else bounded(walk(text), within)
            return Manifest(os.path.abspath(text), sorted(files, key=lambda file: file.name))
        status = os.stat(text)
    except (OSError, ValueError):
        return None
    if not os.path.isfile(text):
        return None
    whole = os.path.abspath(text)
    return Manifest(whole, [file_at(whole, os.path.dirname(whole), status)])


def of_list(paths: Sequence[Any]) -> Manifest | None:
    """The files of a list, in its order, named below the folder that all are in; None where one is no file."""
    places = [os.path.abspath(os.fsdecode(path)) for path in paths]
    try:
        found = [os.stat(place) for place in places]
        root = os.path.commonpath([os.path.dirname(place) for place in places])
    except (OSError, ValueError):
        return None
    if not all(map(os.path.isfile, places)):
        return None
    return Manifest(root, [file_at(place, root, status) for place, status in zip(places, found, strict=True)])


def read_path(path: Any) -> Table | None:
    """The reader of paths: a `pathlib.Path`, or a text that names what is there."""
    if isinstance(path, str) and (not path or len(path) > 4096 or "\n" in path or "\0" in path):
        return None
    found = of_path(path, within=MOST_SECONDS)
    return None if found is None else found.table()


def read_list(paths: Sequence[Any]) -> Table | None:
    """The reader of lists of paths (`os.PathLike`); None for other lists, those of texts among them."""
    if not paths or not all(isinstance(path, os.PathLike) for path in paths):
        return None
    found = of_list(paths)
    return None if found is None else found.table()


__all__ = ["Manifest", "cached_in", "of_list", "of_path", "read_list", "read_path"]
