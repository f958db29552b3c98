"""What an author of an importer imports: the contract for bringing runs of another product into autotrack.

An importer finds runs in a place (a folder, a file, a server) and tells each as the events that autotrack would have
recorded, with the original times, steps and names. `autotrack import` writes them into journals, once each, verifies
what arrived, and goes on where it was interrupted; from there every backend gets them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

if TYPE_CHECKING:
    from autotrack.events import AnyEvent


@dataclass(frozen=True)
class ImporterPlugin:
    """A plugin that reads runs of another product."""

    name: str
    """As in `autotrack import NAME PLACE`."""
    factory: str
    """`package.module:class` of an `Importer`, made without arguments; imported when it is used."""
    extra: str | None = None
    """The extra of the distribution that brings what it needs, for the message when that is missing."""
    place: str = "PATH"
    """What PLACE is, for the help."""


class Keeping(Protocol):
    """What an importer is lent while it tells one run."""

    def keep(self, source: Path | bytes | BinaryIO) -> tuple[str, int]:
        """Keep a file as a blob; gives the digest and size that an event names. Raises `OSError`."""
        ...

    def not_carried(self, what: str, why: str, count: int = 1) -> None:
        """Count something of the run that has no place in autotrack: it is a note of the run, and in the report."""
        ...


@dataclass(frozen=True)
class ForeignRun:
    """One run as it was found, before anything of it is read that takes long."""

    origin: str
    """What identifies it for ever, with its product and its place there: `neptune:workspace/project/RUN-12`."""
    name: str
    events: Callable[[Keeping], Iterator[AnyEvent]]
    """Tells the whole run in the order of time, the first event a `RunStarted` of `run_id(origin)`.

    Called again it gives the same events, but for those that came since. What raises ends this run alone.
    """


class Importer(Protocol):
    """Reads runs of one product."""

    def runs(self, place: str, options: Mapping[str, str]) -> Iterator[ForeignRun]:
        """The runs in `place`. `options` are those of the command line (`-o key=value`).

        Raises `UsageError` where there are none of this product, and for options that it does not know.
        """
        ...


def run_id(origin: str) -> str:
    """The id that a run of this origin has here, always the same: 16 hexadecimal digits."""
    import hashlib  # not above: `enable()` loads the contracts, and this takes longer than the rest of them

    return hashlib.sha256(f"autotrack import\0{origin}".encode()).hexdigest()[:16]


__all__ = ["ForeignRun", "Importer", "ImporterPlugin", "Keeping", "run_id"]
