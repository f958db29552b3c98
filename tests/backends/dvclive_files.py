"""Asks the readers of DVCLive and DVC, in an interpreter that has them."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

READER = Path(__file__).with_name("dvclive_reader.py")


def interpreter() -> str:
    """The interpreter that has DVCLive; the test is skipped where there is none."""
    given = os.environ.get("AUTOTRACK_TEST_DVCLIVE")
    if given:
        return given
    if importlib.util.find_spec("dvclive") and importlib.util.find_spec("dvc"):
        return sys.executable
    pytest.skip("needs DVCLive and DVC: set AUTOTRACK_TEST_DVCLIVE to the path of a python that has them")


def read(folder: Path) -> list[dict[str, Any]]:
    """Every run below a folder, as DVCLive's and DVC's own functions read it."""
    done = subprocess.run([interpreter(), str(READER), str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found
