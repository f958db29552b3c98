"""Hashing the parts of a file while those before are written, by a second thread, where a processor is free for it."""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Final, TypeAlias

from autotrack.provenance.parts import name_of

Named: TypeAlias = tuple[str, memoryview]

AHEAD: Final = 4
"""Parts that wait to be written."""

HELPED_FROM: Final = 8 << 20
"""Bytes from which a second thread is worth its start."""


def hashed(parts: Iterator[memoryview], size: int) -> Generator[Named, None, None]:
    """Each part with its name. Close it: a thread may be at work. `size` is what there is to hash."""
    named = ((name_of(data), data) for data in parts)
    if size < HELPED_FROM or not a_processor_is_idle():
        yield from named
        return
    ready: SimpleQueue[Named | BaseException | None] = SimpleQueue()
    room = threading.Semaphore(AHEAD)
    closed = threading.Event()

    def work() -> None:
        try:
            for one in named:
                ready.put(one)
                room.acquire()
                if closed.is_set():
                    return
            ready.put(None)
        except BaseException as problem:  # whatever making a piece raises
            ready.put(problem)

    helper = threading.Thread(target=work, name="autotrack-hashing", daemon=True)
    try:
        helper.start()
    except RuntimeError:  # the interpreter is shutting down
        yield from named
        return
    try:
        while (one := ready.get()) is not None:
            if isinstance(one, BaseException):
                raise one
            yield one
            room.release()
    finally:
        closed.set()
        room.release()
        helper.join()


def a_processor_is_idle() -> bool:
    """Whether a second thread would run at once. Where it had to wait, the first would wait for it again and again."""
    count = os.cpu_count() or 1
    try:
        running = int(Path("/proc/loadavg").read_text().split()[3].partition("/")[0])  # this thread among them
    except (OSError, ValueError, IndexError):  # not Linux
        return count > 1
    return running < count
