"""The backend: sorts a batch by run, and has each run's folder take its share.

A run's folder says itself up to where it holds which journal, so that several journals may add to the same files.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from autotrack.appended import RunFolders
from autotrack.backend import BackendContext, Limits
from autotrack.errors import BackendUnavailable, UsageError
from autotrack.events import Record, RunStarted, WriterEnded, WriterStarted
from autotrack_dvclive.folder import Folder

VARIABLE: Final = "AUTOTRACK_DVCLIVE_DIR"
"""DVCLive has no variable for its folder: it is an argument of `Live`."""


class DvcliveBackend:
    """Writes runs as files of DVCLive."""

    limits = Limits(integer_steps=True)

    def open(self, context: BackendContext) -> None:
        """Find the folder. Raises `UsageError` for one that is no folder of this machine."""
        self._context = context
        self._folders = RunFolders(folder_from(os.environ, context.home))

    def check(self) -> str:
        """Whether the folder can be written. Raises `BackendUnavailable`."""
        with self._folders.locked():
            return f"folders of DVCLive go below {self._folders.root}"

    def resume(self, writer: str) -> int | None:
        """The forwarder's cursor may lag behind what the folders hold: what comes again is passed over."""
        return None

    def deliver(self, batch: Sequence[Record]) -> int:
        """Have each run's folder take its records."""
        notes: Counter[tuple[str, str, str]] = Counter()
        shares: dict[str, list[Record]] = {}
        for record in batch:
            if not isinstance(record.event, WriterStarted | WriterEnded):
                shares.setdefault(record.event.run, []).append(record)
        with self._folders.locked():
            for run, records in shares.items():
                started = next((one.event for one in records if isinstance(one.event, RunStarted)), None)
                name = (started.project, started.name) if started is not None else ()
                try:
                    folder = Folder(self._folders.of(run, name), run, self._context.blob)
                    folder.take(records, lambda what, why, run=run: notes.update([(run, what, why)]))  # type: ignore[misc]
                except OSError as problem:
                    raise BackendUnavailable(f"{self._folders.root} cannot be written: {problem}") from problem
        for (run, what, why), count in notes.items():
            for _ in range(count):
                self._context.note(run, what, why)
        return batch[-1].sequence

    def close(self) -> None:
        """Nothing stays open."""


def folder_from(environ: Mapping[str, str], home: Path) -> Path:
    """Where the runs' folders go. Raises `UsageError`."""
    value = environ.get(VARIABLE, "").strip()
    if not value:
        return home / "dvclive"
    if "://" in value:
        raise UsageError(f"{VARIABLE}={value!r} is no folder of this machine")
    path = Path(value).expanduser()
    return path if path.is_absolute() else home.parent / path


__all__ = ["DvcliveBackend"]
