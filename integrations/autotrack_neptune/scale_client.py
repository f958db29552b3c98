"""The client for Neptune 3, `neptune_scale.Run` (0.30): every call is on disk before it is sent, in either mode.

It keeps a SQLite file a run (`run_operations.sqlite3`, version v5) below `<home>/neptune/<writer>`, or below
NEPTUNE_LOG_DIRECTORY. What was written since the delivery's last word is cut off before a batch comes again, so that
offline every operation is there once; online the server passes over what it has.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from autotrack.backend import BackendContext, BackendUnavailable
from autotrack_neptune.token import Connection

DATABASE: Final = "run_operations.sqlite3"
SECONDS: Final = 30.0
"""Longest wait for the server in one `deliver`."""
_TABLES: Final = (("run_operations", "sequence_id"), ("file_upload_requests", "id"))
_EXPECTED: Final = ("NeptuneRunDuplicate", "NeptuneRunConflicting", "NeptuneSeriesPointDuplicate")
"""What the server says where something is sent again."""


_FATAL: Final = (
    "NeptuneInvalidCredentialsError",
    "NeptuneUnauthorizedError",
    "NeptuneProjectNotFound",
    "NeptuneSynchronizationStopped",
)
"""After these the client sends nothing more."""


class ScaleClient:
    """The runs of one journal."""

    whole_numbers: tuple[int, int] = (-(2**63), 2**63 - 1)
    non_finite = True
    stopped = False
    states: str | None = None

    def __init__(self, context: BackendContext, where: Connection, writer: str) -> None:
        self._context = context
        self._where = where
        base = os.environ.get("NEPTUNE_LOG_DIRECTORY")
        self._folder = (Path(base) if base else context.home / "neptune").absolute() / f"autotrack-{writer}"
        self._held: dict[str, list[int]] = context.state.setdefault("folders", {})
        """For each folder of a run how many operations and files count."""
        self._runs: dict[str, Any] = {}
        self._touched: set[str] = set()
        self._gathered: dict[str, tuple[list[Any], Callable[[list[Any]], Any]]] = {}
        """For each run the updates that are not in its file yet, and what writes them."""
        self._problems: list[tuple[str, str, str]] = []
        self._refused: BaseException | None = None
        os.environ.setdefault("NEPTUNE_LOG_FAILURE_ACTION", "raise")
        os.environ.setdefault("NEPTUNE_LOGGER_LEVEL", "error")  # it tells of every folder that it leaves behind
        self.back()

    def begin(self, run: str, name: str, project: str, time: int) -> None:
        """Open the run, if this process has not."""
        self._touched.add(run)
        if run in self._runs:
            return
        self.stopped = False
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._runs[run] = import_module("neptune_scale").Run(
                run_id=run,
                project=project,
                api_token=self._where.token,
                mode=self._where.mode,
                experiment_name=name[:180] or run,
                creation_time=moment(time),
                log_directory=self._folder,
                enable_console_log_capture=False,
                source_tracking_config=None,
                on_error_callback=lambda error, _: self._failed(run, error),
                on_network_error_callback=lambda error, _: self._failed(run, error),
                on_warning_callback=lambda error, _: self._failed(run, error),
            )
            self._gather(run)
        except OSError as problem:
            raise BackendUnavailable(f"{self._folder} cannot be written: {problem.strerror}") from problem

    def values(self, run: str, values: Mapping[str, Any]) -> None:
        """Single values under their paths."""
        self._open(run).log_configs(dict(values))

    def step(self, step: Decimal) -> float | int | None:
        """A step as the client takes it; None where its millionths, counted in a 64-bit float, are others."""
        number = int(step) if step == int(step) else float(step)
        return number if int(round(number * 1e6, 6)) == int(step.scaleb(6)) else None

    def points(self, run: str, values: Mapping[str, float], step: float | int, time: int) -> None:
        """One point of each series."""
        self._open(run).log_metrics(dict(values), step, timestamp=moment(time))

    def text(self, run: str, path: str, text: str, step: int, time: int) -> None:
        """One entry of a series of texts."""
        self._open(run).log_string_series({path: text}, step, timestamp=moment(time))

    def file(self, run: str, path: str, digest: str, media_type: str, name: str) -> bool:
        """A file: linked or copied beside the run, since it may be sent when the blob is gone."""
        blob = self._context.blob(digest)
        if not blob.is_file():
            return False
        kept = self._folder / "files" / digest[:2] / (digest + os.path.splitext(name)[1][:20].replace(os.sep, "_"))
        try:
            keep_beside(blob, kept)
        except OSError as problem:
            raise BackendUnavailable(f"{kept} cannot be written: {problem.strerror}") from problem
        file = import_module("neptune_scale.types").File(str(kept), media_type[:128], kept.stat().st_size)
        self._open(run).assign_files({path: file})
        return True

    def words(self, run: str, path: str, words: set[str]) -> None:
        """Add words to the run's tags or group tags."""
        self._open(run).add_tags(sorted(words), group_tags=path == "sys/group_tags")

    def confirm(self) -> Sequence[tuple[str, str, str]]:
        """Write what was gathered, and wait until the server has processed everything that was logged."""
        for updates, write in self._gathered.values():
            write(updates)
            updates.clear()
        if self._where.mode == "offline":
            return ()
        deadline = time.monotonic() + SECONDS
        for client in self._runs.values():
            while not client.wait_for_processing(timeout=1.0, verbose=False) and self._refused is None:
                if time.monotonic() > deadline:
                    raise BackendUnavailable("Neptune has not taken what was sent within 30 seconds")
        if self._refused is not None:
            refused, self._refused = self._refused, None
            self.stopped = not retries(refused)
            if self.stopped:
                self._leave()
            raise BackendUnavailable(told(refused))
        problems, self._problems = self._problems, []
        return problems

    def hold(self) -> None:
        """What is in the files now counts."""
        for run in self._touched:
            folder: Path = self._runs[run]._storage_directory_path
            with contextlib.closing(sqlite3.connect(folder / DATABASE, timeout=SECONDS)) as database:
                highest = [
                    int(database.execute(f"SELECT COALESCE(MAX({key}), 0) FROM {table}").fetchone()[0])
                    for table, key in _TABLES
                ]
            before = self._held.get(folder.name, [0, 0])
            self._held[folder.name] = [max(one, other) for one, other in zip(highest, before, strict=True)]
        self._touched.clear()

    def end(self, run: str) -> None:
        """Close the client's run."""
        if run in self._runs:
            leave(self._runs.pop(run))
            self._gathered.pop(run, None)

    def back(self) -> None:
        """Cut off what does not count, and remove files of which nothing does."""
        self._touched.clear()
        for updates, _ in self._gathered.values():
            updates.clear()
        for path in self._databases():
            held = self._held.get(path.parent.name)
            if held is None:
                for run, client in list(self._runs.items()):
                    if client._storage_directory_path == path.parent:
                        leave(client)
                        self._runs.pop(run)
                        self._gathered.pop(run, None)
                shutil.rmtree(path.parent, ignore_errors=True)
                continue
            with contextlib.closing(sqlite3.connect(path, timeout=SECONDS)) as database, database:
                for (table, key), last in zip(_TABLES, held, strict=True):
                    database.execute(f"DELETE FROM {table} WHERE {key} > ?", (last,))

    def close(self) -> None:
        """End the client's threads and processes. What it holds on disk stays there."""
        self._leave()
        if self._where.mode != "offline" and not self._databases():
            shutil.rmtree(self._folder, ignore_errors=True)

    def _leave(self) -> None:
        for client in self._runs.values():
            leave(client)
        self._runs.clear()
        self._gathered.clear()

    def _gather(self, run: str) -> None:
        """Have the client's updates of a whole batch written at once: each call of its own waits for the disk."""
        store = self._runs[run]._operations_repo
        updates: list[Any] = []
        self._gathered[run] = (updates, store.save_update_run_snapshots)
        store.save_update_run_snapshots = updates.extend

    def _open(self, run: str) -> Any:
        self._touched.add(run)
        return self._runs[run]

    def _databases(self) -> list[Path]:
        return sorted(self._folder.glob(f"*/{DATABASE}")) if self._folder.is_dir() else []

    def _failed(self, run: str, error: BaseException) -> None:
        kind = type(error).__name__
        if kind in _EXPECTED:
            return
        if kind in _FATAL or retries(error):
            if self._refused is None or kind != "NeptuneSynchronizationStopped":
                self._refused = error
            return
        self._problems.append((run, f"{kind.removeprefix('Neptune')} on the server", told(error)))


