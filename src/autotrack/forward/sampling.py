"""System metrics: while a run of the trainer is open, the forwarder looks at the machine at a fixed interval.

The trainer's journal enters, for which runs are open; what leaves is one `MetricsLogged` for each of them and each
look, in a journal of the forwarder's own. So a sample is durable before any backend sees it, and is delivered like all
else. That journal starts and ends no run: when the forwarder is killed, whoever finds it delivers it, and no run is
concerned. Which journals hold samples of a run is kept in the home, so that a later process goes on with its steps.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from autotrack.events import MetricsLogged, RunEnded, RunStarted
from autotrack.journal.reader import Journal
from autotrack.journal.writer import Writer
from autotrack.settings import Settings

if TYPE_CHECKING:
    from autotrack.forward.machine import Machine

LOOK = 1.0
"""Most seconds between looks for a run, while none is open."""
INDEX = "samples"
"""File of the home with a line for each run and each journal that holds samples of it."""

log = logging.getLogger("autotrack.forward")


class Sampler:
    """Samples in a thread of its own, from `start` until `stop`."""

    def __init__(self, home: Path, trainer: Path, settings: Settings, begun: Callable[[Path], None]) -> None:
        """`begun` is called with the folder of the samples' journal, when there is a first sample."""
        assert settings.system_metrics is not None
        self.folder: Path | None = None
        self._home, self._trainer, self._settings = home, trainer, settings
        self._interval = settings.system_metrics
        self._begun = begun
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="system-metrics", daemon=True)
        self._writer: Writer | None = None
        self._runs = OpenRuns(trainer)
        self._next: dict[str, int] = {}

    def start(self) -> None:
        """Begin to look for open runs."""
        self._thread.start()

    def stop(self, patience: float) -> bool:
        """Stop, and end the journal; False where a source blocks for longer than `patience` seconds."""
        self._stop.set()
        self._thread.join(patience)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._sample()
        except Exception as problem:
            if self._trainer.exists():  # else the home was removed, which is told elsewhere
                log.warning("system metrics end: %r", problem)
        finally:
            if self._writer is not None:
                self._writer.close()

    def _sample(self) -> None:
        from autotrack.forward.machine import Machine

        machine = Machine(_pid(self._trainer), self._home)
        due: float | None = None
        pause = 0.0
        while not self._stop.wait(pause):
            runs = self._runs.now()
            if not runs:
                due, pause = None, min(LOOK, self._interval)
                continue
            due = time.monotonic() if due is None else due
            self._log(runs, machine)
            late = time.monotonic() - due
            due += self._interval * (1 + late // self._interval)  # a look that was missed is not made up for
            pause = max(0.0, due - time.monotonic())

    def _log(self, runs: dict[str, Begun], machine: Machine) -> None:
        now, values = time.time_ns(), machine.look()
        if not values or self._stop.is_set():
            return
        writer = self._writer or self._open()
        for run, begun in runs.items():
            if run not in self._next:
                self._next[run] = self._first_step(begun)
                with open(self._home / INDEX, "a", encoding="utf-8") as index:
                    index.write(f"{run} {writer.name}\n")
            writer.append_event(MetricsLogged(run, now, self._next[run], values, begun.not_to))
            self._next[run] += 1

    def _open(self) -> Writer:
        if not self._trainer.exists():  # nothing makes a home again that somebody has removed
            raise FileNotFoundError(self._trainer)
        trainer = Journal(self._trainer).header()
        version = trainer.version if trainer is not None else ""
        writer = Writer(self._home / "journals", version=version, backends=self._settings.backends)
        self._writer, self.folder = writer, writer.folder
        self._begun(writer.folder)
        return writer

    def _first_step(self, begun: Begun) -> int:
        """0, or the step after the last one that another process, or a forwarder before this one, has recorded."""
        try:
            lines = (self._home / INDEX).read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return 0
        last = -1
        for line in lines:
            run, _, name = line.partition(" ")
            if run != begun.run:
                continue
            for folder in (self._home / "journals" / name, self._home / "archive" / name):
                if folder.is_dir():
                    last = max(last, _last_step(Journal(folder), run))
        return last + 1


class Begun(NamedTuple):
    """A run that has begun in a journal."""

    run: str
    not_to: tuple[str, ...]


class OpenRuns:
    """The runs of a journal that have begun and not ended."""

    def __init__(self, folder: Path) -> None:
        self._journal = Journal(folder)
        self._position = 0
        self._begun: dict[str, Begun] = {}
        self._open: dict[str, Begun] = {}

    def now(self) -> dict[str, Begun]:
        """Those that are open now, by their ids."""
        for record in self._journal.records(self._position):
            self._position = record.position
            event = record.event
            if isinstance(event, RunStarted):
                begun = Begun(event.run, tuple(event.not_to))
                self._open[event.run] = self._begun.setdefault(event.run, begun)
            elif isinstance(event, RunEnded):
                self._open.pop(event.run, None)
        return self._open


def _last_step(journal: Journal, run: str) -> int:
    last = -1
    for record in journal.records():
        event = record.event
        if isinstance(event, MetricsLogged) and event.run == run and isinstance(event.step, int):
            last = max(last, event.step)
    return last


def _pid(folder: Path) -> int:
    return int(folder.name.split("-")[1])
