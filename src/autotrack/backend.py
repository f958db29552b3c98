"""What an author of a backend imports: the contract between the forwarder and the place where events go.

The forwarder gives a backend batches of `Record`s of one journal, in order, already adapted to the limits that the
backend declares, with every model converted and every blob on disk. The backend answers with the sequence of the last
record that it now holds. Delivery is at least once: after a crash the same records come again, and `(writer, sequence)`
says so. A backend never sleeps and never retries: it raises `BackendUnavailable` and the forwarder comes back later, or
`BackendRejected` and the forwarder finds the record at fault and sets it aside in the dead-letter file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from autotrack.errors import BackendRejected, BackendUnavailable
from autotrack.events import Record
from autotrack.provenance.blobs import Blobs
from autotrack.provenance.lending import Lender
from autotrack.provenance.parts import PartDamaged
from autotrack.settings import Settings


@dataclass(frozen=True)
class Limits:
    """What a backend can carry, as data; None means without limit.

    Lengths are in characters. `key_characters` is a regular expression class of what a key may hold (`[\\w./ :-]`).
    """

    key_length: int | None = None
    key_characters: str | None = None
    param_length: int | None = None
    tag_length: int | None = None
    changed_params: bool = True
    """Whether a param that is logged again with another value replaces the first."""
    integer_steps: bool = False
    """Whether steps must be integers: fractional ones are then rounded down, and told."""
    infinities: bool = True
    """Whether infinite metric values are carried as they are."""
    registry: bool = False
    """Whether steps of registered models (`RegistryLogged`) are taken; from others they are kept, and that is told."""


@dataclass
class BackendContext:
    """What the forwarder lends to a backend while it is open."""

    home: Path
    settings: Settings
    state: MutableMapping[str, Any] = field(default_factory=dict)
    """Kept with the cursor as JSON: what the backend must know again after a restart, such as its own ids of runs."""
    note: Callable[[str, str, str], None] = lambda run, what, why: None
    """`note(run, what, why)`: count something that this backend could not carry for this run."""
    registered: Callable[[str], Mapping[str, Any] | None] = lambda model: None
    """A registered model as it stands now, with the fields of `autotrack models show --json`; None where none is known.

    Steps of one model may come in another order than they were taken, from journals of several processes. So a backend
    takes a step as the word that something changed, and makes its own registry equal to this.
    """

    def blob(self, digest: str) -> Path:
        """The file with this SHA-256, for as long as `deliver` runs. Where it is not kept there is no file at the path.

        Raises `BackendRejected` where it is no longer what was kept, `BackendUnavailable` where it cannot be rebuilt.
        """
        blobs = Blobs(self.home)
        try:
            if blobs.recipe(digest) is not None:
                return self._lender.lend(digest, digest)
        except PartDamaged as problem:
            raise BackendRejected(f"a file cannot be sent: {problem}") from problem
        except OSError as problem:
            raise BackendUnavailable(f"a file cannot be rebuilt from its parts: {problem}") from problem
        return blobs.path(digest)

    def take_back(self) -> None:
        """Remove what was rebuilt for `blob`: the forwarder calls it after each `deliver`."""
        self._lender.take_back()

    @cached_property
    def _lender(self) -> Lender:
        return Lender(self.home)


class Backend(Protocol):
    """A place where events go. Made without arguments by the forwarder, in a thread of its own."""

    limits: Limits

    def open(self, context: BackendContext) -> None:
        """Get ready. Raises `BackendUnavailable` if that must be tried again, `UsageError` if it never can work."""

    def resume(self, writer: str) -> int | None:
        """The position up to which this backend itself knows to hold the journal; None if it keeps no cursor."""

    def deliver(self, batch: Sequence[Record]) -> int:
        """Take records of one journal, in order; return the sequence of the last one that is now held."""
        ...

    def close(self) -> None:
        """Let go of connections. Nothing is delivered any more."""


class Checked(Backend, Protocol):
    """A backend that `autotrack doctor` can ask. One without `check` is opened and closed."""

    def check(self) -> str:
        """Ask, once open, whether events would be taken, and send none: one line that says what answered and where.

        Raises what `open` and `deliver` raise; the message says which variable to look at. It has fifteen seconds.
        """
        ...


__all__ = ["Backend", "BackendContext", "BackendRejected", "BackendUnavailable", "Checked", "Limits", "Record"]
