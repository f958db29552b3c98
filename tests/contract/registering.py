"""A registered model for the battery: two versions, of which one is registered by its training, and what is decided then.

Run as a program it records that into `AUTOTRACK_HOME`.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))  # test modules are not a package

from recorded import PROJECT, Weights

MODEL = "churn-model"
FIRST, SECOND = Weights(1.5, 2.5), Weights(3.5)
DIGESTS = [hashlib.sha256(one.file).hexdigest() for one in (FIRST, SECOND)]


@dataclass
class ReadModel:
    """A registered model as the product's own reader gives it, in our words."""

    versions: list[str] = field(default_factory=list)
    """Digests, the oldest version first."""
    aliases: dict[str, str] = field(default_factory=dict)
    """The digest that each points to."""
    contents: dict[str, bytes] = field(default_factory=dict)
    """The file of each version, by its digest; empty where the product gets no files."""


def record(home: Path) -> None:
    """Record it, in a process of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AUTOTRACK_")}
    settings = {"HOME": str(home), "BACKENDS": "local", "FORWARDER": "off", "KEEP": "all", "QUIET": "1"}
    settings |= {"PROJECT": PROJECT, "USER": "ada", "CONSOLE": "0"}
    environment = {**kept, **{f"AUTOTRACK_{name}": value for name, value in settings.items()}}
    command = [sys.executable, __file__]
    done = subprocess.run(command, env=environment, cwd=home.parent, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr[-3000:]


def check(read: ReadModel) -> None:
    """It is there as it was decided, each version once."""
    assert read.versions == DIGESTS
    assert read.aliases == {"production": DIGESTS[1]}
    if read.contents:
        assert read.contents == dict(zip(DIGESTS, (FIRST.file, SECOND.file), strict=True))


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
