"""The promise, fifty times: a loop that logs is killed at a random moment, and no point whose call returned is lost."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

KILLS = 50

LOOP = """
import os, sys, autotrack
out = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
run = autotrack.start_run(sys.argv[2])
step = 0
while True:
    run.log_metrics({"loss": 1.0 / (step + 1)}, step=step)
    os.write(out, b"%d\\n" % step)
    step += 1
"""


def test_fifty_kills_lose_no_returned_point(tmp_path: Path) -> None:
    environment = {**os.environ, "AUTOTRACK_HOME": str(tmp_path / "home"), "AUTOTRACK_QUIET": "1"}
    returned: dict[str, list[int]] = {}
    for number in range(KILLS):
        told, name = tmp_path / f"{number}.txt", f"loop-{number}"
        child = subprocess.Popen([sys.executable, "-c", LOOP, str(told), name], env=environment)
        while not told.exists() or not told.stat().st_size:
            assert child.poll() is None
            time.sleep(0.001)
        time.sleep(random.uniform(0, 0.05))
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        returned[name] = [int(line) for line in told.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def ask(*words: str) -> list[dict]:
        done = subprocess.run(
            [sys.executable, "-m", "autotrack", *words, "--json"], env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    runs = ask("ls")
    assert len(runs) == KILLS
    assert {run["status"] for run in runs} == {"killed"}
    for run in runs:
        points = [(point["step"], point["value"]) for point in ask("metrics", run["id"], "loss")]
        steps = returned[run["name"]]
        assert points[: len(steps)] == [(step, 1.0 / (step + 1)) for step in steps]
        assert len(points) - len(steps) in (0, 1), "at most the call that had not returned"
