"""What hearing the console and looking at random generators costs: a print inside a run, and a run.

    python benchmarks/console.py [PRINTS [RUNS]]

Processor time of all threads of the process, so that the figures hold on a machine that others use too. Each is given
beside the same without a run, or without the part that is measured.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time

import autotrack


def each_print(count: int) -> float:
    """Microseconds of one `print` of a line to where it costs least."""
    began = time.process_time()
    for number in range(count):
        print(f"epoch {number} loss 0.123456")
    return (time.process_time() - began) / count * 1e6


def each_run(count: int) -> float:
    """Microseconds of one run that does nothing."""
    began = time.process_time()
    for _ in range(count):
        with autotrack.start_run():
            random.random()
    return (time.process_time() - began) / count * 1e6


def main(prints: int = 200_000, runs: int = 300) -> None:
    """Print a table."""
    shown = sys.stdout
    with open(os.devnull, "w") as sys.stdout:
        autotrack.enable(home=tempfile.mkdtemp(), forwarder="off", quiet=True)
        with autotrack.start_run():
            time.sleep(3)  # what is done once for a process, in a thread, is over then
        outside = each_print(prints)
        with autotrack.start_run():
            inside = each_print(prints)
        heard = each_run(runs)
    sys.stdout = shown
    print(f"print outside a run   {outside:8.2f} µs")
    print(f"print inside a run    {inside:8.2f} µs")
    print(f"a run, all parts      {heard:8.1f} µs")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
