"""Models, their versions, and projects: each a run of autotrack's whose id is worked out from its name."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal

from autotrack.compat import kept
from autotrack.compat.neptune import types
from autotrack.compat.neptune.container import MetadataContainer
from autotrack.compat.neptune.exceptions import (
    InactiveModelException,
    InactiveModelVersionException,
    InactiveProjectException,
    ModelNotFound,
    ModelVersionNotFound,
    NeedExistingModelForReadOnlyMode,
    NeedExistingModelVersionForReadOnlyMode,
    NeptuneMissingRequiredInitParameter,
    NeptuneModelKeyAlreadyExistsError,
)
from autotrack.compat.neptune.opening import NeptuneObjectCallback, asked, begun, chosen_mode
from autotrack.compat.neptune.tables import Table, project_key, rows_of
from autotrack.compat.recorder import origin_id, recorded_project


class Model(MetadataContainer):
    """A model of the product's registry, as a run of its own that all its versions name."""

    container_type = "model"
    inactive = InactiveModelException

    def __init__(
        self,
        with_id: str | None = None,
        *,
        name: str | None = None,
        key: str | None = None,
        project: str | None = None,
        api_token: str | None = None,
        mode: Literal["async", "sync", "read-only", "debug"] | None = None,
        flush_period: float = 5,
        proxies: dict[str, str] | None = None,
        async_lag_callback: NeptuneObjectCallback | None = None,
        async_lag_threshold: float = 1800.0,
        async_no_progress_callback: NeptuneObjectCallback | None = None,
        async_no_progress_threshold: float = 300.0,
    ) -> None:
        how = chosen_mode(mode)
        if not with_id and not key:
            if how is types.Mode.READ_ONLY:
                raise NeedExistingModelForReadOnlyMode
            raise NeptuneMissingRequiredInitParameter("key", "init_model")
        where = self._project = recorded_project(project)
        sys_id = with_id or f"{project_key(where)}-{key}"
        run_id = origin_id("neptune", where, "model", sys_id)
        record = kept.record_of(run_id) or (kept.record_of(sys_id, project) if with_id else None)
        if with_id and record is None:
            raise ModelNotFound(with_id)
        if not with_id and record is not None:
            raise NeptuneModelKeyAlreadyExistsError(key or "", "")
        recorder = begun(how, where, name or sys_id, record["id"] if record else run_id, record, alone=False)
        super().__init__(recorder, sys_id, how, record)
        if record is None:
            self._know("sys/creation_time", datetime.now())
            self._assign("", {"sys/name": name or "", "sys/kind": "model", "sys/id": sys_id})

    def fetch_model_versions_table(
        self,
        *,
        query: str | None = None,
        columns: Iterable[str] | None = None,
        limit: int | None = None,
        sort_by: str = "sys/creation_time",
        ascending: bool = False,
        progress_bar: Any = None,
    ) -> Table:
        """The versions that were recorded, newest first."""
        asked(self._recorder, query)
        rows = [row for row in rows_of(self._project, "model_version") if row.get("sys/model_id") == self._sys_id]
        return Table(rows, columns, limit, sort_by, ascending)


