"""The two commands of a newcomer: what the second one ends with."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest

for product in ("sklearn", "xgboost"):
    pytest.importorskip(product, reason=f"the demo trains with {product}, which is not here")


def test_the_demo_ends_with_a_dashboard_that_shows_its_runs(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "autotrack", "demo", "--dashboard"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "AUTOTRACK_HOME": str(tmp_path / "home")},
    )
    assert process.stdout is not None
    watch = threading.Timer(120, process.kill)  # a demo that hangs ends the loop below
    watch.start()
    try:
        said = []
        while line := process.stdout.readline():
            said.append(line)
            if line.startswith("dashboard on "):
                break
        else:
            pytest.fail("no dashboard came: " + "".join(said))
        address = line.split()[2]
        runs = httpx.get(
            f"{address}api/runs", params={"where": "project = demo", "columns": "metrics.score.last"}
        ).json()
        assert runs["total"] == 7
        assert httpx.get(address).text.startswith("<!doctype html>")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        assert process.returncode in (0, 130)
    finally:
        watch.cancel()
        if process.poll() is None:
            process.kill()
            process.communicate()
