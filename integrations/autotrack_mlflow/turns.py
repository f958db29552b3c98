"""Turns: of all forwarders on one machine, one at a time looks for a run and creates it.

Several journals may hold events of one run, and each may be delivered by a thread or process of its own. Without turns
two of them could look, find nothing, and both create the run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: the run's tag alone has to do
    fcntl = None  # type: ignore[assignment]


@contextmanager
def one_at_a_time(home: Path) -> Iterator[None]:
    """Hold the turn of this home; whoever holds it is done after a few requests, or dead, which gives it back."""
    if fcntl is None:
        yield
        return
    try:
        home.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(home / "mlflow.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
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
