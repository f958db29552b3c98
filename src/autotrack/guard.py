"""Keeps our own faults away from the user's training, and says so once.

What enters is an exception of ours and the name of the part that raised it; what leaves is one log line, a count, and
the knowledge whether that part has failed so often that it is switched off. `AUTOTRACK_STRICT=1` turns the guard
around: faults are raised, which is how autotrack's own tests run.

The guard must never enclose a call into user code or a framework: it would swallow an exception that is not ours.
"""

from __future__ import annotations

import sys
from collections import Counter
from types import TracebackType
from typing import Literal

FAULTS_BEFORE_OFF = 5
"""A part (an integration, the journal) that failed this often in one process is not called any more."""

strict = False
"""Set from `AUTOTRACK_STRICT` when a session starts; raise instead of report."""

quiet = False
"""Set from `AUTOTRACK_QUIET`; nothing is printed, though everything is still counted."""

faults: Counter[str] = Counter()
"""Faults per part since the process began; `autotrack doctor` and the run's record read it."""

off: set[str] = set()
"""Parts that failed so often that they are not called any more; observed functions look here on every call."""

_said: set[str] = set()


def say(message: str) -> None:
    """Print one line for the user on stderr, unless `AUTOTRACK_QUIET` is set."""
    if quiet:
        return
    try:
        print(f"autotrack: {message}", file=sys.stderr, flush=True)
    except (OSError, ValueError, AttributeError):  # stderr closed, or None under pythonw
        pass


def warn_once(topic: str, message: str) -> bool:
    """Say `message` the first time that `topic` comes up in this process; returns whether it was the first."""
    if topic in _said:
        return False
    _said.add(topic)
    say(message)
    return True


def report(part: str, error: BaseException) -> None:
    """Count a fault of ours in `part`, describe the first of its kind, and in strict mode raise it."""
    if strict:
        raise error
    faults[part] += 1
    where = _last_frame(error.__traceback__)
    kind = type(error).__name__
    warn_once(
        f"fault:{part}:{kind}:{where}",
        f"{part} could not record something ({kind}: {error}, at {where}); training is not affected",
    )
    if faults[part] == FAULTS_BEFORE_OFF:
        off.add(part)
        warn_once(f"off:{part}", f"{part} failed {FAULTS_BEFORE_OFF} times and is switched off in this process")


def reset() -> None:
    """Forget counts and what was said; for a forked child and for tests."""
    faults.clear()
    off.clear()
    _said.clear()


class guarded:
    """Context manager for code of ours: an `Exception` is reported for `part` and goes no further.

    `KeyboardInterrupt` and `SystemExit` always pass: they are the user's.
    """

    __slots__ = ("part",)

    def __init__(self, part: str) -> None:
        self.part = part

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Literal[True] | None:
        if error is None or not isinstance(error, Exception) or strict:
            return None
        report(self.part, error)
        return True


def _last_frame(traceback: TracebackType | None) -> str:
    if traceback is None:
        return "unknown place"
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    code = traceback.tb_frame.f_code
    return f"{code.co_filename}:{traceback.tb_lineno}"
