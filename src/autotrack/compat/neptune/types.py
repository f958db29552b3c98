"""The values that the client has classes for: what can be assigned to, or appended under, a path."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum
from itertools import repeat
from pathlib import Path
from typing import Any, Final

from autotrack.compat.neptune.file import Atom as Atom
from autotrack.compat.neptune.file import File as File
from autotrack.compat.neptune.file import FileType as FileType
from autotrack.compat.neptune.file import Value as Value


@dataclass
class Boolean(Atom):
    """A truth value."""

    value: bool


@dataclass
class Integer(Atom):
    """An integer."""

    value: int


@dataclass
class Float(Atom):
    """A number."""

    value: float


@dataclass
class String(Atom):
    """A text."""

    value: str


@dataclass
class Datetime(Atom):
    """A moment."""

    value: datetime


@dataclass
class Artifact(Atom):
    """Tracked files, by the hash over all of them."""

    value: str | None = None

    @property
    def hash(self) -> str | None:
        """The hash over all files."""
        return self.value


class GitRef(Atom):
    """Which repository to look at. autotrack finds that of the script by itself."""

    DISABLED: Final = "DO_NOT_TRACK_GIT_REPOSITORY"

    def __init__(self, repository_path: str | Path | None = None) -> None:
        self.repository_path = repository_path

    def resolve_path(self) -> Path | None:
        """The path, absolute."""
        return None if self.repository_path is None else Path(self.repository_path).resolve()


class Namespace(Value):
    """A mapping whose keys are paths below the one that it is assigned to."""

    def __init__(self, value: Mapping[str, Any]) -> None:
        self.value = value


class FileSet(Value):
    """Several files, by patterns."""

    def __init__(self, file_globs: str | Iterable[str]) -> None:
        self.file_globs = [file_globs] if isinstance(file_globs, str) else list(file_globs)


class Series(Value):
    """Values one after another, with steps and times where they were given."""

    def __init__(
        self, values: Collection[Any], timestamps: Sequence[float] | None = None, steps: Sequence[float] | None = None
    ) -> None:
        if isinstance(values, StringifyValue):
            values = values.value
        if not isinstance(values, list | set | tuple):
            raise TypeError("`values` is not a collection")
        self.values = list(values)
        self.timestamps = timestamps
        self.steps = steps

    def points(self) -> Iterator[tuple[Any, float | None, float | None]]:
        """Each value with its step and time."""
        return zip(self.values, self.steps or repeat(None), self.timestamps or repeat(None), strict=False)


class FloatSeries(Series):
    """Numbers."""

    def __init__(
        self,
        values: Collection[Any],
        min: float | None = None,
        max: float | None = None,
        unit: str | None = None,
        timestamps: Sequence[float] | None = None,
        steps: Sequence[float] | None = None,
    ) -> None:
        super().__init__(values, timestamps, steps)
        self.min, self.max, self.unit = min, max, unit


class StringSeries(Series):
    """Texts."""


class FileSeries(Series):
    """Files, mostly pictures."""

    def __init__(
        self,
        values: Collection[Any],
        timestamps: Sequence[float] | None = None,
        steps: Sequence[float] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(values, timestamps, steps)
        self.name, self.description = kwargs.get("name"), kwargs.get("description")


class StringSet(Value):
    """Words, each once."""

    def __init__(self, values: Iterable[str]) -> None:
        self.values = set(values)


class StringifyValue:
    """A value that becomes text where the client has no type for it: what `stringify_unsupported` gives."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __str__(self) -> str:
        return str(self.value)

    def __repr__(self) -> str:
        return repr(self.value)


class Mode(StrEnum):
    """How the client would work. Here `debug` records nothing, `read-only` reads, and all others record."""

    ASYNC = "async"
    SYNC = "sync"
    OFFLINE = "offline"
    READ_ONLY = "read-only"
    DEBUG = "debug"


class ModelVersionStage(Enum):
    """Where a model version stands."""

    NONE = "none"
    STAGING = "staging"
    PRODUCTION = "production"
    ARCHIVED = "archived"


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
    "String",
    "StringSeries",
    "StringSet",
]
