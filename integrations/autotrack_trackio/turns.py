"""Turns: of all forwarders on one machine, one at a time looks what a run's config is and replaces it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: the forwarders of one job may then overwrite each other's configs
    fcntl = None  # type: ignore[assignment]


@contextmanager
def one_at_a_time(home: Path) -> Iterator[None]:
    """Hold the turn of this home; who dies gives it back."""
    try:
        descriptor = os.open(home / "trackio.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:  # a read-only home
        yield
        return
    try:
        try:
            if fcntl is not None:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:  # a file system without locks
            pass
        yield
    finally:
        os.close(descriptor)
