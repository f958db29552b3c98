"""MLflow's REST API over `autotrack.remote`: an API path with its body enters, the decoded answer leaves.

Faults are the forwarder's two errors: `BackendUnavailable` for whatever may pass, `Refused`, a `BackendRejected`, for
what the server will never take. A product that speaks the same API brings its own `Address`: its URL, its headers, and
a `requests.auth.AuthBase` that sees each prepared request. That is the whole seam.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import quote, urlsplit

import requests

from autotrack import remote
from autotrack.errors import BackendUnavailable
from autotrack.remote import READ_SECONDS, Address, Remote

SLOWEST_UPLOAD: Final = 5_000_000
"""Bytes a second: a server that passes a large file on to its object store answers only when that is done."""

_API: Final = "/api/2.0/mlflow/"
_PROXY: Final = "/api/2.0/mlflow-artifacts/artifacts/"
_BYTES: Final = {"Content-Type": "application/octet-stream"}


class Refused(remote.Refused):
    """The server answered with a client error; `code` is MLflow's own `error_code`, if it gave one."""

    @property
    def code(self) -> str:
        """Such as `RESOURCE_DOES_NOT_EXIST`."""
        return str(self.answer.get("error_code", "")) if isinstance(self.answer, dict) else ""

    @property
    def is_missing(self) -> bool:
        """Whether the thing asked for does not exist, on a server that knows the question."""
        return self.code == "RESOURCE_DOES_NOT_EXIST"

    @property
    def is_unknown_api(self) -> bool:
        """Whether the server does not know the question at all: an older MLflow, or another product."""
        return self.status in (404, 405, 501) and not self.is_missing


class Client:
    """Calls one server; keeps its connections open between calls."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._remote = Remote(address)
        self._host = Remote(replace(address, url=urlsplit(address.url)._replace(path="").geturl()))

    def get(self, path: str, /, **query: str) -> dict[str, Any]:
        """Ask `path` below `/api/2.0/mlflow/`."""
        return self._answer(self._send("GET", _API + path, params=query))

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Send `body` as JSON to `path` below `/api/2.0/mlflow/`."""
        return self._answer(self._send("POST", _API + path, body=body))

    def patch(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Change what `path` below `/api/2.0/mlflow/` names."""
        return self._answer(self._send("PATCH", _API + path, body=body))

    def delete(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Remove what `path` below `/api/2.0/mlflow/` and `body` name."""
        return self._answer(self._send("DELETE", _API + path, body=body))

    def version(self) -> str:
        """Of MLflow's own server; empty for other products, which do not tell it."""
        try:
            text = self._send("GET", "/version").text.strip()
        except (Refused, BackendUnavailable):
            return ""
        return text if text[:1].isdigit() and len(text) < 30 else ""

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Ask the same server at an address that is not of MLflow's API, from the root of its host."""
        return self._answer(self._send(method, path, body=body, params=params, host=self._host))

    def upload(self, path: str, content: Path | bytes) -> None:
        """Store a file under `path` of the server's artifact proxy, in place of what was there."""
        with sized(content) as (data, size):
            seconds = READ_SECONDS + size / SLOWEST_UPLOAD
            self._send("PUT", _PROXY + quote(path), data=data, headers=_BYTES, seconds=seconds)

    def download(self, path: str) -> bytes | None:
        """The file under `path` of the server's artifact proxy; None where there is none."""
        try:
            return self._send("GET", _PROXY + quote(path)).content
        except Refused as refusal:
            if refusal.status == 404:
                return None
            raise

    def close(self) -> None:
        """Close the connections."""
        self._remote.close()
        self._host.close()

    def _send(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        data: bytes | IO[bytes] | None = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        seconds: float | None = None,
        host: Remote | None = None,
    ) -> requests.Response:
        try:
            return (host or self._remote).send(
                method,
                path,
                body=body,
                data=data,
                params=params,
                headers=headers,
                seconds=READ_SECONDS if seconds is None else seconds,
            )
        except remote.Refused as refusal:
            raise Refused(str(refusal), refusal.status, refusal.answer) from None
        except BackendUnavailable as error:
            if isinstance(error.__cause__, requests.exceptions.SSLError):
                raise BackendUnavailable(
                    f"{error} (MLFLOW_TRACKING_SERVER_CERT_PATH names a certificate to trust)"
                ) from error.__cause__
            raise

    def _answer(self, response: requests.Response) -> dict[str, Any]:
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise BackendUnavailable(
                f"{self.address.shown} answered with something else than MLflow's API; check {self.address.variable}"
            )
        return answer


@contextmanager
def sized(content: Path | bytes) -> Iterator[tuple[bytes | IO[bytes], int]]:
    """A file's content as a request takes it, with its size in bytes."""
    if isinstance(content, bytes):
        yield content, len(content)
    elif size := content.stat().st_size:
        with content.open("rb") as file:
            yield file, size
    else:
        yield b"", 0  # an empty file would be sent in chunks, without its length


__all__ = ["Client", "Refused", "sized"]
