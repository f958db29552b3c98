"""What `run["some/path"]` gives: everything that can be done at a path, whatever stands there."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from autotrack.compat.neptune import attributes, types
from autotrack.compat.neptune.exceptions import MissingFieldException, NeptuneCannotChangeStageManually
from autotrack.compat.neptune.fields import Attribute

if TYPE_CHECKING:
    from autotrack.compat.neptune.container import MetadataContainer

_OBJECT_METHODS: Final = ("exists", "get_structure", "print_structure", "stop", "sync", "wait")


class Handler:
    """A path of an object."""

    def __init__(self, container: MetadataContainer, path: str) -> None:
        self._container = container
        self._path = joined(path)

    def __repr__(self) -> str:
        there = self._container.get_attribute(self._path)
        return f'<{type(there).__name__ if there is not None else "Unassigned"} field at "{self._path}">'

    def __getitem__(self, path: str) -> Handler:
        return Handler(self._container, joined(self._path, path))

    def __setitem__(self, key: str, value: Any) -> None:
        self[key].assign(value)

    def __delitem__(self, path: str) -> None:
        self.pop(path)

    def __getattr__(self, name: str) -> Any:
        if name in _OBJECT_METHODS:
            raise AttributeError(f"{name}() is a method of the whole object: handler.get_root_object().{name}()")
        raise AttributeError(f"'Handler' object has no attribute {name!r}")

    @property
    def container(self) -> MetadataContainer:
        """The object that the path is in."""
        return self._container

    def get_root_object(self) -> MetadataContainer:
        """The object that the path is in."""
        return self._container

    def assign(self, value: Any, *, wait: bool = False) -> None:
        """Put a value, a file, or a mapping of such, under the path."""
        if self._path == "sys/stage":
            raise NeptuneCannotChangeStageManually
        self._container._assign(self._path, value)

    def upload(self, value: Any, *, wait: bool = False, **kwargs: Any) -> None:
        """Keep a file: a path, a `File`, or what can be drawn as one."""
        if self._container._takes("upload"):
            made = types.File.create_from(value, **kwargs)
            self._field(attributes.File).upload(made)

    def upload_files(self, value: str | Iterable[str], *, wait: bool = False) -> None:
        """Keep all files that the patterns fit."""
        if self._container._takes("upload_files"):
            self._field(attributes.FileSet).upload_files(value)

    def track_files(self, path: str, *, destination: str | None = None, wait: bool = False) -> None:
        """Record the hashes of files."""
        if self._container._takes("track_files"):
            self._field(attributes.Artifact).track_files(path, destination=destination)

    def append(
        self,
        value: Any,
        *,
        step: float | None = None,
        timestamp: float | None = None,
        wait: bool = False,
        **kwargs: Any,
    ) -> None:
        """Append a value to the series under the path, or of each path of a mapping."""
        self._container._append(self._path, value, step, timestamp, kwargs)

    def log(
        self,
        value: Any,
        *,
        step: float | None = None,
        timestamp: float | None = None,
        wait: bool = False,
        **kwargs: Any,
    ) -> None:
        """Append a value, or each of a list. Raises `ValueError` where a list comes with one step."""
        if isinstance(value, types.StringifyValue) and isinstance(value.value, list | set | tuple):
            value = [types.StringifyValue(one) for one in value.value]
        if isinstance(value, list | set | tuple):
            if step is not None and len(value) > 1:
                raise ValueError("Collection of values is not supported for explicitly defined 'step'.")
            for one in value:
                self._container._append(self._path, one, step, timestamp, kwargs)
            return
        self._container._append(self._path, value, step, timestamp, kwargs)

    def extend(
        self,
        values: Any,
        *,
        steps: Collection[float] | None = None,
        timestamps: Collection[float] | None = None,
        wait: bool = False,
        **kwargs: Any,
    ) -> None:
        """Append each of several values, or do so for each path of a mapping."""
        if isinstance(values, types.Namespace):
            values = values.value
        if isinstance(values, Mapping):
            for key, some in values.items():
                self[str(key)].extend(some, steps=steps, timestamps=timestamps, **kwargs)
            return
        stringified = isinstance(values, types.StringifyValue)
        given = list(values.value if stringified else values)
        at, when = list(steps or ()), list(timestamps or ())
        if (at and len(at) != len(given)) or (when and len(when) != len(given)):
            raise ValueError("Number of steps and timestamps must be equal to the number of values")
        for index, one in enumerate(given):
            value = types.StringifyValue(one) if stringified else one
            self._container._append(self._path, value, at[index] if at else None, when[index] if when else None, kwargs)

    def add(self, values: str | Iterable[str], *, wait: bool = False) -> None:
        """Add words to the set under the path."""
        if self._container._takes("add"):
            self._field(attributes.StringSet).add(values)

    def remove(self, values: str | Iterable[str], *, wait: bool = False) -> None:
        """Remove words from the set under the path."""
        if self._container._takes("remove"):
            self._field(attributes.StringSet).remove(values)

    def clear(self, *, wait: bool = False) -> None:
        """Empty the series or set under the path."""
        if self._container._takes("clear"):
            self._there().clear()

    def fetch(self) -> Any:
        """The value under the path, or of a namespace all single values, nested. Raises `MissingFieldException`."""
        field = self._container.get_attribute(self._path)
        if isinstance(field, Attribute):
            return field.fetch()
        if field is None and self._path:
            raise MissingFieldException(self._path)
        return self._container._values_below(self._path)

    def fetch_last(self) -> Any:
        """The last value of the series under the path."""
        return self._there().fetch_last()

    def fetch_values(self, *, include_timestamp: bool | None = True, progress_bar: Any = None) -> Any:
        """All points of the series under the path, as a data frame."""
        return self._there().fetch_values(include_timestamp=bool(include_timestamp))

    def fetch_hash(self) -> str:
        """The hash of the tracked files under the path."""
        found: str = self._there().fetch_hash()
        return found

    def fetch_extension(self) -> str:
        """The extension of the file under the path."""
        found: str = self._there().fetch_extension()
        return found

    def fetch_files_list(self) -> list[Any]:
        """The tracked files under the path."""
        return list(self._there().fetch_files_list())

    def list_fileset_files(self, path: str | None = None) -> list[Any]:
        """The files of the set under the path."""
        return list(self._there().list_fileset_files(path))

    def delete_files(self, paths: str | Iterable[str], *, wait: bool = False) -> None:
        """Take files out of the set under the path."""
        if self._container._takes("delete_files"):
            self._there().delete_files(paths)

    def download(self, destination: str | None = None, progress_bar: Any = None) -> None:
        """Write the file or files under the path to disk."""
        self._there().download(destination)

    def download_last(self, destination: str | None = None) -> None:
        """Write the last file of the series under the path to disk."""
        self._there().download_last(destination)

    def pop(self, path: str | None = None, *, wait: bool = False) -> None:
        """Forget what is under the path. What was recorded stays in the record."""
        self._container._forget(joined(self._path, path or ""))

    def _ipython_key_completions_(self) -> list[str]:
        return self._container._paths_below(self._path)

    def _there(self) -> Any:
        field = self._container.get_attribute(self._path)
        if not isinstance(field, Attribute):
            raise MissingFieldException(self._path)
        return field

    def _field(self, kind: type[Any]) -> Any:
        return self._container._field(self._path, kind)


def joined(*paths: str) -> str:
    """Paths one below the other, without empty steps."""
    return "/".join(step for path in paths for step in str(path).split("/") if step)


def as_mapping(value: Any) -> Mapping[str, Any] | None:
    """What is assigned path by path; None for a single value."""
    if isinstance(value, types.Namespace):
        return value.value
    if isinstance(value, argparse.Namespace):
        return vars(value)
    return value if isinstance(value, Mapping) else None


__all__ = ["Handler"]
