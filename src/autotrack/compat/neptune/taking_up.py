"""From a run's record to the fields of an object that goes on with it, or reads it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from autotrack.compat import kept
from autotrack.compat.neptune import attributes, fields
from autotrack.compat.neptune.fields import Attribute

if TYPE_CHECKING:
    from autotrack.compat.neptune.container import MetadataContainer


def fields_of(container: MetadataContainer, record: Mapping[str, Any]) -> dict[str, Attribute]:
    """The fields that `container` has by its record: values, series, words and files, by path."""
    found: dict[str, Attribute] = {}
    for path, value in record["params"].items():
        atom = (fields.kind_of(value) or fields.String)(container, path)
        atom.value = value
        found[path] = atom
    for path, told in record["metrics"].items():
        series = fields.FloatSeries(container, path)
        series.go_on_after(told["last_step"], told["last"])
        found[path] = series
    for path, text in record["tags"].items():
        if path in ("sys/tags", "sys/group_tags"):
            words = fields.StringSet(container, path)
            words.values = kept.labels_in(text)
            found[path] = words
        elif path.startswith("sys/"):
            atom = fields.String(container, path)
            atom.value = text
            found[path] = atom
    for artifact in record["artifacts"]:
        tracked = artifact["name"].removesuffix(".files.json")
        digest = str(record["params"].get(tracked, ""))
        if tracked != artifact["name"] and digest.startswith("sha256:"):
            files = attributes.Artifact(container, tracked)
            files.hash = digest.removeprefix("sha256:")
            found[tracked] = files
            continue
        for path in (artifact["name"], os.path.splitext(artifact["name"])[0]):
            file = attributes.File(container, path)
            file.name = artifact["name"]
            found.setdefault(path, file)
    return found
