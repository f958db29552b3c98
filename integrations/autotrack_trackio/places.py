"""Where trackio keeps runs: a server, spoken to by HTTP, or a folder, written by trackio's own storage.

Rows, configs and files enter; what both of them raise are the forwarder's two errors. What the API takes is in
trackio's `server.py` and `typehints.py` (0.43): a row is known by its `log_id`, so one that comes again is not added.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import IO, Any, Final, NamedTuple, Protocol, cast
from urllib.parse import parse_qsl, urlsplit

from autotrack.backend import BackendRejected, BackendUnavailable
from autotrack.errors import UsageError
from autotrack.multipart import Multipart
from autotrack.remote import Address, Refused, Remote

TOKEN_HEADER: Final = "X-Trackio-Write-Token"
ROWS_PER_REQUEST: Final = 1000
SLOWEST_UPLOAD: Final = 5_000_000
"""Bytes a second; a request that sends a file waits so much longer."""


class Row(NamedTuple):
    """One log of a run; `time` is ISO 8601 in UTC."""

    log_id: str
    step: int
    metrics: Mapping[str, Any]
    time: str


class File(NamedTuple):
    """One file that a run put out."""

    name: str
    kind: str
    path: str
    digest: str
    size: int
    metadata: Mapping[str, Any]


class Place(Protocol):
    """What can be done with trackio's projects."""

    keeps_times: bool

    @property
    def shown(self) -> str:
        """Where it is, for messages."""
        ...

    def answer(self) -> str:
        """One line that says what is there, and where."""
        ...

    def projects(self) -> list[str]:
        """The names of all projects, as they are on disk there."""
        ...

    def query(self, project: str, statement: str) -> list[dict[str, Any]]:
        """The rows that a reading SQL statement gives in a project that exists."""
        ...

    def log(self, project: str, run: str, name: str, rows: Sequence[Row], config: Mapping[str, Any] | None) -> None:
        """Add rows to a run; with `config`, replace its config."""
        ...

    def keep(self, project: str, run: str, name: str, file: File, source: Path) -> None:
        """Keep a file as a version of an artifact that the run put out."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


def place_from(environ: Mapping[str, str]) -> Place:
    """The place that trackio's variables name. Raises `UsageError` and `BackendUnavailable`."""
    url = environ.get("TRACKIO_SERVER_URL", "").strip()
    return Server(url, environ.get("TRACKIO_WRITE_TOKEN", "")) if url else Folder()


class Server:
    """A server that `trackio.show()` or `trackio show` started."""

    keeps_times = False

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https"):
            raise UsageError(f"TRACKIO_SERVER_URL={url.partition('?')[0]!r} is not a server's http or https address")
        token = dict(parse_qsl(parts.query)).get("write_token", "") or token
        base = parts._replace(query="", fragment="", path=parts.path.rstrip("/")).geturl()
        headers = {TOKEN_HEADER: token} if token else {}
        credentials = "TRACKIO_WRITE_TOKEN, or take the write-access URL that the server prints"
        self._remote = Remote(Address(base, "TRACKIO_SERVER_URL", credentials, headers=headers))
        try:
            allowed = self._call("get_run_mutation_status").get("allowed")
        except (Refused, AttributeError) as problem:
            raise UsageError(f"{self.shown} is no trackio server; check TRACKIO_SERVER_URL ({problem})") from None
        if not allowed:
            raise BackendUnavailable(f"{self.shown} does not let us write: check {credentials}")

    @property
    def shown(self) -> str:
        """The address."""
        return self._remote.address.shown

    def answer(self) -> str:
        """Ask for the version."""
        version = self._remote.send("GET", "/version", seconds=10).json().get("version", "")
        return f"trackio {version} at {self.shown} takes runs"

    def projects(self) -> list[str]:
        """Ask the server."""
        return [str(name) for name in self._call("get_all_projects")]

    def query(self, project: str, statement: str) -> list[dict[str, Any]]:
        """Ask the server."""
        rows: list[dict[str, Any]] = self._call("query_project", project=project, query=statement)["rows"]
        return rows

    def log(self, project: str, run: str, name: str, rows: Sequence[Row], config: Mapping[str, Any] | None) -> None:
        """Send rows, and look whether they are there: a busy server says yes first and may drop them later."""
        for start in range(0, len(rows), ROWS_PER_REQUEST):
            share = rows[start : start + ROWS_PER_REQUEST]
            entries = [
                {"project": project, "run": name, "run_id": run, "metrics": row.metrics, "step": row.step}
                | {"log_id": row.log_id, "config": config if start == 0 and index == 0 else None}
                for index, row in enumerate(share)
            ]
            self._call("bulk_log", logs=entries, hf_token=None)
            ids = ", ".join(quoted(row.log_id) for row in share)
            (held,) = self.query(project, f"SELECT COUNT(*) AS held FROM metrics WHERE log_id IN ({ids})")
            if held["held"] != len(share):
                raise BackendUnavailable(f"{self.shown} holds {held['held']} of {len(share)} logs that it took")

    def keep(self, project: str, run: str, name: str, file: File, source: Path) -> None:
        """Upload the file, unless the server has one of this digest."""
        of_project = {"project": project, "hf_token": None}
        if not self._call("check_artifact_blobs", **of_project, digests=[file.digest])["present"]:
            seconds = 30.0 + file.size / SLOWEST_UPLOAD
            with source.open("rb") as opened:
                form = Multipart("files", file.digest, opened, file.size)
                kind = {"Content-Type": form.content_type}
                answer = self._remote.send(
                    "POST", "/api/upload", data=cast(IO[bytes], form), headers=kind, seconds=seconds
                )
            uploaded = {"path": answer.json()["paths"][0], "orig_name": file.digest}
            uploads = [{"project": project, "digest": file.digest, "uploaded_file": uploaded}]
            self._call("bulk_upload_artifact_blob", **of_project, uploads=uploads)
        try:
            self._call("artifact_log", **of_project, **_artifact(run, name, file))
        except BackendUnavailable as problem:
            if "already exists with type" in str(problem):  # trackio answers 500 to this
                raise BackendRejected(str(problem)) from None
            raise

    def close(self) -> None:
        """Close the connections."""
        self._remote.close()

    def _call(self, name: str, /, **values: Any) -> Any:
        try:
            return self._remote.send("POST", f"/api/{name}", body=values).json()["data"]
        except Refused as refusal:
            if "write_token" in str(refusal) or "write access" in str(refusal):
                raise BackendUnavailable(f"{self.shown} does not let us write: check TRACKIO_WRITE_TOKEN") from None
            raise
        except (ValueError, KeyError):
            raise BackendUnavailable(f"{self.shown} did not answer as a trackio server does") from None


