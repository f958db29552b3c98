"""Turns: of all forwarders on one machine, one at a time looks for a run and creates it.

Several journals may hold events of one run, and each may be delivered by a thread or process of its own. Without turns
two of them could look, find nothing, and both create the run. Whoever comes before the run's start does not know its
project: where such a stand-in is, the others are told in a file beside the lock.
"""

from __future__ import annotations

import json
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


class StandIns:
    """Experiments that hold stand-ins, for runs whose start is in another journal. Used in a turn."""

    def __init__(self, home: Path) -> None:
        self._path = home / "mlflow-stand-ins.jsonl"

    def add(self, server: str, run: str, experiment: str) -> None:
        """Remember where the stand-in of a run is."""
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps([server, run, experiment]) + "\n")
        except OSError:  # a read-only home has no turns either
            pass

    def of(self, server: str, run: str) -> list[str]:
        """The experiments that may hold a stand-in of this run."""
        try:
            lines = self._path.read_text(encoding="utf-8").splitlines()
        except OSError:
            return []
        found = []
        for line in lines:
            try:
                there, ours, experiment = json.loads(line)
            except ValueError:  # torn by a full disk
                continue
            if (there, ours) == (server, run):
                found.append(str(experiment))
        return found
