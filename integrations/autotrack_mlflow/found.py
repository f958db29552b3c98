"""What an importer has found of MLflow: experiments with their runs, whatever it was found in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeAlias
from urllib.parse import unquote, urlsplit

Point: TypeAlias = tuple[int, int, float]
"""Milliseconds, step, value."""
File: TypeAlias = tuple[str, Path | bytes | None]
"""A path below its owner, and the file; None where it cannot be read."""


@dataclass(frozen=True)
class FoundInput:
    """A dataset input of a run, as MLflow has it."""

    dataset: dict[str, Any]
    tags: dict[str, str]


@dataclass(frozen=True)
class FoundModel:
    """A logged model that is an output of a run."""

    id: str
    name: str
    step: int
    tags: dict[str, str]
    files: Callable[[], Iterator[File]]


@dataclass
class FoundRun:
    """One run; what takes long to read is read when it is asked for."""

    id: str
    name: str
    experiment: str
    experiment_id: str
    status: str
    started: int
    """In milliseconds, as `ended`."""
    ended: int | None
    params: dict[str, str]
    tags: dict[str, str]
    inputs: list[FoundInput]
    series: Callable[[], Iterator[tuple[str, list[Point]]]]
    files: Callable[[], Iterator[File]]
    models: Callable[[], list[FoundModel]]
    user: str = ""
    address: str = ""
    """Where a browser shows it."""


@dataclass
class Experiment:
    """One experiment that is not deleted."""

    id: str
    name: str
    tags: dict[str, str] = field(default_factory=dict)
    deleted_runs: int = 0


class Source(Protocol):
    """Where experiments are."""

    def experiments(self) -> Iterator[Experiment]:
        """All that are not deleted."""
        ...

    def runs(self, experiment: Experiment, deleted: bool) -> Iterator[tuple[str, str, Callable[[], FoundRun]]]:
        """Id, name and how to read each of its runs, oldest first; with `deleted`, the deleted ones as well."""
        ...


def is_number(text: str) -> bool:
    """Whether a text is what MLflow writes as a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def local_path(uri: str) -> Path | None:
    """The folder of this machine that an artifact URI means; None for another place."""
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return Path(uri) if not parts.scheme or len(parts.scheme) == 1 else None


def files_below(folder: Path | None) -> Iterator[File]:
    """All files below a folder, in the order of their paths."""
    if folder is not None and folder.is_dir():
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                yield path.relative_to(folder).as_posix(), path


def decoded(text: str | None) -> Any:
    """JSON, or the text itself where it is none."""
    try:
        return json.loads(text) if text else None
    except ValueError:
        return text
