"""The real uploader of Comet as the reader of offline experiments, in a process of its own (see `comet_program.py`)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).with_name("comet_program.py")


def interpreter() -> str:
    """A Python that has Comet; skips the test where there is none."""
    named = os.environ.get("AUTOTRACK_TEST_COMET")
    if named:
        return named
    if find_spec("comet_ml") is not None:
        return sys.executable
    pytest.skip("needs a real comet_ml: set AUTOTRACK_TEST_COMET to the path of a Python that has it")


class Comet:
    """Archives in one folder."""

    def __init__(self, folder: Path) -> None:
        self.python = interpreter()
        self.archives = folder / "comet"
        self.log = folder / "comet.log"
        self._reader: subprocess.Popen[str] | None = None

    def read(self) -> list[dict[str, Any]]:
        """Every archive, as Comet's own uploader would send it."""
        if self._reader is None:
            kept = {name: value for name, value in os.environ.items() if not name.startswith(("COMET_", "AUTOTRACK_"))}
            with self.log.open("ab") as log:
                self._reader = subprocess.Popen(
                    [self.python, str(PROGRAM), str(self.archives)],
                    env={**kept, "HOME": str(self.log.parent)},
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

    def stop(self) -> None:
        """End the reader."""
        if self._reader is not None:
            self._reader.kill()
            self._reader.communicate()
            self._reader = None
