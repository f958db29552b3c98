"""Turns: of all forwarders on one machine, one at a time does something that two at once would do twice.

Several journals may hold events of one run, and each may be delivered by a thread or process of its own. A backend that
looks for a run and creates it where there is none does both in one turn. A name apart for each backend, so that none
waits for another.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: the ids that the backend gives have to do
    fcntl = None  # type: ignore[assignment]


@contextmanager
def one_at_a_time(home: Path, name: str) -> Iterator[None]:
    """Hold the turn of this home and name; whoever holds it is done after a few requests, or dead, which gives it back.

    Where the home cannot be written or has no locks, everybody has a turn at once.
    """
    if fcntl is None:
        yield
        return
    try:
        home.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(home / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:  # a read-only home
        yield
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:  # a file system without locks
            pass
        yield
    finally:
        os.close(descriptor)


__all__ = ["one_at_a_time"]
