"""A proxy in front of a product's server that fails on demand."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import socket
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import Any
from urllib.parse import urlsplit

RETRY_AFTER = 7
SLOW_SECONDS = 0.15
PASSED_ON_SECONDS = 60
HOP_BY_HOP = frozenset({"connection", "content-length", "date", "host", "keep-alive", "server", "transfer-encoding"})


class Proxy:
    """Passes requests on to `target`, except those that `fault` makes fail.

    `fault(request)`, where `request` is equal for equal requests, answers with one of these words:

    * `""`: pass it on; `"slow"`: pass it on, after `SLOW_SECONDS`
    * `"429"` with `Retry-After`, `"500"`, `"503"`, `"401"`, `"404"`: answer so, without passing it on
    * `"down"`: close the connection, without passing it on; `"lost"`: pass it on, then close without the answer
    * `"hang"`: pass nothing on and give no answer until `release` is called
    """

    def __init__(self, target: str) -> None:
        self.target = urlsplit(target)
        self.fault: Callable[[str], str] = lambda request: ""
        self.calls: list[str] = []
        self.released = Event()
        self._lock = Lock()
        self._seen: set[str] = set()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                with contextlib.suppress(ConnectionError):
                    proxy._handle(self)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = handle_any

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def leading_to(self, url: str) -> str:
        """`url`, which leads to the target, through this proxy."""
        ours, there = urlsplit(self.url), urlsplit(url)
        assert there.port == self.target.port, f"{url} does not lead to {self.target.geturl()}"
        login, at, _ = there.netloc.rpartition("@")
        return there._replace(scheme=ours.scheme, netloc=login + at + ours.netloc).geturl()

    def each_fails_once(self, fault: str) -> None:
        """Have each request fail when it comes for the first time."""

        def once(request: str) -> str:
            with self._lock:
                new = request not in self._seen
                self._seen.add(request)
            return fault if new else ""

        self.fault = once

    def all_fail(self, fault: str) -> None:
        """Have every request fail, until told otherwise."""
        self.fault = lambda request: fault

    def release(self) -> None:
        """Mend everything; what hangs is closed without an answer."""
        self.fault = lambda request: ""
        self.released.set()

    def close(self) -> None:
        """Stop listening."""
        self.release()
        self._server.shutdown()
        self._server.server_close()

    def _handle(self, request: BaseHTTPRequestHandler) -> None:
        body = _body(request)
        name = f"{request.command} {request.path} {hashlib.sha256(body).hexdigest()[:16]}"
        self.calls.append(name)
        fault = self.fault(name)
        if fault == "hang":
            self.released.wait(PASSED_ON_SECONDS)
        if fault in ("down", "hang"):
            _hang_up(request)
        elif fault.isdigit():
            request.send_response(int(fault))
            if fault == "429":
                request.send_header("Retry-After", str(RETRY_AFTER))
            request.send_header("Content-Length", "0")
            request.end_headers()
        else:
            if fault == "slow":
                self.released.wait(SLOW_SECONDS)
            self._pass_on(request, body, answer=fault != "lost")

    def _pass_on(self, request: BaseHTTPRequestHandler, body: bytes, *, answer: bool) -> None:
        there = http.client.HTTPConnection("127.0.0.1", self.target.port or 80, timeout=PASSED_ON_SECONDS)
        with contextlib.closing(there) as onward:
            headers = {key: value for key, value in request.headers.items() if key.lower() not in HOP_BY_HOP}
            onward.request(request.command, request.path, body, headers)
            answered = onward.getresponse()
            content = answered.read()
        if not answer:
            _hang_up(request)
            return
        request.send_response(answered.status)
        for key, value in answered.getheaders():
            if key.lower() not in HOP_BY_HOP:
                request.send_header(key, value)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(content)


def _body(request: BaseHTTPRequestHandler) -> bytes:
    if "chunked" not in request.headers.get("Transfer-Encoding", "").lower():
        return request.rfile.read(int(request.headers.get("Content-Length") or 0))
    parts = []
    while size := int(request.rfile.readline().split(b";")[0], 16):
        parts.append(request.rfile.read(size))
        request.rfile.readline()
    request.rfile.readline()
    return b"".join(parts)


def _hang_up(request: BaseHTTPRequestHandler) -> None:
    request.close_connection = True
    with contextlib.suppress(OSError):
        request.connection.shutdown(socket.SHUT_RDWR)
