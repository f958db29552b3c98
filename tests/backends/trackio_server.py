"""A real trackio for tests: its server on loopback, and its own API as the reader."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import requests

PROGRAM = Path(__file__).with_name("trackio_program.py")
START_SECONDS = 60


def interpreter() -> str:
    """A Python that has trackio; skips the test where there is none."""
    named = os.environ.get("AUTOTRACK_TEST_TRACKIO")
    if named:
        return named
    if find_spec("trackio") is not None:
        return sys.executable
    pytest.skip("needs a real trackio: set AUTOTRACK_TEST_TRACKIO to the path of a Python that has it")


class Trackio:
    """trackio with a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.python = interpreter()
        self.folder = folder / "trackio"
        self.log = folder / "server.log"
        self.token = secrets.token_hex(8)
        self.url = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: subprocess.Popen[str] | None = None

    def environment(self) -> dict[str, str]:
        """What leads trackio itself there, and nowhere else."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TRACKIO_", "AUTOTRACK_"))}
        return {**kept, "TRACKIO_DIR": str(self.folder), "TRACKIO_WRITE_TOKEN": self.token, "HF_HUB_OFFLINE": "1"}

    def start(self) -> None:
        """Start its server and wait until it answers."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [self.python, str(PROGRAM), "serve", str(port)],
                env=self.environment(),
                cwd=self.log.parent,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(requests.RequestException):
                if requests.get(self.url + "/version", timeout=1).ok:
                    return
            time.sleep(0.05)
        self.stop()
        raise RuntimeError(f"trackio did not start: {self.log.read_text(errors='replace')[-2000:]}")

    def stop(self) -> None:
        """End the server and the reader."""
        if self._reader is not None:
            self._reader.kill()
            self._reader.communicate()
            self._reader = None
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(3)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(10)
            self._process = None

    def write(self) -> None:
        """Have trackio itself write a project (see `trackio_program.py`)."""
        command = [self.python, str(PROGRAM), "write"]
        done = subprocess.run(command, env=self.environment(), cwd=self.log.parent, capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr[-3000:]

    def read(self) -> list[dict[str, Any]]:
        """Every run, as trackio's own API reads it."""
        if self._reader is None:
            with self.log.open("ab") as log:
                self._reader = subprocess.Popen(
                    [self.python, str(PROGRAM), "read"],
                    env=self.environment(),
                    cwd=self.log.parent,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                )
        assert self._reader.stdin is not None and self._reader.stdout is not None
        self._reader.stdin.write("read\n")
        self._reader.stdin.flush()
        line = self._reader.stdout.readline()
        assert line, self.log.read_text(errors="replace")[-3000:]
        found: list[dict[str, Any]] = json.loads(line)
        return found
