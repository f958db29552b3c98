"""How an object begins to record: into a new run, one that goes on, or none."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeAlias

from autotrack.compat.neptune import types
from autotrack.compat.neptune.container import MetadataContainer
from autotrack.compat.recorder import Recorder

NeptuneObjectCallback: TypeAlias = Callable[[MetadataContainer], None]


def chosen_mode(mode: str | None) -> types.Mode:
    """The mode that is asked for, or that NEPTUNE_MODE says. Raises `ValueError` for a word that is none."""
    return types.Mode(mode or os.environ.get("NEPTUNE_MODE") or "async")


def begun(
    mode: types.Mode,
    project: str,
    name: str | None,
    run_id: str | None,
    record: dict[str, Any] | None,
    *,
    alone: bool = True,
) -> Recorder:
    """What records: into a new run, one that goes on, or, in the modes that record nothing, none."""
    if mode is types.Mode.READ_ONLY:
        return Reading(run_id or "not-recorded")
    if mode is types.Mode.DEBUG:
        return Recorder("neptune", None)
    if record is not None:
        name, project = record["name"], record["project"]
    return Recorder.open("neptune", name=name, project=project, run_id=run_id, resumed=run_id is not None, alone=alone)


class Reading(Recorder):
    """Nothing is recorded, but it is known which run is read."""

    def __init__(self, run_id: str) -> None:
        super().__init__("neptune", None)
        self._id = run_id

    @property
    def id(self) -> str:
        """The run that is read."""
        return self._id


def asked(recorder: Recorder, query: str | None) -> None:
    """Say that the product's own language of queries is not understood."""
    if query:
        recorder.lacks("query=", "the product's query language is not understood: all are given")
