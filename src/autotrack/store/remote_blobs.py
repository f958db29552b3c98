"""The files of runs beyond the home: sent to the team's object store before rows name them, fetched by who reads.

Records that the local store is to commit enter `sent`, which leaves only once the object store holds what they name.
On the other side `readable` gives the blobs of a home with the object store behind them: every reader uses it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from autotrack.errors import BackendUnavailable, BlobUnavailable
from autotrack.events import (
    AnyEvent,
    ArtifactLogged,
    DatasetLogged,
    ModelLogged,
    NoteLogged,
    ProvenanceLogged,
    Record,
    RegistryLogged,
    RunStarted,
)
from autotrack.provenance.blobs import Blobs
from autotrack.provenance.lending import Lender
from autotrack.provenance.parts import PartDamaged
from autotrack.settings import Settings
from autotrack.store.objects import ObjectStore

FETCHED: Final = "fetched"
"""The folder of a home that holds what was fetched: `<home>/fetched/ab/<sha256>`."""
MOST_BYTES: Final = 20 << 30
"""Of what was fetched, so many bytes stay; what was used longest ago goes first."""
IN_USE: Final = 60.0
"""Seconds for which a file stays after it was asked for, whatever its size."""
SENDERS: Final = 4


class Sender:
    """Sends what records name. One for a backend; it remembers what it knows to be there."""

    def __init__(self, home: Path, url: str, note: Callable[[str, str, str], None]) -> None:
        self._blobs, self._objects, self._note = Blobs(home), ObjectStore(url), note
        self._there: set[str] = set()

    def has_work(self, record: Record) -> bool:
        """Whether the record names a file that is not known to be there."""
        return not self._there.issuperset(named(record.event))

    def sent(self, batch: Sequence[Record]) -> list[Record]:
        """The records, once the object store holds what they name.

        A model or an artifact whose file is lost, here and there, becomes the record of that. Raises
        `BackendUnavailable`.
        """
        wanted = list(dict.fromkeys(digest for one in batch for digest in named(one.event)))
        with ThreadPoolExecutor(SENDERS) as pool:
            outcomes = zip(wanted, pool.map(self._send, wanted), strict=True)
            lost = {digest: problem for digest, problem in outcomes if problem is not None}
        return [replace(one, event=self._truly(one.event, lost)) for one in batch] if lost else list(batch)

    def _send(self, digest: str) -> str | None:
        """None once the object is there; why it never will be."""
        if digest in self._there:
            return None
        try:
            self._objects.put(digest, self._blobs)
        except FileNotFoundError:
            if self._objects.size(digest) is None:  # else it was sent before, and has gone from the home since
                return "it is not in the home any more"
        except PartDamaged as problem:
            return str(problem)
        except OSError as problem:
            raise BackendUnavailable(f"a file of a run cannot be read now: {problem}") from problem
        self._there.add(digest)
        return None

    def _truly(self, event: AnyEvent, lost: dict[str, str]) -> AnyEvent:
        gone = [digest for digest in named(event) if digest in lost]
        for digest in gone:
            if isinstance(event, ModelLogged):
                why = f"its file {digest} never reached the team's object store: {lost[digest]}"
                return replace(event, digest=None, bytes=None, problem=why)
            if isinstance(event, ArtifactLogged):
                why = f"{event.name} ({digest}) never reached the team's object store: {lost[digest]}"
                return NoteLogged(event.run, event.time, "artifacts", 1, why)
            if self._blobs.has(digest):  # what was never kept here may be named so all the same
                self._note(event.run, "files", f"{digest} never reached the object store: {lost[digest]}")
        return event


def named(event: AnyEvent) -> Iterator[str]:
    """The digests of the blobs that an event names: its own, and every `{digest, bytes}` in it, at any depth."""
    if isinstance(event, ModelLogged | ArtifactLogged | RegistryLogged) and _is_digest(event.digest):
        yield str(event.digest)
    if isinstance(event, ProvenanceLogged | DatasetLogged | RegistryLogged):
        yield from _within(event.record)
    elif isinstance(event, RunStarted):
        yield from _within([event.environment, event.code])
    elif isinstance(event, ModelLogged):
        yield from _within(event.signature)


def send_all(home: Path, url: str) -> tuple[int, int]:
    """Send every blob of a home that the object store lacks; how many there were, and how many were sent.

    For a home whose runs were in the database before there was an object store. Raises `BackendUnavailable`.
    """
    blobs, objects = Blobs(home), ObjectStore(url)
    there = dict(objects.digests())
    found = [digest for digest in blobs.digests() if digest not in there or there[digest] != _size(blobs, digest)]
    with ThreadPoolExecutor(SENDERS) as pool:
        sent = sum(pool.map(lambda digest: _whole(objects, digest, blobs), found))
    return len(there) + sent, sent


def readable(home: Path, settings: Settings) -> Blobs:
    """The blobs of a home, to read: what is not in it comes from the object store, if one is set, and is checked.

    What they are asked for raises, beside what it raises anyway, `BlobUnavailable` where the object store cannot be
    reached, or holds other bytes than were kept.
    """
    return Blobs(home) if settings.blobs_url is None else TeamBlobs(home, settings.blobs_url)


def lender(home: Path, settings: Settings) -> Lender:
    """Lends what `readable` reads, as files."""
    return Lender(home, readable(home, settings))


class TeamBlobs(Blobs):
    """The blobs of a home with an object store behind them."""

    def __init__(self, home: Path, url: str) -> None:
        super().__init__(home)
        self._home, self._objects = home, ObjectStore(url)

    def path(self, digest: str) -> Path:
        """Where the blob lies whole, fetched if need be; where it would lie in the home if it is nowhere."""
        here = super().path(digest)
        if here.is_file() or here.with_name(here.name + ".parts").is_file():
            return here
        there = self._fetched(digest)
        try:
            os.utime(there)
            return there
        except FileNotFoundError:
            pass
        except OSError:  # somebody else's home
            return there
        try:
            self._fetch(digest, there)
        except FileNotFoundError:
            return here
        return there

    def has(self, digest: str) -> bool:
        """Whether the blob is in the home or in the object store."""
        here = super().path(digest)
        if any(map(Path.is_file, (here, here.with_name(here.name + ".parts"), self._fetched(digest)))):
            return True
        try:
            return self._objects.size(digest) is not None
        except BackendUnavailable as problem:
            raise BlobUnavailable(f"whether {digest} is kept cannot be told: {problem}") from None

    def _fetched(self, digest: str) -> Path:
        return self._home / FETCHED / digest[:2] / digest

    def _fetch(self, digest: str, path: Path) -> None:
        try:
            size = self._objects.size(digest)
            if size is None:
                raise FileNotFoundError(digest)
            if not self._home.exists():
                self._home.mkdir(parents=True, exist_ok=True)
                (self._home / ".gitignore").write_text("*\n")
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._objects.fetch(digest, size, path)
        except (BackendUnavailable, PartDamaged) as problem:
            raise BlobUnavailable(f"the file {digest} cannot be had: {problem}") from None
        except FileNotFoundError:
            raise
        except OSError as problem:
            raise BlobUnavailable(f"the file {digest} cannot be kept in {path.parent}: {problem}") from problem
        self._bound()

    def _bound(self) -> None:
        """Let go of what was used longest ago, as far as there is too much."""
        found = []
        for path in (self._home / FETCHED).glob("??/*"):
            try:
                told = path.stat()
            except OSError:  # another process was first
                continue
            found.append((told.st_mtime, told.st_size, path))
        total, now = sum(size for _, size, _ in found), time.time()
        for used, size, path in sorted(found):
            if total <= MOST_BYTES or now - used < IN_USE:
                return
            path.unlink(missing_ok=True)
            total -= size


def _within(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "bytes" in value and _is_digest(value.get("digest")):
            yield value["digest"]
        for item in value.values():
            yield from _within(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _within(item)


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 64 and set(value) <= _DIGITS


def _size(blobs: Blobs, digest: str) -> int:
    try:
        return blobs.size(digest)
    except (FileNotFoundError, PartDamaged):
        return -1


def _whole(objects: ObjectStore, digest: str, blobs: Blobs) -> bool:
    try:
        return objects.put(digest, blobs)
    except (FileNotFoundError, PartDamaged):  # gone meanwhile, or damaged: `autotrack verify` tells
        return False


_DIGITS: Final = set("0123456789abcdef")

__all__ = ["Sender", "TeamBlobs", "lender", "named", "readable", "send_all"]
