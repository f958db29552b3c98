"""The module `neptune_scale.api.run`: the run of the client for Neptune 3, recorded as a run of autotrack."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, is_dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from autotrack.compat import kept
from autotrack.compat.neptune_scale.types import File, Histogram
from autotrack.compat.recorder import HISTOGRAMS, LINES, TEXTS, Recorder, origin_id, recorded_project
from autotrack.outcome import status_of
from autotrack.plugin import guarded


@dataclass
class SourceTrackingConfig:
    """What of the source the client would upload. autotrack keeps code, commit and command of every run itself."""

    namespace: str = "source_code"
    repository: Path | None = None
    upload_run_command: bool = True
    upload_entry_point: bool = False
    upload_diff_head: bool = False
    upload_diff_upstream: bool = False


class Run(AbstractContextManager["Run"]):
    """A run. Its `run_id` is the user's: all processes that give the same one record into one run.

    Arguments about queues, lags and errors of the network are taken and not needed: nothing is sent from here.
    """

    def __init__(
        self,
        *,
        run_id: str | None = None,
        project: str | None = None,
        api_token: str | None = None,
        mode: Literal["async", "offline", "disabled"] | None = None,
        experiment_name: str | None = None,
        creation_time: datetime | None = None,
        fork_run_id: str | None = None,
        fork_step: float | None = None,
        log_directory: str | Path | None = None,
        max_queue_size: int | None = None,
        async_lag_threshold: float | None = None,
        on_async_lag_callback: Callable[[], None] | None = None,
        on_queue_full_callback: Callable[[BaseException, float | None], None] | None = None,
        on_network_error_callback: Callable[[BaseException, float | None], None] | None = None,
        on_error_callback: Callable[[BaseException, float | None], None] | None = None,
        on_warning_callback: Callable[[BaseException, float | None], None] | None = None,
        enable_console_log_capture: bool = True,
        runtime_namespace: str | None = None,
        source_tracking_config: SourceTrackingConfig | None = SourceTrackingConfig(),  # noqa: B008  as the client has it
        inherit_configs: bool = True,
        **kwargs: Any,
    ) -> None:
        if (fork_run_id is None) != (fork_step is None):
            raise ValueError("`fork_run_id` and `fork_step` must be used together.")
        if (on_async_lag_callback is None) != (async_lag_threshold is None):
            raise ValueError("`on_async_lag_callback` must be used with `async_lag_threshold`.")
        where = self._project = recorded_project(project)
        self._experiment_name = experiment_name
        self._fork_step = fork_step
        self._closed = False
        self._sets: dict[str, set[str]] = {}
        ours = origin_id("neptune_scale", where, "run", run_id) if run_id else None
        self._recorder = self._begin(mode, experiment_name or run_id, ours)
        self._run_id = run_id or self._recorder.id
        atexit.register(self._at_exit)
        told = {
            "sys/custom_run_id": run_id,
            "sys/name": experiment_name,
            "sys/creation_time": creation_time.isoformat() if creation_time else None,
            "sys/fork_run_id": fork_run_id,
            "sys/fork_step": fork_step,
        }
        self._recorder.values({path: value for path, value in told.items() if value is not None})
        if fork_run_id is not None:
            self._inherit(fork_run_id, inherit_configs)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end(exc_value)

    def log_metrics(
        self,
        data: dict[str, float | int],
        step: float | int,
        *,
        timestamp: datetime | None = None,
        preview: bool = False,
        preview_completion: float | None = None,
    ) -> None:
        """One point of each series, all at `step`, which may be fractional. Of previews only what is final is kept."""
        if preview:
            self._recorder.lacks("previews of metrics", "only final values are recorded", len(data))
            return
        if not self._closed:
            self._recorder.points(data, step, timestamp.timestamp() if timestamp is not None else None)

    def log_configs(
        self,
        data: Mapping[str, Any] | Any | None,
        flatten: bool = False,
        cast_unsupported: bool = False,
    ) -> None:
        """Single values under their paths, from a mapping or a dataclass."""
        if data is None or self._closed:
            return
        if is_dataclass(data) and not isinstance(data, type):
            data = asdict(data)
        if not isinstance(data, Mapping):
            raise TypeError(f"configs must be a mapping, a dataclass or None (was {type(data)})")
        self._recorder.values({path: _plain(value) for path, value in _leaves(data, "")})

    def log_string_series(self, data: dict[str, str], step: float | int, *, timestamp: datetime | None = None) -> None:
        """One text of each series, all at `step`: an artifact of JSON lines each."""
        self._lines({path: {"value": str(text)} for path, text in data.items()}, step, timestamp, TEXTS)

    def log_histograms(
        self, histograms: dict[str, Histogram], step: float | int, *, timestamp: datetime | None = None
    ) -> None:
        """One histogram of each series, all at `step`: an artifact of JSON lines each."""
        told: dict[str, dict[str, Any]] = {}
        with guarded("neptune_scale"):
            for path, one in histograms.items():
                try:
                    counted = one.counts is not None
                    values = one.counts_as_list() if counted else one.densities_as_list()
                    kind = "COUNTING" if counted else "DENSITY"
                    told[path] = {"value": {"type": kind, "edges": one.bin_edges_as_list(), "values": values}}
                except (TypeError, AttributeError) as problem:
                    self._recorder.lacks(f"histogram {path}", str(problem))
        self._lines(told, step, timestamp, HISTOGRAMS)

    def add_tags(self, tags: list[str] | set[str] | tuple[str], group_tags: bool = False) -> None:
        """Add tags, or group tags."""
        self._labels(group_tags, lambda there: there | set(tags))

    def remove_tags(self, tags: list[str] | set[str] | tuple[str], group_tags: bool = False) -> None:
        """Remove tags, or group tags, where they are there."""
        self._labels(group_tags, lambda there: there - set(tags))

    def assign_files(self, files: dict[str, str | Path | bytes | File]) -> None:
        """Keep one file under each path, as it is now."""
        for path, given in files.items():
            self._file(path, given)

    def log_files(
        self, files: dict[str, str | Path | bytes | File], step: float | int, *, timestamp: datetime | None = None
    ) -> None:
        """Keep one file of each series, as it is now: the artifact `<path>/<step>.<extension>`."""
        told = {path: {"file": self._file(path, given, step)} for path, given in files.items()}
        self._lines({path: one for path, one in told.items() if one["file"]}, step, timestamp)

    def log(
        self,
        step: float | int | None = None,
        timestamp: datetime | None = None,
        configs: dict[str, Any] | None = None,
        metrics: dict[str, float | int] | None = None,
        tags_add: dict[str, list[str] | set[str] | tuple[str]] | None = None,
        tags_remove: dict[str, list[str] | set[str] | tuple[str]] | None = None,
    ) -> None:
        """What older code calls for all of it at once."""
        self.log_configs(configs)
        if metrics:
            self.log_metrics(metrics, 0 if step is None else step, timestamp=timestamp)
        for path, words in (tags_add or {}).items():
            self.add_tags(words, group_tags=path.endswith("group_tags"))
        for path, words in (tags_remove or {}).items():
            self.remove_tags(words, group_tags=path.endswith("group_tags"))

    def wait_for_submission(self, timeout: float | None = None, verbose: bool = True) -> bool:
        """Have everything in the journal; no delivery is waited for. Always true."""
        self._recorder.flush()
        return True

    def wait_for_processing(self, timeout: float | None = None, verbose: bool = True) -> bool:
        """Have everything in the journal; no delivery is waited for. Always true."""
        return self.wait_for_submission(timeout, verbose)

    def close(self, timeout: float | None = None) -> None:
        """End the run. What is logged afterwards is passed over, as the client does."""
        self._end(None)

    def terminate(self) -> None:
        """End the run at once."""
        self._end(None)

    def get_run_url(self) -> str:
        """An address that says which run of autotrack it is; no page is there."""
        return f"autotrack://run/{self._recorder.id}"

    def get_experiment_url(self) -> str:
        """As `get_run_url`. Raises `ValueError` where the run has no experiment."""
        if self._experiment_name is None:
            raise ValueError("`experiment_name` was not provided during Run initialization")
        return self.get_run_url()

    def _begin(self, mode: str | None, name: str | None, run_id: str | None) -> Recorder:
        if (mode or os.environ.get("NEPTUNE_MODE")) == "disabled":
            return Recorder("neptune_scale", None)
        record = kept.record_of(run_id) if run_id and kept.has_begun(run_id) else None
        if record is not None:
            name = record["name"]
            for path in ("sys/tags", "sys/group_tags"):
                self._sets[path] = kept.labels_in(record["tags"].get(path, ""))
        return Recorder.open(
            "neptune_scale", name=name, project=self._project, run_id=run_id, resumed=run_id is not None
        )

    def _inherit(self, fork_run_id: str, inherit_configs: bool) -> None:
        """A fork has its parent's configs; the parent's points stay with the parent, which tags name."""
        parent = kept.record_of(origin_id("neptune_scale", self._project, "run", fork_run_id))
        parent = parent or kept.record_of(fork_run_id, self._project)
        if parent is None:
            self._recorder.lacks("fork_run_id", f"{fork_run_id} is not in the local record: no configs of it")
        elif inherit_configs:
            self._recorder.values(parent["params"])
        self._recorder.lacks("series of a fork", "points before the fork stay with the run that it is forked from")

    def _labels(self, group_tags: bool, change: Callable[[set[str]], set[str]]) -> None:
        path = "sys/group_tags" if group_tags else "sys/tags"
        self._sets[path] = change(self._sets.get(path, set()))
        if not self._closed:
            self._recorder.labels(path, self._sets[path])

    def _lines(
        self, told: Mapping[str, Mapping[str, Any]], step: float, timestamp: datetime | None, media_type: str = LINES
    ) -> None:
        if self._closed:
            return
        seconds = timestamp.timestamp() if timestamp is not None else None
        for path, one in told.items():
            self._recorder.line(path, step, seconds, one, media_type)

    def _file(self, path: str, given: str | Path | bytes | File, step: float | None = None) -> str | None:
        """Keep a file; gives the name of the artifact, None where there is none."""
        file = given if isinstance(given, File) else File(given)
        ending = "" if isinstance(file.source, bytes) else os.path.splitext(os.fspath(file.source))[1]
        if not ending and file.mime_type:
            import mimetypes

            ending = mimetypes.guess_extension(file.mime_type) or ""
        name = path if step is None else f"{path}/{step}"
        if not name.endswith(ending):
            name += ending
        if self._closed or not self._recorder.file(name, file.source):
            return None
        return name

    def _end(self, error: BaseException | None) -> None:
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self._at_exit)
        self._recorder.end("finished" if error is None else status_of(error), error)

    def _at_exit(self) -> None:
        """The process ends: autotrack itself ends the run with the true status, once the lines are kept."""
        self._recorder.flush()


def _leaves(data: Mapping[Any, Any], below: str) -> Iterable[tuple[str, Any]]:
    for key, value in data.items():
        path = f"{below}/{key}" if below else str(key)
        if is_dataclass(value) and not isinstance(value, type):
            value = asdict(value)
        if isinstance(value, Mapping):
            yield from _leaves(value, path)
        else:
            yield path, value


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    return value


__all__ = ["Run", "SourceTrackingConfig"]
