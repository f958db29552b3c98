"""What a point, a run and a listing cost as the local store grows: each line adds to the store of the line before.

Per decade: seconds per run of taking runs of 10 points in, `autotrack ls` as a whole process, and seconds per point of
taking one long series in and of reading it back. Journals are written first and taken in on purpose, so that the store
alone is timed. `--long` adds the decade of 100,000,000 points, which takes 10 minutes and 10 GB of disk.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time

RUNS = (100, 1_000, 10_000, 100_000)
POINTS = (100_000, 1_000_000, 10_000_000)
LONG = 100_000_000


def taken_in() -> float:
    """Seconds until the store holds what the journals hold."""
    import autotrack
    from autotrack.reading import open_store

    autotrack.session.session.close()
    begun = time.perf_counter()
    open_store().close()
    return time.perf_counter() - begun


def many_runs(count: int) -> tuple[float, float]:
    """Seconds per run of taking `count` runs in, and of `autotrack ls` after."""
    import autotrack

    for number in range(count):
        with autotrack.start_run(f"run-{number}", params={"number": number}) as run:
            for step in range(10):
                run.log_metrics({"loss": 0.5}, step=step)
    taken = taken_in() / count
    times = []
    for _ in range(5):
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-m", "autotrack", "ls"], check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - begun)
    return taken, sorted(times)[2]


def many_points(count: int) -> tuple[float, float]:
    """Seconds per point of taking one series in, and of reading it back."""
    import autotrack
    from autotrack.reading import open_store

    with autotrack.start_run("long") as run:
        log = run.log_metrics
        for step in range(count):
            log({"loss": step * 0.1}, step=step)
    taken = taken_in() / count
    with open_store() as store:
        begun = time.perf_counter()
        steps, _, _ = store.series(run.id, "loss")
        read = (time.perf_counter() - begun) / count
    if len(steps) != count:
        sys.exit(f"the store holds {len(steps):,} of {count:,} points")
    return taken, read


def main(arguments: list[str]) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.environ.update(AUTOTRACK_HOME=folder, AUTOTRACK_QUIET="1", AUTOTRACK_FORWARDER="off")
        for count in RUNS:
            taken, listed = many_runs(count)
            print(f"{count:>12,} more runs   {taken * 1e6:8.0f} µs a run    ls {listed * 1e3:6.0f} ms", flush=True)
        for count in (*POINTS, LONG) if "--long" in arguments else POINTS:
            taken, read = many_points(count)
            print(
                f"{count:>12,} more points {taken * 1e6:8.2f} µs a point  read {read * 1e9:6.0f} ns a point", flush=True
            )


if __name__ == "__main__":
    main(sys.argv[1:])
