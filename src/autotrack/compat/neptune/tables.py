"""Tables of what was recorded: what `fetch_runs_table` and its like give."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from importlib import import_module
from typing import Any

from autotrack.compat import kept


class TableEntry:
    """One row."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def __getitem__(self, path: str) -> Any:
        return _Cell(self._values, path)

    def get_attribute_value(self, path: str) -> Any:
        """The value in a column. Raises `ValueError` where there is none."""
        if path not in self._values:
            raise ValueError(f"Could not find {path} attribute")
        return self._values[path]


class _Cell:
    def __init__(self, values: Mapping[str, Any], path: str) -> None:
        self._values, self._path = values, path

    def __getitem__(self, path: str) -> _Cell:
        return _Cell(self._values, f"{self._path}/{path}")

    def get(self) -> Any:
        """The value. Raises `ValueError` where there is none."""
        return TableEntry(self._values).get_attribute_value(self._path)


class Table:
    """Rows, newest first unless told otherwise."""

    def __init__(
        self,
        rows: Iterable[Mapping[str, Any]],
        columns: Iterable[str] | None = None,
        limit: int | None = None,
        sort_by: str = "sys/creation_time",
        ascending: bool = False,
    ) -> None:
        def order(row: Mapping[str, Any]) -> tuple[bool, bool, Any]:
            value = row.get(sort_by)
            return (value is not None) != ascending, isinstance(value, str), "" if value is None else value

        try:
            ordered = sorted(rows, key=order, reverse=not ascending)
        except TypeError:  # values of several types in one column
            ordered = list(rows)
        wanted = None if columns is None else {*columns, "sys/id", sort_by}
        self._rows = [
            {path: value for path, value in row.items() if wanted is None or path in wanted} for row in ordered[:limit]
        ]
        self._at = iter(self._rows)

    def __iter__(self) -> Iterator[TableEntry]:
        return (TableEntry(row) for row in self._rows)

    def __next__(self) -> TableEntry:
        return TableEntry(next(self._at))

    def to_rows(self) -> list[TableEntry]:
        """All rows."""
        return list(self)

    def to_pandas(self) -> Any:
        """All rows as a data frame of pandas, the `sys/` columns first."""
        columns = dict.fromkeys(path for row in self._rows for path in row)
        ordered = sorted(columns, key=lambda path: (not path.startswith("sys/"), path))
        return import_module("pandas").DataFrame(self._rows, columns=ordered)


def project_key(project: str) -> str:
    """The letters that the product's ids begin with, as it makes them of a project's name."""
    return re.sub("[^A-Z]", "", project.rpartition("/")[2].upper())[:3] or "RUN"


def rows_of(project: str, kind: str, model: str | None = None) -> list[dict[str, Any]]:
    """What was recorded of one kind (`run`, `model`, `model_version`), each as its paths and values."""
    found = []
    for record in kept.records_in(project):
        if record["tags"].get("sys/kind", "run") != kind or (model and record["tags"].get("sys/model_id") != model):
            continue
        row: dict[str, Any] = {
            "sys/id": f"{project_key(record['project'])}-{record['id']}",
            "sys/name": record["name"],
            "sys/creation_time": datetime.fromisoformat(record["started_at"]),
            "sys/state": "active" if record["status"] == "running" else "inactive",
            "sys/failed": record["status"] == "failed",
        }
        row |= record["params"]
        row |= {key: told["last"] for key, told in record["metrics"].items()}
        row |= {key: text for key, text in record["tags"].items() if key.startswith("sys/") and key != "sys/kind"}
        found.append(row)
    return found


__all__ = ["Table"]
