"""The call in the training thread: `run.log_metrics` with 10 floats, beside `list.append` of the same in the same run.

Prints p50, p99 and the longest call of each, and the ratio of the medians. Run it on a quiet machine, several times.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable

STEPS = 100_000
METRICS = {f"metric_{index}": 0.1 * index for index in range(10)}


def distribution(call: Callable[[int], object]) -> tuple[float, float, float]:
    """p50 and p99 in microseconds and the longest in milliseconds of `call(step)`."""
    clock = time.perf_counter_ns
    taken = []
    for step in range(STEPS):
        begun = clock()
        call(step)
        taken.append(clock() - begun)
    taken.sort()
    return taken[STEPS // 2] / 1e3, taken[STEPS * 99 // 100] / 1e3, taken[-1] / 1e6


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as home:
        os.environ.update(AUTOTRACK_HOME=home, AUTOTRACK_QUIET="1", AUTOTRACK_FORWARDER="off")
        import autotrack

        run = autotrack.start_run("hot path")
        held: list[tuple[int, int, dict[str, float]]] = []
        append, now, log = held.append, time.time_ns, run.log_metrics
        print(f"{STEPS:,} steps of 10 floats{'':24} p50 µs   p99 µs   max ms")
        lines: dict[str, float] = {}
        for name, call in (
            ("list.append((i, time_ns(), dict(metrics)))", lambda step: append((step, now(), dict(METRICS)))),
            ("run.log_metrics(metrics, step=i)", lambda step: log(METRICS, step=step)),
            ("run.log_metrics(dict(metrics), step=i)", lambda step: log(dict(METRICS), step=step)),
            ("run.log_metrics(metrics)", lambda step: log(METRICS)),
        ):
            median, late, longest = distribution(call)
            lines[name] = median
            held.clear()
            print(f"{name:44} {median:7.2f} {late:8.2f} {longest:8.2f}")
        first, second = list(lines.values())[:2]
        print(f"ratio of the medians: {second / first:.1f} (the aim is at most 8)")
        run.end()


if __name__ == "__main__":
    main()
