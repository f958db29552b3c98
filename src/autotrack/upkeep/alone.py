"""One at a time: collecting, removing runs and backing up a home keep out of each other's way, and of an import's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from autotrack.errors import AutotrackError

try:
    import fcntl
except ImportError:  # Windows: two of them at once are then the user's own affair
    fcntl = None  # type: ignore[assignment]

LOCK: Final = "upkeep.lock"
IMPORTING: Final = "import.lock"
"""Held by an import: the files that it has kept are named by no journal before its run is complete."""


@contextmanager
def alone(home: Path, doing: str) -> Iterator[None]:
    """Nobody else looks after this home meanwhile. Raises `AutotrackError` where somebody does."""
    descriptor = _locked(home / LOCK)
    if descriptor is None:
        what = "is being collected, backed up or cleared of runs by another process"
        raise AutotrackError(f"{home} {what}; {doing} when it has ended")
    try:
        yield
    finally:
        os.close(descriptor)


def is_importing(home: Path) -> bool:
    """Whether an import into this home goes on."""
    if not (home / IMPORTING).exists():
        return False
    descriptor = _locked(home / IMPORTING)
    if descriptor is not None:
        os.close(descriptor)
    return descriptor is None


def _locked(path: Path) -> int | None:
    """The file, locked; None where another process has locked it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    if fcntl is not None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError:  # a file system without locks
            pass
    return descriptor
