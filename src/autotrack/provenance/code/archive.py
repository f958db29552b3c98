"""The project files that a process has imported, as one archive in the blobs: the capsule where there is no git.

Paths below a root enter; a tar file leaves, in which the same files are the same bytes: sorted, without owners and
times. What was archived before is taken from there, so that a file that has been written since is kept as it was at
first.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path

from autotrack.provenance.blobs import Blob, Blobs
from autotrack.provenance.code.sifting import Kept, LeftOut, shown, sift


class Archive:
    """The archive of one process, which may grow when more is imported."""

    def __init__(self, root: Path, blobs: Blobs) -> None:
        self.root = root
        self.blob: Blob | None = None
        self.kept: dict[str, Kept] = {}
        self.digests: dict[str, str] = {}
        """SHA-256 of each file's content as it is archived."""
        self.left: list[LeftOut] = []
        self._blobs = blobs

    def add(self, paths: Iterable[str], still: Callable[[], object]) -> bool:
        """Archive those of `paths` that are not yet; whether there were any. Raises `OSError`."""
        known = self.kept.keys() | {one.path for one in self.left}
        kept, left, _ = sift(str(self.root), sorted(set(paths) - known), still)
        self.left += left
        contents = self._archived()
        for one in kept:
            try:
                contents[one.path] = (self.root / one.path).read_bytes()  # follows a link: it was imported so
            except OSError as problem:
                self.left.append(LeftOut(one.path, one.size, f"cannot be read: {problem.strerror}"))
                continue
            self.kept[one.path] = one
            self.digests[one.path] = sha256(contents[one.path]).hexdigest()
        if self.blob is None or kept:
            self.blob = self._blobs.put_bytes(_packed(contents))
        return bool(kept or left)

    def _archived(self) -> dict[str, bytes]:
        if self.blob is None:
            return {}
        with self._blobs.open(self.blob.digest) as opened:
            return {name: content for name, content, _ in read(opened.read())}


def read(archive: bytes) -> Iterable[tuple[str, bytes, bool]]:
    """Name, content and whether it may be run, of each plain file in the archive; of anything else in it, nothing."""
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as opened:
        for member in opened:
            content = opened.extractfile(member) if member.isreg() else None
            if content is not None:
                yield member.name, content.read(), bool(member.mode & 0o100)


def _packed(contents: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, content in sorted(contents.items()):
            member = tarfile.TarInfo(shown(path).replace(os.sep, "/"))
            member.size, member.mode = len(content), 0o644
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()
