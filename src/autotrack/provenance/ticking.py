"""A thread that comes by every tenth of a second while something waits, and is not there otherwise.

Python has no other way to write down, a moment later, what was put off in the middle of a training. What enters is a
function that does it; nothing leaves. Before this process forks the thread is gone: a child of a process with threads
may hang, and Python warns of it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Final

TICK: Final = 0.1
"""Seconds between two calls."""
LINGER: Final = 2.0
"""Seconds for which nothing waits, after which the thread ends."""


class Clock:
    """Calls `tick`, which says whether something still waits, until nothing has for a while."""

    def __init__(self, tick: Callable[[], bool]) -> None:
        self._do = tick
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self.runs = False

    def start(self) -> None:
        """Have the thread run."""
        if not self._lock.acquire(timeout=0.05):  # a signal's handler, in the middle of this
            return
        try:
            if self.runs:
                return
            self.runs = True
            self._stopped = stopped = threading.Event()
            thread = threading.Thread(target=self._run, args=(stopped,), name="autotrack-console", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # no more threads, or the interpreter is shutting down: recorded with the next line
                self.runs = False
                return
            self._thread = thread
            _clocks.add(self)
        finally:
            self._lock.release()

    def stop(self) -> None:
        """End the thread; it begins anew when something waits again."""
        self.runs = False
        self._stopped.set()
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=1)

    def _run(self, stopped: threading.Event) -> None:
        idle = 0.0
        while not stopped.wait(TICK):
            idle = 0.0 if self._do() else idle + TICK
            if idle >= LINGER:
                with self._lock:
                    if not self._do():  # nothing has come in between
                        self.runs = False
                        return


_clocks: set[Clock] = set()


def _before_fork() -> None:
    for clock in list(_clocks):
        clock.stop()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork)
