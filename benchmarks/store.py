"""The local store: 200,000 points from the first call until they are stored, a long series, and `autotrack ls`.

Lines measured in the same run: bare Python for the program, numpy reading the same series from a file.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

STEPS, KEYS = 20_000, 10
RUNS = 10_000
SERIES = 1_000_000


def stored_points(home: Path) -> float:
    """Seconds from the first call of 200,000 points until a reader finds them all."""
    import autotrack
    from autotrack.reading import open_store

    metrics = {f"m{index}": 0.5 for index in range(KEYS)}
    begun = time.perf_counter()
    run = autotrack.start_run("many points")
    for step in range(STEPS):
        run.log_metrics(metrics, step=step)
    with open_store() as store:
        found = store.run(run.id)["metrics"]
    taken = time.perf_counter() - begun
    assert sum(series["count"] for series in found.values()) == STEPS * KEYS
    run.end()
    return taken


def long_series(home: Path) -> tuple[float, float]:
    """Seconds to read one series of 1,000,000 points, and the same numbers from a file of numpy's."""
    import autotrack
    from autotrack.reading import open_store

    run = autotrack.start_run("long series")
    for step in range(SERIES):
        run.log_metrics({"loss": step * 0.1}, step=step)
    run.end()
    open_store().close()
    with open_store() as store:
        times = []
        for _ in range(5):
            begun = time.perf_counter()
            steps, _, values = store.series(run.id, "loss")
            times.append(time.perf_counter() - begun)
    assert len(steps) == SERIES and values[-1] == (SERIES - 1) * 0.1
    np.save(home / "line.npy", np.stack([steps, values]))
    begun = time.perf_counter()
    np.load(home / "line.npy")
    return statistics.median(times), time.perf_counter() - begun


def listing(home: Path) -> tuple[float, float]:
    """Seconds of `autotrack ls` over 10,000 runs as a whole process, and of bare Python."""
    import autotrack
    from autotrack.reading import open_store

    for number in range(RUNS):
        run = autotrack.start_run(f"run-{number}", params={"number": number})
        run.log_metrics({"loss": 0.5}, step=0)
        run.end()
    autotrack.session.session.close()
    open_store().close()
    times = {"ls": [], "bare": []}  # type: ignore[var-annotated]
    for _ in range(9):
        for name, command in (("ls", ["-m", "autotrack", "ls"]), ("bare", ["-c", "pass"])):
            begun = time.perf_counter()
            subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
            times[name].append(time.perf_counter() - begun)
    return statistics.median(times["ls"]), statistics.median(times["bare"])


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        os.environ.update(AUTOTRACK_HOME=folder, AUTOTRACK_QUIET="1", AUTOTRACK_FORWARDER="off")
        taken = stored_points(home)
        print(f"{STEPS * KEYS:,} points, first call to stored: {taken:.2f} s (the aim is at most 1)")
        ours, line = long_series(home)
        print(f"one series of {SERIES:,} points read: {ours * 1e3:.0f} ms (aim 100); np.load of it {line * 1e3:.0f} ms")
        ours, line = listing(home)
        print(f"autotrack ls over {RUNS:,} runs: {ours * 1e3:.0f} ms (aim 300); bare Python {line * 1e3:.0f} ms")


if __name__ == "__main__":
    main()