class Folder:
    """The folder of `TRACKIO_DIR`, which trackio itself reads at its import."""

    keeps_times = True

    def __init__(self) -> None:
        try:
            cas, storage, utils = (import_module(f"trackio.{name}") for name in ("cas", "sqlite_storage", "utils"))
        except ImportError as problem:
            raise UsageError(
                f"TRACKIO_SERVER_URL is not set, and trackio cannot be imported ({problem}): set the one, or install "
                "the other with `pip install trackio`"
            ) from None
        self._cas: ModuleType = cas
        self._storage: Any = storage.SQLiteStorage
        self.shown = str(utils.TRACKIO_DIR)
        self._version = getattr(import_module("trackio"), "__version__", "")

    def answer(self) -> str:
        """See whether the folder can be written."""
        folder = Path(self.shown)
        with _faults(self.shown):
            folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise BackendUnavailable(f"{folder} cannot be written: check TRACKIO_DIR")
        return f"trackio {self._version} writes into {folder}"

    def projects(self) -> list[str]:
        """The databases in the folder."""
        with _faults(self.shown):
            return list(self._storage.get_projects())

    def query(self, project: str, statement: str) -> list[dict[str, Any]]:
        """Read one of them."""
        with _faults(self.shown):
            rows: list[dict[str, Any]] = self._storage.query_project(project, statement)["rows"]
            return rows

    def log(self, project: str, run: str, name: str, rows: Sequence[Row], config: Mapping[str, Any] | None) -> None:
        """Add the rows in one transaction."""
        with _faults(self.shown):
            self._storage.bulk_log(
                project,
                name,
                [dict(row.metrics) for row in rows],
                steps=[row.step for row in rows],
                timestamps=[row.time for row in rows],
                config=dict(config) if config is not None else None,
                log_ids=[row.log_id for row in rows],
                run_id=run,
            )

    def keep(self, project: str, run: str, name: str, file: File, source: Path) -> None:
        """Copy the file beside the others."""
        with _faults(self.shown):
            self._cas.stage_blob_from_file(source, file.digest, self._cas.blob_path(project, file.digest))
            self._storage.commit_artifact_version(project=project, **_artifact(run, name, file))

    def close(self) -> None:
        """Nothing is held."""


def quoted(text: str) -> str:
    """A literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def _artifact(run: str, name: str, file: File) -> dict[str, Any]:
    return {
        "name": file.name,
        "type": file.kind,
        "description": None,
        "metadata": dict(file.metadata) or None,
        "manifest": [{"path": file.path, "digest": file.digest, "size": file.size}],
        "aliases": None,
        "run_name": name,
        "run_id": run,
    }


@contextmanager
def _faults(where: str) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as problem:
        raise BackendUnavailable(f"trackio's folder {where} cannot be written: {problem}") from problem
    except (TypeError, ValueError) as problem:
        raise BackendRejected(f"trackio does not take it: {problem}") from problem
