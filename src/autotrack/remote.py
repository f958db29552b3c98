"""One HTTP client for backends: requests enter, answers leave, or one of the forwarder's two errors.

`BackendUnavailable` stands for whatever may pass (no connection, 408, 425, 429, 5xx, credentials to be mended),
`Refused`, a `BackendRejected`, for what the server will never take. Nothing here sleeps or retries: the forwarder does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import IO, Any, Final
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase

from autotrack.errors import BackendRejected, BackendUnavailable, UsageError

CONNECT_SECONDS: Final = 5.0
READ_SECONDS: Final = 30.0

_PASSING: Final = frozenset({408, 425, 429})


class Refused(BackendRejected):
    """The server answered with a client error."""

    def __init__(self, message: str, status: int, answer: Any = None) -> None:
        super().__init__(message)
        self.status = status
        self.answer = answer
        """The body, decoded where it was JSON, else as text."""


class Bearer(AuthBase):
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
    variable: str
    """The variable that names it, for messages."""
    credentials: str = ""
    """The variables that hold the credentials, in words for messages."""
    auth: AuthBase | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    verify: bool | str = True
    certificate: str | tuple[str, str] | None = None
    """The client's own, with its key in the same file or in a second one."""

    @property
    def shown(self) -> str:
        """The URL without a login that it may carry, and without its query."""
        parts = urlsplit(self.url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


class Remote:
    """Calls one server; keeps its connections open between calls."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._session = requests.Session()

    def send(
        self,
        method: str,
        path: str = "",
        *,
        body: Any = None,
        data: bytes | IO[bytes] | None = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        seconds: float = READ_SECONDS,
    ) -> requests.Response:
        """Send one request to `path` below the address: `body` as JSON, or `data` as it is. Returns a 2xx answer.

        Raises `BackendUnavailable`, `Refused`, and `UsageError` for what is no address.
        """
        content = {} if body is None else {"Content-Type": "application/json"}
        try:
            # `verify` with each call: given to the session, an environment variable of requests would override it.
            response = self._session.request(
                method,
                self.address.url + path,
                params=params,
                data=data if body is None else json.dumps(body, allow_nan=False).encode(),
                headers={**self.address.headers, **content, **(headers or {})},
                auth=self.address.auth,
                verify=self.address.verify,
                cert=self.address.certificate,
                timeout=(CONNECT_SECONDS, seconds),
                allow_redirects=False,  # a redirected POST would arrive as a GET
            )
        except (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema) as error:
            raise UsageError(f"{self.address.variable}={self.address.shown!r} is not an address: {error}") from None
        except (requests.exceptions.RequestException, OSError) as error:
            raise BackendUnavailable(
                f"no answer from {self.address.shown}: {str(error)[:300] or type(error).__name__}"
            ) from error
        self._check(response)
        return response

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _check(self, response: requests.Response) -> None:
        status, shown, address = response.status_code, self.address.shown, self.address
        if status in (401, 403):
            way_out = f": check {address.credentials}" if address.credentials else ""
            raise BackendUnavailable(f"{shown} answered {status}{way_out}", retry_after(response))
        if status >= 500 and status != 501 or status in _PASSING:
            raise BackendUnavailable(f"{shown} answered {status}: {_text(response)}", retry_after(response))
        if 300 <= status < 400:
            target = response.headers.get("Location", "another place")
            raise BackendUnavailable(f"{shown} redirects to {target}; set {address.variable} to the final address")
        if status >= 400:
            raise Refused(f"{shown} answered {status}: {_text(response)}", status, _decoded(response))


def retry_after(response: requests.Response) -> float | None:
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


def _decoded(response: requests.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return response.text


def _text(response: requests.Response) -> str:
    return response.text.strip()[:300]


__all__ = ["Address", "Bearer", "Refused", "Remote", "retry_after"]
