"""Files that a backend only ever appends to, each record once, whatever is killed and when.

What is written counts once the file's length stands in the delivery's state, which is kept together with the cursor.
Opened again after a crash, the file is cut back to that length: the records behind it come again.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from autotrack.errors import BackendUnavailable

try:
    import fcntl
except ImportError:  # Windows: there one forwarder alone makes folders
    fcntl = None  # type: ignore[assignment]

LENGTHS: Final = "lengths"
"""Where in the state the lengths are: by the file's path below its root."""


class Appended:
    """One such file, `root / name`. A file belongs to one journal alone: name it by the journal's writer.

    Raises `BackendUnavailable` where it cannot be opened or written.
    """

    def __init__(self, root: Path, name: str, state: MutableMapping[str, Any]) -> None:
        self.path = root / name
        self._name = name
        lengths: dict[str, int] = state.setdefault(LENGTHS, {})
        self._lengths = lengths
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(self.path, "ab", buffering=0)  # noqa: SIM115 (it stays open between batches)
            held = lengths.get(name, 0)
            if os.fstat(self._file.fileno()).st_size < held:
                raise BackendUnavailable(
                    f"{self.path} is shorter than what was written to it: put it back, or remove it and the folder "
                    "delivery of AUTOTRACK_HOME to have all runs sent again"
                )
            self._file.truncate(held)
        except OSError as problem:
            raise BackendUnavailable(f"{self.path} cannot be written: {problem.strerror}") from problem
        self.length: int = held
        """Bytes that are in the file, those that do not count yet included."""

    @property
    def is_new(self) -> bool:
        """Whether nothing was ever written to it: a format's header comes first."""
        return self.length == 0

    def append(self, data: bytes) -> None:
        """Write `data` behind what is there. It counts after `hold`."""
        view = memoryview(data)
        try:
            while view:
                view = view[self._file.write(view) :]
        except OSError as problem:
            raise BackendUnavailable(f"{self.path} cannot be written: {problem.strerror}") from problem
        self.length += len(data)

    def hold(self) -> None:
        """Have what was written count: called at the end of `deliver`, which then returns."""
        self._lengths[self._name] = self.length

    def back(self) -> None:
        """Forget what was written since the last `hold`: for a batch that comes again without a restart."""
        self.length = self._lengths.get(self._name, 0)
        try:
            self._file.truncate(self.length)
        except OSError as problem:
            raise BackendUnavailable(f"{self.path} cannot be written: {problem.strerror}") from problem

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def __enter__(self) -> Appended:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class RunFolders:
    """A folder for each run below `root`, for backends whose product knows a run by its folder.

    Several journals hold events of one run, and only one of them says what the run is called. Where another comes
    first, the folder is a stand-in, which is renamed once the name is known. Which run has which folder lies in
    `root/.autotrack`. Files in it are opened while `locked`; those that are open already move along.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._kept = root / ".autotrack"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else gives out or renames folders meanwhile. Raises `BackendUnavailable`."""
        try:
            self._kept.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._kept / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as problem:
            raise BackendUnavailable(f"{self.root} cannot be written: {problem.strerror}") from problem
        try:
            if fcntl is not None:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def of(self, run: str, name: tuple[str, ...] = ()) -> Path:
        """The run's folder; `name` are the steps of the path that it should have, the run's id is added to the last.

        Called while `locked`. The folder need not exist yet. Raises `BackendUnavailable`.
        """
        marker = self._kept / hashlib.sha256(run.encode()).hexdigest()[:32]
        try:
            held = marker.read_text(encoding="utf-8") if marker.exists() else ""
            stands_in, _, folder = held.partition(" ")
            if folder and (stands_in == "named" or not name):
                return self.root / folder
            chosen = self._choose(run, name)
            if folder and (self.root / folder).exists():
                (self.root / chosen).parent.mkdir(parents=True, exist_ok=True)
                try:
                    (self.root / folder).rename(self.root / chosen)
                except OSError:  # open elsewhere, on a system that holds on to open files: it stays the stand-in
                    chosen = folder
            draft = self._kept / f"{marker.name}-{os.getpid()}"
            draft.write_text(f"{'named' if name else 'unnamed'} {chosen}", encoding="utf-8")
            draft.replace(marker)
        except OSError as problem:
            raise BackendUnavailable(f"{self.root} cannot be written: {problem.strerror}") from problem
        return self.root / chosen

    def _choose(self, run: str, name: tuple[str, ...]) -> str:
        *above, last = [_as_folder(step) for step in name or ("run",)]
        short = "/".join([*above, f"{last}-{_as_folder(run)[:8]}"])
        if not (self.root / short).exists():
            return short
        return "/".join([*above, f"{last}-{hashlib.sha256(run.encode()).hexdigest()[:32]}"])


def _as_folder(name: str) -> str:
    """`name` as a folder's name on any system: letters, digits and `_ . = + -`, at most 80."""
    return re.sub(r"[^\w.=+-]+", "_", name).strip(". ")[:80] or "_"


__all__ = ["Appended", "RunFolders"]
