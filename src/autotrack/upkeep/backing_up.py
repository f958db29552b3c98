"""A consistent copy of a home while trainings, forwarders and readers go on: `autotrack backup`.

What is copied first never needs what is copied later to be older: the store and how far delivery is, then journals, of
which each is then at least as long as those say, then snapshots, files and parts, which are there before a journal
names them. A collection does not run meanwhile. Left out are locks, drafts, caches and logs, and nothing that lies
outside the home (the key that signs snapshots) ever enters.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from autotrack import __version__
from autotrack.errors import UsageError
from autotrack.forward.catching_up import take_in
from autotrack.journal import liveness, writer
from autotrack.journal.frames import SEGMENT_SUFFIX
from autotrack.journal.reader import archived, journals
from autotrack.provenance.blobs import Blobs
from autotrack.settings import Settings
from autotrack.store import schema
from autotrack.store.engine import FILE
from autotrack.store.query import Store
from autotrack.store.records import iso
from autotrack.upkeep import tables
from autotrack.upkeep.alone import alone
from autotrack.upkeep.checking import named_blobs
from autotrack.upkeep.containers import NEVER_CHANGE, Target, writing

LEFT_OUT: Final = ("cache", "capsules", "fetched")
"""Folders of a home that hold what can be found out again."""

_LAST: Final = ("journals", "archive", "spool", "blobs", "parts")
"""Folders in the order in which they are copied, after all others."""

_NOT_KEPT: Final = (liveness.ALIVE, writer.BALLAST)
_AT_ONCE: Final = 32 << 20
"""Bytes of a file that may change up to which it is read before it is written."""


@dataclass
class Backup:
    """How a backup went."""

    target: Path
    runs: int = 0
    files: int = 0
    bytes: int = 0
    copied: int = 0
    """Bytes that were written: the rest were in the folder already."""
    damaged: list[str] = field(default_factory=list)
    """Blobs that no longer have the bytes that were kept; they are copied as they are."""

    def record(self) -> dict[str, Any]:
        """As it is printed."""
        return {**vars(self), "target": str(self.target)}


def back_up(
    home: Path,
    settings: Settings,
    place: Path,
    *,
    replace: bool = False,
    seen: Callable[[str], None] = lambda path: None,
) -> Backup:
    """Copy the home to `place`, a file that ends in `.tar.gz` or `.tar.zst`, or a folder.

    Raises `UsageError` where there is no home or something else at `place`, `StoreError`, `OSError`; nothing is then
    at `place` that was not there before.
    """
    if not home.is_dir():
        raise UsageError(f"there is no home in {home}; AUTOTRACK_HOME says where runs are")
    place = place.absolute()
    if place == home or home in place.parents:
        raise UsageError(f"{place} lies in the home itself: a backup belongs elsewhere")
    made = Backup(place)
    take_in(home, settings)  # models that wait get their safe format, in which any account can read them
    with alone(home, "back it up"):
        about: dict[str, Any] = {"made_at": iso(time.time_ns()), "autotrack": __version__, "schema": schema.SCHEMA}
        with writing(place, about, replace=replace) as target:
            about["runs"] = made.runs = _store(home, settings, target)
            for path, source in _files(home):
                seen(path)
                _copy(path, source, target)
            if settings.blobs_url is not None:
                _fetch(home, settings, target, seen)
            made.files, made.bytes, made.copied = len(target.files), sum(it.bytes for it in target.files), target.copied
            blobs = ((it.path.rpartition("/")[2], it.sha256) for it in target.files if it.path.startswith("blobs/"))
            made.damaged = [name for name, digest in blobs if len(name) == len(digest) and name != digest]
    return made


def _store(home: Path, settings: Settings, target: Target) -> int:
    copy = target.room(FILE)
    try:
        runs = tables.export(home, settings, copy)
        with copy.open("rb") as opened:
            target.add(FILE, opened, copy.stat().st_size)
    finally:
        copy.unlink(missing_ok=True)
    return runs


def _fetch(home: Path, settings: Settings, target: Target, seen: Callable[[str], None]) -> None:
    """Add what runs name and only the team's object store holds. Raises `BackendUnavailable`, `BlobUnavailable`."""
    from autotrack.store.objects import ObjectStore
    from autotrack.store.remote_blobs import readable

    here, blobs = set(Blobs(home).digests()), readable(home, settings)
    with Store.open(home, settings) as store, store.engine.connect() as connection:
        named = {one["digest"] for one in named_blobs(connection)} - here
    for digest, size in ObjectStore(str(settings.blobs_url)).digests():
        path = f"blobs/{digest[:2]}/{digest}"
        if digest in named and not target.has(path, size):
            seen(path)
            with blobs.open(digest) as opened:
                target.add(path, opened, size)


def _files(home: Path) -> Iterator[tuple[str, Path]]:
    """Every file that belongs to a backup, by its path in the home, in an order that keeps what it needs."""
    tops = sorted(path for path in home.iterdir() if _belongs(path.name) and path.name not in LEFT_OUT)
    early = [path for path in tops if path.name not in _LAST and not path.name.startswith(FILE)]
    for top in sorted(early, key=lambda path: path.name != "delivery"):
        yield from _below(home, top)
    taken = set()
    for folder in journals(home):
        taken.add(folder.name)
        yield from _below(home, folder)
    for folder in archived(home):
        if folder.name not in taken:  # else it was archived meanwhile, and is copied as far as it went
            yield from _below(home, folder)
    for name in _LAST[2:]:
        yield from _below(home, home / name)


def _below(home: Path, top: Path) -> Iterator[tuple[str, Path]]:
    if not top.is_dir():
        if top.is_file():
            yield top.relative_to(home).as_posix(), top
        return
    for place, folders, names in os.walk(top):
        folders[:] = sorted(name for name in folders if _belongs(name))
        for name in sorted(filter(_belongs, names)):
            path = Path(place, name)
            if not path.is_symlink() and path.is_file():
                yield path.relative_to(home).as_posix(), path


def _belongs(name: str) -> bool:
    if name.startswith("."):
        return name == ".gitignore"
    return not name.endswith((".lock", ".log")) and name not in _NOT_KEPT


def _copy(path: str, source: Path, target: Target) -> None:
    for name, file in _now_at(path, source):
        try:
            with file.open("rb") as opened:
                size = os.fstat(opened.fileno()).st_size
                top = name.partition("/")[0]
                if top in NEVER_CHANGE and target.has(name, size):
                    return
                if top in (*NEVER_CHANGE, "journals") or size > _AT_ONCE:
                    target.add(name, opened, size)
                else:
                    content = opened.read()
                    target.add(name, io.BytesIO(content), len(content))
            return
        except FileNotFoundError:  # renamed meanwhile, or of no use any more
            continue


def _now_at(path: str, source: Path) -> Iterable[tuple[str, Path]]:
    """Where the file is, and where it may be by now: compressed, archived, or converted."""
    yield path, source
    if path.endswith(SEGMENT_SUFFIX):
        yield f"{path}.gz", source.with_name(f"{source.name}.gz")
        if path.startswith("journals/"):
            moved = path.replace("journals/", "archive/", 1)
            home = source.parents[2]
            yield moved, home / moved
            yield f"{moved}.gz", home / f"{moved}.gz"
    elif path.endswith(".snapshot"):
        converted = path.removesuffix(".snapshot") + ".json"
        yield converted, source.with_suffix(".json")
