"""A full disk costs points, never the training: one warning, a count in the record."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from autotrack.events import MetricsLogged, NoteLogged, RunEnded
from autotrack.journal.reader import Journal

CHILD = """
import json, resource, sys, time
from pathlib import Path
from autotrack.events import MetricsLogged, RunEnded, encode
from autotrack.journal.frames import HEADER
from autotrack.journal.writer import Writer
writer = Writer(Path(sys.argv[1]), version="test", backends=("local",))
writer.note_losses_for("r")
def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
if sys.argv[2] != "full":
    limit(40_001)
returned = [writer.append_event(MetricsLogged("r", 1, step, {"loss": 0.5})) for step in range(40_000)]
if sys.argv[2] == "limit":
    limit(resource.RLIM_INFINITY)
lost, end = writer.lost, RunEnded("r", 1, "finished")
if sys.argv[2] == "for one":
    limit(writer.position % 2**40 + HEADER.size + len(encode(end)))
writer.append_event(end, essential=True)
if sys.argv[2] == "for one":
    limit(resource.RLIM_INFINITY)
writer.close()
print(json.dumps({"kept": sum(returned), "lost": lost}))
"""


def train(folder: Path, how: str) -> tuple[dict[str, int], str, list]:
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(folder), how], capture_output=True, text=True, check=True, timeout=60
    )
    (journal,) = (path for path in folder.iterdir() if path.is_dir())
    return json.loads(done.stdout), done.stderr, [record.event for record in Journal(journal).records(final=True)]


def check(told: dict[str, int], stderr: str, events: list) -> None:
    points = [event.step for event in events if isinstance(event, MetricsLogged)]
    assert told["lost"] > 0
    assert told["kept"] + told["lost"] == 40_000
    assert points == list(range(told["kept"]))
    assert stderr.count("cannot write to") == 1
    assert "AUTOTRACK_HOME" in stderr
    assert [event.status for event in events if isinstance(event, RunEnded)] == ["finished"]
    assert sum(event.count for event in events if isinstance(event, NoteLogged)) == told["lost"]


def test_room_that_comes_back_is_used_and_the_loss_is_counted(tmp_path: Path) -> None:
    check(*train(tmp_path, "limit"))


def test_a_count_for_which_there_is_no_room_yet_is_told_later(tmp_path: Path) -> None:
    check(*train(tmp_path, "for one"))


def test_a_full_file_system_keeps_room_to_end_the_run(tmp_path: Path) -> None:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(tmp_path)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a file system of 512 KiB cannot be mounted here: {mounted.stderr.strip()}")
    try:
        check(*train(tmp_path, "full"))
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)
