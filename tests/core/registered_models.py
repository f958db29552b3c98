"""Runs with models of a few bytes, and programs that take steps of the registry, for its tests."""

import os
import subprocess
import sys
import time
from pathlib import Path

import autotrack
from autotrack.events import ModelLogged
from autotrack.provenance.blobs import Blobs
from autotrack.testing import recording


def keep_models(home: Path, *names: str) -> list[str]:
    """Record one run for each name, each with one kept model; gives their digests."""
    digests = []
    with recording(home):
        for name in names:
            with autotrack.start_run(name) as run:
                blob = Blobs(home).put_bytes(f"weights of {name}".encode())
                run._append(ModelLogged(run.id, time.time_ns(), "model", "bytes", blob.digest, blob.bytes))
            digests.append(blob.digest)
    return digests


def environment(home: Path, user: str = "ann", **more: str) -> dict[str, str]:
    """Variables for a process that works in this home as this person."""
    return {
        **os.environ, "AUTOTRACK_HOME": str(home), "AUTOTRACK_USER": user, "AUTOTRACK_FORWARDER": "off",
        "AUTOTRACK_STRICT": "1", **more,
    }  # fmt: skip


def started(home: Path, code: str, user: str = "ann", **more: str) -> subprocess.Popen[str]:
    """A process that runs this code."""
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment(home, user, **more),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def answers(processes: list[subprocess.Popen[str]]) -> list[str]:
    """What each process prints, when all have been told to go on (a line on their standard input) at once."""
    for process in processes:  # each says that it is ready, having read the registry as it is now
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line == "ready\n", line + (process.stderr.read() if process.stderr else "")
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    found = []
    for process in processes:
        output, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        found.append(output.strip())
    return found


READY = """
import sys
print("ready", flush=True)
sys.stdin.readline()
"""

REGISTER = f"""
import sys, autotrack
from autotrack.registry import changing, writing
store = writing.opened()
run = store.resolve(sys.argv[1] if len(sys.argv) > 1 else "RUN")
{READY}
taken, version = changing.register("clf", run, store=store)
print(version.number)
"""

MOVE = f"""
from autotrack.errors import RegistryConflict
from autotrack.registry import reading, writing
with writing.opened() as store:
    found = reading.folded(store, "clf")
    version = found.version(NUMBER)
    before = found.aliases["production"].digest
    {READY.replace(chr(10), chr(10) + "    ")}
    try:
        record = {{"alias": "production", "from": before}}
        writing.step("clf", "alias", version.digest, "mine is better", record, store=store)
        print("moved")
    except RegistryConflict as problem:
        print("told:", problem)
"""
