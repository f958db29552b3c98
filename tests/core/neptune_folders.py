"""What Neptune's clients and its exporter leave on disk, made from the formats' descriptions: no client is needed.

`OfflineFolder` writes the JSON lines of `neptune` 1.x, `ScaleFile` the SQLite of `neptune-scale` with messages that are
encoded here, `exported` the tables of `neptune-exporter`.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from autotrack.events import AnyEvent, ArtifactLogged, MetricsLogged, ParamsLogged, TagsSet
from autotrack.importing import ForeignRun


class Kept:
    """A place for files that remembers what was told."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.told: dict[tuple[str, str], int] = {}

    def keep(self, source: Any) -> tuple[str, int]:
        content = source.read_bytes() if isinstance(source, Path) else source
        digest = hashlib.sha256(content).hexdigest()
        self.blobs[digest] = content
        return digest, len(content)

    def not_carried(self, what: str, why: str, count: int = 1) -> None:
        self.told[what, why] = self.told.get((what, why), 0) + count


class Told:
    """A foreign run, told: its events, and what is asked of them most."""

    def __init__(self, foreign: ForeignRun) -> None:
        self.kept = Kept()
        self.events: list[AnyEvent] = list(foreign.events(self.kept))
        self.started, self.ended = self.events[0], self.events[-1]

    @property
    def params(self) -> dict[str, Any]:
        return {key: value for event in self.of(ParamsLogged) for key, value in event.params.items()}

    @property
    def tags(self) -> dict[str, str]:
        return {key: value for event in self.of(TagsSet) for key, value in event.tags.items()}

    def points(self, path: str) -> list[tuple[Any, int, float]]:
        """(step, time in nanoseconds, value) in the order of the events."""
        return [
            (event.step, event.time, event.values[path]) for event in self.of(MetricsLogged) if path in event.values
        ]

    def artifacts(self) -> dict[str, bytes]:
        """Without `neptune.json`, which says what they were in Neptune."""
        files = {event.name: self.kept.blobs[event.digest] for event in self.of(ArtifactLogged)}
        return {name: content for name, content in files.items() if name != "neptune.json"}

    def of(self, kind: type) -> Iterator[Any]:
        return (event for event in self.events if isinstance(event, kind))


class OfflineFolder:
    """A folder as `neptune` 1.14 writes one."""

    def __init__(
        self, data: Path, container: str, kind: str = "run", mode: str = "offline", pid: int = 1, key: str = "abcd1234"
    ) -> None:
        self.path = data / mode / f"{kind}__{container}__{pid}__{key}"
        (self.path / "upload_path").mkdir(parents=True)
        metadata = {
            "mode": mode,
            "containerId": container,
            "containerType": kind,
            "structureVersion": 3,
            "os": "Linux",
            "pythonVersion": "3.9.1",
            "neptuneClientVersion": "1.10.0",
            "createdAt": "2023-05-01T10:00:00.250000+00:00",
        }
        (self.path / "metadata.json").write_text(json.dumps(metadata))
        self.version = 0
        self.acknowledge(0)

    def add(self, kind: str, path: str, at: float = 1682935200.5, **given: Any) -> None:
        """One operation."""
        self.version += 1
        operation = {"obj": {"type": kind, "path": path.split("/"), **given}, "version": self.version, "at": at}
        with open(self.path / "data-1.log", "a") as log:
            log.write(json.dumps(operation) + "\n")
        (self.path / "last_put_version").write_text(str(self.version))

    def acknowledge(self, version: int) -> None:
        """The server has taken so much."""
        (self.path / "last_ack_version").write_text(str(version))


# Messages