class ModelVersion(MetadataContainer):
    """One version of a model, as a run of its own."""

    container_type = "model_version"
    inactive = InactiveModelVersionException

    def __init__(
        self,
        with_id: str | None = None,
        *,
        name: str | None = None,
        model: str | None = None,
        project: str | None = None,
        api_token: str | None = None,
        mode: Literal["async", "sync", "read-only", "debug"] | None = None,
        flush_period: float = 5,
        proxies: dict[str, str] | None = None,
        async_lag_callback: NeptuneObjectCallback | None = None,
        async_lag_threshold: float = 1800.0,
        async_no_progress_callback: NeptuneObjectCallback | None = None,
        async_no_progress_threshold: float = 300.0,
    ) -> None:
        how = chosen_mode(mode)
        if not with_id and not model:
            if how is types.Mode.READ_ONLY:
                raise NeedExistingModelVersionForReadOnlyMode
            raise NeptuneMissingRequiredInitParameter("model", "init_model_version")
        where = recorded_project(project)
        if with_id:
            sys_id, model = with_id, with_id.rpartition("-")[0]
        else:
            numbers = [int(row["sys/id"].rpartition("-")[2]) for row in rows_of(where, "model_version", model)]
            sys_id = f"{model}-{max(numbers, default=0) + 1}"
        run_id = origin_id("neptune", where, "model version", sys_id)
        record = (kept.record_of(run_id) or kept.record_of(sys_id, project)) if with_id else None
        if with_id and record is None:
            raise ModelVersionNotFound(with_id)
        recorder = begun(how, where, name or sys_id, record["id"] if record else run_id, record, alone=False)
        super().__init__(recorder, sys_id, how, record)
        if record is None:
            self._know("sys/creation_time", datetime.now())
            told = {"sys/name": name or "", "sys/kind": "model_version", "sys/model_id": model, "sys/stage": "none"}
            self._assign("", {**told, "sys/id": sys_id})

    def change_stage(self, stage: str) -> None:
        """Say where the version stands: `none`, `staging`, `production`, `archived`. Raises `ValueError` for others."""
        self._assign("sys/stage", types.ModelVersionStage(stage).value)


class Project(MetadataContainer):
    """What belongs to a whole project, as a run of its own that all processes add to."""

    container_type = "project"
    inactive = InactiveProjectException

    def __init__(
        self,
        project: str | None = None,
        *,
        api_token: str | None = None,
        mode: Literal["async", "sync", "read-only", "debug"] | None = None,
        flush_period: float = 5,
        proxies: dict[str, str] | None = None,
        async_lag_callback: NeptuneObjectCallback | None = None,
        async_lag_threshold: float = 1800.0,
        async_no_progress_callback: NeptuneObjectCallback | None = None,
        async_no_progress_threshold: float = 300.0,
    ) -> None:
        how = chosen_mode(mode)
        self._project = recorded_project(project)
        run_id = origin_id("neptune", self._project, "project", "")
        record = kept.record_of(run_id)
        recorder = begun(how, self._project, f"project {self._project}", run_id, record, alone=False)
        super().__init__(recorder, project_key(self._project), how, record)
        if record is None and how is not types.Mode.READ_ONLY:
            self._assign("", {"sys/kind": "project"})

    def fetch_runs_table(
        self,
        *,
        query: str | None = None,
        id: str | Iterable[str] | None = None,
        state: Literal["inactive", "active"] | Iterable[Literal["inactive", "active"]] | None = None,
        owner: str | Iterable[str] | None = None,
        tag: str | Iterable[str] | None = None,
        columns: Iterable[str] | None = None,
        trashed: bool | None = False,
        limit: int | None = None,
        sort_by: str = "sys/creation_time",
        ascending: bool = False,
        progress_bar: Any = None,
    ) -> Table:
        """The runs that were recorded, newest first: those with all of the tags, and in one of the states."""
        asked(self._recorder, query)
        ids, tags, states = _several(id), _several(tag), _several(state)
        rows = [
            row
            for row in rows_of(self._project, "run")
            if (not ids or row["sys/id"] in ids)
            and tags <= kept.labels_in(row.get("sys/tags", ""))
            and (not states or row["sys/state"] in states)
        ]
        return Table(rows, columns, limit, sort_by, ascending)

    def fetch_models_table(
        self,
        *,
        query: str | None = None,
        columns: Iterable[str] | None = None,
        trashed: bool | None = False,
        limit: int | None = None,
        sort_by: str = "sys/creation_time",
        ascending: bool = False,
        progress_bar: Any = None,
    ) -> Table:
        """The models that were recorded, newest first."""
        asked(self._recorder, query)
        return Table(rows_of(self._project, "model"), columns, limit, sort_by, ascending)


def _several(given: Any) -> set[str]:
    return set() if given is None else {given} if isinstance(given, str) else set(given)
