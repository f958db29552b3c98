"""Running `git` on a repository of the user's, so that nothing of it changes but what is asked for.

A folder enters; the output of git's commands leaves. No hook, no filter, no monitor, no pager, no prompt and no network
is used; optional locks are not taken; the variables that git hands to its hooks are not obeyed. All calls together have
one deadline, and `stop` ends them from another thread.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Final

from autotrack.provenance.code.sifting import Stopped

_OBEYED: Final = ("GIT_CONFIG", "GIT_CEILING_DIRECTORIES", "GIT_DISCOVERY_ACROSS_FILESYSTEM", "GIT_EXEC_PATH")
_SETTINGS: Final = {
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "core.logAllRefUpdates": "false",
    "core.quotePath": "false",
    "core.splitIndex": "false",
    "core.untrackedCache": "keep",
    "gc.auto": "0",
    "i18n.commitEncoding": "UTF-8",
    "maintenance.auto": "false",
    "protocol.allow": "never",
    "submodule.recurse": "false",
}
IDENTITY: Final = "autotrack <autotrack@localhost>"
_IDENTITY: Final = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "autotrack"), ("EMAIL", "autotrack@localhost"), ("DATE", "@0 +0000"))
}
"""The same for everybody and at any time, so that the same tree is the same commit."""


class GitFailed(Exception):
    """git is not there, refused or failed; the text says which."""


class Git:
    """git in one folder, with one deadline for all that is asked of it."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self.folder = folder
        self.deadline = time.monotonic() + seconds
        self.filters: tuple[str, ...] = ()
        """Names of the filters that are configured here: none is run, content is taken as it lies in the folder."""
        self.variables: dict[str, str] = {}
        """Variables for git beside the usual ones, such as another index."""
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def run(self, *arguments: str, stdin: bytes | None = None, none: int = 0) -> bytes:
        """What git prints; `none` is the exit status that says: nothing there. Raises `GitFailed`, `Stopped`."""
        with self.started(*arguments, stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE) as process:
            return self._output(process, arguments[0], stdin, none)

    def together(self, *commands: tuple[str, ...]) -> list[bytes]:
        """What several commands print that run at the same time; a `config` that finds nothing prints nothing.

        Raises `GitFailed`, `Stopped`.
        """
        with ExitStack() as all_of_them:
            processes = [all_of_them.enter_context(self.started(*command)) for command in commands]
            return [
                self._output(process, command[0], None, 1 if command[0] == "config" else 0)
                for process, command in zip(processes, commands, strict=True)
            ]

    @contextmanager
    def streaming(self, *arguments: str, stdin: bytes) -> Iterator[IO[bytes]]:
        """What git prints, as it comes; `stdin` must be short. Raises `GitFailed`, `Stopped`, at the end too."""
        with self.started(*arguments, stdin=subprocess.PIPE) as process:
            assert process.stdin is not None and process.stdout is not None and process.stderr is not None
            stopping = threading.Timer(self.left(), process.kill)
            stopping.daemon = True
            stopping.start()
            try:
                process.stdin.write(stdin)
                process.stdin.close()
                yield process.stdout
                errors = process.stderr.read()
                self._check(arguments[0], process.wait(), errors)
            finally:
                stopping.cancel()

    @contextmanager
    def started(self, *arguments: str, stdin: int = subprocess.DEVNULL) -> Iterator[subprocess.Popen[bytes]]:
        """A git process, which is ended with the block if it has not ended by then."""
        command = ["git", "-C", str(self.folder), "--no-pager", "--no-optional-locks"]
        for name, value in _SETTINGS.items():
            command += ["-c", f"{name}={value}"]
        for name in self.filters:
            command += ["-c", f"filter.{name}.clean=", "-c", f"filter.{name}.process="]
            command += ["-c", f"filter.{name}.smudge=", "-c", f"filter.{name}.required=false"]
        with self._lock:
            if self._stopped:
                raise Stopped("there was no time left")
            try:
                process = subprocess.Popen(
                    [*command, *arguments],
                    env=self._environment(),
                    stdin=stdin,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
                )
            except OSError as problem:
                raise GitFailed(f"git cannot be started: {problem.strerror}") from None
            self._running.add(process)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    try:
                        pipe.close()
                    except OSError:  # what was still to be written has no reader any more
                        pass
            process.wait()
            self._running.discard(process)

    def stop(self) -> None:
        """End what runs, from any thread; what is asked later fails."""
        with self._lock:
            self._stopped = True
            for process in list(self._running):
                process.kill()

    def left(self) -> float:
        """Seconds until the deadline. Raises `Stopped` where none are left."""
        left = self.deadline - time.monotonic()
        if left <= 0 or self._stopped:
            raise Stopped("there was no time left")
        return left

    def finish(self, process: subprocess.Popen[bytes], command: str) -> None:
        """Wait for a process that prints nothing. Raises `GitFailed`, `Stopped`."""
        self._output(process, command, None, 0)

    def _output(self, process: subprocess.Popen[bytes], command: str, stdin: bytes | None, none: int) -> bytes:
        try:
            output, errors = process.communicate(stdin, timeout=self.left())
        except subprocess.TimeoutExpired:
            raise Stopped(f"git {command} did not end in time") from None
        self._check(command, 0 if process.returncode == none else process.returncode, errors)
        return output

    def _check(self, command: str, status: int, errors: bytes) -> None:
        if self._stopped:
            raise Stopped("there was no time left")
        if status:
            told = errors.decode(errors="replace").strip().splitlines()
            why = next((line for line in told if line.startswith(("fatal:", "error:"))), told[0] if told else "")
            raise GitFailed(f"git {command}: {why.partition(': ')[2] or why or f'ended with {status}'}")

    def _environment(self) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if name[:4] != "GIT_" or name.startswith(_OBEYED)}
        own |= {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1"}
        own |= {"GIT_NO_REPLACE_OBJECTS": "1", "LC_ALL": "C"}
        return own | _IDENTITY | self.variables
