"""Files that a backend only ever appends to, each record once, whatever is killed and when.

What is written counts once the file's length stands in the delivery's state, which is kept together with the cursor.
Opened again after a crash, the file is cut back to that length: the records behind it come again.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from autotrack.errors import BackendUnavailable

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


__all__ = ["Appended"]
