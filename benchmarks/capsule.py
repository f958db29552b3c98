"""What the code capsule and the environment cost: in a large repository, and to a script of one run.

The large repository is generated, 20,000 sources in 400 folders (`--files` for another number). Beside the capsule
stand `git status`, `git stash create` and `git add -A` into an index of its own, which do parts of the same. The script
is run by turns without either, with each, and with both; what is told is the median of the differences.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from autotrack.provenance.blobs import Blobs
from autotrack.provenance.code.git import Git
from autotrack.provenance.code.restore import restore
from autotrack.provenance.code.snapshot import take
from autotrack.provenance.environment.installed import distributions
from autotrack.provenance.environment.lock import pylock

ROUNDS = 15

SCRIPT = """
import sys, time
import autotrack
from autotrack.provenance import witnesses
chosen = sys.argv[1].split(",")
witnesses.PLACES = tuple(place for place in witnesses.PLACES if place.split(".")[2] in chosen)
with autotrack.start_run() as run:
    for i in range(1000): run.log_metrics({"loss": 0.5}, step=i)
time.sleep(float(sys.argv[2]))
sys.stdout.write(str(time.time())); sys.stdout.flush()
"""


def git(folder: Path, *arguments: str, **more: str) -> None:
    subprocess.run(
        ["git", "-C", folder, "-c", "user.name=x", "-c", "user.email=x@y", *arguments],
        env={**os.environ, **more}, check=True, capture_output=True,
    )  # fmt: skip


def generate(folder: Path, files: int) -> int:
    """Sources of one to ten kB, committed; how many bytes they have."""
    words = [f"word{number}" for number in range(5000)]
    pick, size = random.Random(0), 0
    for number in range(files):
        path = folder / f"package{number % 400}" / f"module{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [f"{pick.choice(words)} = {pick.choice(words)}({number})  # {pick.choice(words)}" for _ in range(100)]
        size += path.write_text("\n".join(lines[: pick.randint(20, 100)]) + "\n")
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "one")
    return size


def timed(what: str, call: Callable[[], object], rounds: int = 1) -> None:
    seconds = []
    for _ in range(rounds):
        begun = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - begun)
    print(f"{what:66} {statistics.median(seconds) * 1e3:8.1f} ms", flush=True)


def large(folder: Path, files: int) -> None:
    repository, home = folder / "large", folder / "home"
    repository.mkdir()
    size = generate(repository, files)
    print(f"{files} files of {size / 1e6:.0f} MB")

    def capsule() -> dict[str, object]:
        work = home / "capsules" / "work"
        work.mkdir(parents=True)
        try:
            return take(Git(repository, 600), Blobs(home), work, home).record
        finally:
            shutil.rmtree(work)

    timed("git status", lambda: git(repository, "status"))
    timed("capsule, the first", capsule)
    timed("capsule again, nothing changed", capsule, 3)
    (repository / "package0" / "module0.py").write_text("changed = 1\n")
    (repository / "new.py").write_text("new = 1\n")
    timed("capsule, a file changed and one new", capsule)
    timed("git stash create (without the new file)", lambda: git(repository, "stash", "create"), 3)
    index = {"GIT_INDEX_FILE": str(folder / "index")}
    timed("git add -A into an empty index", lambda: git(repository, "add", "-A", **index))
    record = capsule()
    timed("restore", lambda: restore(record, Blobs(home), folder / "again"))
    blob = record["bundle"]
    assert isinstance(blob, dict)
    print(f"the bundle has {blob['bytes'] / 1e6:.1f} MB")


def script(folder: Path) -> None:
    repository = folder / "small"
    repository.mkdir()
    generate(repository, 50)
    (repository / "train.py").write_text(SCRIPT)
    home = folder / "small-home"
    environment = {**os.environ, "AUTOTRACK_HOME": str(home), "AUTOTRACK_QUIET": "1", "AUTOTRACK_FORWARDER": "off"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # or each process would compile what it imports

    def run(chosen: str, sleep: float) -> tuple[float, float]:
        """Seconds of the whole process, and of its exit."""
        begun = time.time()
        command = [sys.executable, "train.py", chosen, str(sleep)]
        done = subprocess.run(
            command, cwd=repository, env=environment, check=True, capture_output=True, text=True
        )  # fmt: skip
        ended = time.time()
        return ended - begun, ended - float(done.stdout)

    kinds = {"code": "code", "environment": "environment", "both": "code,environment"}
    run("code,environment", 0)
    for sleep in (0.0, 1.0):
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in ("neither", *kinds)}
        for _ in range(ROUNDS if not sleep else 5):
            for name in found:
                found[name].append(run(kinds.get(name, "none"), sleep))
        bare = [statistics.median(one[part] for one in found["neither"]) for part in (0, 1)]
        print(
            f"a script of one run that ends {'at once' if not sleep else 'a second later'}: exit {bare[1] * 1e3:.1f} ms"
        )
        for name in kinds:
            whole, at_exit = (
                statistics.median(a[part] - b[part] for a, b in zip(found[name], found["neither"], strict=True))
                for part in (0, 1)
            )
            print(f"    {name:12} + {whole * 1e3:5.1f} ms in all, + {at_exit * 1e3:5.1f} ms at its exit", flush=True)


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--files", type=int, default=20_000)
    files = arguments.parse_args().files
    found = distributions(sys.path)
    timed(f"what is installed, {len(found)} distributions", lambda: distributions(sys.path), 5)
    timed("its pylock.toml", lambda: pylock(found), 5)
    with tempfile.TemporaryDirectory() as folder:
        script(Path(folder))
        large(Path(folder), files)


if __name__ == "__main__":
    main()
