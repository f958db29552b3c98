"""Standing in for a journal: where none can be made, and where none is wanted. Training goes on either way."""

from __future__ import annotations

from pathlib import Path

from autotrack import guard
from autotrack.events import Event


class Unwritable:
    """Takes events and keeps none of them."""

    def __init__(self, problem: OSError) -> None:
        self.lost = 0
        self.home: Path | None = None
        guard.warn_once(
            "journal:lost",
            f"nothing is recorded: {problem}. Training goes on; point AUTOTRACK_HOME at a folder that can be written",
        )

    def append(self, payload: bytes) -> bool:
        """Count one lost event."""
        self.lost += 1
        return False

    def append_event(self, event: Event, *, essential: bool = False) -> bool:
        """Count one lost event."""
        return self.append(b"")


class Nowhere:
    """Takes events and keeps none, as `AUTOTRACK_ENABLED=0` asks for."""

    def __init__(self) -> None:
        self.home: Path | None = None

    def append(self, payload: bytes) -> bool:
        """Keep nothing."""
        return True

    def append_event(self, event: Event, *, essential: bool = False) -> bool:
        """Keep nothing."""
        return True
