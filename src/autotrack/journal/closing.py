"""Speaking for a process that is gone: its open runs are closed as `killed`, once, whoever finds it first.

The closing frames are a segment of their own, written beside the journal and linked into place in one step, so that
two that find the same dead process cannot both write. Its frames are numbered from 2**62, which no writer reaches.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

from autotrack.events import ConsoleLogged, NoteLogged, RunEnded, RunStarted, encode
from autotrack.journal.frames import CLOSING, frame, segment_name
from autotrack.journal.liveness import is_alive
from autotrack.journal.reader import Journal
from autotrack.journal.tail import forget, left_behind

FIRST_SEQUENCE: Final = 1 << 62

GONE: Final = {
    "type": "ProcessGone",
    "message": "the process ended without ending its run: a signal, os._exit, or the machine went down",
    "traceback": "",
}


def close_dead(folder: Path, *, seen_now: bool = False) -> bool:
    """If the journal's process is gone, make sure that none of its runs stays open; returns whether it is gone.

    `seen_now` means that the caller watched it die: runs end now rather than at the time of their last event.
    """
    closing = folder / segment_name(CLOSING)
    if closing.exists() or closing.with_name(f"{closing.name}.gz").exists():  # the latter in the archive
        return True
    if is_alive(folder):
        return False
    try:
        _close(folder, seen_now=seen_now)
    except FileNotFoundError:
        if folder.exists():
            raise
        # Archived by its forwarder at this very moment: it was closed before that.
    return True


def _close(folder: Path, *, seen_now: bool) -> None:
    journal = Journal(folder)
    open_runs: dict[str, int] = {}
    last = 0
    for record in journal.records(final=True):
        event = record.event
        last = max(last, event.time)
        if isinstance(event, RunStarted):
            open_runs[event.run] = event.time
        elif isinstance(event, RunEnded):
            open_runs.pop(event.run, None)
    ended = time.time_ns() if seen_now else last
    torn, damaged = journal.damage.torn_bytes, journal.damage.frames
    events: list[RunEnded | NoteLogged | ConsoleLogged] = []
    home = folder.parent.parent
    for run in open_runs:
        events += left_behind(home, run)
        if damaged:
            events.append(NoteLogged(run, ended, "damaged frames", damaged, "the journal's bytes were altered on disk"))
        if torn:
            events.append(NoteLogged(run, ended, "torn frames", 1, "the process died while it wrote its last event"))
        events.append(RunEnded(run, ended, "killed", dict(GONE)))
    data = b"".join(frame(encode(event), FIRST_SEQUENCE + index) for index, event in enumerate(events))
    target = folder / segment_name(CLOSING)
    draft = folder / f".closing-{os.getpid()}-{time.monotonic_ns()}"
    draft.write_bytes(data)
    try:
        os.link(draft, target)
    except FileExistsError:
        pass
    except OSError:  # a file system without links
        draft.replace(target)
    draft.unlink(missing_ok=True)
    for run in open_runs:
        forget(home, run)
