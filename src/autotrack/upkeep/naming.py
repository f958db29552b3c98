"""What is named: which blobs and snapshots any journal or the store speaks of.

A set of names enters, those that something might do without; what is found to be named leaves it. Journals are not
decoded for that: digests and the names of snapshots stand in their bytes as hexadecimal text, and a search for such
text also sees what a release of tomorrow writes. So it errs on the side of keeping.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from sqlalchemy import Connection, select

from autotrack.errors import AutotrackError
from autotrack.journal.frames import COMPRESSED_SUFFIX, SEGMENT_SUFFIX
from autotrack.store import schema

DIGEST: Final = 64
SNAPSHOT: Final = 16
"""Hexadecimal digits of the two kinds of names."""

REMOVED: Final = "removed"
"""The kind of provenance that tells which files of a run were removed on purpose, by digest."""

WINDOW: Final = 8 << 20
_NAMES: Final = re.compile(rb"[0-9a-f]{64}|[0-9a-f]{16}")


class Unnamed:
    """Names of which nothing is known to speak, yet."""

    def __init__(self, names: Iterable[str]) -> None:
        self.left = {name.encode() for name in names}

    def __contains__(self, name: str) -> bool:
        return name.encode() in self.left

    def see(self, content: bytes | str | None) -> None:
        """Whatever stands in `content` is named."""
        if content and self.left:
            found = content.encode(errors="replace") if isinstance(content, str) else content
            self.left.difference_update(_NAMES.findall(found))

    def see_journal(self, folder: Path) -> None:
        """Whatever the journal speaks of is named. Raises `AutotrackError` where a segment of it is damaged."""
        for content in contents(folder):
            if not self.left:
                return
            self.see(content)

    def see_store(self, connection: Connection, *, but_kinds: tuple[str, ...] = ()) -> None:
        """Whatever the store speaks of is named, but for provenance of these kinds."""
        for table in (schema.models, schema.artifacts, schema.registry):
            named = select(table.c.digest).where(table.c.digest.is_not(None)).execution_options(yield_per=1000)
            for digest in connection.execute(named).scalars():
                self.see(digest)
        self.see_records(connection, but_kinds=but_kinds)

    def see_records(self, connection: Connection, *, but_kinds: tuple[str, ...] = ()) -> None:
        """Whatever stands in records of datasets, provenance and registered models is named."""
        provenance = schema.provenance
        told = select(provenance.c.key, provenance.c.value).where(provenance.c.kind.not_in(but_kinds))
        for statement in (select(schema.datasets.c.record), told, select(schema.registry.c.record)):
            for row in connection.execute(statement.execution_options(yield_per=1000)):
                for text in row:
                    self.see(text)


def named_in(folders: Iterable[Path], home: Path) -> set[str]:
    """Every digest that these journals speak of, also by way of a snapshot that has been converted since."""
    found: set[bytes] = set()
    for folder in folders:
        for content in contents(folder):
            found.update(_NAMES.findall(content))
    names = {name.decode() for name in found}
    for stem in [name for name in names if len(name) == SNAPSHOT]:
        try:
            digest = json.loads((home / "spool" / f"{stem}.json").read_bytes()).get("digest")
        except (OSError, ValueError, AttributeError):
            continue
        if digest:
            names.add(digest)
    return names


def contents(folder: Path) -> Iterator[bytes]:
    """The bytes of a journal, in pieces that overlap so that no name is cut. Raises `AutotrackError` on damage.

    A journal that is archived meanwhile is given as far as it could be read: who goes on to the archive sees it there.
    """
    try:
        segments = sorted(path for path in folder.iterdir() if _is_segment(path.name))
    except OSError:  # archived, or removed
        return
    for segment in segments:
        try:
            yield from _pieces(segment)
        except FileNotFoundError:  # compressed at this moment
            try:
                yield from _pieces(segment.with_name(segment.name.removesuffix(".gz") + ".gz"))
            except FileNotFoundError:
                return


def _pieces(segment: Path) -> Iterator[bytes]:
    if not segment.name.endswith(".gz"):
        with segment.open("rb") as opened:
            yield from _windows(opened)
        return
    try:
        with gzip.open(segment) as opened:
            yield from _windows(opened)  # type: ignore[arg-type]
    except (EOFError, zlib.error, gzip.BadGzipFile) as problem:
        raise AutotrackError(
            f"{segment} is damaged ({problem}), so that what it names cannot be told; see: autotrack verify"
        ) from None


def _windows(opened: BinaryIO) -> Iterator[bytes]:
    rest = b""
    while piece := opened.read(WINDOW):
        yield rest + piece
        rest = piece[1 - DIGEST :]


def _is_segment(name: str) -> bool:
    return name.endswith((SEGMENT_SUFFIX, COMPRESSED_SUFFIX)) and not name.startswith(".")
