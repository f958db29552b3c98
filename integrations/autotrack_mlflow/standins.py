"""Stand-ins: runs that were created for events which came before their start.

Whoever comes before the run's start does not know its project. Where such a stand-in is, the others are told in a file
beside the lock under which runs are looked for and created.
"""

from __future__ import annotations

import json
from pathlib import Path


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
