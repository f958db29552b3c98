"""The real Aim as the reader of repositories, in a process of its own (see `aim_program.py`)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).with_name("aim_program.py")


class Aim:
    """A repository in one folder. The backend runs Aim in its own process, so the tests need it in theirs."""

    def __init__(self, folder: Path) -> None:
        if find_spec("aim") is None:
            pytest.skip("needs a real Aim in the environment of the tests: see the environment `aim` of tox.ini")
        self.folder = folder / "aim"
        self.log = folder / "aim.log"
        self._reader: subprocess.Popen[str] | None = None

    def environment(self) -> dict[str, str]:
        """Nothing of whoever runs the tests leads elsewhere."""
        return {
            name: value for name, value in os.environ.items() if not name.startswith(("AIM", "__AIM", "AUTOTRACK_"))
        }

    def write(self) -> None:
        """Have Aim itself write a repository; the process is killed in its second run."""
        command = [sys.executable, str(PROGRAM), "write", str(self.folder)]
        self.folder.mkdir()
        done = subprocess.run(command, env=self.environment(), capture_output=True, timeout=60)
        assert done.returncode == -9, done.stderr[-3000:]

    def read(self) -> list[dict[str, Any]]:
        """Every run, as Aim's own API reads it."""
        if self._reader is None:
            with self.log.open("ab") as log:
                self._reader = subprocess.Popen(
                    [sys.executable, str(PROGRAM), "read", str(self.folder)],
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

    def stop(self) -> None:
        """End the reader."""
        if self._reader is not None:
            self._reader.kill()
            self._reader.communicate()
            self._reader = None
