"""A receiver of the backend `http`, as a user might write one: it verifies signatures and holds each event once."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import hmac
import json
import re
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

SECRET = "a shared secret"
TOKEN = "a token"


class Receiver:
    """Listens on loopback. What is wrong with a request is answered with 400 or 401, and kept in `refused`."""

    def __init__(self, *, most_bytes: int = 1 << 24) -> None:
        self.lines: dict[str, dict[str, Any]] = {}
        """Each event, by its key, in the order of arrival."""
        self.raw: list[bytes] = []
        """Every body of lines, decompressed."""
        self.batches: list[str] = []
        """The key of every batch, also of those that came again."""
        self.files: dict[str, bytes] = {}
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.refused: list[str] = []
        self.answer: tuple[int, dict[str, str]] | None = None
        """What every request is answered instead."""
        self.most_bytes = most_bytes
        self._lock = Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"] or 0))
                with receiver._lock, contextlib.suppress(ConnectionError):
                    status, headers = receiver.answer or receiver._take(self, body)
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            do_POST = do_PUT = do_HEAD = handle_any

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def variables(self) -> dict[str, str]:
        """What leads the backend here."""
        return {
            "AUTOTRACK_HTTP_URL": f"{self.url}/runs",
            "AUTOTRACK_HTTP_BLOBS_URL": f"{self.url}/blobs",
            "AUTOTRACK_HTTP_SECRET": SECRET,
            "AUTOTRACK_HTTP_TOKEN": TOKEN,
            "AUTOTRACK_HTTP_HEADERS": "X-Team=risk%2C%20fraud",
        }

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def _take(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, str]]:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append((request.command, request.path, headers))
        problem = _unsigned(headers, body)
        if problem:
            self.refused.append(problem)
            return 401, {}
        if len(body) > self.most_bytes:
            self.refused.append("too large")
            return 413, {}
        if request.path.startswith("/blobs/"):
            return self._file(request.command, request.path.removeprefix("/blobs/"), body), {}
        if (request.command, request.path) != ("POST", "/runs"):
            return 404, {}
        return self._lines(headers, body), {}

    def _file(self, method: str, digest: str, body: bytes) -> int:
        if method == "HEAD":
            return 200 if digest in self.files else 404
        if hashlib.sha256(body).hexdigest() != digest:
            self.refused.append("not what its name says")
            return 400
        self.files[digest] = body
        return 201

    def _lines(self, headers: dict[str, str], body: bytes) -> int:
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        if headers["autotrack-schema"] != "1" or headers["content-type"] != "application/x-ndjson":
            self.refused.append("another schema")
            return 400
        for line in body.splitlines():
            told = json.loads(line)
            held = self.lines.setdefault(told["key"], told)
            assert held == told, "one key, two events"
        self.raw.append(body)
        self.batches.append(headers["idempotency-key"])
        return 202


def _unsigned(headers: dict[str, str], body: bytes) -> str | None:
    if headers.get("authorization") != f"Bearer {TOKEN}":
        return "wrong token"
    found = re.fullmatch(r"t=(\d+),v1=([0-9a-f]{64})", headers.get("autotrack-signature", ""))
    if found is None:
        return "no signature"
    expected = hmac.new(SECRET.encode(), found[1].encode() + b"." + body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, found[2]):
        return "wrong signature"
    return None if abs(time.time() - int(found[1])) < 300 else "old signature"
