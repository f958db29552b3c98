"""An Aim repository, as the backend writes it: runs under hashes of our own, one writer at a time.

Aim's own way of opening a run makes up a hash, watches the machine, captures the terminal and dates the run's end now.
Here a run is opened for one batch with a hash that we give, without any of that, and what can fail raises.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from autotrack.backend import BackendUnavailable
from autotrack.errors import UsageError

try:
    import fcntl
except ImportError:  # Windows, for which there is no Aim
    fcntl = None  # type: ignore[assignment]

HASH_LENGTH: Final = 24


def modules() -> tuple[Any, Any, Any, Any]:
    """Aim, and those of its modules that are used here. Raises `UsageError` where it cannot be imported."""
    try:
        names = ("aim", "aim.sdk.base_run", "aim.sdk.repo", "aim.sdk.objects.artifact")
        aim, base_run, repo, artifact = (import_module(name) for name in names)
    except ImportError as problem:
        raise UsageError(
            f"Aim cannot be imported ({problem}): `pip install aim`, with Python 3.12 or older, for which it has wheels"
        ) from None
    return aim, base_run, repo, artifact


def run_hash(run: str) -> str:
    """The hash that a run of ours has in every repository."""
    return hashlib.sha256(f"autotrack aim\0{run}".encode()).hexdigest()[:HASH_LENGTH]


class Repository:
    """One repository, in `folder`, which holds `.aim`; made where there is none."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._aim, self._base_run, repo, artifact = modules()
        self._open = repo.Repo.from_path
        self._artifact = artifact.Artifact

    @property
    def version(self) -> str:
        """Aim's version."""
        return str(self._aim.__version__)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Of all forwarders, one at a time writes: runs that are written at once have broken repositories."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = open(self.folder / ".aim-autotrack.lock", "wb")  # noqa: SIM115 (closed below)
        except OSError as problem:
            raise BackendUnavailable(f"{self.folder} cannot be written: {problem.strerror}") from problem
        with lock:
            if fcntl is not None:
                fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                self._repo = self._open(str(self.folder), init=not (self.folder / ".aim").exists())
                yield
            except Exception as problem:
                if type(problem).__module__.startswith(("aimrocks", "aim.", "sqlalchemy", "filelock")):
                    raise BackendUnavailable(f"Aim cannot write {self.folder}: {problem}") from problem
                raise
            finally:
                self._repo = None

    @contextmanager
    def run(self, run: str, started: int) -> Iterator[Any]:
        """A run, open for writing; `started` in nanoseconds is its date where it is new. Within a `turn`."""
        key = run_hash(run)
        quiet = {"system_tracking_interval": None, "capture_terminal_logs": False, "log_system_params": False}
        assert self._repo is not None  # that of the turn
        self._repo.request_props(key, False, datetime.fromtimestamp(started / 1e9, UTC).replace(tzinfo=None))
        original = self._base_run.generate_run_hash
        self._base_run.generate_run_hash = lambda: key  # Aim takes no hash of a run that does not exist yet
        try:
            opened = self._aim.Run(None, repo=self._repo, **quiet)
        finally:
            self._base_run.generate_run_hash = original
        opened._resources.set_run_end_time = lambda: None  # the run's end is told by its own event
        ours = opened.get("autotrack", {}) or {}
        opened.meta_run_tree["end_time"] = None if ours.get("status") == "running" else ours.get("ended_at")
        try:
            yield opened
        finally:
            opened.close()

    def set(self, opened: Any, path: tuple[str, ...], value: Any) -> None:
        """One of the run's attributes."""
        opened.meta_run_attrs_tree[path] = value
        opened.meta_attrs_tree[path] = value

    def track(self, opened: Any, key: str, step: int, time: int, value: float) -> None:
        """One point; `time` in nanoseconds."""
        opened._tracker._track(value, time / 1e9, key, step)

    def keep(self, opened: Any, name: str, source: Path) -> None:
        """One file, by Aim's own storage in the repository's folder."""
        opened.set_artifacts_uri((self.folder.absolute() / ".aim" / "artifacts").as_uri())
        artifact = self._artifact(str(source), uri=opened.artifacts_uri, name=name)
        artifact.upload(block=True)
        opened.meta_run_tree.subtree("artifacts")[name] = artifact
