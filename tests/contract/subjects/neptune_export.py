"""neptune-export: a folder of tables, read with pyarrow by the schema that neptune-exporter published."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))  # test modules are not a package
sys.path.insert(0, str(Path(__file__).parents[2] / "backends"))

from subject import EVERYTHING, ReadRun

VALUES = {"int": "int_value", "float": "float_value", "string": "string_value", "bool": "bool_value"}


class Subject:
    name = "neptune-export"
    carries = EVERYTHING - {"registry"}
    url_variable = None
    listens = None

    def __init__(self, folder: Path) -> None:
        pytest.importorskip("pyarrow")
        self._folder = folder / "exports"

    def start(self) -> dict[str, str]:
        return {"AUTOTRACK_NEPTUNE_EXPORT": str(self._folder)}

    def read(self) -> dict[str, ReadRun]:
        from neptune_exporter_schema import SCHEMA, read_tables

        found: dict[str, ReadRun] = {}
        for folder, rows in read_tables(self._folder / "data", SCHEMA):
            read = as_read(rows, self._folder / "files" / folder)
            run = next(row["string_value"] for row in rows if row["attribute_path"] == "autotrack/run_id")
            assert run not in found and {row["run_id"] for row in rows} == {run}
            found[run] = read
        return found

    def stop(self) -> None:
        """There is no server."""


def as_read(rows: list[dict[str, Any]], files: Path) -> ReadRun:
    """The rows of one run in our words."""
    read = ReadRun(name="")
    for row in rows:
        path, kind = row["attribute_path"], row["attribute_type"]
        if kind == "float_series":
            path = path.removeprefix("autotrack/metrics/")
            step = format(row["step"].normalize(), "f")
            read.metrics.setdefault(path, []).append((step, row["float_value"]))
            read.times.setdefault(path, []).append(row["timestamp"].timestamp())
        elif kind == "file":
            content = (files / row["file_value"]["path"]).read_bytes()
            if path == "autotrack/run.json":
                record = json.loads(content)
                read.error = (record["error"] or {}).get("message")
                read.datasets = [(one["role"], one["name"]) for one in record["datasets"]]
            elif path.startswith("models/"):
                read.models[path.removeprefix("models/")] = content
            else:
                read.artifacts[path.removeprefix("autotrack/files/")] = content
        elif path == "sys/name":
            read.name = row["string_value"]
        elif path == "sys/forking/parent":
            read.parent = row["string_value"]
        elif path == "autotrack/status":
            read.status = row["string_value"]
        elif path.startswith("autotrack/tags/"):
            read.tags[path.removeprefix("autotrack/tags/")] = row["string_value"]
        elif kind in VALUES and not path.startswith(("sys/", "autotrack/")):
            read.params[path] = row[VALUES[kind]]
    return read
