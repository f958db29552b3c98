"""A ClearML server, spoken to by its REST API (2.13, `apiserver` 1.0 and later): ClearML itself is not needed.

A run is a task that carries the label `autotrack:<run id>`, by which it is found again. What is known of it is written
whole whenever it changes; points are known to the server by task, series and iteration. So what comes again changes
nothing. Requests are those of `clearml.backend_api.services` in ClearML's own client (2.1).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final, cast

from requests.auth import HTTPBasicAuth

from autotrack.backend import BackendRejected, BackendUnavailable
from autotrack.errors import UsageError
from autotrack.gathering import Parts
from autotrack.multipart import Multipart
from autotrack.remote import Address, Bearer, Refused, Remote
from autotrack_clearml.names import safe
from autotrack_clearml.story import Story, known, task_fields

API: Final = "/v2.13/"
HOST, KEYS = "CLEARML_API_HOST", "CLEARML_API_ACCESS_KEY and CLEARML_API_SECRET_KEY"
EVENTS_PER_REQUEST: Final = 1000
SLOWEST_UPLOAD: Final = 5_000_000
"""Bytes a second."""


def is_online(environ: Mapping[str, str]) -> bool:
    """Whether the variables name a server, and do not ask for offline sessions."""
    offline = environ.get("CLEARML_OFFLINE_MODE", "").strip().lower() in ("1", "true", "yes", "on")
    return bool(environ.get(HOST, "").strip()) and not offline


class Online:
    """One server. Raises `UsageError` for variables that cannot be used, `BackendUnavailable`, `BackendRejected`."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        url = environ[HOST].strip().rstrip("/")
        if not url.startswith(("http://", "https://")):
            raise UsageError(f"{HOST}={url!r} is not a server's http or https address")
        access, secret = environ.get("CLEARML_API_ACCESS_KEY", ""), environ.get("CLEARML_API_SECRET_KEY", "")
        if not access or not secret:
            raise UsageError(f"{HOST} is set, and {KEYS} are not: set them, or CLEARML_OFFLINE_MODE=1")
        self._files_host = environ.get("CLEARML_FILES_HOST", "").strip().rstrip("/")
        login = Remote(Address(url, HOST, KEYS, auth=HTTPBasicAuth(access, secret)))
        try:
            token = login.send("POST", "/auth.login", body={}).json()["data"]["token"]
        except (Refused, ValueError, KeyError, TypeError) as problem:
            raise UsageError(f"{url} is no ClearML API server; check {HOST} ({problem})") from None
        finally:
            login.close()
        self._api = Remote(Address(url, HOST, KEYS, auth=Bearer(token)))
        self._files = Remote(Address(self._files_host, "CLEARML_FILES_HOST", KEYS, auth=Bearer(token)))
        self._projects: dict[str, str] = {}

    @property
    def shown(self) -> str:
        """The address."""
        return self._api.address.shown

    @property
    def takes_files(self) -> bool:
        """Whether files have somewhere to go."""
        return bool(self._files_host)

    def close(self) -> None:
        """Let go of the connections."""
        self._api.close()
        self._files.close()

    def send(self, parts: Parts, run: str, points: Sequence[Mapping[str, Any]], *, changed: bool) -> None:
        """Bring a run's task up to what its journals have told; `points` are new events without their task."""
        with parts.turn(run):
            story = known(parts, run)
            task = self._task(run, story)
            for start in range(0, len(points), EVENTS_PER_REQUEST):
                self._add([{**point, "task": task} for point in points[start : start + EVENTS_PER_REQUEST]])
            if changed:
                self._edit(parts, run, task, story)

    def _task(self, run: str, story: Story) -> str:
        label = f"autotrack:{run}"
        found = self._call("tasks.get_all", tags=[label], only_fields=["id"], order_by=["created"])["tasks"]
        if found:
            return str(found[0]["id"])
        body = {"name": story.name, "type": "training", "tags": [label], "project": self._project(story.project)}
        return str(self._call("tasks.create", **body)["id"])

    def _project(self, name: str) -> str:
        if name not in self._projects:
            found = self._call("projects.get_all", name=f"^{re.escape(name)}$", only_fields=["id", "name"])["projects"]
            ids = [one["id"] for one in found if one.get("name") == name]
            self._projects[name] = ids[0] if ids else self._call("projects.create", name=name, description="")["id"]
        return self._projects[name]

    def _edit(self, parts: Parts, run: str, task: str, story: Story) -> None:
        uris = {}
        for which, file in story.files.items() if self.takes_files else ():
            base = file["name"].replace("\\", "/").rpartition("/")[2] or "file"
            path = f"autotrack/{task}/{file['digest'][:16]}/{safe(base)[-100:]}"
            self._upload(path, parts.root / run / "files" / file["digest"], file["bytes"])
            uris[which] = f"{self._files_host}/{path}"
        fields = task_fields(run, story, uris)
        fields["tags"] = [f"autotrack:{run}", *fields["tags"]]
        if story.started is not None:
            fields["project"] = self._project(fields.pop("project_name"))
        fields.pop("project_name", None)
        self._call("tasks.edit", task=task, force=True, **fields)
        action = {"running": "started", "finished": "completed", "failed": "failed"}.get(story.status, "stopped")
        self._call(f"tasks.{action}", task=task, force=True, status_message=story.status, status_reason="autotrack")

    def _upload(self, path: str, source: Path, size: int) -> None:
        with source.open("rb") as opened:
            form = Multipart(path, "file", opened, size)  # the server of files takes the field's name for the path
            kind, seconds = {"Content-Type": form.content_type}, 30.0 + size / SLOWEST_UPLOAD
            self._files.send("POST", "/", data=cast(IO[bytes], form), headers=kind, seconds=seconds)

    def _add(self, events: Sequence[Mapping[str, Any]]) -> None:
        lines = "\n".join(json.dumps(event) for event in events).encode()
        kind = {"Content-Type": "application/json-lines"}
        answer = self._answer(self._api.send("POST", f"{API}events.add_batch", data=lines, headers=kind))
        if answer.get("errors"):
            raise BackendRejected(f"{self.shown} refused points: {answer.get('errors_info')}")

    def _call(self, name: str, /, **values: Any) -> dict[str, Any]:
        return self._answer(self._api.send("POST", API + name, body=values))

    def _answer(self, response: Any) -> dict[str, Any]:
        try:
            data: dict[str, Any] = response.json()["data"]
        except (ValueError, KeyError, TypeError):
            raise BackendUnavailable(f"{self.shown} did not answer as a ClearML server does") from None
        return data or {}
