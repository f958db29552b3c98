"""Files of runs in Azure ML: the workspace's artifact service names a place in its storage for each.

The requests are those of azureml-mlflow 1.62 (`_restclient/run_artifact`). The service has one file a path for ever:
one that comes again is compared, and a different one is told.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

from autotrack.backend import BackendUnavailable
from autotrack_mlflow.client import Client, Refused
from autotrack_mlflow.places import BLOCK_BLOB, BySignature, Owner, Place, Places, Signed

_RUN: Final = re.compile(r".*/experiments/([^/]+)/runs/([^/]+)(?:/artifacts(?:/(.*))?)?")
"""The end of the address that Azure ML gives a run's artifacts."""


class WorkspacePlaces(Places):
    """Knows the artifact service of a workspace."""

    def of(self, owner: Owner, tell: Callable[[str], None]) -> Place | None:
        """The place of the files of a run."""
        parts = urlsplit(owner.uri)
        named = _RUN.fullmatch(parts.path)
        if parts.scheme != "azureml" or named is None:
            return super().of(owner, tell)
        return InWorkspace(self.client, named[1], named[2], (named[3] or "").strip("/"), tell)


class InWorkspace:
    """The files of one run of a workspace."""

    listed = False

    def __init__(self, client: Client, experiment: str, run: str, folder: str, tell: Callable[[str], None]) -> None:
        self._client = client
        scope = urlsplit(client.address.url).path.partition("/mlflow/v2.0")[2]
        self._service = f"/history/v1.0{scope}/experiments/{quote(experiment)}/runs/{quote(run)}/artifacts/"
        self._folder = folder
        self._tell = tell
        self._storage = BySignature(self._signed, client.address.verify)

    def upload(self, path: str, content: Path | bytes) -> None:
        """Store a file, if there is none."""
        try:
            self._storage.upload(path, content)
        except _There:
            if self.download(path) != (content if isinstance(content, bytes) else content.read_bytes()):
                self._tell("Azure ML replaces no file of a run: the first one stays")

    def download(self, path: str) -> bytes | None:
        """Read a file."""
        return self._storage.download(path)

    def _signed(self, path: str, write: bool) -> Signed:
        where = f"{self._folder}/{path}".strip("/")
        if not write:
            answer = self._client.ask("GET", self._service + "contentinfo", params={"path": where})
            return Signed(answer["contentUri"], {})
        answer = self._client.ask("POST", self._service + "batch/metadata", body={"paths": [{"path": where}]})
        problem = (answer.get("errors") or {}).get(where)
        if problem:
            raise _problem(problem)
        return Signed(answer["artifactContentInformation"][where]["contentUri"], BLOCK_BLOB)


class _There(Exception):
    """The file is there already."""


def _problem(answer: Any) -> Exception:
    error = answer.get("error", {}) if isinstance(answer, dict) else {}
    code, message = str(error.get("code", "")), str(error.get("message", ""))[:300]
    if "already exists" in message or "conflict" in code.lower():
        return _There()
    if code == "UserError":
        return Refused(f"Azure ML takes no such file: {message}", 400, answer)
    return BackendUnavailable(f"Azure ML gives no place for a file: {code}: {message}")
