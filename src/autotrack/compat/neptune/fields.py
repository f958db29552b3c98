"""The fields of an object: what stands under a path, what it was last, and how more is added.

Each has the methods that the client's field of that type has. What is recorded goes through the object's `Recorder`;
what is asked back is answered from memory, points and files from the store.
"""

from __future__ import annotations

import json
import os
from abc import abstractmethod
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from importlib import import_module
from typing import TYPE_CHECKING, Any

from autotrack.compat import kept
from autotrack.compat.neptune import types
from autotrack.compat.neptune.exceptions import TypeDoesNotSupportAttributeException
from autotrack.compat.recorder import TEXTS
from autotrack.scalars import as_number

if TYPE_CHECKING:
    from autotrack.compat.neptune.container import MetadataContainer


class Attribute:
    """One field."""

    def __init__(self, container: MetadataContainer, path: str) -> None:
        self._container = container
        self._path = path if isinstance(path, str) else "/".join(path)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise TypeDoesNotSupportAttributeException(
            f"The field {self._path!r} is a {type(self).__name__}, which has no {name!r}."
        )

    def __repr__(self) -> str:
        return f'<{type(self).__name__} field at "{self._path}">'


class Atom(Attribute):
    """A field of one value."""

    value: Any = None

    def assign(self, value: Any, *, wait: bool = False) -> None:
        """Replace the value."""
        self._container._assign(self._path, value)

    def fetch(self) -> Any:
        """The value."""
        return self.value


class Boolean(Atom):
    """A truth value."""


class Integer(Atom):
    """An integer."""


class Float(Atom):
    """A number."""


class String(Atom):
    """A text."""


class Datetime(Atom):
    """A moment."""


class RunState(Atom):
    """Whether the run goes on."""


class GitRef(Atom):
    """The commit; autotrack records it with the run's code."""


class NotebookRef(Atom):
    """The notebook; autotrack records it with the run's code."""


class StringSet(Attribute):
    """Words, each once, such as the tags of a run."""

    def __init__(self, container: MetadataContainer, path: str) -> None:
        super().__init__(container, path)
        self.values: set[str] = set()

    def add(self, values: str | Iterable[str], *, wait: bool = False) -> None:
        """Add words."""
        self._become(self.values | _words(values))

    def remove(self, values: str | Iterable[str], *, wait: bool = False) -> None:
        """Remove words, where they are there."""
        self._become(self.values - _words(values))

    def clear(self, *, wait: bool = False) -> None:
        """Remove all of them."""
        self._become(set())

    def assign(self, value: Any, *, wait: bool = False) -> None:
        """Replace all of them."""
        self._become(_words(value.values if isinstance(value, types.StringSet) else value))

    def fetch(self) -> set[str]:
        """All words."""
        return set(self.values)

    def _become(self, words: set[str]) -> None:
        self.values = words
        self._container._recorder.labels(self._path, words)


class Series(Attribute):
    """Values one after another, each with a step: the caller's, or the next."""

    def __init__(self, container: MetadataContainer, path: str) -> None:
        super().__init__(container, path)
        self.last: Any = None
        self._next: Any = 0

    def go_on_after(self, step: Any, last: Any) -> None:
        """Know the step and the value that were recorded last."""
        self._next, self.last = Decimal(str(step)) + 1, last

    def log(
        self, value: Any, step: float | None = None, timestamp: float | None = None, wait: bool = False, **kwargs: Any
    ) -> None:
        """Append a value, or each of a list."""
        if isinstance(value, types.StringifyValue):
            value = value.value
        for one in value if isinstance(value, list | set | tuple) else (value,):
            self.add(one, step, timestamp, kwargs)

    def append(
        self, value: Any, step: float | None = None, timestamp: float | None = None, wait: bool = False, **kwargs: Any
    ) -> None:
        """Append a value."""
        self.add(value, step, timestamp, kwargs)

    def extend(
        self,
        values: Collection[Any],
        steps: Collection[float] | None = None,
        timestamps: Collection[float] | None = None,
        wait: bool = False,
        **kwargs: Any,
    ) -> None:
        """Append each of several values. Raises `ValueError` where steps or times are not as many."""
        given = list(values.value if isinstance(values, types.StringifyValue) else values)
        at, when = list(steps or ()), list(timestamps or ())
        if (at and len(at) != len(given)) or (when and len(when) != len(given)):
            raise ValueError("as many steps and timestamps as values are needed")
        for index, one in enumerate(given):
            self.add(one, at[index] if at else None, when[index] if when else None, kwargs)

    def assign(self, value: Any, wait: bool = False) -> None:
        """Start anew with these values. What was recorded before stays in the record."""
        self.clear()
        given = value if isinstance(value, types.Series) else types.Series(value)
        for one, step, seconds in given.points():
            self.add(one, step, seconds, {})

    def clear(self, *, wait: bool = False) -> None:
        """Begin again at step 0. What was recorded before stays in the record."""
        if self.last is not None:
            self._container._recorder.lacks("clear()", "what was recorded stays in the record")
        self.last, self._next = None, 0

    def fetch_last(self) -> Any:
        """The last value. Raises `MissingFieldException` where there is none."""
        if self.last is None:
            from autotrack.compat.neptune.exceptions import MissingFieldException

            raise MissingFieldException(self._path)
        return self.last

    @abstractmethod
    def add(self, value: Any, step: float | None, seconds: float | None, more: Mapping[str, Any]) -> None:
        """Record one value."""

    def _step(self, step: float | None) -> Any:
        if step is None:
            step = self._next
            if type(step) is int:
                self._next = step + 1
                return step
        elif type(step) is int:
            self._next = step + 1
            return step
        assert step is not None
        exact = step if isinstance(step, Decimal) else Decimal(repr(float(step)))
        self._next = exact + 1 if exact != exact.to_integral_value() else int(exact) + 1
        return exact


