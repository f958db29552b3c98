"""The real ClearML as the reader of offline sessions, in a process of its own (see `clearml_program.py`)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).with_name("clearml_program.py")


def interpreter() -> str:
    """A Python that has ClearML; skips the test where there is none."""
    named = os.environ.get("AUTOTRACK_TEST_CLEARML")
    if named:
        return named
    if find_spec("clearml") is not None:
        return sys.executable
    pytest.skip("needs a real ClearML: set AUTOTRACK_TEST_CLEARML to the path of a Python that has it")


class Clearml:
    """Sessions below one folder, which is ClearML's cache."""

    def __init__(self, folder: Path) -> None:
        self.python = interpreter()
        self.cache = folder / "clearml"
        self.log = folder / "clearml.log"
        self._reader: subprocess.Popen[str] | None = None
        self._double: subprocess.Popen[str] | None = None

    def environment(self) -> dict[str, str]:
        """A process of ClearML's that knows no other server and no other folder."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("CLEARML_", "AUTOTRACK_"))}
        return {**kept, "HOME": str(self.log.parent), "CLEARML_CACHE_DIR": str(self.cache)}

    def archive(self, run: str) -> Path:
        """The session of a run."""
        return self.cache / "offline" / f"offline-{run}.zip"

    def read(self) -> list[dict[str, Any]]:
        """Every session, as ClearML's own classes read it."""
        if self._reader is None:
            with self.log.open("ab") as log:
                self._reader = subprocess.Popen(
                    [self.python, str(PROGRAM), "read", str(self.cache / "offline")],
                    env=self.environment(),
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

    def bring(self, archive: Path) -> dict[str, Any]:
        """What a server was told when ClearML imported a session."""
        command = [self.python, str(PROGRAM), "import", str(archive)]
        done = subprocess.run(command, env=self.environment(), capture_output=True, text=True, timeout=120)
        assert done.returncode == 0 and done.stdout, done.stderr[-3000:]
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    def serve(self) -> str:
        """Start the double of a server; its address."""
        with self.log.open("ab") as log:
            self._double = subprocess.Popen(
                [self.python, str(PROGRAM), "serve"],
                env=self.environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._double.stdout is not None
        url: str = json.loads(self._double.stdout.readline())
        return url

    def held(self) -> dict[str, Any]:
        """What the double holds."""
        assert self._double is not None and self._double.stdin is not None and self._double.stdout is not None
        self._double.stdin.write("held\n")
        self._double.stdin.flush()
        held: dict[str, Any] = json.loads(self._double.stdout.readline())
        return held

    def stop(self) -> None:
        """End the reader and the double."""
        if self._double is not None:
            self._double.kill()
            self._double.communicate()
            self._double = None
        if self._reader is not None:
            self._reader.kill()
            self._reader.communicate()
            self._reader = None
