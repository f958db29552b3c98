"""The journal keeps every returned call: read back after kill -9, damage, a torn tail, rotation and threads."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from autotrack.events import MetricsLogged, RunEnded, RunStarted, encode
from autotrack.journal import writer as writing
from autotrack.journal.closing import close_dead
from autotrack.journal.frames import CLOSING, segment_and_offset
from autotrack.journal.reader import Journal, journals

CHILD = """
import sys, time
from pathlib import Path
from autotrack.events import MetricsLogged, RunStarted
from autotrack.journal.writer import Writer
writer = Writer(Path(sys.argv[1]), version="test", backends=("local",))
writer.append_event(RunStarted("r", time.time_ns(), "name", "project"))
step = 0
while True:
    writer.append_event(MetricsLogged("r", time.time_ns(), step, {"loss": 0.1}))
    sys.stdout.write(f"{step}\\n"); sys.stdout.flush()
    step += 1
"""


def make_writer(folder: Path) -> writing.Writer:
    return writing.Writer(folder, version="test", backends=("local",))


def steps(folder: Path) -> list:
    return [record.event.step for record in Journal(folder).records() if isinstance(record.event, MetricsLogged)]


def test_journals_are_listed_in_the_order_in_which_they_were_made(tmp_path: Path) -> None:
    made = []
    for _ in range(20):
        writer = make_writer(tmp_path / "journals")
        writer.append_event(RunStarted("r", 0, "name", "project"))
        writer.close()
        made.append(writer.folder)
    assert journals(tmp_path) == made


def point(step: int) -> bytes:
    return encode(MetricsLogged("r", 1, step, {"loss": float(step)}))


@pytest.mark.parametrize("points", [1, 50, 400])
def test_every_returned_point_survives_sigkill_and_the_run_is_killed(tmp_path: Path, points: int) -> None:
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    said = [int(child.stdout.readline()) for _ in range(points)]
    (folder,) = tmp_path.iterdir()
    assert not close_dead(folder), "a living process is not spoken for"
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    said += [int(line) for line in child.stdout.read().splitlines()]
    assert steps(folder)[: len(said)] == said
    assert close_dead(folder)
    assert close_dead(folder)
    ends = [record.event for record in Journal(folder).records() if isinstance(record.event, RunEnded)]
    assert [end.status for end in ends] == ["killed"]
    assert Journal(folder).segments()[-1] == CLOSING


def test_a_damaged_frame_is_skipped_and_counted(tmp_path: Path) -> None:
    writer = make_writer(tmp_path)
    for step in range(10):
        writer.append(point(step))
    records = list(Journal(writer.folder).records())
    segment, begin = segment_and_offset(records[4].position)  # the frame after it carries step 4
    path = writer.folder / f"{segment:06d}.atj"
    data = bytearray(path.read_bytes())
    data[begin + 20] ^= 0xFF
    path.write_bytes(data)
    journal = Journal(writer.folder)
    found = [record.event.step for record in journal.records() if isinstance(record.event, MetricsLogged)]
    assert found == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert journal.damage.frames == 1


def test_a_torn_tail_is_dropped_and_told(tmp_path: Path) -> None:
    writer = make_writer(tmp_path)
    for step in range(3):
        writer.append(point(step))
    path = writer.folder / "000001.atj"
    os.truncate(path, path.stat().st_size - 5)
    journal = Journal(writer.folder)
    assert [r.event.step for r in journal.records(final=True) if isinstance(r.event, MetricsLogged)] == [0, 1]
    assert journal.damage.torn_bytes == len(point(2)) + 16 - 5


def test_reading_goes_on_across_rotated_segments_from_any_position(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(writing, "SEGMENT_BYTES", 2000)
    writer = make_writer(tmp_path)
    for step in range(200):
        writer.append(point(step))
    assert len(Journal(writer.folder).segments()) > 3
    assert steps(writer.folder) == list(range(200))
    for record in list(Journal(writer.folder).records())[::7]:
        later = [r.sequence for r in Journal(writer.folder).records(record.position)]
        assert later == list(range(record.sequence + 1, later[-1] + 1)) if later else True
    assert Journal(writer.folder).end() == writer.position


def test_threads_lose_and_double_nothing(tmp_path: Path) -> None:
    writer = make_writer(tmp_path)
    threads = [
        threading.Thread(target=lambda base=base: [writer.append(point(base + i)) for i in range(500)])
        for base in range(0, 4000, 500)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(steps(writer.folder)) == list(range(4000))
    sequences = [record.sequence for record in Journal(writer.folder).records()]
    assert sequences == list(range(1, 4002))


def test_a_run_that_was_ended_is_not_spoken_for(tmp_path: Path) -> None:
    code = CHILD.split("step = 0")[0] + (
        "from autotrack.events import RunEnded\n"
        "writer.append_event(RunEnded('r', time.time_ns(), 'finished'))\nwriter.close()\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    (folder,) = tmp_path.iterdir()
    assert close_dead(folder)
    ends = [r.event.status for r in Journal(folder).records() if isinstance(r.event, RunEnded)]
    assert ends == ["finished"]
    assert sum(isinstance(r.event, RunStarted) for r in Journal(folder).records()) == 1
