"""The names on which the importer and the writer of the exporter's files agree: what one writes, the other reads.

What autotrack has and Neptune has no place for lies below `autotrack/`; what Neptune has and autotrack has no place for
is an artifact whose media type says what it was.
"""

from __future__ import annotations

import mimetypes
from typing import Final

STRING_SERIES: Final = "application/x-neptune-string-series+jsonl"
HISTOGRAM_SERIES: Final = "application/x-neptune-histogram-series+jsonl"
SERIES: Final = {STRING_SERIES: "string_series", HISTOGRAM_SERIES: "histogram_series"}
SERIES_ENDING: Final = ".jsonl"
"""Of the artifact that keeps such a series; before it is the path of the series."""

ATTRIBUTES: Final = "application/x-neptune-attributes+json"
ATTRIBUTES_NAME: Final = "neptune.json"
"""An artifact: the types and paths in Neptune of params and files that are otherwise here.

`{"types": {param: "datetime" or "string_set"}, "files": {artifact: {path, type, step, inner}}}`, where `type` is one of
the exporter's, and `inner` the path within a set of files.
"""

OURS: Final = "autotrack/"
RUN_ID: Final = "autotrack/run_id"
STATUS: Final = "autotrack/status"
RECORD: Final = "autotrack/run.json"
"""A file: what of a run is too long for a param of the trackers that the loaders write to (MLflow refuses such a run).

An object with `integration`, `environment`, `code`, `provenance`, `error`, `datasets`, `models`, and in `blobs` the
places of the files that these name by their digests.
"""
ERROR: Final = "autotrack/error"
TAGS: Final = "autotrack/tags/"
PARAMS: Final = "autotrack/params/"
METRICS: Final = "autotrack/metrics/"
FILES: Final = "autotrack/files/"

SYSTEM: Final = "sys/"
FORK_PARENT: Final = "sys/forking/parent"
FORK_STEP: Final = "sys/forking/step"

SYSTEM_TYPES: Final = {
    **dict.fromkeys(("creation_time", "modification_time", "ping_time", "trashed_time"), "datetime"),
    **dict.fromkeys(("running_time", "monitoring_time", "size"), "float"),
    **dict.fromkeys(("failed", "trashed", "archived", "experiment/is_head"), "bool"),
    **dict.fromkeys(("tags", "group_tags"), "string_set"),
    "forking/depth": "int",
}
"""Of attributes below `sys/`; every other is a string."""


def reserved(path: str) -> bool:
    """Whether a name of the user's would be taken for one of Neptune's or ours."""
    return path.startswith((SYSTEM, OURS))


def media_type(name: str) -> str:
    """What a file is, by its name."""
    return mimetypes.guess_type(name)[0] or "application/octet-stream"
