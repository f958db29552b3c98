"""The witness of the code: takes the capsule once a process, in a thread, and says at each run's end what changed
since.

The settings and the runs of the process enter; `code` of each run's record leaves. A run that ends before the capsule
is there gets it all the same. The end of the process waits for it, within bounds: the folder may be gone a moment
later.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from autotrack import guard
from autotrack.provenance.code.project import entry

if TYPE_CHECKING:
    from autotrack.provenance.code.capsule import Capsule
    from autotrack.settings import Settings

MOST_SECONDS: Final = 120.0
"""For the whole capsule."""
MOST_SECONDS_AT_EXIT: Final = 10.0
"""That the end of a process waits for a capsule that is not finished; a run of some length never does."""
_SHARE: Final = 0.01
"""Of the time of training that looking for changes may take, where many runs end one after another."""


class CodeWitness:
    """The code of this process, and the runs that are to have it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None
        self._capsule: Capsule | None = None
        self._waiting: list[Any] = []
        self._unlooked: Any = None
        self._next_look = 0.0
        self._off = False

    def begun(self, run: Any) -> None:
        """Have the capsule recorded in `run`, and taken if it is not yet."""
        if self._off or run.home is None:
            return
        with self._lock:
            capsule = self._capsule if self._capsule is not None and self._capsule.done else None
            if capsule is None:
                self._waiting.append(run)
                if self._thread is None:
                    entry()
                    take = threading.Thread(target=self._take, args=(run.home,), name="autotrack-code", daemon=True)
                    take.start()
                    self._thread = take
        if capsule is not None:
            run.log_provenance("code", capsule.record)

    def ending(self, run: Any) -> None:
        """Record in `run` what has changed since the capsule was taken, if it was."""
        capsule = self._capsule
        if self._off:
            return
        # Too early, or too soon again: the next run that ends, or the end of the process, looks.
        if capsule is None or not capsule.done or time.monotonic() < self._next_look:
            self._unlooked = run
            return
        self._look(capsule, run)

    def close(self) -> None:
        """Wait for a capsule that is under way; past the bound, give it up and record that."""
        if self._off:
            return
        thread = self._thread
        if thread is not None and thread.is_alive():
            thread.join(MOST_SECONDS_AT_EXIT)
            if thread.is_alive() and self._capsule is not None:
                self._capsule.stop()
                thread.join(1.0)
        with self._lock:  # whatever the thread still does is recorded nowhere
            self._off, capsule = True, self._capsule
            waiting, self._waiting = self._waiting, []
        for run in waiting:
            why = f"it was not finished {MOST_SECONDS_AT_EXIT:g} seconds after the end"
            run.log_provenance("code", {"problem": f"no capsule: {why}"})
            run.note("code", why)
        if capsule is not None and capsule.done and self._unlooked is not None:
            self._look(capsule, self._unlooked)

    def forked(self) -> None:
        """Nothing of it is this child's."""
        self._off = True
        self._lock = threading.RLock()
        self._waiting.clear()

    def _take(self, home: Path) -> None:
        with guard.guarded("code"):
            from autotrack.provenance.code.capsule import Capsule

            self._capsule = capsule = Capsule(home, MOST_SECONDS)
            record, problem = capsule.take()
            with self._lock:
                if self._off:
                    return
                capsule.done = True
                waiting, self._waiting = self._waiting, []
                for run in waiting:
                    run.log_provenance("code", record)
                    if problem:
                        run.note("code", problem)

    def _look(self, capsule: Capsule, run: Any) -> None:
        begun = time.monotonic()
        self._unlooked = None
        found = capsule.changes()
        if found:
            run.log_provenance("code", found)
        ended = time.monotonic()
        self._next_look = ended + (ended - begun) / _SHARE


def witness(settings: Settings) -> CodeWitness | None:
    """The witness of this process; None where `AUTOTRACK_CODE=0`."""
    return CodeWitness() if settings.code else None
