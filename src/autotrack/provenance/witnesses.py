"""Witnesses: what sees a process around its runs, and adds to their record what only that process can see.

The session makes them at the first run that this process owns, tells them of each run's begin and end, and closes them
with the process. What they find they log to the run (`Run.log_provenance`, `Run.log_console`, `Run.note`). They must
cost training nothing: what takes longer than a millisecond belongs into a thread or another process, and `close` is the
only place that may wait. A fault of a witness silences that one alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Protocol

from autotrack import guard

if TYPE_CHECKING:
    from autotrack.settings import Settings


class Witness(Protocol):
    """Sees the runs of one process. Runs are `autotrack.run.Run`, which this room stands below."""

    def begun(self, run: Any) -> None:
        """A run of this process has begun, or goes on."""

    def ending(self, run: Any) -> None:
        """The run ends: what is logged now still belongs to it. Called once for each `begun`."""

    def close(self) -> None:
        """The process ends; its journal still takes events."""

    def forked(self) -> None:
        """This process is a forked child now, and no run of the parent is its own."""


PLACES: Final[tuple[str, ...]] = (
    "autotrack.provenance.environment.witness:witness",
    "autotrack.provenance.code.witness:witness",
    "autotrack.provenance.expecting:expecting",
    "autotrack.provenance.console:console",
    "autotrack.provenance.randomness:witness",
    "autotrack.provenance.notebook:witness",
    "autotrack.provenance.modelfiles:witness",
)
"""`module:function` of each kind; called with the settings, it gives a witness, or None where it is off."""


class Witnesses:
    """All witnesses of this process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._all: list[Witness] = []
        for place in PLACES:
            module, _, name = place.partition(":")
            with guard.guarded(module.rpartition(".")[2]):
                made: Witness | None = getattr(import_module(module), name)(settings)
                if made is not None:
                    self._all.append(made)

    def begun(self, run: Any) -> None:
        """Tell all of them that `run` has begun."""
        for witness, guarded in self._each():
            with guarded:
                witness.begun(run)

    def ending(self, run: Any) -> None:
        """Tell all of them that `run` ends, last made first."""
        for witness, guarded in reversed(list(self._each())):
            with guarded:
                witness.ending(run)

    def close(self) -> None:
        """Tell all of them that the process ends."""
        for witness, guarded in self._each():
            with guarded:
                witness.close()

    def forked(self) -> None:
        """Tell all of them that this is a forked child."""
        for witness, guarded in self._each():
            with guarded:
                witness.forked()

    def _each(self) -> Iterator[tuple[Witness, guard.guarded]]:
        for witness in self._all:
            yield witness, guard.guarded(type(witness).__module__.rpartition(".")[2])