def leave(client: Any) -> None:
    """Close a run of the client's, and its process, which would try again for minutes and be waited for at exit."""
    process = client._sync_process
    if process is not None and client._operations_repo.get_operation_count(limit=1):
        process.kill()
    client.close(timeout=5)
    if process is not None and process.is_alive():
        process.kill()
        process.join(5)


def retries(error: BaseException) -> bool:
    """Whether the client goes on trying after this error."""
    return any(base.__name__ == "NeptuneRetryableError" for base in type(error).__mro__)


def told(error: BaseException) -> str:
    """What an error of the client's means here, in one line, with the variable to check."""
    kind = type(error).__name__
    if kind in ("NeptuneInvalidCredentialsError", "NeptuneUnauthorizedError"):
        return "Neptune does not accept NEPTUNE_API_TOKEN (401): check it; everything waits here meanwhile"
    if kind == "NeptuneProjectNotFound":
        return "Neptune has no such project: check NEPTUNE_PROJECT, or make the project there"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{kind}: {lines[0][:200] if lines else ''}"


def moment(ns: int) -> datetime:
    """A time as the client takes it: to the microsecond."""
    return datetime.fromtimestamp(ns // 1_000_000_000, UTC).replace(microsecond=ns // 1000 % 1_000_000)


def keep_beside(source: Path, target: Path) -> None:
    """Have `source` at `target` as well, as a link or a copy."""
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{os.getpid()}-{target.name}")
    try:
        os.link(source, draft)
    except OSError:
        shutil.copyfile(source, draft)
    draft.replace(target)
