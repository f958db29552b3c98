"""Lending kept files under a path, to whoever can read nothing else: a framework's loader, a backend's upload.

The digest of a blob and a file name enter; the path of a file leaves, in `<home>/cache`, until it is taken back. A blob
in parts is rebuilt there, and its SHA-256 checked; one that lies whole is linked. What a process that was killed has
left there goes when another lends.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from autotrack.provenance.blobs import Blobs
from autotrack.provenance.parts import PartDamaged, Recipe

FORGOTTEN: Final = 24 * 3600.0
"""Seconds after which a file that nobody took back is taken for a killed process's."""


class Lender:
    """Lends files of one home. A context manager: at its end all are taken back."""

    def __init__(self, home: Path, blobs: Blobs | None = None) -> None:
        """Lends from `blobs`, by default those of the home."""
        self._blobs = Blobs(home) if blobs is None else blobs
        self._cache = home / "cache"
        self._lent: dict[tuple[str, str], Path] = {}

    def lend(self, digest: str, name: str) -> Path:
        """A file called `name` with the bytes of the blob.

        Raises `FileNotFoundError` where it is not kept, `PartDamaged` where it is no longer what was kept, `OSError`.
        """
        if (digest, name) in self._lent:
            return self._lent[digest, name]
        self._remove_forgotten()
        recipe = self._blobs.recipe(digest)
        folder = self._cache / f"{os.getpid()}-{secrets.token_hex(8)}"
        self._cache.mkdir(mode=0o700, exist_ok=True)  # not the home: where that was removed, nothing makes it again
        folder.mkdir(mode=0o700)
        path = folder / name
        try:
            if recipe is None:
                _link(self._blobs.path(digest), path)
            else:
                self._rebuild(recipe, digest, path)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        self._lent[digest, name] = path
        return path

    def take_back(self) -> None:
        """Remove what has been lent."""
        while self._lent:
            shutil.rmtree(self._lent.popitem()[1].parent, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.take_back()

    def _rebuild(self, recipe: Recipe, digest: str, path: Path) -> None:
        found = hashlib.sha256()
        with open(path, "xb", buffering=0, opener=lambda path, flags: os.open(path, flags, 0o600)) as target:
            for block in self._blobs.parts.blocks(recipe):
                found.update(block)
                while block:
                    block = block[target.write(block) :]
        if found.hexdigest() != digest:
            raise PartDamaged(f"the parts of {digest} no longer make the file that was kept")

    def _remove_forgotten(self) -> None:
        try:
            found = list(self._cache.iterdir())
        except OSError:
            return
        for folder in found:
            try:
                if time.time() - folder.stat().st_mtime > FORGOTTEN:
                    shutil.rmtree(folder, ignore_errors=True)
            except OSError:  # another process was first
                pass


def _link(source: Path, path: Path) -> None:
    try:
        os.link(source, path)
    except FileNotFoundError:
        raise
    except (OSError, AttributeError):  # a file system without hard links
        shutil.copyfile(source, path)
