"""Run by the interpreter that has ClearML: reads offline sessions with its own classes, or has it import one.

`python clearml_program.py read FOLDER` answers each line of standard input with all sessions in the folder, as JSON.
`python clearml_program.py import ZIP` runs `Task.import_offline_session` against a double of a server on loopback, and
answers with what that was told. The double takes no request that is not as ClearML's own schemas want it.
`python clearml_program.py serve` runs that double: it answers with its address, then each line of standard input with
what it holds.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from clearml.backend_api.services.v2_23 import events, tasks
from clearml.utilities.proxy_object import cast_basic_type


def read(folder: Path) -> list[dict[str, Any]]:
    """Every session: its task as ClearML's classes give it, its events, each as its schema wants it."""
    return [session(path) for path in sorted(folder.glob("*.zip"))]


def session(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as archive:
        stored = json.loads(archive.read("task.json"))
        check_edit(stored)
        task = tasks.Task(**{key: stored[key] for key in tasks.Task._get_data_props() if key in stored})
        sections = task.hyperparams
        place = stored["offline_folder"] + "/data/"
        for artifact in task.execution.artifacts:
            assert artifact.uri.startswith(place)
        points = list(lines(archive, "metrics.jsonl"))
        for number, point in enumerate(points):
            if number < 5 or number % 97 == 0:
                check_event(point)
        return {
            "id": task.id,
            "name": task.name,
            "project": stored["project_name"],
            "tags": task.tags,
            "comment": task.comment,
            "params": {
                section: {name: cast_basic_type(param.value, param.type) for name, param in sections[section].items()}
                for section in sections
            },
            "points": [[one["metric"], one["variant"], one["iter"], one["value"], one["timestamp"]] for one in points],
            "log": [[one["level"], one["msg"]] for one in lines(archive, "log.jsonl")],
            "script": stored["script"],
            "artifacts": {
                artifact.key: [artifact.type, archive.read("data/" + artifact.uri.removeprefix(place)).hex()]
                for artifact in task.execution.artifacts
            },
        }


def lines(archive: zipfile.ZipFile, name: str) -> Iterator[dict[str, Any]]:
    for line in archive.read(name).splitlines():
        yield from json.loads(line)


def check_edit(stored: dict[str, Any]) -> None:
    """As `Task.import_task` sends it."""
    fields = {key: stored[key] for key in tasks.EditRequest._get_data_props() if key in stored}
    request = tasks.EditRequest(**{**fields, "task": "x"})
    request.validate()


def check_event(event: dict[str, Any]) -> None:
    kinds = {"training_stats_scalar": events.MetricsScalarEvent, "log": events.TaskLogEvent}
    given = {key: value for key, value in event.items() if key != "type"}
    checked = kinds[event["type"]](**given)
    checked.validate({**checked._schema, "definitions": events.AddRequest._schema["definitions"]})
    assert type(event["iter"]) is int if event["type"] != "log" else True


TOKEN = "a token"


class Double:
    """What of a ClearML server an import needs: it checks, remembers and answers."""

    def __init__(self, *, strict: bool = False) -> None:
        self.strict = strict
        """Whether fields that the schemas do not know are refused: ClearML's own client sends such."""
        self.projects: dict[str, str] = {}
        self.tasks: dict[str, dict[str, Any]] = {}
        self.events: list[dict[str, Any]] = []
        self.files: dict[str, bytes] = {}
        self.calls: list[str] = []
        self.refused: list[str] = []
        double = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if "chunked" in self.headers.get("Transfer-Encoding", ""):
                    body = b""
                    while size := int(self.rfile.readline(), 16):
                        body += self.rfile.read(size)
                        self.rfile.readline()
                    self.rfile.readline()
                status, answer = double.answer(self.command, self.path, self.headers, body)
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_HEAD = answer

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, method: str, path: str, headers: Any, body: bytes) -> tuple[int, Any]:
        where = urlsplit(path).path
        match = re.fullmatch(r"/(?:v([\d.]+)/)?(\w+)\.(\w+)", where)
        if match is None:
            if method in ("POST", "PUT") and body:
                assert where == "/", "files go to one address, under the names of their fields (`fileserver.py`)"
                self.files.update(uploaded(headers, body))
            return 200, {}
        version, service, action = match.groups()
        self.calls.append(f"{service}.{action}")
        asked = headers.get("Authorization", "")
        if self.strict and asked != ("Basic a2V5OnNlY3JldA==" if service == "auth" else f"Bearer {TOKEN}"):
            return 401, self._said(service, action, {}, 401, "Unauthorized")
        if self.strict and service == "auth":
            return 200, self._said(service, action, {"token": TOKEN})
        if (service, action) == ("auth", "login"):
            import jwt

            claims = {"exp": time.time() + 10_000, "env": "test", "api_version": "2.30", "server_version": "1.15"}
            return 200, self._said(service, action, {"token": jwt.encode(claims, "k" * 32, algorithm="HS256")})
        if headers.get("Content-Type", "").startswith("application/json-lines"):
            sent = [json.loads(line) for line in body.splitlines() if line]
        else:
            sent = [json.loads(body or b"{}")]
        try:
            for one in sent:
                check(service, action, one, version if self.strict else None)
        except Exception as problem:
            self.refused.append(f"{service}.{action}: {problem}")
            return 400, self._said(service, action, {}, 400, f"{service}.{action}: {problem}")
        handler = getattr(self, f"{service}_{action}", None)
        return 200, self._said(service, action, handler(sent) if handler else {})

    def events_add_batch(self, sent: list[dict[str, Any]]) -> dict[str, Any]:
        self.events += sent
        return {"added": len(sent), "errors": 0, "errors_info": {}}

    def projects_create(self, sent: list[dict[str, Any]]) -> dict[str, Any]:
        # Of the server's own rules (clearml-server: `model/project.py`, `model/task/task.py`).
        assert sent[0]["name"] not in self.projects.values() and len(sent[0]["name"].strip()) >= 3
        self.projects[f"p{len(self.projects)}"] = sent[0]["name"]
        return {"id": f"p{len(self.projects) - 1}"}

    def projects_get_all(self, sent: list[dict[str, Any]]) -> dict[str, Any]:
        wanted = re.compile(sent[0].get("name") or "")
        return {"projects": [{"id": key, "name": name} for key, name in self.projects.items() if wanted.search(name)]}

    projects_get_all_ex = projects_get_all

    def projects_get_by_id(self, sent: list[dict[str, Any]]) -> dict[str, Any]:
        return {"project": {"id": sent[0]["project"], "name": self.projects[sent[0]["project"]]}}

    def tasks_create(self, sent: list[dict[str, Any]]) -> dict[str, Any]:
        assert len(sent[0]["name"].strip()) >= 3
        task = {**sent[0], "id": f"{len(self.tasks) + 1:032x}", "status": "created"}
        self.tasks[task["id"]] = task
        return {"id": task["id"]}

    def tasks_edit(self, sent: list[dict[str, Any]]) -> dict[str, Any]:
        assert len(sent[0].get("name", "its name").strip()) >= 3
        for section in (sent[0].get("hyperparams") or {}).values():
            assert all(name == name.strip() != "" for name in section)  # `parameter_key_escaper.py`
        self.tasks[sent[0]["task"]].update({key: value for key, value in sent[0].items() if key != "task"})
        return {"updated": 1, "fields": {}}

    def tasks_get_by_id(self, sent: list[dict[str, Any]]) -> dict[str, Any]:
        return {"task": self.tasks[sent[0]["task"]]}

    def tasks_get_all(self, sent: list[dict[str, Any]]) -> dict[str, Any]:
        found = [self.tasks[one] for one in sent[0].get("id") or self.tasks]
        return {"tasks": [task for task in found if set(sent[0].get("tags") or ()) <= set(task.get("tags") or ())]}

    tasks_get_all_ex = tasks_get_all

    def tasks_started(self, sent: list[dict[str, Any]]) -> dict[str, Any]:
        self.tasks[sent[0]["task"]]["status"] = "in_progress"
        return {"updated": 1, "started": 1, "fields": {}}

    def tasks_failed(self, sent: list[dict[str, Any]]) -> dict[str, Any]:
        self.tasks[sent[0]["task"]]["status"] = "failed"
        return {"updated": 1, "fields": {}}

    def tasks_stopped(self, sent: list[dict[str, Any]]) -> dict[str, Any]:
        self.tasks[sent[0]["task"]]["status"] = "stopped"
        return {"updated": 1, "fields": {}}

    def tasks_completed(self, sent: list[dict[str, Any]]) -> dict[str, Any]:
        self.tasks[sent[0]["task"]]["status"] = "completed"
        return {"updated": 1, "fields": {}}

    def _said(self, service: str, action: str, data: Any, code: int = 200, message: str = "OK") -> dict[str, Any]:
        endpoint = {"name": f"{service}.{action}", "requested_version": "2.23", "actual_version": "2.23"}
        meta = {"id": "1", "trx": "1", "endpoint": endpoint, "result_code": code, "result_subcode": 0}
        return {"meta": {**meta, "result_msg": message, "error_stack": None, "error_data": {}}, "data": data}


