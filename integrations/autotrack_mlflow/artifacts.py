"""Artifacts: files of a run, uploaded to the place that the server gave it.

A server that hands out a kind of place that is not known here wants the client to write there itself, with that
place's own credentials and library; those files are noted as not carried.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import urlsplit

from autotrack.backend import BackendContext
from autotrack.events import ArtifactLogged, RunStarted
from autotrack_mlflow.places import Owner, Place, Places


class Artifacts:
    """Uploads files below the place that the server gave a run or a model."""

    def __init__(self, places: Places, context: BackendContext, note: Callable[[str, str, str], None]) -> None:
        self._client = places.client
        self._places = places
        self._context = context
        self._note = note

    def send(self, owner: Owner, event: ArtifactLogged) -> None:
        """Upload the file of one event; one of the same name is replaced."""
        what = f"artifact {event.name}"
        place = self.place(event.run, what, owner)
        if place is None:
            return
        blob = self._context.blob(event.digest)
        if not blob.is_file():
            self._note(event.run, what, "its file is not on this machine any more")
            return
        place.upload(safe_path(event.name), blob)

    def describe(self, run: str, owner: Owner, event: RunStarted) -> None:
        """Upload environment and code, which MLflow has no fields for."""
        if not event.environment and not event.code:
            return
        place = self.place(run, "environment and code", owner)
        if place is not None:
            record = {"environment": event.environment, "code": event.code}
            place.upload("autotrack/run.json", json.dumps(record, indent=2, default=str).encode())

    def read(self, place: Place, run_id: str, path: str) -> bytes | None:
        """A file of a run that was uploaded before; None where there is none."""
        if place.listed:
            folder = path.rpartition("/")[0]
            files = self._client.get("artifacts/list", run_id=run_id, path=folder).get("files", ())
            if path not in {item["path"] for item in files}:
                return None
        return place.download(path)

    def place(self, run: str, what: str, owner: Owner) -> Place | None:
        """Where the files of `owner` go; None, noted, if that is somewhere else."""
        place = self._places.of(owner, lambda why: self._note(run, what, why))
        if place is None:
            where = urlsplit(owner.uri).scheme or "a folder"
            self._note(run, what, f"the server keeps artifacts elsewhere ({where}) and takes no uploads")
        return place


def safe_path(name: str) -> str:
    """`name` as a relative path without empty or upward steps, which the server would refuse."""
    steps = [step for step in name.replace("\\", "/").split("/") if step not in ("", ".")]
    return "/".join("__" if step == ".." else step for step in steps) or "artifact"
