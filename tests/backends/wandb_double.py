"""A stand-in for W&B's server, for W&B's own client: it keeps each run's files line by line, as that server does.

Only what `wandb sync` asks is answered. The requests are the SDK's, so they need no checking; what is proven with it is
what arrives, and that what is sent again replaces what was there: a chunk names the line that it begins at.
"""

from __future__ import annotations

import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any


class Refusal(Exception):
    """A request that is answered with another status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Server(ThreadingHTTPServer):
    """Says nothing of clients that close a connection."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


class Double:
    """The server, on a free port of loopback. A context manager."""

    def __init__(self) -> None:
        self.runs: dict[str, dict[str, Any]] = {}
        self.operations: list[str] = []
        self.status = 200
        """Answered to each request."""
        self.lock = Lock()

    def __enter__(self) -> Double:
        double = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status = double.status
                try:
                    with double.lock:
                        answer = double.answer(self.path, body)
                except Refusal as refusal:
                    status, answer = refusal.status, {"data": None, "errors": [{"message": str(refusal)}]}
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_PUT = do_POST

            def do_HEAD(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str, body: bytes) -> Any:
        """What is answered to one request."""
        if self.status != 200:
            return {"error": "no"}
        if path.startswith("/storage/"):
            _, _, run, name = path.split("/", 3)
            self.run(run)["files"][name] = body
            return {}
        found = re.fullmatch(r"/files/[^/]+/[^/]+/([^/]+)/file_stream", path)
        if found:
            return self._stream(self.run(found.group(1)), json.loads(body))
        if path != "/graphql":  # such as the SDK's reports about itself
            return {}
        request = json.loads(body)
        named = re.search(r"(?:query|mutation)\s+(\w+)", request.get("query", ""))
        name = request.get("operationName") or (named[1] if named else "")
        self.operations.append(name)
        return {"data": self._query(name, request.get("query", ""), request.get("variables") or {})}

    def run(self, name: str) -> dict[str, Any]:
        """A run that is known, or is from now on."""
        new = {"lines": {}, "files": {}, "exit": None, "config": {}, "chunks": 0}
        return self.runs.setdefault(name, new)

    def _stream(self, run: dict[str, Any], sent: dict[str, Any]) -> Any:
        files = sent.get("files") or {}
        for name, chunk in files.items():
            lines = run["lines"].setdefault(name, {})
            for number, line in enumerate(chunk["content"], chunk["offset"]):
                lines[number] = line
            run["chunks"] += 1
        if sent.get("complete"):
            run["exit"] = sent.get("exitcode")
        return {"limits": {}}

    def _query(self, name: str, query: str, variables: dict[str, Any]) -> Any:
        if name == "UpsertBucket":
            run = self.run(variables["name"])
            run |= {key: variables[key] for key in ("displayName", "groupName", "tags") if variables.get(key)}
            run["config"] = json.loads(variables.get("config") or "{}")
            bucket = {
                "id": variables["name"],
                "name": variables["name"],
                "displayName": variables.get("displayName") or "",
                "description": None,
                "config": "{}",
                "sweepName": None,
                "historyLineCount": 0,
                "project": {
                    "id": "p",
                    "name": variables.get("project") or "p",
                    "entity": {"id": "e", "name": variables.get("entity") or "e"},
                },
            }
            return {"upsertBucket": {"bucket": bucket, "inserted": True}}
        if name == "CreateRunFiles":
            run, files = variables["run"], variables["files"]
            urls = [{"name": one, "uploadUrl": f"{self.url}/storage/{run}/{one}"} for one in files]
            return {"createRunFiles": {"runID": run, "uploadHeaders": [], "files": urls}}
        if name == "RunResumeStatus":
            place = {"id": "p", "name": "p", "entity": {"id": "e", "name": "e"}}
            return {"model": place | {"bucket": self._bucket(variables)}}
        return {}

    def _bucket(self, variables: dict[str, Any]) -> Any:
        run = self.runs.get(variables["name"])
        if run is None:
            return None
        lines = {name: list(found.values()) for name, found in run["lines"].items()}
        history, summary = lines.get("wandb-history.jsonl", []), lines.get("wandb-summary.json", [])
        return {
            "id": variables["name"],
            "name": variables["name"],
            "summaryMetrics": summary[-1] if summary else "{}",
            "displayName": run.get("displayName"),
            "logLineCount": len(lines.get("output.log", [])),
            "historyLineCount": len(history),
            "eventsLineCount": len(lines.get("wandb-events.jsonl", [])),
            "historyTail": json.dumps(history[-1:]),
            "eventsTail": "[]",
            "config": json.dumps(run["config"]),
            "tags": run.get("tags") or [],
            "wandbConfig": json.dumps({"t": 1}),
            "notes": None,
        }
