"""One HTTP client for every server that speaks MLflow's REST API.

What enters is an API path with its body; what leaves is the decoded answer, or one of the forwarder's two errors:
`BackendUnavailable` for whatever may pass (connection, 429, 5xx, credentials to be mended), `Refused`, a
`BackendRejected`, for what the server will never take. Nothing here sleeps or retries: the forwarder does.

A product that differs in how requests are signed brings its own `requests.auth.AuthBase`, which sees each prepared
request: that is the whole seam.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, urlsplit

import requests
from requests.auth import AuthBase, HTTPBasicAuth

from autotrack.backend import BackendRejected, BackendUnavailable
from autotrack.errors import UsageError

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
SLOWEST_UPLOAD = 5_000_000
"""Bytes a second: a server that passes a large file on to its object store answers only when that is done."""

_PASSING = frozenset({408, 425, 429})


class Refused(BackendRejected):
    """The server answered with a client error; `code` is MLflow's own `error_code`, if it gave one."""

    def __init__(self, message: str, status: int, code: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code

    @property
    def is_missing(self) -> bool:
        """Whether the thing asked for does not exist, on a server that knows the question."""
        return self.code == "RESOURCE_DOES_NOT_EXIST"

    @property
    def is_unknown_api(self) -> bool:
        """Whether the server does not know the question at all: an older MLflow, or another product."""
        return self.status in (404, 405, 501) and not self.is_missing


class BearerAuth(AuthBase):
    """A token in the `Authorization` header."""

    def __init__(self, token: str) -> None:
        self.token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Sign a request."""
        request.headers["Authorization"] = f"Bearer {self.token}"
        return request


@dataclass(frozen=True)
class Address:
    """Where a server is and how it is reached."""

    url: str
    auth: AuthBase | None = None
    verify: bool | str = True
    certificate: str | None = None

    @property
    def shown(self) -> str:
        """The URL without a login that it may carry, for messages."""
        parts = urlsplit(self.url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def address_from(environ: Mapping[str, str]) -> Address:
    """The address that MLflow's standard variables name. Raises `UsageError` naming the variable at fault."""
    uri = environ.get("MLFLOW_TRACKING_URI", "").strip().rstrip("/")
    if not uri:
        raise UsageError(
            "MLFLOW_TRACKING_URI is not set; set it to the server's address, such as http://localhost:5000"
        )
    if urlsplit(uri).scheme not in ("http", "https"):
        raise UsageError(
            f"MLFLOW_TRACKING_URI={uri!r} is not a server's http or https address; for a database or a folder, "
            "start `mlflow server` on it and name that server's address"
        )
    user, password = environ.get("MLFLOW_TRACKING_USERNAME"), environ.get("MLFLOW_TRACKING_PASSWORD")
    token = environ.get("MLFLOW_TRACKING_TOKEN")
    auth: AuthBase | None = None
    if user and password:  # before the token, as in MLflow
        # As bytes: requests encodes text as latin-1, MLflow's client as UTF-8.
        auth = HTTPBasicAuth(user.encode(), password.encode())
    elif token:
        auth = BearerAuth(token)
    verify: bool | str = environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or True
    if environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").strip().lower() in ("1", "true"):
        verify = False
    return Address(uri, auth, verify, environ.get("MLFLOW_TRACKING_CLIENT_CERT_PATH") or None)


class Client:
    """Calls one server; keeps its connections open between calls."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._session = requests.Session()

    def get(self, path: str, /, **query: str) -> dict[str, Any]:
        """Ask `path` below `/api/2.0/mlflow/`."""
        return self._send("GET", "/api/2.0/mlflow/" + path, params=query)

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Send `body` as JSON to `path` below `/api/2.0/mlflow/`."""
        return self._send_json("POST", path, body)

    def patch(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Change what `path` below `/api/2.0/mlflow/` names."""
        return self._send_json("PATCH", path, body)

    def upload(self, path: str, content: Path | bytes) -> None:
        """Store a file under `path` of the server's artifact proxy, in place of what was there."""
        where = "/api/2.0/mlflow-artifacts/artifacts/" + quote(path)
        if isinstance(content, bytes):
            self._send("PUT", where, data=content, empty=True)
            return
        seconds = READ_SECONDS + content.stat().st_size / SLOWEST_UPLOAD
        with content.open("rb") as file:
            self._send("PUT", where, data=file, seconds=seconds, empty=True)

    def download(self, path: str) -> bytes | None:
        """The file under `path` of the server's artifact proxy; None where there is none."""
        try:
            response = self._request("GET", "/api/2.0/mlflow-artifacts/artifacts/" + quote(path), seconds=READ_SECONDS)
            self._answer(response, empty=True)
        except Refused as refusal:
            if refusal.status == 404:
                return None
            raise
        return response.content

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _send_json(self, method: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        data = json.dumps(body, allow_nan=False).encode()
        return self._send(method, "/api/2.0/mlflow/" + path, data=data)

    def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        data: bytes | IO[bytes] | None = None,
        seconds: float = READ_SECONDS,
        empty: bool = False,
    ) -> dict[str, Any]:
        return self._answer(self._request(method, path, params=params, data=data, seconds=seconds, empty=empty), empty)

    def _request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        data: bytes | IO[bytes] | None = None,
        seconds: float,
        empty: bool = False,
    ) -> requests.Response:
        headers = {"Content-Type": "application/octet-stream" if empty else "application/json"}
        try:
            # `verify` with each call: given to the session, an environment variable of requests would override it.
            return self._session.request(
                method,
                self.address.url + path,
                params=params,
                data=data,
                headers=headers,
                auth=self.address.auth,
                verify=self.address.verify,
                cert=self.address.certificate,
                timeout=(CONNECT_SECONDS, seconds),
                allow_redirects=False,  # a redirected POST would arrive as a GET
            )
        except (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema) as error:
            raise UsageError(f"MLFLOW_TRACKING_URI={self.address.shown!r} is not an address: {error}") from None
        except (requests.exceptions.RequestException, OSError) as error:
            raise BackendUnavailable(f"no answer from {self.address.shown}: {_reason(error)}") from error

    def _answer(self, response: requests.Response, empty: bool) -> dict[str, Any]:
        status, shown = response.status_code, self.address.shown
        if status in (401, 403):
            raise BackendUnavailable(
                f"{shown} answered {status}: check MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and "
                "MLFLOW_TRACKING_PASSWORD",
                _retry_after(response),
            )
        if status >= 500 and status != 501 or status in _PASSING:
            raise BackendUnavailable(f"{shown} answered {status}: {_message(response)[1]}", _retry_after(response))
        if 300 <= status < 400:
            target = response.headers.get("Location", "another place")
            raise BackendUnavailable(f"{shown} redirects to {target}; set MLFLOW_TRACKING_URI to the final address")
        if status >= 400:
            code, message = _message(response)
            raise Refused(f"{status} {code}: {message}".replace(" :", ":"), status, code)
        if empty:
            return {}
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise BackendUnavailable(
                f"{shown} answered with something else than MLflow's API; check MLFLOW_TRACKING_URI"
            )
        return answer


def _message(response: requests.Response) -> tuple[str, str]:
    try:
        answer = response.json()
    except ValueError:
        answer = None
    if isinstance(answer, dict):
        return str(answer.get("error_code", "")), str(answer.get("message", ""))[:500]
    return "", response.text.strip()[:200]


def _reason(error: Exception) -> str:
    if isinstance(error, requests.exceptions.SSLError):
        return f"{error} (MLFLOW_TRACKING_SERVER_CERT_PATH names a certificate to trust)"
    return str(error)[:300] or type(error).__name__


def _retry_after(response: requests.Response) -> float | None:
    """Seconds from `Retry-After`, which is a number or a date (RFC 9110, 10.2.3)."""
    text = response.headers.get("Retry-After", "").strip()
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    return max(0.0, (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


__all__ = ["Address", "BearerAuth", "Client", "Refused", "address_from"]
