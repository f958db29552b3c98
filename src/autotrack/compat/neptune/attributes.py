"""The fields' classes under the product's name for their module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrack.compat.neptune.fields import (
    Attribute,
    Boolean,
    Datetime,
    FileSeries,
    Float,
    FloatSeries,
    GitRef,
    Integer,
    NotebookRef,
    RunState,
    String,
    StringSeries,
    StringSet,
)
from autotrack.compat.neptune.files import Artifact, File, FileSet

if TYPE_CHECKING:
    from autotrack.compat.neptune.container import MetadataContainer


def create_attribute_from_type(attribute_type: Any, container: MetadataContainer, path: str) -> Attribute:
    """An empty field of the type that has this name. Raises `KeyError` where there is none."""
    found: type[Attribute] = globals()[str(attribute_type)]
    return found(container, path)


__all__ = [
    "Artifact",
    "Boolean",
    "Datetime",
    "File",
    "FileSeries",
    "FileSet",
    "Float",
    "FloatSeries",
    "GitRef",
    "Integer",
    "NotebookRef",
    "RunState",
    "String",
    "StringSeries",
    "StringSet",
    "create_attribute_from_type",
]
