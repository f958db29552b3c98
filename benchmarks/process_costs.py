"""What a whole process pays: import and `enable()`, a script with one run, its exit, and resident memory.

Every figure is the median of paired processes, with and without autotrack, in turn.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = 15

SCRIPTS = {
    "import autotrack; enable()": ("pass", "import autotrack; autotrack.enable()"),
    "a script with one run of 1,000 points": (
        "for i in range(1000): pass",
        "import autotrack\nwith autotrack.start_run() as run:\n"
        "    for i in range(1000): run.log_metrics({'loss': 0.5}, step=i)",
    ),
}

EXIT = """
import os, time, sys
import autotrack
with autotrack.start_run() as run:
    for i in range(1000): run.log_metrics({'loss': 0.5}, step=i)
sys.stdout.write(str(time.time())); sys.stdout.flush()
"""

TRAINING = "import numpy, sklearn.linear_model as models\nmodels.Ridge().fit(numpy.eye(9), numpy.arange(9))"
"""A process in which something is trained holds much of the standard library already."""

MEMORY = """
import re, sys
{before}
print(re.search(r"VmRSS:\\s+(\\d+)", open("/proc/self/status").read()).group(1))
"""


def seconds(code: str, environment: dict[str, str]) -> float:
    """How long `python -c code` takes."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def resident(code: str, environment: dict[str, str]) -> float:
    """Resident memory after `code`, in MB."""
    done = subprocess.run(
        [sys.executable, "-c", MEMORY.format(before=code)], env=environment, check=True, capture_output=True, text=True
    )
    return int(done.stdout) / 1024


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        environment = {**os.environ, "AUTOTRACK_HOME": home, "AUTOTRACK_QUIET": "1"}
        for name, (without, with_us) in SCRIPTS.items():
            pairs = [(seconds(with_us, environment), seconds(without, environment)) for _ in range(ROUNDS)]
            added = statistics.median(ours - bare for ours, bare in pairs)
            print(f"{name:45} + {added * 1e3:6.1f} ms over the same without autotrack")
        exits = []
        for _ in range(ROUNDS):
            child = subprocess.run(
                [sys.executable, "-c", EXIT], env=environment, check=True, capture_output=True, text=True
            )
            exits.append(time.time() - float(child.stdout))
        bare = []
        for _ in range(ROUNDS):
            child = subprocess.run(
                [sys.executable, "-c", "import time, sys; sys.stdout.write(str(time.time())); sys.stdout.flush()"],
                check=True, capture_output=True, text=True,
            )  # fmt: skip
            bare.append(time.time() - float(child.stdout))
        added = statistics.median(exits) - statistics.median(bare)
        print(f"{'exit of a finished script, local backend':45} + {added * 1e3:6.1f} ms over a bare interpreter's")
        ours = SCRIPTS["a script with one run of 1,000 points"][1]
        for name, (without, with_us) in {
            "resident memory of that script": ("pass", ours),
            "resident memory of enable() and a fit of Ridge": (
                TRAINING,
                f"import autotrack; autotrack.enable()\n{TRAINING}",
            ),
        }.items():
            added = statistics.median(resident(with_us, environment) - resident(without, environment) for _ in range(5))
            print(f"{name:45} + {added:6.1f} MB")
        time.sleep(3)  # forwarders still write into the folder that is removed now


if __name__ == "__main__":
    main()
