"""The objects that code makes: runs, and from their own room models, versions of models and projects.

A run of the product's with a name of the user's (`custom_run_id`, a model's key, a project) has an id that is worked
out from that name, so that all processes that use the name record into one run.
"""

from __future__ import annotations

import os
import socket
from datetime import datetime
from typing import Any, Literal

from autotrack.compat import kept
from autotrack.compat.neptune import fields, types
from autotrack.compat.neptune.container import MetadataContainer
from autotrack.compat.neptune.exceptions import (
    InactiveRunException,
    NeedExistingRunForReadOnlyMode,
    NeptuneRunResumeAndCustomIdCollision,
    RunNotFound,
)
from autotrack.compat.neptune.files import found_by
from autotrack.compat.neptune.opening import NeptuneObjectCallback, begun, chosen_mode
from autotrack.compat.neptune.registered import Model, ModelVersion, Project
from autotrack.compat.neptune.tables import project_key
from autotrack.compat.recorder import origin_id, recorded_project
from autotrack.plugin import settings


class Run(MetadataContainer):
    """A run. Arguments that tell the client how to work (periods, proxies, callbacks) are taken and not needed."""

    container_type = "run"
    inactive = InactiveRunException

    def __init__(
        self,
        with_id: str | None = None,
        *,
        project: str | None = None,
        api_token: str | None = None,
        custom_run_id: str | None = None,
        mode: Literal["async", "sync", "offline", "read-only", "debug"] | None = None,
        name: str | None = None,
        description: str | None = None,
        tags: list[str] | str | None = None,
        source_files: list[str] | str | None = None,
        capture_stdout: bool | None = None,
        capture_stderr: bool | None = None,
        capture_hardware_metrics: bool | None = None,
        fail_on_exception: bool = True,
        monitoring_namespace: str | None = None,
        flush_period: float = 5,
        proxies: dict[str, str] | None = None,
        capture_traceback: bool = True,
        git_ref: types.GitRef | str | bool | None = None,
        dependencies: str | os.PathLike[str] | None = None,
        async_lag_callback: NeptuneObjectCallback | None = None,
        async_lag_threshold: float = 1800.0,
        async_no_progress_callback: NeptuneObjectCallback | None = None,
        async_no_progress_threshold: float = 300.0,
        **kwargs: Any,
    ) -> None:
        custom_run_id = custom_run_id or (os.environ.get("NEPTUNE_CUSTOM_RUN_ID") if not with_id else None)
        if with_id and custom_run_id:
            raise NeptuneRunResumeAndCustomIdCollision
        how = chosen_mode(mode)
        where = recorded_project(project)
        run_id, record = None, None
        if with_id:
            record = kept.record_of(with_id, project)
            run_id = record["id"] if record else origin_id("neptune", where, "run", with_id)
        elif custom_run_id:
            run_id = origin_id("neptune", where, "run", custom_run_id)
            record = kept.record_of(run_id) if kept.has_begun(run_id) else None
        elif how is types.Mode.READ_ONLY:
            raise NeedExistingRunForReadOnlyMode
        if with_id and record is None and how is types.Mode.READ_ONLY:
            raise RunNotFound(with_id)
        recorder = begun(how, where, name, run_id, record)
        super().__init__(recorder, with_id or f"{project_key(where)}-{recorder.id}", how, record)
        self._fail_on_exception = fail_on_exception
        self._monitoring_namespace = (
            monitoring_namespace or os.environ.get("NEPTUNE_MONITORING_NAMESPACE") or "monitoring"
        )
        if how is types.Mode.READ_ONLY:
            return
        if with_id and record is None:
            recorder.lacks("with_id", f"{with_id} is not in the local record: a new run takes what is logged to it")
        if capture_hardware_metrics and settings().system_metrics is None:
            recorder.lacks("capture_hardware_metrics", "set AUTOTRACK_SYSTEM_METRICS to a number of seconds")
        self._describe(record is None, name, description, tags, custom_run_id or with_id)
        self._keep_sources(source_files, dependencies)

    @property
    def monitoring_namespace(self) -> str:
        """Where the client would log what it monitors; autotrack records that by itself, in its own places."""
        return self._monitoring_namespace

    def _describe(
        self, is_new: bool, name: str | None, description: str | None, tags: list[str] | str | None, foreign: str | None
    ) -> None:
        if is_new:
            for path, value in (
                ("sys/creation_time", datetime.now()),
                ("sys/failed", False),
                ("sys/hostname", socket.gethostname()),
                ("sys/name", name or (self._recorder.run.name if self._recorder.run else "")),
                ("sys/description", description or ""),
            ):
                self._know(path, value)
        told = {"sys/name": name, "sys/description": description, "sys/custom_run_id": foreign if is_new else None}
        self._assign("", {path: value for path, value in told.items() if value})
        if tags:
            self["sys/tags"].add(tags)
        elif not self.exists("sys/tags"):
            self._fields["sys/tags"] = fields.StringSet(self, "sys/tags")

    def _keep_sources(self, source_files: list[str] | str | None, dependencies: str | os.PathLike[str] | None) -> None:
        """The files that were asked for by name; the rest of the code, and what is installed, is recorded anyway."""
        for path, name in found_by([source_files] if isinstance(source_files, str) else source_files or ()):
            self._recorder.file(f"source_code/files/{name}", path)
        if dependencies and dependencies != "infer":
            self._recorder.file("source_code/requirements.txt", os.fspath(dependencies))

    def _failure(self, error: BaseException) -> Any:
        return super()._failure(error) if self._fail_on_exception else "finished"


__all__ = ["MetadataContainer", "Model", "ModelVersion", "NeptuneObjectCallback", "Project", "Run"]
