"""The public names, type-checked from outside the package as a user's code is: with mypy in strict mode."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy", reason="mypy is not installed: pip install mypy")

HERE = Path(__file__).parent


def errors(file: str, tmp_path: Path) -> list[tuple[int, str]]:
    """Line and code of everything that mypy says about `file`."""
    done = subprocess.run(
        # In another folder, so that the project's own configuration and sources are not what is looked at.
        [sys.executable, "-m", "mypy", "--strict", "--config-file", "", "--cache-dir", str(tmp_path), str(HERE / file)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    told = re.findall(rf"{re.escape(file)}:(\d+): error: .*\[([\w-]+)\]$", done.stdout, re.MULTILINE)
    assert len(told) == done.stdout.count(": error: "), done.stdout
    return [(int(line), code) for line, code in told]


def test_what_users_and_authors_of_plugins_write_is_accepted(tmp_path: Path) -> None:
    assert errors("api.py", tmp_path) == []


def test_mistakes_are_refused_where_they_are(tmp_path: Path) -> None:
    lines = (HERE / "refused.py").read_text().splitlines()
    expected = [(at, line.partition("# E: ")[2]) for at, line in enumerate(lines, 1) if "# E: " in line]
    assert len(expected) > 5
    assert errors("refused.py", tmp_path) == expected
