"""The capsule of one process: from git where there is a repository, else an archive of what was imported.

The home enters; what leaves is the record, later the changes since, and, where git cannot serve, why. Used by
`witness`, in its thread, and imported there alone.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from autotrack.provenance.blobs import Blobs
from autotrack.provenance.code import project
from autotrack.provenance.code.objects import name_of
from autotrack.provenance.code.sifting import Kept, Stopped, left_out, listed, shown
from autotrack.provenance.process import started_in
from autotrack.settings import git_root

if TYPE_CHECKING:
    from autotrack.provenance.code.archive import Archive
    from autotrack.provenance.code.git import Git
    from autotrack.provenance.code.snapshot import Snapshot

_ATTEMPTS: Final = 3
MOST_WATCHED: Final = 5_000
"""Sources that are looked at for changes when a run ends: about a microsecond each."""
_SOURCES: Final = (
    ".py", ".pyx", ".pyi", ".ipynb", ".yaml", ".yml", ".toml", ".json", ".cfg", ".ini", ".sh", ".sql", ".r", ".jl",
    ".c", ".cc", ".cpp", ".cu", ".h", ".hpp", ".rs", ".proto", ".txt", ".jinja", ".j2",
)  # fmt: skip


class Capsule:
    """The code of this process, once taken."""

    def __init__(self, home: Path, seconds: float) -> None:
        self.record: dict[str, Any] = {}
        self.done = False
        self._home = home
        self._blobs = Blobs(home)
        self._deadline = time.monotonic() + seconds
        self._git: Git | None = None
        self._archive: Archive | None = None
        self._files: dict[str, tuple[Kept, str]] = {}
        """What is watched: each file as it was seen, and the digest of its content."""
        self._before: set[str] = set()
        """Sources that had been written between when they were read and the capsule, which is not what ran."""
        self._taken: frozenset[str] = frozenset()
        """What of a snapshot could be imported."""
        self._root = Path()
        self._modules = 0
        self._stopped = threading.Event()

    def take(self) -> tuple[dict[str, Any], str | None]:
        """The record, and what went wrong where it is not what it should be."""
        problem = None
        self._modules = len(sys.modules)
        try:
            problem = self._from_git()
            if not self.record:
                self._from_imports()
        except (OSError, Stopped) as why:
            problem = f"no capsule: {why}"
        if self._root.parts:
            self._before = project.written_since_read(self._root)
        self.record |= {"changed_during_run": [shown(path) for path in sorted(self._before)]}
        if problem:
            self.record["problem"] = problem
        return self.record, problem

    def stop(self) -> None:
        """Give up, from another thread."""
        self._stopped.set()
        if self._git is not None:
            self._git.stop()

    def changes(self) -> dict[str, Any]:
        """What is to be added to the record now: sources that were written since, and modules that came later."""
        found: dict[str, Any] = {}
        changed = {path for path, (kept, digest) in self._files.items() if self._differs(path, kept, digest)}
        if changed:
            found["changed_during_run"] = [shown(path) for path in sorted(changed | self._before)]
        if len(sys.modules) != self._modules and self._root.parts:
            self._modules = len(sys.modules)
            paths = project.imported(self._root)
            if self._archive is not None and self._archive.add(paths, self._still):
                found |= self._archived(self._archive)
            elif self._archive is None and self.record.get("kind") == "git":
                found |= self._not_in_capsule(paths)
            self.record |= {key: value for key, value in found.items() if key != "changed_during_run"}
        return found

    def _from_git(self) -> str | None:
        """Take the record from git; why not, where there is a repository and it cannot be."""
        start = project.start()
        if git_root(start) is None:
            return None
        from autotrack.provenance.code.git import Git, GitFailed  # each way imports what it needs alone

        snapshot = None
        for attempt in range(_ATTEMPTS):
            self._still()
            self._git = Git(start, self._deadline - time.monotonic())
            try:
                snapshot = self._snapshot(self._git)
                break
            except (GitFailed, OSError) as why:
                self._still()
                # A file that training has just removed, perhaps: then it goes better now.
                if attempt == _ATTEMPTS - 1 or (isinstance(why, GitFailed) and "hash-object" not in str(why)):
                    return str(why)
        assert snapshot is not None
        self._root = snapshot.root
        self.record = snapshot.record | self._place(snapshot.root)
        self._taken = frozenset(path for path in snapshot.files if path.endswith(project.CODE))
        self._watch(snapshot)
        self.record |= self._not_in_capsule(project.imported(self._root))
        return None

    def _snapshot(self, git: Git) -> Snapshot:
        from autotrack.provenance.code.snapshot import take

        work = self._home / "capsules" / f".{os.getpid()}-{secrets.token_hex(4)}"
        work.mkdir(mode=0o700, parents=True)
        try:
            return take(git, self._blobs, work, self._home.resolve())
        finally:
            _remove(work)

    def _from_imports(self) -> None:
        from autotrack.provenance.code.archive import Archive

        self._root = root = project.folder()
        self._archive = archive = Archive(root, self._blobs)
        archive.add(project.imported(root), self._still)
        self.record = {"kind": "files", "root": shown(str(root))} | self._archived(archive) | self._place(root)

    def _archived(self, archive: Archive) -> dict[str, Any]:
        assert archive.blob is not None
        self._files = {path: (kept, archive.digests[path]) for path, kept in archive.kept.items()}
        return {
            "archive": {"digest": archive.blob.digest, "bytes": archive.blob.bytes},
            "files": len(archive.kept),
            "left_out": left_out(archive.left),
        }

    def _place(self, root: Path) -> dict[str, Any]:
        script = project.entry()
        return {
            "entry": _below(script.resolve() if script else None, root),
            "folder": _below(Path(started_in()).resolve(), root),
        }

    def _watch(self, snapshot: Snapshot) -> None:
        sources = ((path, entry) for path, entry in snapshot.files.items() if path.lower().endswith(_SOURCES))
        for path, entry in sources:
            if entry.kept is not None and len(self._files) < MOST_WATCHED:
                self._files[path] = entry.kept, entry.object

    def _not_in_capsule(self, imported: set[str]) -> dict[str, Any]:
        """Project files that are imported and that git ignores, or that came after the snapshot."""
        left = {one["path"] for one in self.record["left_out"]}
        why = "imported, and not in the snapshot: ignored by git, or newer"
        missing = [
            {"path": path, "why": why} for path in sorted(imported) if path not in self._taken and path not in left
        ]
        return {"not_in_capsule": listed(missing)} if missing else {}

    def _differs(self, path: str, kept: Kept, digest: str) -> bool:
        full = self._root / path
        try:
            if Kept.seen(path, os.lstat(full)) == kept:
                return False
            content = full.read_bytes()
            return digest not in (name_of("blob", content, len(digest)), hashlib.sha256(content).hexdigest())
        except OSError:
            return True

    def _still(self) -> None:
        if self._stopped.is_set() or time.monotonic() > self._deadline:
            raise Stopped("there was no time left")


def _remove(work: Path) -> None:
    for folder, folders, files in os.walk(work, topdown=False):
        for name in files:
            os.unlink(os.path.join(folder, name))
        for name in folders:
            os.rmdir(os.path.join(folder, name))
    os.rmdir(work)


def _below(path: Path | None, root: Path) -> str | None:
    """The path relative to the root, with `/`; None where it lies elsewhere."""
    return shown(path.relative_to(root).as_posix()) if path is not None and path.is_relative_to(root) else None
