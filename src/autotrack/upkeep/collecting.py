"""Freeing what nothing needs any more: `autotrack gc`.

A home enters; a report leaves, of what was freed or would be. A file goes only where no journal and no store speaks of
it, and where nobody has written or claimed it within the grace time. Between the look and the removal a training may
claim it: each file is therefore set aside first, and put back where its time says that it is needed again. Whoever
keeps something that is there already claims it before it says so in a journal (`Blobs.claim`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection

from autotrack.errors import AutotrackError
from autotrack.journal.reader import archived
from autotrack.provenance import snapshots
from autotrack.provenance.blobs import RECIPE, Blobs
from autotrack.provenance.parts import DAMAGED, PartDamaged, Recipe
from autotrack.settings import Settings
from autotrack.store.engine import FILE
from autotrack.store.query import Store
from autotrack.upkeep.alone import is_importing
from autotrack.upkeep.naming import Unnamed
from autotrack.upkeep.setting_aside import ASIDE, put_back, remove_file, remove_folder

GRACE: Final = 24 * 3600.0
"""Seconds within which what was written or claimed is left alone."""

CACHED: Final = 30 * 24 * 3600.0
"""Seconds after which what can be found out again is forgotten."""


_SPOOLED: Final = (".snapshot", ".json")


@dataclass
class Freed:
    """What went, or would go, of one kind."""

    count: int = 0
    bytes: int = 0


@dataclass
class Report:
    """What was freed, or with `dry_run` would be, and what stayed though it might have gone."""

    dry_run: bool = False
    kinds: dict[str, Freed] = field(default_factory=dict)
    kept: list[dict[str, str]] = field(default_factory=list)
    """`{what, why}`."""
    removed: list[dict[str, Any]] = field(default_factory=list)
    """`{run, what, name, step, digest, bytes, time}` of each model and artifact that was removed on purpose."""
    journals: list[str] = field(default_factory=list)
    """The archived journals that went."""

    def add(self, kind: str, size: int) -> None:
        """Count a file."""
        freed = self.kinds.setdefault(kind, Freed())
        freed.count += 1
        freed.bytes += size

    def keep(self, what: str, why: str) -> None:
        """Say that something stayed."""
        if {"what": what, "why": why} not in self.kept:
            self.kept.append({"what": what, "why": why})

    @property
    def bytes(self) -> int:
        """All that was freed."""
        return sum(one.bytes for one in self.kinds.values())

    def record(self) -> dict[str, Any]:
        """The report as it is printed."""
        return {
            "dry_run": self.dry_run,
            "bytes": self.bytes,
            "freed": [{"kind": kind, "count": one.count, "bytes": one.bytes} for kind, one in self.kinds.items()],
            "removed": self.removed,
            "journals": self.journals,
            "kept": self.kept,
        }


class Collecting:
    """One collection in a home. Whoever makes it holds the home's lock (`autotrack.upkeep.alone`)."""

    def __init__(self, home: Path, settings: Settings, report: Report, grace: float = GRACE) -> None:
        self.home = home
        self.settings = settings
        self.report = report
        self.before = time.time() - grace
        """What was written or claimed since this moment is left alone."""
        self._blobs = Blobs(home)

    def collect(self, seen: Callable[[str], None] = lambda what: None) -> None:
        """Free everything that nothing needs. Raises `StoreError` where the store cannot be asked."""
        self._put_back()
        seen("what is named")
        gone: set[str] = set()
        spooled: set[str] = set()
        if is_importing(self.home):
            self.report.keep("blobs", "an import goes on, whose files no journal names before it is complete")
        else:
            gone, spooled = self._unnamed()
        seen("blobs")
        for digest in sorted(gone):
            for path in self._files_of(digest):
                self.remove("blobs", path)
        seen("snapshots")
        for stem in sorted(spooled):
            for suffix in _SPOOLED:
                self.remove("snapshots", self.home / "spool" / f"{stem}{suffix}")
        seen("parts")
        self._packs(gone, spooled)
        seen("drafts and caches")
        for path in self._drafts():
            self.remove("drafts", path)
        for path in self._caches():
            self.remove("caches", path)

    def remove(self, kind: str, path: Path, before: float | None = None) -> bool:
        """Remove a file, or a folder, that nobody has touched since `before`; whether it went."""
        before = self.before if before is None else before
        try:
            size: int | None
            if path.is_dir():
                size = remove_folder(path, dry_run=self.report.dry_run)
            else:
                size = remove_file(path, before, dry_run=self.report.dry_run)
        except OSError as problem:
            if not isinstance(problem, FileNotFoundError):
                self.report.keep(str(path.relative_to(self.home)), f"it cannot be removed: {problem}")
            return False
        if size is None:
            return False
        self.report.add(kind, size)
        return True

    def _unnamed(self) -> tuple[set[str], set[str]]:
        """The digests of blobs, and the names of spooled files, that are old and that nothing speaks of."""
        blobs = {digest for digest in self._blobs.digests() if any(map(self._is_old, self._files_of(digest)))}
        spool = self.home / "spool"
        waiting = (path for path in _inside(spool) if path.suffix in _SPOOLED and path.name[0] != ".")
        spooled = {path.stem for path in waiting if self._is_old(path)}
        names = Unnamed([*blobs, *spooled])
        with store_of(self.home, self.settings) as connection:
            if connection is not None:
                names.see_store(connection)
        try:
            # Those that are being written first, hidden ones too: one that moves meanwhile is seen in the archive.
            for folder in [*_inside(self.home / "journals"), *archived(self.home)]:
                names.see_journal(folder)
        except AutotrackError as problem:
            self.report.keep("blobs and snapshots", str(problem))
            return set(), set()
        for path in _inside(spool):
            if path.suffix == ".json" and path.stem not in names:
                try:
                    names.see(path.read_bytes())
                except FileNotFoundError:
                    continue
        return {digest for digest in blobs if digest in names}, {stem for stem in spooled if stem in names}

    def _packs(self, gone: set[str], spooled: set[str]) -> None:
        """Packs of which no model that is kept, and none that waits, has a part."""
        parts = self._blobs.parts
        old = [pack for pack in parts.packs() if self._is_old(parts.folder / pack)]
        if not old:
            return
        needed: set[str] = set()
        # Those that wait come first: one that gets its name meanwhile has a recipe by then.
        for path in _inside(self.home / "spool"):
            if path.suffix == ".snapshot" and path.stem not in spooled:
                needed |= _packs_of_snapshot(path)
        for path in self._blobs.folder.glob(f"??/*{RECIPE}"):
            if path.name.removesuffix(RECIPE) in gone and self._is_old(path):
                continue
            try:
                needed |= {part.pack for part in Recipe.decode(path.read_bytes()).parts}
            except FileNotFoundError:
                continue
            except PartDamaged:
                self.report.keep("parts", f"{path} is damaged, so that the packs it needs cannot be told")
                return
        for pack in old:
            if pack not in needed and self.remove("parts", parts.folder / pack):
                marked = parts.folder / f"{pack}{DAMAGED}"
                if not self.report.dry_run:
                    marked.unlink(missing_ok=True)

    def _drafts(self) -> Iterator[Path]:
        """What processes that were killed have left half-made."""
        folders = ("blobs", "parts", "spool", "checkpoints", "capsules", "imports", "delivery/*", "archive/*")
        for pattern in (*folders, *(() if is_importing(self.home) else ("journals",))):
            for folder in self.home.glob(pattern):
                yield from (path for path in _inside(folder) if path.name[0] == "." and self._is_old(path))
        for folder in _inside(self.home / "journals"):
            yield from (path for path in folder.glob(".closing-*") if self._is_old(path))
        lent = (path for path in _inside(self.home / "cache") if path.is_dir() and path.name != "manifests")
        yield from filter(self._is_old, lent)

    def _caches(self) -> Iterator[Path]:
        """What would be found out again where it is needed."""
        before = min(self.before, time.time() - CACHED)
        for folder in (self.home / "cache" / "manifests", self.home / "capsules"):
            yield from (path for path in _inside(folder) if path.name[0] != "." and _touched(path) < before)

    def _files_of(self, digest: str) -> list[Path]:
        path = self._blobs.path(digest)
        return [one for one in (path, path.with_name(path.name + RECIPE)) if one.is_file()]

    def _is_old(self, path: Path) -> bool:
        return _touched(path) < self.before

    def _put_back(self) -> None:
        """Put back what a collection that was killed had set aside: it is looked at anew."""
        if self.report.dry_run:
            return
        for pattern in ("blobs/??", "parts", "spool", "cache/*", "capsules"):
            for folder in self.home.glob(pattern):
                for aside in folder.glob(f".*{ASIDE}"):
                    put_back(aside, aside.with_name(aside.name[1:].removesuffix(ASIDE)))


@contextmanager
def store_of(home: Path, settings: Settings) -> Iterator[Connection | None]:
    """The home's store, to read; None where it has none and never had. Raises `StoreError`, `AutotrackError`."""
    if settings.store_url is None and not (home / FILE).is_file():
        if any(home.glob("delivery/*/local.json")):
            raise AutotrackError(f"the store of {home} is gone, which knows what is needed; first: autotrack sync")
        yield None
        return
    with Store.open(home, settings) as store, store.engine.connect() as connection:
        yield connection


def _packs_of_snapshot(path: Path) -> set[str]:
    """The packs that a waiting model needs; none where it does not wait in parts, or cannot be read."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return set()
    length = int.from_bytes(content[32:34], "little")
    if content[34 : 34 + length] != snapshots.IN_PARTS.encode():
        return set()
    try:
        return {part.pack for part in Recipe.decode(content[34 + length :]).parts}
    except PartDamaged:
        return set()


def _touched(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # it is gone
        return float("inf")


def _inside(folder: Path) -> Iterable[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []
