"""The witness of the environment: takes it once a process, in a thread, and records it in each of the process's runs.

The settings and the runs enter; `environment` of each run's record leaves, beside what the run's start tells already. A
part that fails is missing from the record, and the others are there.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from autotrack import guard

if TYPE_CHECKING:
    from autotrack.settings import Settings

MOST_SECONDS_AT_EXIT: Final = 5.0


class EnvironmentWitness:
    """The environment of this process, and the runs that are to have it."""

    def __init__(self, more_variables: tuple[str, ...]) -> None:
        self._more = more_variables
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None
        self._record: dict[str, Any] | None = None
        self._waiting: list[Any] = []
        self._off = False

    def begun(self, run: Any) -> None:
        """Have the environment recorded in `run`, and taken if it is not yet."""
        if self._off or run.home is None:
            return
        with self._lock:
            record = self._record
            if record is None:
                self._waiting.append(run)
                if self._thread is None:
                    # What may change, or is gone after the script's last line, is taken now.
                    seen = dict(os.environ), _entry_point()
                    take = threading.Thread(
                        target=self._take, args=(run.home, *seen), name="autotrack-environment", daemon=True
                    )
                    take.start()
                    self._thread = take
        if record is not None:
            run.log_provenance("environment", record)

    def ending(self, run: Any) -> None:
        """Nothing: a run gets its environment even where it ends before that is known."""

    def close(self) -> None:
        """Wait until the runs have it, within a bound that only a file system which hangs can reach."""
        if self._off:
            return
        if self._thread is not None:
            self._thread.join(MOST_SECONDS_AT_EXIT)
        with self._lock:
            self._off = True
            waiting, self._waiting = self._waiting, []
        for run in waiting:
            run.note("environment", f"it was not read {MOST_SECONDS_AT_EXIT:g} seconds after the end")

    def forked(self) -> None:
        """Nothing of it is this child's."""
        self._off = True
        self._lock = threading.RLock()
        self._waiting.clear()

    def _take(self, home: Path, environ: dict[str, str], entry_point: str) -> None:
        with guard.guarded("environment"):
            record = _record(home, environ, self._more) | {"entry_point": entry_point}
            with self._lock:
                if self._off:
                    return
                self._record = record
                waiting, self._waiting = self._waiting, []
                for run in waiting:
                    run.log_provenance("environment", record)


def witness(settings: Settings) -> EnvironmentWitness:
    """The witness of this process."""
    return EnvironmentWitness(settings.environment)


def _record(home: Path, environ: dict[str, str], more: tuple[str, ...]) -> dict[str, Any]:
    from autotrack.provenance.environment import container, hardware, libraries, variables

    parts: dict[str, Callable[[], Any]] = {
        "variables": lambda: variables.variables(environ, more),
        "cpu": hardware.cpu,
        "memory": hardware.memory,
        "gpu": hardware.gpu,
        "cuda": hardware.cuda,
        "blas": libraries.blas,
        "container": container.container,
    }
    record: dict[str, Any] = {}
    for name, part in parts.items():
        with guard.guarded("environment"):
            record[name] = part()
    with guard.guarded("environment"):
        try:
            record |= _lock(home)
        except OSError as problem:  # a full disk, which has been told of where something of the user's was lost
            record["problem"] = f"what is installed is not kept: {problem}"
    return record


def _lock(home: Path) -> dict[str, Any]:
    """What is installed; from a note of a process before, where no folder on the path has changed since."""
    from autotrack.provenance.blobs import Blobs

    blobs = Blobs(home)
    seen = hashlib.sha256(sys.version.encode())
    for folder in sys.path:
        try:  # whatever is installed, removed or replaced changes its folder
            seen.update(f"\0{folder}\0{os.stat(folder or '.').st_mtime_ns}".encode(errors="surrogateescape"))
        except OSError:
            continue
    note = home / "capsules" / f"lock-{seen.hexdigest()[:32]}"
    try:
        known: dict[str, Any] = json.loads(note.read_bytes())
        if blobs.claim(known["lock"]["digest"]):
            return known
    except (OSError, ValueError, LookupError, TypeError):
        pass
    from autotrack.provenance.environment.installed import distributions
    from autotrack.provenance.environment.lock import pylock

    installed = distributions(sys.path)
    blob = blobs.put_bytes(pylock(installed).encode())
    found = {
        "lock": {"digest": blob.digest, "bytes": blob.bytes},
        "distributions": len(installed),
        "editable": [one.name for one in installed if one.editable],
    }
    note.parent.mkdir(mode=0o700, exist_ok=True)
    note.write_text(json.dumps(found))
    return found


def _entry_point() -> str:
    """How the program was started: `train.py`, `-m package.train`, `-c` or `interactive`."""
    main = sys.modules.get("__main__")
    about = vars(main) if main is not None else {}
    spec = about.get("__spec__")
    if spec is not None:
        return f"-m {spec.name.removesuffix('.__main__')}"
    if file := about.get("__file__"):
        return os.path.basename(str(file))
    return "-c" if sys.argv[:1] == ["-c"] else "interactive"
