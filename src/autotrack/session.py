"""The session: the only place that wires the parts of this process together.

Settings enter, with what the user calls; a `Run` on this process's journal leaves. The journal is made at the first run;
a forked child makes its own. At the end of the process open runs are ended and the journal is closed.
"""

from __future__ import annotations

import atexit
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from autotrack import guard, settings
from autotrack.events import Event, encode
from autotrack.journal import liveness
from autotrack.journal.writer import Writer
from autotrack.outcome import status_of
from autotrack.patching import scope
from autotrack.run import Run
from autotrack.settings import Settings

VERSION = "0.1.0.dev0"


class Unwritable:
    """Stands in for a journal that cannot be made: counts what is lost, so that training goes on."""

    def __init__(self, problem: OSError) -> None:
        self.lost = 0
        guard.warn_once(
            "journal:lost",
            f"nothing is recorded: {problem}. Point AUTOTRACK_HOME at a folder that can be written",
        )

    def append(self, payload: bytes) -> bool:
        self.lost += 1
        return False

    def append_event(self, event: Event, *, essential: bool = False) -> bool:
        return self.append(encode(event))

    def close(self) -> None:
        return None


class Session:
    """What one process has open."""

    def __init__(self) -> None:
        self._settings: Settings | None = None
        self._writer: Writer | Unwritable | None = None
        self._runs: dict[str, Run] = {}

    @property
    def settings(self) -> Settings:
        if self._settings is None:
            self.configure()
        assert self._settings is not None
        return self._settings

    def configure(self, **arguments: Any) -> None:
        """Read the settings anew; `arguments` win over the environment."""
        self._settings = loaded = settings.load(**arguments)
        guard.quiet, guard.strict = loaded.quiet, loaded.strict

    def writer(self) -> Writer | Unwritable:
        """This process's journal, made when it is first asked for."""
        if self._writer is None:
            home = self.settings.resolved_home
            try:
                home.mkdir(parents=True, exist_ok=True)
                ignore = home / ".gitignore"
                if not ignore.exists():
                    ignore.write_text("*\n")
                self._writer = Writer(home / "journals", version=VERSION, backends=self.settings.backends)
                guard.warn_once("recording", f"recording to {home}")
            except OSError as problem:
                self._writer = Unwritable(problem)
            atexit.register(self.close)
        return self._writer

    def open_run(self, name: str | None = None, **details: Any) -> Run:
        """Start a run of this process."""
        run = Run(
            self.writer,
            name=name or f"run-{time.strftime('%Y%m%d-%H%M%S')}",
            project=details.pop("project", None) or self.settings.resolved_project,
            parent=details.pop("parent", None) or self.settings.parent_id,
            **details,
        )
        self._runs[run.id] = run
        return run

    def close(self) -> None:
        """End what is open, in order: this process is finishing."""
        with guard.guarded("exit"):
            for run in self._runs.values():
                run.end("finished")
            self._runs.clear()
            if self._writer is not None:
                self._writer.close()
                self._writer = None

    def reset_in_child(self) -> None:
        """In a forked child: the parent's journal and runs are not this process's."""
        self._writer = None
        self._runs.clear()
        liveness.forget_held()


session = Session()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=session.reset_in_child)


@contextmanager
def start_run(
    name: str | None = None, *, tags: Mapping[str, Any] | None = None, project: str | None = None
) -> Iterator[Run]:
    """Own a run: everything that trains inside the `with` block is recorded in it."""
    run = session.open_run(name, project=project)
    if tags:
        run.set_tags(tags)
    error: BaseException | None = None
    try:
        with scope.container(run):
            yield run
    except BaseException as raised:
        error = raised
        raise
    finally:
        run.end(status_of(error), error)


def current_run() -> Run | None:
    """The run that is recorded right now in this thread or task, or None."""
    innermost = scope.current()
    return innermost.run if innermost else None
