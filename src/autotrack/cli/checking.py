"""Asking each configured backend whether it would take events now: all at once, and within a bounded time.

Each is asked in a process of its own, as the forwarder's is: a product that blocks, prints or ends its process does so
there, and is ended when its time is over. Nothing is sent: a backend is opened, asked by its `check` if it has one, and
closed, with an empty folder for a home, so that looking leaves no trace.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from autotrack.settings import Settings, as_environment

SECONDS: Final = 15.0
"""How long all of them may take together."""

_MARK: Final = "autotrack-checked:"


def check(settings: Settings, names: Sequence[str], seconds: float = SECONDS) -> list[dict[str, Any]]:
    """`{name, reachable, told, problem, seconds}` of each backend, in the order of `names`."""
    environment = {**os.environ, **as_environment(settings), "AUTOTRACK_QUIET": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)  # plugins beside a script
    begun = time.monotonic()
    with TemporaryDirectory(prefix="autotrack-doctor-", ignore_cleanup_errors=True) as folder:
        asked = [(name, _ask(name, Path(folder) / str(number), environment)) for number, name in enumerate(names)]
        return [_answer(name, process, begun, seconds) for name, process in asked]


def _ask(name: str, home: Path, environment: dict[str, str]) -> subprocess.Popen[str]:
    home.mkdir()
    return subprocess.Popen(
        [sys.executable, "-m", "autotrack.cli.checking", name],
        env={**environment, "AUTOTRACK_HOME": str(home)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        errors="replace",
        start_new_session=True,  # what it starts ends with it
    )


def _answer(name: str, process: subprocess.Popen[str], begun: float, seconds: float) -> dict[str, Any]:
    told: dict[str, Any] = {"name": name, "reachable": False, "told": None, "problem": None, "seconds": seconds}
    try:
        said, _ = process.communicate(timeout=max(0.05, begun + seconds - time.monotonic()))
    except subprocess.TimeoutExpired:
        _end(process)
        told["problem"] = f"no answer within {seconds:g} seconds: is what its variables name the right place, and up?"
    else:
        answer = next((line for line in reversed(said.splitlines()) if line.startswith(_MARK)), None)
        if answer is None:
            told["problem"] = f"its process ended with code {process.returncode} and said nothing"
        else:
            told |= json.loads(answer.removeprefix(_MARK))
            told["reachable"] = told["problem"] is None
    return told


def _end(process: subprocess.Popen[str]) -> None:
    if hasattr(os, "killpg"):
        try:
            os.killpg(process.pid, 9)
        except ProcessLookupError:
            pass
    process.kill()
    try:
        process.communicate(timeout=1)
    except subprocess.TimeoutExpired:  # the system keeps it: it cannot keep us
        pass


def main(name: str) -> None:
    """Ask one backend, in this process."""
    from autotrack import settings as settings_module
    from autotrack.backend import BackendContext
    from autotrack.errors import AutotrackError
    from autotrack.forward.makers import maker

    told: dict[str, str | None] = {"told": None, "problem": None}
    began = time.monotonic()
    try:
        settings = settings_module.load()
        backend = maker(name)()
        backend.open(BackendContext(settings.resolved_home, settings))
        try:
            ask = getattr(backend, "check", None)
            told["told"] = ask() if ask is not None else None
        finally:
            backend.close()
    except AutotrackError as problem:
        told["problem"] = str(problem)
    except BaseException as problem:  # a product may even try to end the process
        told["problem"] = repr(problem)
    print(f"\n{_MARK}{json.dumps({**told, 'seconds': round(time.monotonic() - began, 2)})}", flush=True)
    os._exit(0)  # a thread of the product's must not keep the process


if __name__ == "__main__":
    main(sys.argv[1])
