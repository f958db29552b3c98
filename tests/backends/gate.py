"""A gate in front of a real server: it looks at each request as the hosted product would, then passes it on."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Request:
    """What came."""

    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What the gate itself answers, without asking the server."""

    status: int
    content: Any = ""
    """Bytes as they are; anything else as JSON."""


class Gate:
    """Passes requests on to `target`, but those that `look` answers itself; `change` may alter the server's answers.

    `requests` are all that came, in their order. A context manager.
    """

    def __init__(
        self,
        target: str,
        look: Callable[[Request], Answer | None],
        change: Callable[[Request, bytes], bytes] = lambda request, content: content,
        tls: Any = None,
    ) -> None:
        there = urlsplit(target)
        self.requests: list[Request] = []
        gate = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                with contextlib.suppress(ConnectionError):
                    gate._handle(self, there.port or 80, look, change)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = handle_any

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{self.port}"
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Gate:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _handle(
        self,
        handler: BaseHTTPRequestHandler,
        port: int,
        look: Callable[[Request], Answer | None],
        change: Callable[[Request, bytes], bytes],
    ) -> None:
        # Nothing that autotrack sends is chunked: files are sent with their length.
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        headers = {key.lower(): value for key, value in handler.headers.items()}
        request = Request(handler.command, handler.path, headers, body)
        self.requests.append(request)
        answer = look(request)
        if answer is not None:
            content = answer.content if isinstance(answer.content, bytes) else json.dumps(answer.content).encode()
            _answer(handler, answer.status, "application/json", content)
            return
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as onward:
            passed = {key: value for key, value in headers.items() if key not in ("host", "connection")}
            onward.request(handler.command, handler.path, body, passed)
            answered = onward.getresponse()
            content = change(request, answered.read())
        _answer(handler, answered.status, answered.getheader("Content-Type", "application/json"), content)


def _answer(handler: BaseHTTPRequestHandler, status: int, kind: str, content: bytes) -> None:
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(content)
