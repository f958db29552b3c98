"""The console: what this process writes to `sys.stdout` and `sys.stderr` while a run of its own is open.

Streams stay the objects that they are. While runs are open, `write` of the two is an attribute of the object that
calls the original, passes its result or its exception on, and hands what was written to the transcript of the run that
is current in the writing thread. Whoever holds a stream already, such as a logging handler, is heard; so is whatever
else writes through the object. What goes to the file descriptors past the objects is not.
"""

from __future__ import annotations

import functools
import sys
import threading
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from autotrack import guard
from autotrack.provenance.notebook import shell
from autotrack.provenance.ticking import Clock
from autotrack.provenance.transcript import LONG, Transcript

if TYPE_CHECKING:
    from autotrack.settings import Settings

STREAMS: Final = ("stdout", "stderr")
UNHEARD: Final = "console"

_opened: ContextVar[tuple[str, ...]] = ContextVar("autotrack_console", default=())
"""The ids of runs that were opened in this thread or task, the innermost last; those that have ended may be there."""


def console(settings: Settings) -> Console | None:
    """The witness of the console; None where it is switched off."""
    return Console() if settings.console else None


class Console:
    """Hears the streams while runs are open."""

    def __init__(self) -> None:
        self.only: Transcript | None = None
        """That of the run that is open, where it is the only one."""
        self.several = False
        """Whether more streams than the two are heard, since others have taken the place of the first."""
        self.clock = Clock(self._tick)
        self._open: dict[str, Transcript] = {}
        self._taps: list[_Tap] = []
        self._cells: Any = None
        """The events of the shell, where a session of IPython is heard."""
        self._nobody: dict[str, int] = {}
        self._changing = threading.RLock()

    def begun(self, run: Any) -> None:
        """Hear the streams for this run too."""
        if run.home is None:
            return
        with self._changing:
            unheard = self._place()
            self._open[run.id] = Transcript(run)
            self._count()
        for name in unheard:
            run.note(UNHEARD, f"sys.{name} is a {type(getattr(sys, name)).__qualname__}, which cannot be heard")
        _opened.set((*(one for one in _opened.get() if one in self._open), run.id))

    def ending(self, run: Any) -> None:
        """Record what is left of the run; with the last one the streams are as they were."""
        with self._changing:
            transcript = self._open.pop(run.id, None)
            self._count()
        if transcript is None:
            return
        transcript.end()
        lost = self._nobody.pop(run.id, 0)
        if lost:
            run.note(UNHEARD, "written by threads of no run, while several runs were open", lost)
        with self._changing:
            if not self._open:
                self.clock.stop()
                self._take_away()

    def close(self) -> None:
        """End what is open."""
        for transcript in list(self._open.values()):
            self.ending(transcript.run)

    def forked(self) -> None:
        """Hear nothing for the parent's runs."""
        for transcript in self._open.values():
            transcript.abandon()
        self._open = {}
        self._nobody = {}
        self._changing = threading.RLock()
        self._count()
        self.clock = Clock(self._tick)
        self._take_away()

    def current(self) -> Transcript | None:
        """That of the run which is current in this thread or task; None where that cannot be told, or is none."""
        open_runs = self._open
        for run in reversed(_opened.get()):
            found = open_runs.get(run)
            if found is not None:
                return found
        # A thread without a run of its own: it works for the innermost, if each run is a part of the one before.
        transcripts = list(open_runs.values())
        if all(inner.run.parent_id == outer.run.id for outer, inner in pairwise(transcripts)):
            return transcripts[-1] if transcripts else None
        for run in list(open_runs):
            self._nobody[run] = self._nobody.get(run, 0) + 1
        return None

    def _place(self) -> list[str]:
        """Hear the streams as they are now; gives the names of those that cannot be."""
        unheard = []
        for name in STREAMS:
            stream = getattr(sys, name, None)
            if stream is not None and not any(tap.hears(stream) for tap in self._taps):
                self._taps = [tap for tap in self._taps if tap.stream() is not None]
                tap = _Tap(stream, name, self)
                if tap.placed:
                    self._taps.append(tap)
                else:
                    unheard.append(name)
        self.several = len(self._taps) > len(STREAMS)
        if self._cells is None and (running := shell()) is not None:
            running.events.register("pre_run_cell", self._cell_begins)
            self._cells = running.events
        return unheard

    def _take_away(self) -> None:
        while self._taps:
            self._taps.pop().remove()
        if self._cells is not None:
            self._cells.unregister("pre_run_cell", self._cell_begins)
            self._cells = None

    def _cell_begins(self, *_: Any) -> None:
        """IPython puts its own `write` in place for the time of a cell, and what was there when it began back after."""
        with guard.guarded("console"), self._changing:
            for tap in [tap for tap in self._taps if not tap.hears(tap.stream())]:
                tap.remove()
                self._taps.remove(tap)
            self._place()

    def _count(self) -> None:
        self.only = next(iter(self._open.values())) if len(self._open) == 1 else None

    def _tick(self) -> bool:
        """Record what waits; gives whether something still does."""
        return True in [transcript.tick() for transcript in list(self._open.values())]


class _Tap:
    """One stream that is heard."""

    def __init__(self, stream: Any, name: str, console: Console) -> None:
        self.stream = _reference(stream)
        self.placed = False
        self._on = True
        original = getattr(stream, "write", None)
        if original is None or not hasattr(stream, "__dict__"):
            return
        writing = _writing

        @functools.wraps(original)
        def write(*args: Any, **kwargs: Any) -> Any:
            if not self._on:
                return original(*args, **kwargs)
            if console.several:  # the text of a stream that writes to another one is heard once
                around = writing.stream
                if around == name:
                    return original(*args, **kwargs)
                writing.stream = name
                try:
                    result = original(*args, **kwargs)
                finally:
                    writing.stream = around
            else:
                result = original(*args, **kwargs)
            try:
                text = args[0] if args else None
                transcript = console.only or console.current()
                if transcript is not None and isinstance(text, str):
                    transcript.pieces.append((name, text))
                    if text[-1:] == "\n" or len(text) > LONG:
                        if transcript.hear(text) and not console.clock.runs:
                            console.clock.start()
                    elif not console.clock.runs:
                        console.clock.start()
            except Exception as error:
                self._on = guard.faults["console"] < guard.FAULTS_BEFORE_OFF
                guard.report("console", error)
            return result

        self._own = vars(stream).get("write", _ABSENT)
        self._write = write
        try:
            stream.write = write
        except (AttributeError, TypeError):
            return
        self.placed = vars(stream).get("write") is write
        if not self.placed:  # it hands attributes on to a stream of its own
            stream.write = original

    def hears(self, stream: Any) -> bool:
        """Whether this is the tap of `stream`, and still in its place."""
        return stream is not None and stream is self.stream() and vars(stream).get("write") is self._write

    def remove(self) -> None:
        """Put the stream's own `write` back; under one that somebody has placed on top since, do nothing any more."""
        self._on = False
        stream = self.stream()
        if stream is not None and vars(stream).get("write") is self._write:
            if self._own is _ABSENT:
                del stream.write
            else:
                stream.write = self._own


def _reference(stream: Any) -> Callable[[], Any]:
    try:
        return weakref.ref(stream)
    except TypeError:
        return lambda: stream


class _Writing(threading.local):
    """Which stream this thread is writing to right now."""

    stream = ""


_ABSENT: Final = object()
_writing = _Writing()
