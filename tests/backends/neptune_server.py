"""A server on loopback that speaks as much of Neptune 3's protocol as its client does, with that client's own messages.

It stands in for what cannot run here: every request is decoded by the classes of `neptune-api` 0.24, and what does not
decode, names another project, or comes without the token is refused as the real one would refuse it. Points are kept as
the server is documented to keep them: equal ones once, those whose step does not rise not at all.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, unquote, urlsplit


class NeptuneServer:
    """Such a server, from its making until `close`."""

    def __init__(self, project: str) -> None:
        self.project = project
        self.runs: dict[str, dict[str, Any]] = {}
        """For each run: its creation, `values`, `series` as (step, value), `files` and `tags`."""
        self.files: dict[str, bytes] = {}
        self.refuse: int | None = None
        """A status that every request with data gets instead."""
        self.denied = False
        """Whether the token is refused."""
        self.statuses: dict[str, list[int]] = {}
        self.submitted = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.neptune = self  # type: ignore[attr-defined]
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        key = {"api_address": self.address, "api_url": self.address, "api_key": "secret-key"}
        self.token = base64.b64encode(json.dumps(key).encode()).decode()
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def take(self, body: bytes) -> str:
        """Carry out one `RunOperation`; gives the id under which its outcome is asked for."""
        from neptune_api.proto.neptune_pb.ingest.v1.pub.ingest_pb2 import RunOperation

        operation = RunOperation.FromString(body)
        assert operation.project == self.project, operation.project
        self.submitted += 1
        request, codes = f"request-{self.submitted}", []
        if operation.HasField("create"):
            self.runs.setdefault(
                operation.run_id, {"created": operation.create, "values": {}, "series": {}, "files": {}, "tags": set()}
            )
        run = self.runs[operation.run_id]
        for update in operation.update_batch.snapshots if operation.HasField("update_batch") else ():
            codes += self._update(run, update)
        self.statuses[request] = codes
        return request

    def _update(self, run: dict[str, Any], update: Any) -> list[int]:
        from neptune_api.proto.neptune_pb.ingest.v1.ingest_pb2 import IngestCode

        codes = []
        for path, value in update.assign.items():
            kind = value.WhichOneof("value")
            held = getattr(value, kind)
            run["files" if kind == "file_ref" else "values"][path] = held.path if kind == "file_ref" else held
        for path, sets in update.modify_sets.items():
            assert path in ("sys/tags", "sys/group_tags")
            run["tags"] |= set(sets.string.values)
        step = update.step.whole + update.step.micro / 1e6
        for path, value in update.append.items():
            series = run["series"].setdefault(path, [])
            point = (step, getattr(value, value.WhichOneof("value")))
            if point in series:
                codes.append(IngestCode.SERIES_POINT_DUPLICATE)
            elif series and step <= series[-1][0]:
                codes.append(IngestCode.SERIES_STEP_NON_INCREASING)
            else:
                series.append(point)
        return codes


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server: NeptuneServer = self.server.neptune  # type: ignore[attr-defined]
        path = urlsplit(self.path).path
        if path == "/api/backend/v1/clients/config":
            security = {"clientId": "neptune-cli", "openIdDiscovery": f"{server.address}/discovery"}
            self._json({"apiUrl": server.address, "pyLibVersions": {}, "security": security})
        elif path == "/discovery":
            self._json({"authorization_endpoint": server.address, "token_endpoint": f"{server.address}/token"})
        elif path == "/api/backend/v1/authorization/oauth-token":
            if server.denied or self.headers.get("X-Neptune-Api-Token") != server.token:
                self._answer(401, b"{}")
                return
            self._json({"accessToken": _jwt(), "refreshToken": _jwt(), "username": "somebody"})
        else:
            self._answer(404)

    def do_POST(self) -> None:
        from neptune_api.proto.neptune_pb.ingest.v1.pub.client_pb2 import RequestIdList, SubmitResponse

        server: NeptuneServer = self.server.neptune  # type: ignore[attr-defined]
        path, body = urlsplit(self.path).path, self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not self.headers.get("Authorization", "").startswith("Bearer "):
            self._answer(401)
        elif server.refuse is not None:
            self._answer(server.refuse)
        elif path == "/api/client/v1/ingest":
            self._answer(200, SubmitResponse(request_ids=[server.take(body)]).SerializeToString())
        elif path == "/api/client/v1/ingest/check":
            asked = [one.value for one in RequestIdList.FromString(body).ids]
            self._answer(200, _status(server, asked))
        elif path == "/api/storagebridge/v1/signedUrl":
            files = json.loads(body)["files"]
            signed = [{**one, "provider": "aws", "url": f"{server.address}/blob/{quote(one['path'])}"} for one in files]
            self._json({"files": signed})
        else:
            self._answer(404)

    def do_PUT(self) -> None:
        server: NeptuneServer = self.server.neptune  # type: ignore[attr-defined]
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        server.files[unquote(urlsplit(self.path).path).removeprefix("/blob/")] = content
        self._answer(200, headers={"ETag": "1"})

    def _json(self, held: Any) -> None:
        self._answer(200, json.dumps(held).encode(), {"Content-Type": "application/json"})

    def _answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Print nothing."""


def _status(server: NeptuneServer, asked: list[str]) -> bytes:
    from neptune_api.proto.google_rpc.code_pb2 import Code
    from neptune_api.proto.neptune_pb.ingest.v1.pub.client_pb2 import BulkRequestStatus
    from neptune_api.proto.neptune_pb.ingest.v1.pub.request_status_pb2 import RequestStatus

    answer = BulkRequestStatus()
    for request in asked:
        codes = server.statuses[request]
        counts = [RequestStatus.CodeByCount(count=1, code=Code.OK)] if not codes else []
        counts += [RequestStatus.CodeByCount(count=1, code=Code.INVALID_ARGUMENT, detail=code) for code in codes]
        answer.statuses.append(RequestStatus(code_by_count=counts))
    return answer.SerializeToString()


def _jwt() -> str:
    def part(held: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(held).encode()).decode().rstrip("=")

    return f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part({'exp': time.time() + 3600})}.c2ln"
