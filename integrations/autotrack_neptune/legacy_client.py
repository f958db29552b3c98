"""The client for Neptune 2, `neptune.init_run` (1.14).

The run's `custom_run_id` is our id, by which the server finds it again. Offline the client gives each process a run of
its own (`.neptune/offline/run__…`, in the folder of NEPTUNE_DATA_DIRECTORY), which `neptune sync` cannot join.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping, Sequence
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from autotrack.backend import BackendContext, BackendUnavailable
from autotrack_neptune.scale_client import keep_beside
from autotrack_neptune.token import Connection

SECONDS: Final = 30.0
"""Longest wait for the server in one `deliver`."""


class LegacyClient:
    """The runs of one journal."""

    whole_numbers: tuple[int, int] = (-(2**31), 2**31 - 1)
    non_finite = False
    stopped = False

    def __init__(self, context: BackendContext, where: Connection, writer: str) -> None:
        self._context = context
        self._where = where
        self.states: str | None = (
            "Neptune 2 makes a run of each process's part when it is synchronised" if where.mode == "offline" else None
        )
        os.environ.setdefault("NEPTUNE_RETRIES_TIMEOUT", "10")
        os.environ.setdefault("NEPTUNE_DATA_DIRECTORY", str(context.home / "neptune"))
        self._folder = Path(os.environ["NEPTUNE_DATA_DIRECTORY"]).absolute() / "files"
        self._runs: dict[str, Any] = {}

    def begin(self, run: str, name: str, project: str, time: int) -> None:
        """Open the run, if this process has not."""
        if run in self._runs:
            return
        neptune = import_module("neptune")
        logging.getLogger("neptune").setLevel(logging.ERROR)
        try:
            opened = self._runs[run] = neptune.init_run(
                project=project,
                api_token=self._where.token,
                custom_run_id=run,
                mode=self._where.mode,
                name=name,
                source_files=[],
                capture_stdout=False,
                capture_stderr=False,
                capture_hardware_metrics=False,
                capture_traceback=False,
                git_ref=False,
            )
        except import_module("neptune.exceptions").NeptuneException as problem:
            raise BackendUnavailable(f"Neptune: {_first_line(problem)}; check NEPTUNE_API_TOKEN") from problem
        opened["sys/custom_run_id"] = run  # offline the client forgets it

    def values(self, run: str, values: Mapping[str, Any]) -> None:
        """Single values under their paths."""
        for path, value in values.items():
            self._runs[run][path] = value

    def step(self, step: Decimal) -> float | int | None:
        """A step as the client takes it; None where a 64-bit float would be another."""
        return float(step) if Decimal(repr(float(step))) == step else None

    def points(self, run: str, values: Mapping[str, float], step: float | int, time: int) -> None:
        """One point of each series."""
        for path, value in values.items():
            self._runs[run][path].append(value, step=step, timestamp=time / 1e9)

    def text(self, run: str, path: str, text: str, step: int, time: int) -> None:
        """One entry of a series of texts."""
        self._runs[run][path].append(text, step=step, timestamp=time / 1e9)

    def file(self, run: str, path: str, digest: str, media_type: str, name: str) -> bool:
        """A file: linked or copied, since it may be sent when the blob is gone."""
        blob = self._context.blob(digest)
        if not blob.is_file():
            return False
        ending = os.path.splitext(name)[1]
        kept = self._folder / digest[:2] / (digest + ending[:20].replace(os.sep, "_"))
        try:
            keep_beside(blob, kept)
        except OSError as problem:
            raise BackendUnavailable(f"{kept} cannot be written: {problem.strerror}") from problem
        file_type = import_module("neptune.types").File
        file = file_type.from_path(str(kept), extension=ending.removeprefix(".") or None)
        self._runs[run][path].upload(file)
        return True

    def words(self, run: str, path: str, words: set[str]) -> None:
        """Add words to the run's tags or group tags."""
        self._runs[run][path].add(sorted(words))

    def confirm(self) -> Sequence[tuple[str, str, str]]:
        """Wait until the server, or offline the disk, has everything."""
        for run in self._runs.values():
            waiting = threading.Thread(
                target=run.wait, kwargs={"disk_only": self._where.mode == "offline"}, daemon=True
            )
            waiting.start()
            waiting.join(SECONDS)
            if waiting.is_alive():
                raise BackendUnavailable("Neptune has not taken what was sent within 30 seconds")
        return ()

    def hold(self) -> None:
        """The client's own files say what waits."""

    def end(self, run: str) -> None:
        """Stop the client's run."""
        if run in self._runs:
            self._runs.pop(run).stop(seconds=SECONDS)

    def back(self) -> None:
        """What the client has queued cannot be taken back: the server passes over points that it has."""

    def close(self) -> None:
        """End the client's threads."""
        for run in self._runs.values():
            run.stop(seconds=SECONDS)
        self._runs.clear()


def _first_line(problem: BaseException) -> str:
    lines = [line.strip(" -\t") for line in str(problem).splitlines()]
    return next((line for line in lines if line), type(problem).__name__)[:200]
