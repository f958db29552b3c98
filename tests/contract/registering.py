"""A registered model for the battery: two versions, one of them registered by its training, and what is decided then.

Run as a program it records that into `AUTOTRACK_HOME`.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))  # test modules are not a package

from recorded import PROJECT, Weights
from subject import ReadModel

MODEL = "churn-model"
FIRST, SECOND = Weights(1.5, 2.5), Weights(3.5)
DIGESTS = [hashlib.sha256(one.file).hexdigest() for one in (FIRST, SECOND)]


def record(home: Path) -> None:
    """Record it, in a process of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AUTOTRACK_")}
    settings = {"HOME": str(home), "BACKENDS": "local", "FORWARDER": "off", "KEEP": "all", "QUIET": "1"}
    settings |= {"PROJECT": PROJECT, "USER": "ada", "CONSOLE": "0"}
    environment = {**kept, **{f"AUTOTRACK_{name}": value for name, value in settings.items()}}
    command = [sys.executable, __file__]
    done = subprocess.run(command, env=environment, cwd=home.parent, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr[-3000:]


def runs(home: Path) -> list[str]:
    """The ids of its runs."""
    from autotrack.settings import load
    from autotrack.store.query import Store

    with Store.open(home, load({}, home=home)) as store:
        return [run["id"] for run in store.runs()]


def check(read: ReadModel) -> None:
    """It is there as it was decided, each version once."""
    assert read.versions == DIGESTS
    assert read.aliases == {"production": DIGESTS[1]}


def main() -> None:
    """Take the steps."""
    import autotrack
    from autotrack.registry import changing
    from autotrack.registry.writing import move_alias

    with autotrack.start_run("first") as run:
        run.log_model(FIRST, "clf", register=MODEL, aliases=["trial"])
    with autotrack.start_run("second") as second:
        second.log_model(SECOND, "clf")
    steps: list[Any] = [
        changing.register(MODEL, second.id),
        move_alias(MODEL, "production", 1, "the first"),
        move_alias(MODEL, "production", 2, "better"),
        changing.approve(f"{MODEL}/2", "looked at it"),
        changing.stage(f"{MODEL}/2", "Production"),
        changing.annotate(f"{MODEL}/2", {"owner": "risk", "share": 0.5}),
        changing.unalias(f"{MODEL}@trial", "tried"),
    ]
    assert all(steps)


if __name__ == "__main__":
    main()
