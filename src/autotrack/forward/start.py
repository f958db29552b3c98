"""The trainer's side of the forwarder: starting it, seeing whether it lives, and waiting for it within bounds.

Starting takes a few milliseconds and imports nothing: the process is spawned detached, in a session of its own, so that
neither Ctrl-C nor a closed terminal nor a pipe that waits for its end concerns it.
"""

from __future__ import annotations

import os
import select
import sys
import time
from pathlib import Path

from autotrack import guard
from autotrack.settings import Settings, as_environment


class Forwarder:
    """The process that delivers one journal."""

    def __init__(self, pid: int, folder: Path) -> None:
        self.pid = pid
        self.folder = folder
        self._ended = False

    @classmethod
    def start(cls, settings: Settings, folder: Path) -> Forwarder:
        """Start a forwarder for the journal in `folder`."""
        home = settings.resolved_home
        environment = {**os.environ, **as_environment(settings)}
        for variable in ("AUTOTRACK_STRICT", "AUTOTRACK_RUN_ID", "AUTOTRACK_PARENT_ID", "PYTHONSTARTUP"):
            environment.pop(variable, None)
        # The trainer's own folder of imports comes along, so that plugins beside the script are found.
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        command = [sys.executable, "-m", "autotrack.forward.process", str(home), str(folder)]
        log = home / "forwarder.log"
        if not hasattr(os, "posix_spawn"):
            return cls(_start_elsewhere(command, environment, log), folder)
        pid = os.posix_spawn(
            sys.executable,
            command,
            environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setpgroup=0,
        )
        return cls(pid, folder)

    def is_alive(self) -> bool:
        """Whether the process still runs."""
        if self._ended:
            return False
        try:
            ended, _ = os.waitpid(self.pid, os.WNOHANG)
        except (ChildProcessError, OSError):  # somebody reaps all children, or it was never ours
            try:
                os.kill(self.pid, 0)
                return True
            except OSError:
                ended = self.pid
        self._ended = ended == self.pid
        return not self._ended

    def wait_for_delivery(self, settings: Settings) -> None:
        """Wait until remote backends have everything, at most `AUTOTRACK_EXIT_TIMEOUT`; say what remains."""
        remote = [name for name in settings.backends if name != "local"]
        if not remote:
            return
        deadline = time.monotonic() + settings.exit_timeout
        self._wait(deadline)
        from autotrack.forward.progress import Progress

        late = []
        for name in remote:
            progress = Progress(settings.resolved_home, self.folder.name, name)
            if not progress.done:
                late.append(f"{name} ({progress.problem})" if progress.problem else name)
        if late:
            guard.say(
                f"not everything has reached {', '.join(late)} yet; nothing is lost: "
                "it is delivered in the background, or by: autotrack sync"
            )

    def _wait(self, deadline: float) -> None:
        if hasattr(os, "pidfd_open"):
            try:
                descriptor = os.pidfd_open(self.pid)
            except OSError:
                return
            try:
                select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
            finally:
                os.close(descriptor)
            return
        while self.is_alive() and time.monotonic() < deadline:
            time.sleep(0.02)


def _start_elsewhere(command: list[str], environment: dict[str, str], log: Path) -> int:
    import subprocess

    with open(log, "ab") as output:
        started = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
            | getattr(subprocess, "DETACHED_PROCESS", 0),
        )
    started.returncode = 0  # it outlives us on purpose: no warning when the object goes
    return started.pid