def check(service: str, action: str, sent: dict[str, Any], version: str | None) -> None:
    """Raise where a request is none of ClearML's."""
    if (service, action) == ("events", "add_batch"):
        check_event(sent)
        return
    name = "".join(part.capitalize() for part in action.split("_")) + "Request"
    for one in (f"v{version.replace('.', '_')}",) if version else ("v2_23", "v2_20", "v2_13", "v2_9"):
        try:
            module = importlib.import_module(f"clearml.backend_api.services.{one}.{service}")
            kind = getattr(module, name)
        except (ImportError, AttributeError):
            continue
        kind(**sent, _allow_extra_fields_=version is None).validate()
        return
    raise LookupError(f"ClearML has no {service}.{action}")


def uploaded(headers: Any, body: bytes) -> dict[str, bytes]:
    """The files of a form."""
    head = f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode()
    form = BytesParser().parsebytes(head + body)
    parts = form.get_payload() if form.is_multipart() else []
    return {part.get_param("name", header="content-disposition"): part.get_payload(decode=True) for part in parts}


def bring(path: str) -> dict[str, Any]:
    """Have ClearML import a session; what the server was then told."""
    double = Double()
    os.environ.update(
        CLEARML_API_HOST=double.url,
        CLEARML_WEB_HOST=double.url,
        CLEARML_FILES_HOST=double.url,
        CLEARML_API_ACCESS_KEY="key",
        CLEARML_API_SECRET_KEY="secret",
    )
    os.environ.pop("CLEARML_OFFLINE_MODE", None)
    from clearml import Task

    task = Task.import_offline_session(path)
    return {
        "id": task,
        "tasks": double.tasks,
        "events": double.events,
        "files": {name: content.hex() for name, content in double.files.items()},
        "calls": double.calls,
        "refused": double.refused,
    }


def main() -> None:
    answers, sys.stdout = sys.stdout, sys.stderr
    if sys.argv[1] == "import":
        print(json.dumps(bring(sys.argv[2])), file=answers, flush=True)
        os._exit(0)
    if sys.argv[1] == "serve":
        double = Double(strict=True)
        print(json.dumps(double.url), file=answers, flush=True)
        for _ in sys.stdin:
            held = {key: getattr(double, key) for key in ("projects", "tasks", "events", "calls", "refused")}
            held["files"] = {name: content.hex() for name, content in double.files.items()}
            print(json.dumps(held), file=answers, flush=True)
        return
    for _ in sys.stdin:
        print(json.dumps(read(Path(sys.argv[2]))), file=answers, flush=True)


if __name__ == "__main__":
    main()
