"""Scripts that the tests of torch and accelerate run in processes of their own, and what those recorded."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

from autotrack.journal.closing import close_dead
from autotrack.journal.reader import journals
from autotrack.testing import Recorded, RecordedRun

TORCHRUN = ("-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone")
"""Runs a script as two ranks."""


def python(
    code: str, home: Path, *command: str, fails: bool = False, **environ: str
) -> subprocess.CompletedProcess[str]:
    """Run `code` as the script `train.py`, by `command` if one is given, recording into `home`."""
    home.mkdir(parents=True, exist_ok=True)
    script = home / "train.py"
    script.write_text(textwrap.dedent(code))
    own = {
        "AUTOTRACK_HOME": str(home),
        "AUTOTRACK_FORWARDER": "off",
        "AUTOTRACK_STRICT": "1",
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    done = subprocess.run(
        [sys.executable, *command, str(script)],
        env={**os.environ, **own, **environ},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert bool(done.returncode) == fails, done.stdout + done.stderr
    return done


def recorded_in(home: Path) -> list[RecordedRun]:
    """The runs in `home`, those of processes that are gone ended."""
    for folder in journals(home):
        close_dead(folder)
    return Recorded(home).runs()


def runs_of(code: str, home: Path, *command: str, fails: bool = False, **environ: str) -> list[RecordedRun]:
    """What `code` records, run by `python`."""
    python(code, home, *command, fails=fails, **environ)
    return recorded_in(home)
