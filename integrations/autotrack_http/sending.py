"""Requests: lines and files enter, signed requests leave. What a server's refusal means for the data is decided here.

A signature is `Autotrack-Signature: t=SECONDS,v1=HEX`, where HEX is the HMAC-SHA256 (RFC 2104) of the seconds, a dot
and the body as it is sent.
"""

from __future__ import annotations

import gzip
import hashlib
import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from autotrack.errors import BackendUnavailable, UsageError
from autotrack.remote import READ_SECONDS, Address, Bearer, Refused, Remote
from autotrack_http.lines import SCHEMA

URL, SECRET, TOKEN = "AUTOTRACK_HTTP_URL", "AUTOTRACK_HTTP_SECRET", "AUTOTRACK_HTTP_TOKEN"
HEADERS, COMPRESSION = "AUTOTRACK_HTTP_HEADERS", "AUTOTRACK_HTTP_COMPRESSION"
MAX_BYTES, BLOBS_URL = "AUTOTRACK_HTTP_MAX_BYTES", "AUTOTRACK_HTTP_BLOBS_URL"

DEFAULT_BYTES: Final = 1 << 20
UPLOADED_A_SECOND: Final = 5_000_000
"""Bytes for which an upload may take a second longer."""

_MISCONFIGURED: Final = {
    404: f"nothing is at that address: check {URL}",
    405: f"it takes no POST: check {URL}",
    409: "it is still busy with the same request",
    410: f"nothing is at that address any more: check {URL}",
    415: f"it does not take this encoding: set {COMPRESSION}=none",
}
"""Answers that speak of the request as such: what it carries is not at fault, and is kept."""


@dataclass(frozen=True)
class Settings:
    """What the variables say."""

    address: Address
    secret: bytes
    compressed: bool
    max_bytes: int
    blobs: Address | None


def settings_from(environ: Mapping[str, str]) -> Settings:
    """Read the variables. Raises `UsageError` where they cannot be used."""
    url = environ.get(URL, "").strip()
    if not url.startswith(("http://", "https://")):
        raise UsageError(
            f"the backend http needs {URL}: the address that runs are posted to, such as https://host/runs"
        )
    compression = environ.get(COMPRESSION, "").strip().lower() or "gzip"
    if compression not in ("gzip", "none"):
        raise UsageError(f"{COMPRESSION}={compression!r} cannot be used: use gzip or none")
    size = environ.get(MAX_BYTES, "").strip() or str(DEFAULT_BYTES)
    if not size.isdigit() or int(size) < 1:
        raise UsageError(f"{MAX_BYTES}={size!r} cannot be used: use a number of bytes, such as {DEFAULT_BYTES}")
    token, headers = environ.get(TOKEN, "").strip(), headers_from(environ.get(HEADERS, ""))

    def at(address: str, variable: str) -> Address:
        credentials = f"{TOKEN}, {HEADERS} and {SECRET}"
        return Address(address, variable, credentials, Bearer(token) if token else None, headers)

    blobs = environ.get(BLOBS_URL, "").strip().rstrip("/")
    return Settings(
        at(url, URL),
        environ.get(SECRET, "").encode(),
        compression == "gzip",
        int(size),
        at(blobs, BLOBS_URL) if blobs else None,
    )


def headers_from(text: str) -> dict[str, str]:
    """`NAME=VALUE,NAME=VALUE`, values percent-encoded, as OpenTelemetry's variables have them."""
    headers = {}
    for part in text.split(","):
        name, given, value = part.partition("=")
        if not part.strip():
            continue
        if not given or not name.strip():
            raise UsageError(f"{HEADERS} cannot be used: write NAME=VALUE,NAME=VALUE with values percent-encoded")
        headers[name.strip()] = unquote(value.strip())
    return headers


class Sender:
    """Sends to one server."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._remote = Remote(settings.address)
        self._blobs = Remote(settings.blobs) if settings.blobs else None

    @property
    def uploads(self) -> bool:
        """Whether there is an address for files."""
        return self._blobs is not None

    def post(self, lines: bytes) -> None:
        """Send lines; without any it is a question whether they would be taken.

        Raises `BackendUnavailable`, and `Refused` where the lines are at fault.
        """
        # Of the lines alone, so that the same ones have the same key, whatever the compression makes of them.
        headers = {
            "Content-Type": "application/x-ndjson",
            "Autotrack-Schema": str(SCHEMA),
            "Idempotency-Key": hashlib.sha256(lines).hexdigest(),
        }
        body = lines
        if self._settings.compressed:
            body = gzip.compress(lines, 6, mtime=0)
            headers["Content-Encoding"] = "gzip"
        signature = self._signing()
        signature.update(body)
        try:
            self._remote.send("POST", data=body, headers={**headers, **signature.header()})
        except Refused as refusal:
            if refusal.status in _MISCONFIGURED:
                why = _MISCONFIGURED[refusal.status]
                raise BackendUnavailable(
                    f"{self._settings.address.shown} answered {refusal.status}: {why}"
                ) from refusal
            raise

    def upload(self, digest: str, path: Path, size: int) -> None:
        """Put a file where it is not yet. Raises `BackendUnavailable`, `Refused`."""
        assert self._blobs is not None
        if self._is_there(digest):
            return
        signature = self._signing()
        with path.open("rb") as file:
            while self._settings.secret and (chunk := file.read(1 << 20)):
                signature.update(chunk)
            file.seek(0)
            headers = {"Content-Type": "application/octet-stream", **signature.header()}
            seconds = READ_SECONDS + size / UPLOADED_A_SECOND
            # An empty file would be sent chunked, which not every server takes.
            self._blobs.send("PUT", f"/{digest}", data=file if size else b"", headers=headers, seconds=seconds)

    def close(self) -> None:
        """Close the connections."""
        self._remote.close()
        if self._blobs is not None:
            self._blobs.close()

    def _is_there(self, digest: str) -> bool:
        assert self._blobs is not None
        try:
            self._blobs.send("HEAD", f"/{digest}", headers=self._signing().header())
        except Refused:  # 404; or it does not answer such questions, and gets the file once more
            return False
        return True

    def _signing(self) -> _Signature:
        return _Signature(self._settings.secret)


class _Signature:
    """Of one request; nothing where there is no secret."""

    def __init__(self, secret: bytes) -> None:
        self._time = str(int(time.time()))
        self._sum = hmac.new(secret, f"{self._time}.".encode(), hashlib.sha256) if secret else None

    def update(self, data: bytes) -> None:
        if self._sum is not None:
            self._sum.update(data)

    def header(self) -> dict[str, str]:
        return {"Autotrack-Signature": f"t={self._time},v1={self._sum.hexdigest()}"} if self._sum is not None else {}


__all__ = ["Sender", "Settings", "headers_from", "settings_from"]
