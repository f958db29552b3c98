"""A real MLflow server for tests, and a proxy in front of it that fails on demand."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import requests

from autotrack.backend import BackendContext
from autotrack.events import Record, RunStarted
from autotrack.settings import load
from autotrack_mlflow.backend import MlflowBackend

READER = Path(__file__).with_name("mlflow_reader.py")
START_SECONDS = 120
_EMPTY: dict[str, bytes] = {}
"""The database of a server that has just started, by its program: making its tables takes longer than all else."""


def executable() -> str | None:
    """The `mlflow` program that the tests may use."""
    beside = Path(sys.executable).with_name("mlflow")
    return os.environ.get("AUTOTRACK_TEST_MLFLOW") or (str(beside) if beside.exists() else shutil.which("mlflow"))


class Server:
    """`mlflow server` on a free loopback port, with its data in one folder."""

    def __init__(self, program: str, folder: Path, *options: str) -> None:
        self.program = program
        self.folder = folder
        self.options = options
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: subprocess.Popen[str] | None = None

    @property
    def database(self) -> str:
        """Where it keeps all but files."""
        return f"sqlite:///{self.folder}/mlflow.db"

    def start(self) -> None:
        """Start it and wait until it answers."""
        tables = self.folder / "mlflow.db"
        # The first experiment is in there, with its place for files.
        usual = "--default-artifact-root" not in self.options and not tables.exists()
        if usual and self.program in _EMPTY:
            tables.write_bytes(_EMPTY[self.program])
        log = (self.folder / "server.log").open("ab")
        self._process = subprocess.Popen(
            [
                *(self.program, "server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"),
                *("--backend-store-uri", self.database),
                *("--artifacts-destination", str(self.folder / "artifacts")),
                *self.options,
            ],
            cwd=self.folder,
            stdout=log,
            stderr=log,
            start_new_session=True,
            # Its runners of jobs are four more processes that import MLflow, for features that are not used here.
            env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        )
        log.close()
        prefix = self.options[1] if self.options[:1] == ("--static-prefix",) else ""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(requests.RequestException):
                if requests.get(f"{self.url}{prefix}/health", timeout=1).ok:
                    if usual:
                        _EMPTY.setdefault(self.program, tables.read_bytes())
                    return
            if self._process.poll() is not None:
                break
            time.sleep(0.1)
        tail = (self.folder / "server.log").read_text(errors="replace")[-2000:]
        self.stop()
        raise RuntimeError(f"mlflow server did not start: {tail}")

    def stop(self) -> None:
        """End it with all its workers, and the reader."""
        self._stop_reader()
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(4)
        except subprocess.TimeoutExpired:
            pass
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(10)
        self._process = None

    def ask(self, question: str, *arguments: str) -> Any:
        """What MLflow's own client answers (see `mlflow_reader.py`)."""
        if self._reader is None:
            beside = Path(self.program).with_name("python")
            log = (self.folder / "reader.log").open("ab")
            self._reader = subprocess.Popen(
                [str(beside if beside.exists() else sys.executable), str(READER), self.url],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
            )
            log.close()
        assert self._reader.stdin is not None and self._reader.stdout is not None
        self._reader.stdin.write(json.dumps([question, *arguments]) + "\n")
        self._reader.stdin.flush()
        line = self._reader.stdout.readline()
        assert line, (self.folder / "reader.log").read_text(errors="replace")[-3000:]
        reply = json.loads(line)
        assert "problem" not in reply, reply["problem"]
        return reply["answer"]

    def _stop_reader(self) -> None:
        if self._reader is not None:
            self._reader.kill()
            self._reader.communicate()
            self._reader = None


