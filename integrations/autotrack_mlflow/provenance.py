"""What a run was made of, as files and tags of an MLflow run: MLflow has no fields for most of it.

Each kind is one JSON file, `autotrack/<kind>.json`, that grows as the record does. What is there already is read back
and completed, so that what comes again changes nothing, and other processes of the same run add to it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from autotrack.backend import BackendContext
from autotrack.events import ProvenanceLogged
from autotrack_mlflow.artifacts import Artifacts, safe_path
from autotrack_mlflow.client import Client
from autotrack_mlflow.labels import TAG_LENGTH, Label
from autotrack_mlflow.places import Place
from autotrack_mlflow.runs import KnownRun

FILES: Final = {("environment", "lock"): "pylock.toml", ("notebook", "notebook"): "notebook.ipynb"}
"""Entries that name a file of the run, and what it is called: those that people open."""

TAGS: Final = {
    "commit": "mlflow.source.git.commit",
    "branch": "mlflow.source.git.branch",
    "remote": "mlflow.source.git.repoURL",
    "entry": "mlflow.source.name",
}
"""Entries of the code's record, and the tags of MLflow that say the same."""


class Told(NamedTuple):
    """One event; `replayed` says that it was delivered before, and so must not replace a newer value."""

    event: ProvenanceLogged
    replayed: bool


class Provenance:
    """Sends what runs were made of."""

    def __init__(
        self, client: Client, context: BackendContext, artifacts: Artifacts, note: Callable[[str, str, str], None]
    ) -> None:
        self._client = client
        self._context = context
        self._artifacts = artifacts
        self._note = note

    def tags(self, told: Told) -> dict[str, Label]:
        """The tags that an event means."""
        if told.event.kind != "code":
            return {}
        record = told.event.record
        found = {tag: record[key] for key, tag in TAGS.items() if isinstance(record.get(key), str) and record[key]}
        return {tag: Label(value[:TAG_LENGTH], told.replayed) for tag, value in found.items()}

    def send(self, known: KnownRun, events: Sequence[Told]) -> None:
        """Bring the files of the run up to what these events say."""
        if not events:
            return
        place = self._artifacts.place(known.run, "what the run was made of", known.owner)
        if place is None:
            return
        by_kind: dict[str, list[Told]] = {}
        for told in events:
            by_kind.setdefault(told.event.kind, []).append(told)
        for kind, those in by_kind.items():
            name = f"{file_name(kind)}.json"
            path = f"autotrack/{name}"
            there = self._artifacts.read(place, known.id, path)
            held = decoded(there)
            record = dict(held)
            for told in those:
                if told.replayed:
                    record = {**told.event.record, **record}
                else:
                    record.update(told.event.record)
            self._send_files(known, place, kind, record, held)
            if record != held or there is None:
                place.upload(path, json.dumps(record, indent=2, default=str).encode())

    def _send_files(
        self, known: KnownRun, place: Place, kind: str, record: dict[str, Any], held: dict[str, Any]
    ) -> None:
        # Before the record that names them: if that is there, so are they.
        for (of, key), name in FILES.items():
            value = record.get(key)
            if of != kind or not isinstance(value, dict) or value == held.get(key):
                continue
            digest = value.get("digest")
            if not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
                continue
            blob = self._context.blob(digest)
            if blob.is_file():
                place.upload(f"autotrack/{name}", blob)
            else:
                self._note(known.run, f"autotrack/{name}", "its file is not on this machine any more")


def file_name(kind: str) -> str:
    """A kind as the name of one file."""
    return safe_path(kind).replace("/", "_")


def decoded(content: bytes | None) -> dict[str, Any]:
    """A record that was uploaded before; empty where somebody has put something else in its place."""
    try:
        found = json.loads(content or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
