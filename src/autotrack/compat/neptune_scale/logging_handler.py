"""Log records as a series of texts, and the client's logger: `NeptuneLoggingHandler` and `neptune_scale.util`."""

from __future__ import annotations

import itertools
import logging
import threading

from autotrack.compat.neptune_scale.run import Run


class NeptuneLoggingHandler(logging.Handler):
    """A handler of `logging` that appends each line of a record to a path of a run; `runtime/logs` by default."""

    def __init__(self, *, run: Run, level: int = logging.NOTSET, attribute_path: str | None = None) -> None:
        super().__init__(level=level)
        self._run = run
        self._path = attribute_path or "runtime/logs"
        self._steps = itertools.count(int(run._fork_step or 0))
        self._inside = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        """Append one record, unless appending has logged this very record."""
        if getattr(self._inside, "writing", False):
            return
        try:
            self._inside.writing = True
            for line in self.format(record).splitlines():
                self._run.log_string_series({self._path: line}, step=next(self._steps))
        finally:
            self._inside.writing = False


def get_logger() -> logging.Logger:
    """The logger that the client's tools write to."""
    return logging.getLogger("neptune")


__all__ = ["NeptuneLoggingHandler", "get_logger"]
