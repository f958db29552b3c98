"""What a workspace of Databricks has otherwise than MLflow's own server: folders of experiments, and signed addresses.

The requests are those of MLflow 3.17 (`mlflow/protos/databricks_artifacts.proto`). The answers tell which cloud's
storage an address leads to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlsplit

from autotrack.backend import BackendUnavailable
from autotrack_mlflow.client import Client, Refused
from autotrack_mlflow.places import BLOCK_BLOB, BySignature, Owner, Place, Places, Signed

_WRITES = {"AWS_PRESIGNED_URL": {}, "GCP_SIGNED_URL": {}, "AZURE_SAS_URI": BLOCK_BLOB}
"""What each kind of storage that takes a file in one request wants to be told with it."""


def folder(client: Client) -> str:
    """Where experiments of whoever's token it is belong: `/Users/<name>`."""
    name = str(client.ask("GET", "/api/2.0/preview/scim/v2/Me").get("userName", ""))
    if not name:
        raise BackendUnavailable("Databricks does not say whose token it is: set MLFLOW_EXPERIMENT_NAME to a path")
    return f"/Users/{name}"


class WorkspacePlaces(Places):
    """Files are in the storage of the workspace, which signs an address for each."""

    def of(self, owner: Owner, tell: Callable[[str], None]) -> Place | None:
        """The place of its files."""
        if urlsplit(owner.uri).scheme != "dbfs":
            return super().of(owner, tell)
        return BySignature(lambda path, write: self._credential(owner, path, write), self.client.address.verify)

    def _credential(self, owner: Owner, path: str, write: bool) -> Signed:
        if owner.kind == "run_id":
            kind = "write" if write else "read"
            answer = self.client.post(f"artifacts/credentials-for-{kind}", {"run_id": owner.id, "path": [path]})
            found: list[Any] = answer.get("credential_infos", [])
        else:
            kind = "upload" if write else "download"
            where = f"logged-models/{quote(owner.id)}/artifacts/credentials-for-{kind}"
            answer = self.client.post(where, {"paths": [path]})
            found = [item["credential_info"] for item in answer.get("credentials", ())]
        if not found:
            raise BackendUnavailable(f"Databricks gives no address for {path}")
        kept = str(found[0].get("type", ""))
        if kept not in _WRITES:
            raise Refused(f"files in a storage of the kind {kept} are not sent", 501)
        headers = {item["name"]: item["value"] for item in found[0].get("headers", ())}
        return Signed(found[0]["signed_uri"], {**(_WRITES[kept] if write else {}), **headers})
