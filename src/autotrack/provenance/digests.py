"""The SHA-256 of files, told at once where a file is small or known, else from a thread.

The state of a file and what to do with its digest enter; nothing is told of a file that has changed meanwhile. The
thread belongs to the process that started it, and is started when it is first needed.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Final, NamedTuple

AT_ONCE: Final = 1 << 20
"""Bytes of a file up to which it is hashed where it is asked for: about a millisecond."""

REMEMBERED: Final = 256
"""Files whose digests are remembered."""


class State(NamedTuple):
    """What a file was when it was looked at."""

    path: str
    size: int
    changed: int
    inode: int


def state_of(path: str | os.PathLike[str]) -> State | None:
    """What the file at `path` is now; None where there is none."""
    try:
        real = os.path.realpath(os.fsdecode(path))
        facts = os.stat(real)
    except (OSError, ValueError, TypeError):
        return None
    if not os.path.isfile(real):
        return None
    return State(real, facts.st_size, facts.st_mtime_ns, facts.st_ino)


class Digests:
    """The digests that this process has learned or is about to. Safe for any number of threads."""

    def __init__(self, name: str) -> None:
        """`name` is that of the thread."""
        self._name = name
        self._known: dict[State, str] = {}
        self._waiting: SimpleQueue[tuple[int, State, Callable[[str], None], str]] = SimpleQueue()
        self._open: dict[str, int] = {}
        self._dropped = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def known(self, state: State) -> str | None:
        """The digest, if it has been learned."""
        return self._known.get(state)

    def learn(self, state: State, then: Callable[[str], None], owner: str) -> None:
        """Call `then` with the file's digest, here or in the thread; `owner` may wait for it, unless it is empty."""
        digest = self._known.get(state)
        if digest is None and state.size <= AT_ONCE:
            digest = self._hashed(state)
        if digest is not None:
            then(digest)
            return
        if state.size <= AT_ONCE:  # it is gone, or another by now
            return
        with self._changed:
            self._open[owner] = self._open.get(owner, 0) + 1
            self._waiting.put((self._dropped, state, then, owner))
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
                self._thread.start()

    def wait(self, owner: str | None, seconds: float) -> bool:
        """Wait for what `owner`, or with None every owner, has asked for; whether all of it has been told."""
        until = time.monotonic() + seconds
        with self._changed:
            while any(count for name, count in self._open.items() if name and owner in (None, name)):
                left = until - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
        return True

    def drop(self) -> None:
        """Tell nobody any more of what has been asked for until now."""
        with self._changed:
            self._dropped += 1
            self._open = {}

    def _work(self) -> None:
        while True:
            asked, state, then, owner = self._waiting.get()
            if asked != self._dropped:
                continue
            try:
                digest = self._known.get(state) or self._hashed(state)
                with self._changed:  # so that nothing is told once `drop` has returned
                    if digest is not None and asked == self._dropped:
                        then(digest)
            finally:
                with self._changed:
                    if asked == self._dropped:
                        self._open[owner] -= 1
                        if not self._open[owner]:
                            del self._open[owner]
                    self._changed.notify_all()

    def _hashed(self, state: State) -> str | None:
        """None where the file is not the one any more that it was."""
        try:
            with open(state.path, "rb") as opened:
                digest = hashlib.file_digest(opened, "sha256").hexdigest()
        except OSError:
            return None
        if state_of(state.path) != state:
            return None
        while len(self._known) >= REMEMBERED:
            self._known.pop(next(iter(self._known)))
        self._known[state] = digest
        return digest


__all__ = ["Digests", "State", "state_of"]
