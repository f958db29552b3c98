"""An object of the product's (a run, a model, a project): its fields, and what is done to the whole of it."""

from __future__ import annotations

import atexit
import os
import threading
import traceback
from collections.abc import Mapping
from types import TracebackType
from typing import Any, ClassVar, TypeVar

from autotrack.compat import kept
from autotrack.compat.neptune import attributes, fields, types
from autotrack.compat.neptune.exceptions import FileNotFound, InactiveContainerException
from autotrack.compat.neptune.fields import Attribute
from autotrack.compat.neptune.handler import Handler, as_mapping, joined
from autotrack.compat.neptune.nesting import nested, show
from autotrack.compat.neptune.taking_up import fields_of
from autotrack.compat.recorder import Recorder
from autotrack.outcome import status_of
from autotrack.plugin import guarded
from autotrack.scalars import as_number

FieldT = TypeVar("FieldT", bound=Attribute)


class MetadataContainer:
    """One object. It records from its making until `stop()`, or the end of the process."""

    container_type: ClassVar[str] = "run"
    inactive: ClassVar[type[InactiveContainerException]] = InactiveContainerException

    def __init__(self, recorder: Recorder, sys_id: str, mode: types.Mode, record: Mapping[str, Any] | None) -> None:
        self._recorder = recorder
        self._sys_id = sys_id
        self._mode = mode
        self._fields: dict[str, Attribute] = {}
        self._lock = threading.RLock()
        self._state = "started"
        if record is not None:
            self._take_up(record)
        self._know("sys/id", sys_id)
        atexit.register(self._at_exit)

    def __getitem__(self, path: str) -> Handler:
        self._raise_if_stopped()
        return Handler(self, path)

    def __setitem__(self, key: str, value: Any) -> None:
        self[key].assign(value)

    def __delitem__(self, path: str) -> None:
        self.pop(path)

    def __enter__(self) -> Any:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        if exc_val is not None:
            traceback.print_exception(exc_type, exc_val, exc_tb)  # as the client does
        self._stop(exc_val)

    def assign(self, value: Any, *, wait: bool = False) -> None:
        """Put a mapping of paths and values into the object."""
        self._raise_if_stopped()
        self._assign("", value)

    def fetch(self) -> dict[str, Any]:
        """All single values, nested."""
        self._raise_if_stopped()
        return self._values_below("")

    def ping(self) -> None:
        """Nothing: there is no server."""

    def start(self) -> None:
        """Nothing: it has started."""

    def stop(self, *, seconds: float | None = None) -> None:
        """End the object. All that was logged is in the journal already."""
        self._stop(None)

    def get_state(self) -> str:
        """`started` or `stopped`."""
        return self._state

    def get_structure(self) -> dict[str, Any]:
        """The fields, nested by the steps of their paths."""
        return nested(sorted(self._fields.items()))

    def print_structure(self) -> None:
        """Print the fields, nested, each with its type."""
        show(self.get_structure())

    def define(self, path: str, value: Any, *, wait: bool = False) -> Attribute | None:
        """Put a value under a path; gives the field."""
        self._assign(joined(path), value)
        return self._fields.get(joined(path))

    def get_attribute(self, path: str) -> Any:
        """The field under a path, the mapping of those below it, or None."""
        path = joined(path)
        field = self._fields.get(path)
        if field is not None:
            return field
        below = {one[len(path) + 1 :]: field for one, field in self._fields.items() if one.startswith(path + "/")}
        return below or None

    def set_attribute(self, path: str, attribute: Attribute) -> Attribute | None:
        """Place a field under a path."""
        self._fields[joined(path)] = attribute
        return attribute

    def exists(self, path: str) -> bool:
        """Whether there is a field under the path, or below it."""
        return self.get_attribute(path) is not None

    def pop(self, path: str, *, wait: bool = False) -> None:
        """Forget what is under a path. What was recorded stays in the record."""
        self._raise_if_stopped()
        self._forget(joined(path))

    def lock(self) -> Any:
        """The lock under which fields are made."""
        return self._lock

    def wait(self, *, disk_only: bool = False) -> None:
        """Have everything in the journal; no delivery is waited for."""
        self._recorder.flush()

    def sync(self, *, wait: bool = True) -> None:
        """Have everything in the journal, and know what other processes have recorded meanwhile."""
        self._recorder.flush()
        if self._recorder.run is not None:
            record = kept.record_of(self._recorder.id)
            if record is not None:
                self._take_up(record, new_alone=True)

    def get_root_object(self) -> Any:
        """The object itself."""
        return self

    def get_url(self) -> str:
        """An address that says which run of autotrack it is; no page is there."""
        return f"autotrack://run/{self._recorder.id}"

    def _ipython_key_completions_(self) -> list[str]:
        return self._paths_below("")

    # What follows is for handlers and fields.

    def _raise_if_stopped(self) -> None:
        if self._state == "stopped":
            raise self.inactive(self._sys_id)

    def _takes(self, what: str) -> bool:
        """Whether anything may be logged: not in read-only mode, which the client passes over with a warning too."""
        self._raise_if_stopped()
        if self._mode is types.Mode.READ_ONLY:
            self._recorder.lacks(f"{what}() in read-only mode", "nothing is recorded")
            return False
        return True

    def _assign(self, path: str, value: Any) -> None:
        if not self._takes("assign"):
            return
        plain: dict[str, Any] = {}
        with self._lock:
            self._gather(path, value, plain)
        self._recorder.values(plain)

    def _gather(self, path: str, value: Any, plain: dict[str, Any]) -> None:
        """Put single values into `plain`; what is more than that is recorded at once."""
        stringified = isinstance(value, types.StringifyValue)
        if stringified:
            value = value.value
        if isinstance(value, Handler):
            value = value._there().fetch()
        mapping = as_mapping(value)
        if mapping is not None:
            for key, one in mapping.items():
                if joined(key):
                    self._gather(
                        joined(path, key), types.StringifyValue(one) if stringified and one is not None else one, plain
                    )
            return
        field = self._fields.get(path)
        if isinstance(value, types.File) or types.File.is_convertable_to_image(value):
            self._field(path, attributes.File).upload(value)
        elif types.File.is_convertable_to_html(value):
            self._field(path, attributes.File).upload(types.File.as_html(value))
        elif isinstance(value, types.FileSet):
            self._field(path, attributes.FileSet).assign(value)
        elif isinstance(value, types.Artifact):
            self._field(path, attributes.Artifact).assign(value)
        elif isinstance(value, types.StringSet) or isinstance(field, fields.StringSet):
            self._field(path, fields.StringSet).assign(value)
        elif isinstance(value, types.Series):
            kind: type[Any] = fields.FloatSeries if isinstance(value, types.FloatSeries) else fields.FileSeries
            self._field(path, fields.StringSeries if isinstance(value, types.StringSeries) else kind).assign(value)
        else:
            plain[path] = self._know(path, getattr(value, "value", value) if isinstance(value, types.Atom) else value)

    def _know(self, path: str, value: Any) -> Any:
        """Remember a single value under its path: a scalar of a library is a number, what has no type is text."""
        kind = fields.kind_of(value)
        if kind is None:
            try:
                number = as_number(value)
                value, kind = float(value) if number is None else float(number), fields.Float
            except Exception:  # a list, None, an object of the user's: text, where the client drops it with a warning
                value, kind = str(value), fields.String
        field = kind(self, path)
        field.value = value
        self._fields[path] = field
        return value

    def _append(
        self, path: str, value: Any, step: float | None, seconds: float | None, more: Mapping[str, Any]
    ) -> None:
        if not self._takes("append"):
            return
        if type(value) is not float:
            if isinstance(value, types.StringifyValue):
                value = value.value if isinstance(value.value, int | float | str | Mapping) else str(value.value)
            mapping = as_mapping(value)
            if mapping is not None:
                for key, one in mapping.items():
                    self._append(joined(path, key), one, step, seconds, more)
                return
        with self._lock:
            series = self._fields.get(path)
            if not isinstance(series, fields.Series):
                series = self._fields[path] = attributes.series_for(value)(self, path)
            with guarded(self._recorder.product):
                try:
                    series.add(value, step, seconds, more)
                except (TypeError, ValueError) as problem:
                    self._recorder.lacks(f"a {type(value).__name__} appended to {path}", str(problem))

    def _field(self, path: str, kind: type[FieldT]) -> FieldT:
        with self._lock:
            there = self._fields.get(path)
            if not isinstance(there, kind):
                there = self._fields[path] = kind(self, path)
            return there

    def _forget(self, path: str) -> None:
        gone = [one for one in self._fields if one == path or one.startswith(path + "/")]
        for one in gone:
            del self._fields[one]
        if gone:
            self._recorder.lacks("deleting fields", "what was recorded stays in the record")

    def _values_below(self, path: str) -> dict[str, Any]:
        below = path + "/" if path else ""
        return nested(
            (one[len(below) :], field.fetch())
            for one, field in self._fields.items()
            if isinstance(field, fields.Atom) and one.startswith(below)
        )

    def _paths_below(self, path: str) -> list[str]:
        return sorted(one[len(path) + 1 :] if path else one for one in self._fields if one.startswith(path))

    def _write_file(self, name: str, path: str) -> None:
        data = kept.file_of(self._recorder.id, name)
        if data is None:
            raise FileNotFound(f"no file {name!r} was recorded in run {self._recorder.id}")
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)

    def _take_up(self, record: Mapping[str, Any], new_alone: bool = False) -> None:
        """Know the fields that a record has."""
        for path, field in fields_of(self, record).items():
            if not new_alone or path not in self._fields:
                self._fields[path] = field

    def _stop(self, error: BaseException | None) -> None:
        if self._state == "stopped":
            return
        self._state = "stopped"
        atexit.unregister(self._at_exit)
        self._recorder.end("finished" if error is None else self._failure(error), error)

    def _failure(self, error: BaseException) -> Any:
        return status_of(error)

    def _at_exit(self) -> None:
        """The process ends: autotrack itself ends the run with the true status, once the lines are kept."""
        if self._state != "stopped":
            self._recorder.flush()
