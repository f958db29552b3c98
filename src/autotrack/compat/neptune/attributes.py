"""The fields' classes under the product's name for their module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrack.compat.neptune import types
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
    Series,
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


def series_for(value: Any) -> type[Series]:
    """The series that begins with this value: of text, of files, or of numbers."""
    if isinstance(value, str):
        return StringSeries
    is_scalar = getattr(value, "shape", None) in ((), (1,))
    if isinstance(value, types.File) or (types.File.is_convertable(value) and not is_scalar):
        return FileSeries
    return FloatSeries


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
