"""The session: the only place that wires the parts of this process together.

What `autotrack.calls` and integrations ask for enters, with the settings; runs on this process's journal leave. The
journal, its events and the forwarder are first touched when a run begins. A forked child makes a journal of its own; at
the end of the process open runs are ended, the journal is closed, and remote delivery is waited for, within bounds.
"""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from autotrack import guard, settings
from autotrack.patching import job, scope
from autotrack.patching.job import rank
from autotrack.provenance import dataset, weights
from autotrack.settings import Settings

if TYPE_CHECKING:
    from autotrack.contracts import ModelFormat
    from autotrack.events import Sink
    from autotrack.forward.start import Forwarder
    from autotrack.provenance.witnesses import Witnesses
    from autotrack.run import Run


class Session:
    """What one process has open."""

    def __init__(self) -> None:
        self._settings: Settings | None = None
        self._sink: Sink | None = None
        self._runs: dict[str, Run] = {}
        self._all_runs: weakref.WeakSet[Run] = weakref.WeakSet()
        self._forwarder: Forwarder | None = None
        self._witnesses: Witnesses | None = None
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._at_exit = False
        self.enabled = False
        self.disabled = False
        """Whether `disable()` came last: then `AUTOTRACK_ENABLED=1` records nothing more."""
        self.only_asked: set[str] = set()
        """Integrations that observe for the sake of explicit callbacks, and open no run unasked."""

    @property
    def settings(self) -> Settings:
        """The settings in force, read at the first use."""
        if self._settings is None:
            return self.configure()
        return self._settings

    def configure(self, **arguments: Any) -> Settings:
        """Read the settings anew; `arguments` win over the environment. Raises `UsageError` for bad ones."""
        environ = job.inherited()
        if settings.variable("reproduce") in environ:  # where a rerun goes is not for the script to say
            arguments = {name: value for name, value in arguments.items() if name not in settings.DESTINATION}
        loaded = settings.load(environ, **arguments)
        guard.quiet, guard.strict = loaded.quiet, loaded.strict
        dataset.seconds, dataset.integrity = loaded.dataset_seconds, loaded.integrity
        self._settings = loaded
        return loaded

    def sink(self) -> Sink:
        """This process's journal, made when it is first asked for."""
        sink = self._sink
        if sink is None:
            with self._lock:
                sink = self._sink or self._open_journal()
        return sink

    def open_run(self, name: str | None = None, **details: Any) -> Run:
        """Start a run of this process."""
        from autotrack.journal.unwritable import Nowhere
        from autotrack.provenance.process import code, environment
        from autotrack.run import Run

        handed = job.run_of_job(self.settings.run_id)
        if handed and not details.get("parent"):  # this process works for a run that another one owns
            details |= {"run_id": handed, "owner": False}
        silent = rank() > 0 or job.repeats_main()  # another process records the very same

        gone = self._removed(details) if details.get("run_id") else None
        tags, params = details.pop("tags", None), details.pop("params", None)
        script = os.path.splitext(os.path.basename(sys.argv[0] if sys.argv else ""))[0]
        script = "" if script in ("-c", "-") else script
        run = Run(
            Nowhere if silent else self.sink,
            name=name or script or "run",
            project=details.pop("project", None) or self.settings.resolved_project,
            parent=details.pop("parent", None) or self.settings.parent_id,
            environment=environment(),
            code=code(),
            **details,
        )
        run.registers = self.settings.reproduce is None
        self._mind(run)
        if gone is not None:
            run.note("earlier run", f"it goes on from the run {gone}, which was removed for good")
        if tags:
            run.set_tags(tags)
        if params:
            run.log_params(params)
        self._keep_forwarding()
        if run.owner and not silent:
            self._have_witnessed(run)
        return run

    def open_automatic_run(
        self, *, integration: str, explicit: bool = False, continues: str | None = None, **details: Any
    ) -> Run | None:
        """A run for a training call that nobody has opened one for; None where this process records none."""
        unasked = self.enabled and integration not in self.only_asked
        if not (unasked or explicit) or self.settings.enabled is False:
            return None
        if rank() > 0 or job.is_worker(self.settings.run_id):
            return None
        with guard.guarded("session"):
            around = scope.current()
            parent = around.run.id if around is not None and around.run is not None else None
            if continues is not None and self._may_go_on(continues):
                details |= {"run_id": continues, "resumed": True}
            return self.open_run(**{"parent": parent, "integration": integration, **details})
        return None

    def records_unasked(self, integration: str) -> bool:
        """Whether the integration's trainings are recorded where no callback of the user's asks for it."""
        if not self.enabled and (self.disabled or settings.variable("enabled") not in os.environ):
            return False
        loaded = self.settings
        if loaded.enabled is False or not (self.enabled or loaded.enabled):
            return False
        chosen = loaded.integrations is None or integration in loaded.integrations
        return chosen and integration not in loaded.disabled_integrations

    def reopen_run(self, run: Run) -> None:
        """Let a run of this process that has ended go on."""
        if self._is_removed(run.id):
            told = "nothing that this process still tells of it is kept; a new run is"
            guard.warn_once(f"removed:{run.id}", f"the run {run.id} was removed for good: {told}")
        run.reopen()
        self._mind(run)
        self._keep_forwarding()
        self._have_witnessed(run)

    def close(self) -> None:
        """End what is open, in order: this process is finishing."""
        if os.getpid() != self._pid:
            return
        from autotrack.outcome import status_of

        with guard.guarded("exit"):
            error = _uncaught()
            for run in list(self._runs.values()):
                run.end(status_of(error), error)
            self._runs.clear()
            if self._witnesses is not None:
                self._witnesses.close()
            if self._sink is not None:
                from autotrack.journal.writer import Writer

                if isinstance(self._sink, Writer):
                    self._sink.close()
                    self._keep_forwarding()
                self._sink = None
                for run in self._all_runs:
                    run.unbind()
                if self._forwarder is not None:
                    self._forwarder.wait_for_delivery(self.settings)
                    self._forwarder = None

    def reset_in_child(self) -> None:
        """In a forked child: the parent's journal, runs and forwarder are not this process's."""
        self._pid = os.getpid()
        self._lock = threading.RLock()
        if self._sink is not None:
            from autotrack.journal import liveness

            liveness.forget_held()
        for run in self._all_runs:
            run.unbind()
        if self._witnesses is not None:
            self._witnesses.forked()
        self._sink = self._forwarder = None
        self._runs.clear()

    def _may_go_on(self, run: str) -> bool:
        """Whether a recorded run may go on here: a rerun adds nothing to those that were there before it."""
        if self.settings.reproduce is None:
            return True
        from autotrack.provenance.expecting import has_begun

        return has_begun(self.settings.reproduce, run)

    def _removed(self, details: dict[str, Any]) -> str | None:
        """The id of the run that is to go on where it was removed for good: then a new one begins in its place."""
        run = str(details["run_id"])
        if not self._is_removed(run):
            return None
        for name in ("run_id", "resumed", "owner"):
            details.pop(name, None)
        guard.say(f"the run {run} was removed for good: what goes on from it is recorded as a new run")
        return run

    def _is_removed(self, run: str) -> bool:
        with guard.guarded("resuming"):
            from autotrack.journal.removed import removed_runs

            return run in removed_runs(self.settings.resolved_home)
        return False

    def _mind(self, run: Run) -> None:
        """Know of the run until it ends: the end of the process ends what is open."""
        self._runs[run.id] = run
        run.when_ended.append(lambda: self._runs.pop(run.id, None))
        self._all_runs.add(run)

    def _open_journal(self) -> Sink:
        from autotrack.journal.opening import open_journal

        self._sink = open_journal(self.settings, _version())
        if not self._at_exit and self.settings.enabled is not False:
            import atexit

            atexit.register(self.close)
            self._at_exit = True
        return self._sink

    def _have_witnessed(self, run: Run) -> None:
        """Let the witnesses of this process see a run that it owns, from here to its end."""
        if self._witnesses is None or (self._witnesses.settings != self.settings and len(self._runs) == 1):
            from autotrack.provenance.witnesses import Witnesses

            if self._witnesses is not None:
                self._witnesses.close()
            self._witnesses = Witnesses(self.settings)
        witnesses = self._witnesses
        witnesses.begun(run)
        run.when_ended.append(lambda: witnesses.ending(run))

    def _keep_forwarding(self) -> None:
        """Have a forwarder for this journal, and another when that one has died."""
        from autotrack.journal.writer import Writer

        if self.settings.forwarder == "off" or not isinstance(self._sink, Writer):
            return
        with guard.guarded("forwarder"):
            if self._forwarder is None or not self._forwarder.is_alive():
                from autotrack.forward.start import Forwarder

                self._forwarder = Forwarder.start(self.settings, self._sink.folder)


def model_formats() -> Sequence[ModelFormat]:
    """Every format that a plugin has registered, whether or not autotrack is enabled."""
    from autotrack.plugins import plugins

    return plugins.load().formats


session = Session()
weights.registered = model_formats
dataset.load_describers = model_formats  # a plugin registers both when it is loaded
scope.open_run = session.open_automatic_run
scope.reopen_run = session.reopen_run
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=session.reset_in_child)


def _uncaught() -> BaseException | None:
    """What ended a script; the interpreter keeps it when it prints the traceback. Typed by hand, it ends nothing."""
    if hasattr(sys, "ps1") or "IPython" in sys.modules:
        return None
    return getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)


def _version() -> str:
    from autotrack import __version__

    return __version__