class FloatSeries(Series):
    """Numbers."""

    def add(self, value: Any, step: float | None, seconds: float | None, more: Mapping[str, Any]) -> None:
        """Record one point. NaN and infinities, which the client drops, are kept."""
        if type(value) is not float:
            number = as_number(value)
            value = float(value) if number is None else float(number)
        self.last = value
        self._container._recorder.point(self._path, self.last, self._step(step), seconds)

    def configure(
        self, min: float | None = None, max: float | None = None, unit: str | None = None, wait: bool = False
    ) -> None:
        """How the product's pages would draw it: nothing to record."""

    def fetch_values(self, *, include_timestamp: bool = True, progress_bar: Any = None) -> Any:
        """All points as a data frame of pandas: `step`, `value` and, unless it is off, `timestamp`."""
        points = kept.points_of(self._container._recorder.id, self._path)
        rows: dict[str, list[Any]] = {
            "step": [float(one["step"]) for one in points],
            "value": [one["value"] for one in points],
        }
        if include_timestamp:
            rows["timestamp"] = [datetime.fromisoformat(one["time"]) for one in points]
        return import_module("pandas").DataFrame(rows)


class StringSeries(Series):
    """Texts, kept as the artifact `<path>.jsonl`."""

    def add(self, value: Any, step: float | None, seconds: float | None, more: Mapping[str, Any]) -> None:
        """Record one text."""
        self.last = str(value)
        self._container._recorder.line(self._path, self._step(step), seconds, {"value": self.last}, TEXTS)

    def fetch_values(self, *, include_timestamp: bool = True, progress_bar: Any = None) -> Any:
        """All texts as a data frame of pandas."""
        self._container._recorder.flush()
        data = kept.file_of(self._container._recorder.id, f"{self._path}.jsonl") or b""
        lines = [json.loads(line) for line in data.splitlines()]
        rows: dict[str, list[Any]] = {
            "step": [float(line["step"]) for line in lines],
            "value": [line["value"] for line in lines],
        }
        if include_timestamp:
            rows["timestamp"] = [datetime.fromisoformat(line["time"]) for line in lines]
        return import_module("pandas").DataFrame(rows)


class FileSeries(Series):
    """Files, each an artifact `<path>/<step>.<extension>`, and a list of them, `<path>.jsonl`."""

    def add(self, value: Any, step: float | None, seconds: float | None, more: Mapping[str, Any]) -> None:
        """Record one file."""
        file = types.File.create_from(value)
        at = self._step(step)
        name = f"{self._path}/{at}.{file.extension or 'bin'}"
        if self._container._recorder.file(name, file.source()):
            self.last = name
            said = {key: more[key] for key in ("name", "description") if more.get(key) is not None}
            self._container._recorder.line(self._path, at, seconds, {"file": name, **said})

    def download(self, destination: str | None = None, progress_bar: Any = None) -> None:
        """Write all files into a folder, which is made; the working folder by default."""
        record = kept.record_of(self._container._recorder.id) or {}
        for one in record.get("artifacts", ()):
            if one["name"].startswith(self._path + "/"):
                self._container._write_file(
                    one["name"], os.path.join(destination or ".", os.path.basename(one["name"]))
                )

    def download_last(self, destination: str | None = None) -> None:
        """Write the last file into a folder, which is made; the working folder by default."""
        name = self.fetch_last()
        self._container._write_file(name, os.path.join(destination or ".", os.path.basename(name)))


def _words(values: Any) -> set[str]:
    return {values} if isinstance(values, str) else {str(value) for value in values}


def kind_of(value: Any) -> type[Atom] | None:
    """The field for a single value as Python has it; None where there is none."""
    for python, kind in ((bool, Boolean), (int, Integer), (float, Float), (str, String), (datetime, Datetime)):
        if isinstance(value, python):
            return kind
    return None
