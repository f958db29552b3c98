"""A receiver of webhooks, as a user might write one after the specification Standard Webhooks."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()


class Receiver:
    """Listens on loopback, checks each signature, and holds each message once."""

    def __init__(self, path: str = "/hook/a-token-of-mine") -> None:
        self.messages: dict[str, dict[str, Any]] = {}
        """By `webhook-id`, in the order of their first arrival."""
        self.headers: list[dict[str, str]] = []
        self.count = 0
        """Genuine messages, also those that came again."""
        self.forged: list[str] = []
        self.answers: Callable[[int], int] = lambda number: 204
        """The status of the answer to the request of this number; other than 2xx it is not taken."""
        self.keys = [KEY]
        self._lock = Lock()
        self._requests = 0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"] or 0))
                with receiver._lock:
                    receiver._requests += 1
                    status = receiver.answers(receiver._requests)
                    if 200 <= status < 300:
                        status = receiver._take(dict(self.headers.items()), body)
                answer = f"{status} at {self.path}".encode() if status not in (204, 304) else b""
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.host = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.url = self.host + path
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def _take(self, headers: dict[str, str], body: bytes) -> int:
        self.headers.append(headers)
        id, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
        signed = f"{id}.{timestamp}.".encode() + body
        sums = {base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in self.keys}
        given = {one.removeprefix("v1,") for one in headers["webhook-signature"].split() if one.startswith("v1,")}
        if not sums & given or abs(time.time() - int(timestamp)) > 300:
            self.forged.append(id)
            return 401
        told = json.loads(body)
        assert self.messages.setdefault(id, told) == told, "one id, two messages"
        self.count += 1
        return 204
