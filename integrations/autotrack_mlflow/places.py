"""Places where a server has files kept: its own artifact proxy, or a store that it signs addresses of.

A run and a logged model each have a place. What enters is a path below it with the file's content. Which kind of place
it is, the server says in the URI that it gave the run or model; for a kind that is not known here there is no place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol
from urllib.parse import urlsplit

from autotrack import remote
from autotrack.backend import BackendUnavailable
from autotrack.remote import READ_SECONDS, Address, Remote
from autotrack_mlflow.client import SLOWEST_UPLOAD, Client, Refused, sized


@dataclass(frozen=True)
class Owner:
    """A run or a logged model of the server, whose files are below `uri`."""

    uri: str
    kind: Literal["run_id", "model_id"]
    id: str


class Place(Protocol):
    """Where the files of one run or model are."""

    listed: bool
    """Whether the server's own list tells which files are there: a store may answer to a missing one with anything."""

    def upload(self, path: str, content: Path | bytes) -> None:
        """Store a file under `path`, in place of what was there. Raises what `Client` raises."""
        ...

    def download(self, path: str) -> bytes | None:
        """The file under `path`; None where there is none."""
        ...


class Proxied:
    """Below a path of the tracking server's artifact proxy (`mlflow server --serve-artifacts`, the default)."""

    listed = True

    def __init__(self, client: Client, folder: str) -> None:
        self._client = client
        self._folder = folder

    def upload(self, path: str, content: Path | bytes) -> None:
        """Store a file."""
        self._client.upload(f"{self._folder}/{path}", content)

    def download(self, path: str) -> bytes | None:
        """Read a file."""
        return self._client.download(f"{self._folder}/{path}")


@dataclass(frozen=True)
class Signed:
    """An address that may be used once, without credentials, and what must be sent with it."""

    url: str
    headers: dict[str, str]


BLOCK_BLOB: Final = {"x-ms-blob-type": "BlockBlob"}
"""What Azure's storage wants to be told with each file."""


class BySignature:
    """In a store (S3, Azure's, Google's) that is written and read through signed addresses.

    `sign(path, write)` asks the server for one. A single request takes at most 5 GB in S3 and in Azure's storage.
    """

    listed = True

    def __init__(self, sign: Callable[[str, bool], Signed], verify: bool | str = True) -> None:
        self._sign = sign
        self._verify = verify

    def upload(self, path: str, content: Path | bytes) -> None:
        """Store a file."""
        signed = self._sign(path, True)
        with sized(content) as (data, size):
            self._send("PUT", signed, data, READ_SECONDS + size / SLOWEST_UPLOAD)

    def download(self, path: str) -> bytes | None:
        """Read a file."""
        try:
            content: bytes = self._send("GET", self._sign(path, False), None, READ_SECONDS).content
        except remote.Refused as refusal:
            if refusal.status == 404:
                return None
            raise
        return content

    def _send(self, method: str, signed: Signed, data: Any, seconds: float) -> Any:
        store = Remote(Address(signed.url, "MLFLOW_TRACKING_URI", verify=self._verify))
        where = store.address.shown
        try:
            return store.send(method, data=data, headers=signed.headers, seconds=seconds)
        except BackendUnavailable as error:  # its text may hold the signature
            answered = str(error) if " answered " in str(error) else f"no answer from {where}"
            raise BackendUnavailable(answered, error.retry_after) from None
        finally:
            store.close()


class Places:
    """Knows where the files of a run or model are kept. Other products of the same API know of more kinds."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._signs: bool | None = None

    def of(self, owner: Owner, tell: Callable[[str], None]) -> Place | None:
        """The place of its files; None where the server takes no uploads for it.

        `tell(why)` is called later where a file did not get there as it is.
        """
        parts = urlsplit(owner.uri)
        if parts.scheme == "mlflow-artifacts" and not parts.netloc:
            return Proxied(self.client, parts.path.strip("/"))
        if parts.scheme == "s3" and self._can_sign(owner):
            return BySignature(lambda path, write: self._signed(owner, path, write), self.client.address.verify)
        return None

    def _can_sign(self, owner: Owner) -> bool:
        # Asked once, by signing an address that nobody uses: older servers do not know the question (3.15 does).
        if self._signs is None:
            try:
                self._signed(owner, "autotrack/run.json", True)
                self._signs = True
            except Refused:
                self._signs = False
        return self._signs

    def _signed(self, owner: Owner, path: str, write: bool) -> Signed:
        kind = "upload" if write else "download"
        answer = self.client.post(f"artifacts/presigned-{kind}-url", {owner.kind: owner.id, "path": path})
        return Signed(answer["presigned_url"], answer.get("headers", {}))
