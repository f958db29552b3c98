"""Artifacts: files of a run, uploaded through the tracking server's artifact proxy.

A server that hands out another kind of location (`s3:`, `file:`) wants the client to write there itself, with that
place's own credentials and library; those files are noted as not carried.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import urlsplit

from autotrack.backend import BackendContext
from autotrack.events import ArtifactLogged, RunStarted
from autotrack_mlflow.client import Client


class Artifacts:
    """Uploads files below the place that the server gave a run or a model."""

    def __init__(self, client: Client, context: BackendContext, note: Callable[[str, str, str], None]) -> None:
        self._client = client
        self._context = context
        self._note = note

    def send(self, artifact_uri: str, event: ArtifactLogged) -> None:
        """Upload the file of one event; one of the same name is replaced."""
        what = f"artifact {event.name}"
        place = self.place(event.run, what, artifact_uri)
        if place is None:
            return
        blob = self._context.blob(event.digest)
        if not blob.is_file():
            self._note(event.run, what, "its file is not on this machine any more")
            return
        self._client.upload(f"{place}/{safe_path(event.name)}", blob)

    def describe(self, run: str, artifact_uri: str, event: RunStarted) -> None:
        """Upload environment and code, which MLflow has no fields for."""
        if not event.environment and not event.code:
            return
        place = self.place(run, "environment and code", artifact_uri)
        if place is not None:
            record = {"environment": event.environment, "code": event.code}
            self._client.upload(f"{place}/autotrack/run.json", json.dumps(record, indent=2, default=str).encode())

    def names(self, run_id: str, folder: str) -> set[str]:
        """The names of the files in a folder of a run's artifacts."""
        files = self._client.get("artifacts/list", run_id=run_id, path=folder).get("files", ())
        return {item["path"].rpartition("/")[2] for item in files}

    def place(self, run: str, what: str, artifact_uri: str) -> str | None:
        """Where on the proxy `artifact_uri` is; None, noted, if it is elsewhere."""
        parts = urlsplit(artifact_uri)
        if parts.scheme == "mlflow-artifacts" and not parts.netloc:
            return parts.path.strip("/")
        where = parts.scheme or "a folder"
        self._note(run, what, f"the server keeps artifacts elsewhere ({where}) and takes no uploads")
        return None


def safe_path(name: str) -> str:
    """`name` as a relative path without empty or upward steps, which the server would refuse."""
    steps = [step for step in name.replace("\\", "/").split("/") if step not in ("", ".")]
    return "/".join("__" if step == ".." else step for step in steps) or "artifact"
