"""Delivering what was recorded: in a process that has the subject's variables, as the forwarder has.

Run as a program it answers requests, one JSON object a line, so that a test need not start a process for each.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

WAIT_SECONDS = 120


class Courier:
    """A process that delivers homes to one backend. A context manager."""

    def __init__(self, backend: str, environment: dict[str, str], log: Path) -> None:
        self.backend = backend
        self.environment = environment
        self._log = log
        self._process: subprocess.Popen[str] | None = None

    def sync(self, home: Path) -> str | None:
        """`autotrack sync`; what went wrong, or None."""
        return self._ask(what="sync", home=str(home))["problem"]

    def steps(self, home: Path, writer: str, *, batch: int, count: int = 1_000_000) -> dict[str, Any]:
        """At most `count` batches of at most `batch` events of one journal, as the forwarder's thread takes them.

        Answers with `{complete, problem, kind, retry_after}`.
        """
        return self._ask(what="steps", home=str(home), writer=writer, batch=batch, count=count)

    def restart(self) -> None:
        """Go on in a new process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _ask(self, **request: Any) -> dict[str, Any]:
        if self._process is None:
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    [sys.executable, __file__, self.backend],
                    env=self.environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, self._log.read_text(errors="replace")[-3000:]
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __enter__(self) -> Courier:
        return self

    def __exit__(self, *error: object) -> None:
        self.restart()


def environment_of(variables: dict[str, str], backends: str, home: Path | None = None) -> dict[str, str]:
    """This process's environment with a subject's variables, and nothing of what another subject would have set."""
    settings = {"AUTOTRACK_BACKENDS": backends, "AUTOTRACK_KEEP": "all", "AUTOTRACK_QUIET": "1"}
    if home is not None:
        settings["AUTOTRACK_HOME"] = str(home)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AUTOTRACK_")}
    return {**kept, **settings, **variables}


def forwarder(home: Path, writer: str, environment: dict[str, str], *, batch: int | None = None) -> subprocess.Popen:
    """The real forwarder of one journal; with `batch` it hands its backends fewer events at a time."""
    command = ["-m", "autotrack.forward.process"]
    if batch is not None:
        command = ["-c", SMALL_BATCHES.format(batch=batch)]
    with (home / "forwarder.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, *command, str(home), str(home / "journals" / writer)],
            env={**environment, "AUTOTRACK_HOME": str(home)},
            stdout=log,
            stderr=log,
        )


def end_of(process: subprocess.Popen, seconds: float) -> int:
    """Wait for a forwarder's end, and give its code. One that does not end is killed, and a `TimeoutExpired`."""
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


SMALL_BATCHES = """
import sys
from autotrack.forward import delivery, process
delivery.BATCH = process.BATCH = {batch}
process.main(sys.argv[1:])
"""


def _sync(home: Path, backend: str) -> dict[str, Any]:
    from autotrack.forward.catching_up import sync
    from autotrack.settings import load

    outcomes = sync(home, load(home=home), (backend,))
    problem = next((one.problem for one in outcomes if one.problem), None)
    assert problem or backend == "local" or all(one.complete for one in outcomes)
    return {"problem": problem}


def _steps(home: Path, backend: str, writer: str, batch: int, count: int) -> dict[str, Any]:
    from autotrack.errors import AutotrackError
    from autotrack.forward import delivery
    from autotrack.forward.makers import maker
    from autotrack.settings import load

    delivery.BATCH = batch
    folder = next(home / place / writer for place in ("journals", "archive") if (home / place / writer).exists())
    one = delivery.Delivery(backend, maker(backend), folder, home, load(home=home))
    try:
        while count and one.step():
            count -= 1
        if complete := one.is_complete():
            one.finish()
        return {"complete": complete, "problem": None}
    except AutotrackError as problem:
        one.failed(str(problem))
        return {
            "complete": False,
            "problem": str(problem),
            "kind": type(problem).__name__,
            "retry_after": getattr(problem, "retry_after", None),
        }
    finally:
        one.close()


def main() -> None:
    backend, out = sys.argv[1], os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a product prints is no answer
    for line in sys.stdin:
        request = json.loads(line)
        what, home = request.pop("what"), Path(request.pop("home"))
        answer = {"sync": _sync, "steps": _steps}[what](home, backend, **request)
        out.write(json.dumps(answer) + "\n")
        out.flush()


if __name__ == "__main__":
    main()
