"""Datasets: what a run was fed, as MLflow's dataset inputs.

MLflow knows an input by name and digest and keeps the first role that it came with; the same data in a second role is
sent under a name that tells the role.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any, Final

from autotrack.events import DatasetLogged
from autotrack_mlflow.client import Client
from autotrack_mlflow.runs import KnownRun, Runs

CONTEXT_TAG: Final = "mlflow.data.context"
NAME_LENGTH, DIGEST_LENGTH, SOURCE_LENGTH, SCHEMA_LENGTH, PROFILE_LENGTH = 500, 36, 65_535, 1_048_575, 16_777_215

_TYPES: Final = {
    "bool": "boolean",
    "boolean": "boolean",
    "int8": "integer",
    "int16": "integer",
    "int32": "integer",
    "uint8": "integer",
    "uint16": "integer",
    "int64": "long",
    "uint32": "long",
    "uint64": "long",
    "float16": "float",
    "float32": "float",
    "float64": "double",
    "double": "double",
    "string": "string",
    "str": "string",
    "utf8": "string",
    "object": "string",
    "category": "string",
    "binary": "binary",
}


class Datasets:
    """Sends the datasets of runs."""

    def __init__(self, client: Client, runs: Runs, note: Callable[[str, str, str], None]) -> None:
        self._client = client
        self._runs = runs
        self._note = note

    def send(self, known: KnownRun, events: Sequence[DatasetLogged]) -> None:
        """Log each dataset once as an input of the run."""
        if not events:
            return
        roles = _roles(self._runs.get(known))
        inputs = []
        for event in events:
            entry = self._entry(event)
            wanted = (entry["name"], entry["digest"])
            if roles.get(wanted, event.role) != event.role:
                entry["name"] = f"{entry['name'][: NAME_LENGTH - 20]} ({event.role})"
                wanted = (entry["name"], entry["digest"])
            if wanted not in roles:
                roles[wanted] = event.role
                inputs.append({"tags": _tags(event), "dataset": entry})
        if inputs:
            self._client.post("runs/log-inputs", {"run_id": known.id, "datasets": inputs})

    def _entry(self, event: DatasetLogged) -> dict[str, str]:
        record = event.record
        known = record.get("mlflow")
        if isinstance(known, dict):  # it was brought from MLflow, and goes back as it was
            fields = {key: str(known[key]) for key in ("source_type", "source", "schema", "profile") if key in known}
            return {"name": event.name or event.role, "digest": digest_of(record), **fields}
        entry = {
            "name": (event.name or event.role)[:NAME_LENGTH],
            "digest": digest_of(record),
            # MLflow reads sources back by their type; `code` is the one that claims nothing about a place.
            "source_type": "code",
            "source": _json({"tags": {"autotrack.source": record.get("source")}}),
        }
        if len(entry["source"]) > SOURCE_LENGTH:
            entry["source"] = _json({"tags": {}})
            self._note(event.run, f"source of dataset {event.name}", f"MLflow takes {SOURCE_LENGTH} characters")
        schema, profile = _schema(record), _profile(record)
        for field, value, length in (("schema", schema, SCHEMA_LENGTH), ("profile", profile, PROFILE_LENGTH)):
            if value is not None and len(value.encode()) <= length:
                entry[field] = value
            elif value is not None:
                self._note(event.run, f"{field} of dataset {event.name}", f"MLflow takes {length} bytes")
        return entry


def _tags(event: DatasetLogged) -> list[dict[str, str]]:
    known = event.record.get("mlflow")
    more = known.get("tags", {}) if isinstance(known, dict) else {}
    tags = {**({CONTEXT_TAG: event.role} if event.role else {}), **more}
    return [{"key": key, "value": value} for key, value in tags.items()]


def digest_of(record: dict[str, Any]) -> str:
    """The dataset's identity in at most 36 characters: the digest of its values, else a hash of its description."""
    inner = record.get("fingerprint")
    source = inner if isinstance(inner, dict) else record
    for field in ("value", "digest", "strict", "rows"):
        found = source.get(field)
        if isinstance(found, str) and found:
            return found if len(found) <= DIGEST_LENGTH else _hash(found)[:DIGEST_LENGTH]
    # No value was looked at: the digest must not claim that equal ones mean equal data.
    return ("described:" + _hash(_json(record)))[:DIGEST_LENGTH]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _roles(run: dict[str, Any]) -> dict[tuple[str, str], str]:
    roles = {}
    for item in run.get("inputs", {}).get("dataset_inputs", ()):
        context = next((tag["value"] for tag in item.get("tags", ()) if tag["key"] == CONTEXT_TAG), "")
        roles[item["dataset"]["name"], item["dataset"]["digest"]] = context
    return roles


def _columns(record: dict[str, Any]) -> list[dict[str, Any]]:
    for holder in (record, record.get("fingerprint"), record.get("schema")):
        columns = holder.get("columns") if isinstance(holder, dict) else None
        if isinstance(columns, list) and columns and all(isinstance(item, dict) and "name" in item for item in columns):
            return columns
    parts = record.get("parts")
    found: list[dict[str, Any]] = []
    for name, part in parts.items() if isinstance(parts, dict) else ():
        if isinstance(part, dict):
            single = part.get("n_columns", 1) == 1 and "dtype" in part
            found += _columns(part) or ([{"name": name, "dtype": part["dtype"]}] if single else [])
    return found


def _schema(record: dict[str, Any]) -> str | None:
    """MLflow's own form of a schema, which its pages show, where the record tells columns."""
    columns = _columns(record)
    if not columns:
        schema = record.get("schema")
        return _json(schema) if isinstance(schema, dict | list) else None
    specification = []
    for column in columns:
        declared = str(column.get("type") or column.get("dtype") or "").lower()
        kind = "datetime" if declared.startswith(("datetime", "timestamp", "date")) else _TYPES.get(declared, "string")
        specification.append({"type": kind, "name": str(column["name"]), "required": True})
    return _json({"mlflow_colspec": specification})


def _profile(record: dict[str, Any]) -> str:
    rows = record.get("n_rows", record.get("num_rows"))
    return _json({**({"num_rows": rows} if rows is not None else {}), **record})


def _json(value: Any) -> str:
    return json.dumps(value, default=str)