class FaultyProxy:
    """Passes requests on, except those that `fault` makes fail.

    `fault(method, path)` returns `""` (pass on), `"429"`, `"500"`, `"401"`, `"close"` (before it is passed on),
    `"lost"` (passed on, then the answer is lost), `"hang"` (passed on, answered too late) or `"absent"` (404).
    """

    def __init__(self, target: Server) -> None:
        self.fault: Callable[[str, str], str] = lambda method, path: ""
        self.calls: list[tuple[str, str]] = []
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                proxy._handle(self, target)

            do_GET = do_POST = do_PUT = do_PATCH = handle_any

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def _handle(self, request: BaseHTTPRequestHandler, target: Server) -> None:
        # `Transfer-Encoding: chunked` is not used by the backend: files are sent with their length.
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        method, path = request.command, request.path
        fault = self.fault(method, path)
        self.calls.append((method, path))
        if fault == "close":
            request.close_connection = True
            request.connection.shutdown(socket.SHUT_RDWR)
        elif fault in ("429", "500", "401"):
            request.send_response(int(fault))
            if fault == "429":
                request.send_header("Retry-After", "7")
            request.send_header("Content-Length", "0")
            request.end_headers()
        elif fault == "absent":
            request.send_response(404)
            request.send_header("Content-Length", "0")
            request.end_headers()
        else:
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", target.port, timeout=60)) as onward:
                headers = {key: value for key, value in request.headers.items() if key.lower() != "host"}
                onward.request(method, path, body, headers)
                answer = onward.getresponse()
                content = answer.read()
            if fault == "hang":
                time.sleep(1.0)
            if fault in ("lost", "hang"):
                request.close_connection = True
                with contextlib.suppress(OSError):
                    request.connection.shutdown(socket.SHUT_RDWR)
                return
            request.send_response(answer.status)
            request.send_header("Content-Type", answer.getheader("Content-Type", "application/json"))
            request.send_header("Content-Length", str(len(content)))
            request.end_headers()
            request.wfile.write(content)


@contextlib.contextmanager
def faulty_proxy(target: Server) -> Iterator[FaultyProxy]:
    """A proxy that is closed at the end."""
    proxy = FaultyProxy(target)
    try:
        yield proxy
    finally:
        proxy.close()


class Journal:
    """Makes records of one writer, as the forwarder hands them to a backend."""

    def __init__(self, run: str = "", project: str = "project") -> None:
        self.writer = secrets.token_hex(4)
        self.run = run or secrets.token_hex(8)
        self.project = project
        self.records: list[Record] = []
        self.begin = 1_700_000_000_000_000_000

    def add(self, kind: type[Any], *values: Any, run: str = "", **named: Any) -> Record:
        """Append an event of this run, 5 ms after the one before."""
        number = len(self.records)
        event = kind(run or self.run, self.begin + number * 5_000_000, *values, **named)
        record = Record(self.writer, number, number * 100, event)
        self.records.append(record)
        return record

    def start(self, name: str = "a run", **named: Any) -> Record:
        """Append the run's start."""
        return self.add(RunStarted, name, self.project, **named)


class Lent:
    """A context whose notes, state and blobs a test can look at."""

    def __init__(self, home: Path) -> None:
        self.notes: list[tuple[str, str, str]] = []
        self.context = BackendContext(
            home=home, settings=load({}, project="default project"), note=lambda *note: self.notes.append(note)
        )

    def keep(self, content: bytes) -> str:
        """Put a blob where the forwarder would; returns its digest."""
        digest = hashlib.sha256(content).hexdigest()
        path = self.context.blob(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return digest

    def backend(self, url: str, monkeypatch: pytest.MonkeyPatch) -> MlflowBackend:
        """An open backend; its state is kept as JSON in between, as the forwarder does."""
        monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
        self.context.state = json.loads(json.dumps(dict(self.context.state)))
        backend = MlflowBackend()
        backend.open(self.context)
        return backend


@pytest.fixture
def lent(tmp_path: Path) -> Lent:
    """What the forwarder lends."""
    return Lent(tmp_path / "home")


@pytest.fixture(autouse=True)
def no_mlflow_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow's variables of whoever runs the tests do not count."""
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        monkeypatch.delenv(name)


def run_of(server: Server, journal: Journal) -> dict[str, Any]:
    """The one run on the server that is `journal`'s."""
    return the_run(server, journal.run)


def the_run(server: Server, run: str) -> dict[str, Any]:
    """The one run on the server with this id of ours."""
    found = server.ask("runs", run)
    assert len(found) == 1, found
    only: dict[str, Any] = found[0]
    return only