def varint(number: int) -> bytes:
    number &= 0xFFFF_FFFF_FFFF_FFFF
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def field(number: int, value: int | float | str | bytes) -> bytes:
    """One field of a message: a varint, a double, a text, or a message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(int(value))
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack("<d", value)
    content = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(content)) + content


def stamp(seconds: int, nanos: int = 0) -> bytes:
    return field(1, seconds) + (field(2, nanos) if nanos else b"")


def step(whole: int, micro: int = 0) -> bytes:
    return (field(1, whole) if whole else b"") + (field(2, micro) if micro else b"")


def entry(key: str, value: bytes) -> bytes:
    return field(1, key) + field(2, value)


class ScaleFile:
    """A file as `neptune-scale` 0.30 writes one, version v5."""

    def __init__(
        self, data: Path, project: str = "ws/proj", run: str = "r-1", when: int = 1, version: str = "v5"
    ) -> None:
        folder = data / f"{project.replace('/', '_')}_{run}_{when}"
        folder.mkdir(parents=True)
        self.path = folder / "run_operations.sqlite3"
        self.database = sqlite3.connect(self.path)
        self.database.executescript(
            """
            CREATE TABLE run_operations (sequence_id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp INTEGER NOT NULL,
                operation_type INTEGER NOT NULL, operation BLOB NOT NULL, operation_size_bytes INTEGER NOT NULL);
            CREATE TABLE metadata (id INTEGER PRIMARY KEY AUTOINCREMENT, version TEXT NOT NULL, project TEXT NOT NULL,
                run_id TEXT NOT NULL);
            CREATE TABLE file_upload_requests (id INTEGER PRIMARY KEY AUTOINCREMENT, source_path TEXT NOT NULL,
                destination TEXT NOT NULL, mime_type TEXT NOT NULL, size_bytes INTEGER NOT NULL,
                is_temporary INTEGER NOT NULL);
            """
        )
        self.database.execute(
            "INSERT INTO metadata (version, project, run_id) VALUES (?, ?, ?)", (version, project, run)
        )
        self.database.commit()

    def add(self, kind: int, operation: bytes, when: int = 1_700_000_100_000) -> None:
        """One operation: 1 creates the run, 0 updates it."""
        self.database.execute(
            "INSERT INTO run_operations (timestamp, operation_type, operation, operation_size_bytes) VALUES (?,?,?,?)",
            (when, kind, operation, len(operation)),
        )
        self.database.commit()

    def update(self, seconds: int, *parts: bytes, at: bytes | None = None, nanos: int = 0) -> None:
        """An update of the run at one time and one step."""
        head = (field(1, at) if at is not None else b"") + field(2, stamp(seconds, nanos))
        self.add(0, head + b"".join(parts))

    def upload(self, source: Path, destination: str) -> None:
        """A file that waits for its upload."""
        self.database.execute(
            "INSERT INTO file_upload_requests (source_path, destination, mime_type, size_bytes, is_temporary)"
            " VALUES (?, ?, 'text/plain', 1, 0)",
            (str(source), destination),
        )
        self.database.commit()


# Tables


def row(path: str, kind: str, **values: Any) -> dict[str, Any]:
    """A row of the exporter's."""
    return {"attribute_path": path, "attribute_type": kind, **values}


def folder_name(name: str) -> str:
    """As the exporter's `sanitize_path_part`."""
    digest = hashlib.blake2b(name.encode(), digest_size=8).hexdigest()
    return "".join(letter if letter.isalnum() or letter in "_-" else "_" for letter in name) + "-" + digest


def exported(
    exports: Path, project: str, run: str, rows: list[dict[str, Any]], part: int = 0, scope: str | None = None
) -> Path:
    """Write one part of a run's tables; with a scope into the model registry's."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from neptune_exporter_schema import SCHEMA

    folder = exports / ("model_data" if scope else "data") / folder_name(project) / (scope or "")
    folder.mkdir(parents=True, exist_ok=True)
    whole = [{"project_id": project, "run_id": run, **one} for one in rows]
    table = pa.Table.from_pylist(whole, schema=SCHEMA)
    place = folder / f"{folder_name(run)}_part_{part}.parquet"
    pq.write_table(table, place, compression="snappy")
    return place
