"""Every example runs as it is, with a home of its own, and what it records has ended well."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_and_its_runs_are_finished_with_metrics(example: Path, tmp_path: Path) -> None:
    pytest.importorskip(example.stem.partition("_")[0])
    pytest.importorskip("sklearn")
    environment = {**os.environ, "AUTOTRACK_HOME": str(tmp_path / "home")}
    done = python(example, environment)
    assert len(done.stderr.splitlines()) == 1, done.stderr  # where it records to
    runs = json.loads(python("-m autotrack export --format json", environment).stdout)
    assert runs and {run["status"] for run in runs} == {"finished"}
    assert sum(bool(run["points"]) for run in runs) >= len(runs) / 2


def python(what: Path | str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    words = what.split() if isinstance(what, str) else [str(what)]
    done = subprocess.run(
        [sys.executable, *words], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done
