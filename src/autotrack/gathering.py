"""For backends whose archives can only be made of whole runs: what is known of a run, in files that only grow.

Several journals may tell one run. So each journal's delivery appends lines to a set of files of its own, exactly once,
and whoever sees that the run has ended makes the archive of all of them.

A set is named by its journal and by the position of its first event there, so that it has the same name when that comes
again. With the run's end in a journal its set ends, and what may still come is a new one. The lengths of its files are
then forgotten: the state that the forwarder keeps does not grow with the number of runs.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from autotrack.appended import LENGTHS, Appended
from autotrack.errors import BackendUnavailable
from autotrack.turns import one_at_a_time

SETS: Final = "sets"
ENDED: Final = "ended"
FACTS, POINTS, LINES = "facts", "points", "log"


class Parts:
    """The files of all runs, below one folder."""

    def __init__(self, root: Path, state: MutableMapping[str, Any]) -> None:
        self.root = root
        self._state = state
        self._files: dict[str, Appended] = {}
        self._sets: dict[str, str] = {}
        self._ended: list[str] = []

    def begin(self) -> None:
        """Before a batch: forget what the state needs no more, and what an earlier attempt at the batch has written."""
        self.close()
        self._sets, self._ended = dict(self._state.get(SETS, {})), []
        for name in self._state.pop(ENDED, []):
            for kind in (FACTS, POINTS, LINES):
                self._state.get(LENGTHS, {}).pop(_file(name, kind), None)

    def append(self, run: str, writer: str, position: int, kind: str, line: dict[str, Any]) -> None:
        """Add one line to a run, told by the event at `position` of the journal of `writer`."""
        name = _file(self._sets.setdefault(run, f"{run}/{writer}-{position}"), kind)
        file = self._files.get(name)
        if file is None:
            file = self._files[name] = Appended(self.root, name, self._state)
        file.append(json.dumps(line, separators=(",", ":")).encode() + b"\n")

    def hold(self) -> None:
        """After a batch: what was added counts."""
        for file in self._files.values():
            file.hold()
        self._state[SETS], self._state[ENDED] = self._sets, self._ended

    def end(self, run: str) -> None:
        """The run has ended in this journal."""
        self._ended.append(self._sets.pop(run))

    def keep(self, run: str, digest: str, source: Path) -> None:
        """Keep a file of a run, by its digest."""
        there = self.root / run / "files" / digest
        if there.exists():
            return
        try:
            there.parent.mkdir(parents=True, exist_ok=True)
            place(source, there)
        except OSError as problem:
            raise BackendUnavailable(f"{there} cannot be written: {problem.strerror}") from problem

    def lines(self, run: str, kind: str) -> Iterator[dict[str, Any]]:
        """What all journals have told of a run; a line that is being written is left out."""
        for path in sorted((self.root / run).glob(f"*.{kind}.jsonl")):
            with path.open("rb") as file:
                for line in file:
                    if line.endswith(b"\n"):
                        yield json.loads(line)

    @contextmanager
    def turn(self, run: str) -> Iterator[None]:
        """Of all forwarders, one at a time makes the archive of a run, so that the last one had all there is."""
        with one_at_a_time(self.root / run, "archive"):
            yield

    def close(self) -> None:
        """Let go of the files."""
        for file in self._files.values():
            file.close()
        self._files.clear()


def place(source: Path, target: Path) -> None:
    """Have the file at another place too: as a link where that can be, else as a copy, never half of it."""
    draft = target.with_name(f".{target.name}-{os.getpid()}")
    draft.unlink(missing_ok=True)
    try:
        os.link(source, draft)
    except OSError:
        shutil.copyfile(source, draft)
    draft.replace(target)


def _file(name: str, kind: str) -> str:
    return f"{name}.{kind}.jsonl"


__all__ = ["FACTS", "LINES", "POINTS", "Parts", "place"]
