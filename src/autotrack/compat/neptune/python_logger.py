"""Log records as a series of texts: `neptune.integrations.python_logger`, and `neptune.logging.Logger`."""

from __future__ import annotations

import logging
import threading

from autotrack.compat.neptune.container import MetadataContainer
from autotrack.compat.neptune.objects import Run


class Logger:
    """Appends texts to one path of an object."""

    def __init__(self, container: MetadataContainer, attribute_name: str) -> None:
        self._container = container
        self._attribute_name = attribute_name

    def log(self, msg: str) -> None:
        """Append one text."""
        self._container[self._attribute_name].append(msg)


class NeptuneHandler(logging.Handler):
    """A handler of `logging` that appends each record to a path of a run."""

    def __init__(self, *, run: Run, level: int = logging.NOTSET, path: str | None = None) -> None:
        super().__init__(level=level)
        self._run = run
        self._logger = Logger(run, path or f"{run.monitoring_namespace}/python_logger")
        self._inside = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        """Append one record, unless the run is over or appending it has logged this very record."""
        if self._run.get_state() != "started" or getattr(self._inside, "writing", False):
            return
        try:
            self._inside.writing = True
            self._logger.log(self.format(record))
        finally:
            self._inside.writing = False


__all__ = ["Logger", "NeptuneHandler"]
