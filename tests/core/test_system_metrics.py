"""System metrics: from the forwarder, at the interval that was asked for, of real processes; nothing where unset."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from autotrack.events import MetricsLogged, RunEnded, RunStarted
from autotrack.forward.machine import Machine
from autotrack.journal.reader import Journal, archived, journals
from autotrack.settings import as_environment, load

HEAD = "import autotrack, os, sys, time\n"
GO = """
def until_told():
    while not os.path.exists(os.environ["GO"]):
        sum(range(10_000))
"""

BACKEND = '''
"""A remote backend for tests: it writes down what it gets."""
import json
from autotrack.backend import Limits
from autotrack.plugin import BackendPlugin, hookimpl

@hookimpl
def autotrack_register_backends(register):
    register(BackendPlugin(name="noting", factory="noting_backend:Noting"))

class Noting:
    limits = Limits()
    def open(self, context):
        self.path = context.home / "noted.jsonl"
    def resume(self, writer):
        return None
    def deliver(self, batch):
        with open(self.path, "a") as file:
            for record in batch:
                file.write(json.dumps([record.event.run, type(record.event).__name__, repr(record.event)]) + "\\n")
        return batch[-1].sequence
    def close(self):
        pass
'''

NVML = """
NVML_TEMPERATURE_GPU = 0
looks = 0
class NVMLError(Exception):
    pass
class Rates:
    gpu = 75
class Memory:
    used, total = 2 << 30, 8 << 30
def nvmlInit(): pass
def nvmlDeviceGetCount(): return 2
def nvmlDeviceGetHandleByIndex(index): return index
def nvmlDeviceGetUtilizationRates(handle): return Rates
def nvmlDeviceGetMemoryInfo(handle): return Memory
def nvmlDeviceGetTemperature(handle, sensor): return 40 + handle
def nvmlDeviceGetPowerUsage(handle):
    global looks
    looks += handle == 1
    if looks > 2:
        raise NVMLError("lost")
    return 250_500
"""


class Home:
    """A home folder, and scripts that train in it while the forwarder samples."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.go, self.imports = folder / "home", folder / "go", folder / "imports"
        info = self.imports / "noting-1.dist-info"
        info.mkdir(parents=True)
        (info / "entry_points.txt").write_text("[autotrack]\nnoting = noting_backend\n")
        (self.imports / "noting_backend.py").write_text(BACKEND)

    def start(self, code: str, interval: float | None = 0.1, **variables: str) -> subprocess.Popen:
        environment = {**os.environ, "AUTOTRACK_HOME": str(self.folder), "GO": str(self.go)}
        environment |= {"PYTHONPATH": str(self.imports), "AUTOTRACK_QUIET": "1", **variables}
        if interval is not None:
            environment["AUTOTRACK_SYSTEM_METRICS"] = str(interval)
        return subprocess.Popen([sys.executable, "-c", HEAD + GO + code], env=environment, stderr=subprocess.PIPE)

    def finish(self, child: subprocess.Popen) -> None:
        self.go.touch()
        _, told = child.communicate(timeout=60)
        assert (child.returncode, told) == (0, b"")
        self.go.unlink()
        until(lambda: not journals(self.folder))

    def events(self, kind: type = MetricsLogged) -> list:
        """All events of a kind; journals that are being archived at this moment are left out."""
        found = []
        for folder in [*journals(self.folder), *archived(self.folder)]:
            try:
                found += [it.event for it in Journal(folder).records() if isinstance(it.event, kind)]
            except FileNotFoundError:
                pass
        return found

    def samples(self, run: str = "") -> list[MetricsLogged]:
        return [it for it in self.events() if "system/memory" in it.values and run in ("", it.run)]

    def record(self, name: str) -> dict:
        code = f"import autotrack, json; print(json.dumps(autotrack.get_run({name!r})))"
        environment = {**os.environ, "AUTOTRACK_HOME": str(self.folder)}
        return json.loads(subprocess.check_output([sys.executable, "-c", code], env=environment))

    def forwarder(self) -> int:
        """The pid of the forwarder: it is the one that writes the journal of samples."""
        (folder,) = [it for it in journals(self.folder) if not any(Journal(it).records()) or self._samples(it)]
        return int(folder.name.split("-")[1])

    def _samples(self, folder: Path) -> bool:
        return any("system/memory" in getattr(it.event, "values", ()) for it in Journal(folder).records())


def until(true: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come to be in time"
        time.sleep(0.02)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_a_busy_training_with_200_megabytes_is_seen_and_reaches_the_store(home: Home) -> None:
    code = "with autotrack.start_run('busy'):\n    held = b'x' * (200 << 20)\n    until_told()\n"
    child = home.start(code, 0.25)
    until(lambda: len(home.samples()) >= 6)
    home.finish(child)
    samples = home.samples()
    assert [it.step for it in samples] == list(range(len(samples)))
    assert len(samples) <= 1.5 + (samples[-1].time - samples[0].time) / 0.25e9  # no oftener than was asked for
    assert max(it.values["system/process/memory"] for it in samples) > 200 << 20
    assert max(it.values.get("system/process/cpu", 0.0) for it in samples) > 15
    assert max(it.values.get("system/cpu", 0.0) for it in samples) > 1
    for it in samples:
        assert 0 < it.values["system/memory"] < 100 and 0 < it.values["system/disk"] <= 100
        assert 0 <= it.values.get("system/cpu", 0.0) <= 100
        assert it.values["system/memory_used"] >= 1 << 20
    run = home.record("busy")
    kept = run["metrics"]["system/process/memory"]
    assert (run["status"], kept["count"], kept["first_step"], kept["last_step"]) == (
        "finished", len(samples), 0, len(samples) - 1,
    )  # fmt: skip
    assert kept["max"] == max(it.values["system/process/memory"] for it in samples)


def test_processes_that_the_training_starts_count(home: Home) -> None:
    inner = "held = b'x' * (150 << 20); import sys; sys.stdin.read()"
    code = f"""
import subprocess
with autotrack.start_run("outer"):
    worker = subprocess.Popen([sys.executable, "-c", {inner!r}], stdin=subprocess.PIPE)
    until_told()
    worker.communicate(b"")
"""
    child = home.start(code)
    until(lambda: any(it.values["system/process/memory"] > 150 << 20 for it in home.samples()))
    home.finish(child)


def test_unset_there_is_one_journal_and_no_system_metric(home: Home) -> None:
    home.finish(home.start("with autotrack.start_run('off') as run:\n    run.log_metrics({'m': 1.0}, step=0)\n", None))
    assert len(archived(home.folder)) == 1 and home.samples() == []
    assert not (home.folder / "samples").exists()


def test_an_argument_reaches_the_forwarder(home: Home) -> None:
    code = "autotrack.enable(system_metrics=0.1)\nwith autotrack.start_run('asked'):\n    until_told()\n"
    child = home.start(code, None)
    until(home.samples)
    home.finish(child)
    assert as_environment(load({}, system_metrics=2))["AUTOTRACK_SYSTEM_METRICS"] == "2.0"
    assert "AUTOTRACK_SYSTEM_METRICS" not in as_environment(load({}))


def test_each_open_run_has_its_samples_and_none_after_its_end(home: Home) -> None:
    code = """
first = autotrack.start_run("first")
with autotrack.start_run("second"):
    until_told()
os.unlink(os.environ["GO"])
first.end()
with autotrack.start_run("third"):
    until_told()
"""
    child = home.start(code)
    until(lambda: len({it.run for it in home.samples()}) == 2 and len(home.samples()) > 5)
    home.go.touch()
    until(lambda: len(home.events(RunEnded)) == 2)
    (third,) = [it.run for it in home.events(RunStarted) if it.name == "third"]
    until(lambda: len(home.samples(third)) > 5)
    home.finish(child)
    begins = {it.run: it.time for it in home.events(RunStarted)}
    for ended in home.events(RunEnded):
        samples = home.samples(ended.run)
        assert [it.step for it in samples] == list(range(len(samples)))
        assert samples[0].time > begins[ended.run]
        # A look that has begun before the end is recorded after it.
        assert sum(it.time > ended.time for it in samples) <= 1


def test_a_forwarder_that_is_killed_loses_no_sample_and_the_next_goes_on(home: Home) -> None:
    code = """
run = autotrack.start_run("first")
until_told()
os.unlink(os.environ["GO"])
while autotrack.session.session._forwarder.is_alive():  # a thread that waits for the disk outlives the kill
    time.sleep(0.01)
with autotrack.start_run("second"):
    until_told()
run.end()
"""
    child = home.start(code)
    until(lambda: len(home.samples()) >= 3)
    os.kill(home.forwarder(), signal.SIGKILL)
    before = len(home.samples())
    home.go.touch()
    until(lambda: len({it.run for it in home.samples()}) == 2)
    home.finish(child)
    (first,) = [it.run for it in home.events(RunStarted) if it.name == "first"]
    samples = home.samples(first)
    assert len(samples) > before
    assert sorted(it.step for it in samples) == list(range(len(samples)))
    for name in ("first", "second"):
        run = home.record(name)
        assert run["status"] == "finished"
        assert run["metrics"]["system/memory"]["count"] == len(home.samples(run["id"]))


def test_a_killed_training_ends_the_samples_and_its_run_is_killed(home: Home) -> None:
    child = home.start("with autotrack.start_run('victim'):\n    until_told()\n")
    until(lambda: len(home.samples()) >= 2)
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    until(lambda: not journals(home.folder))
    assert home.record("victim")["status"] == "killed"


def test_the_end_of_a_training_waits_for_no_sample_and_backends_get_them_after_the_run(home: Home) -> None:
    code = """
with autotrack.start_run("remote", project="elsewhere"):
    until_told()
began = time.monotonic()
import atexit
atexit._run_exitfuncs()
assert time.monotonic() - began < 10, time.monotonic() - began
"""
    child = home.start(code, 600, AUTOTRACK_BACKENDS="noting,local")
    until(home.samples)
    home.finish(child)
    noted = [json.loads(line) for line in (home.folder / "noted.jsonl").read_text().splitlines()]
    kinds = [kind for run, kind, _ in noted if run and kind not in ("ProvenanceLogged", "ConsoleLogged")]
    assert kinds[0] == "RunStarted" and sorted(kinds) == ["MetricsLogged", "RunEnded", "RunStarted"]


def test_a_backend_that_gets_the_run_from_its_framework_gets_no_sample_of_it(home: Home) -> None:
    code = """
from autotrack.plugin import begin_leaf
autotrack.enable()
with begin_leaf("acme", name="theirs", not_to=["noting"]):
    until_told()
"""
    child = home.start(code, AUTOTRACK_BACKENDS="noting,local")
    until(home.samples)
    home.finish(child)
    lines = [json.loads(line) for line in (home.folder / "noted.jsonl").read_text().splitlines()]
    assert {run for run, _, _ in lines} == {""}
    assert home.record("theirs")["metrics"]["system/memory"]["count"] == len(home.samples())


def test_a_later_process_that_goes_on_with_a_run_goes_on_with_its_steps(home: Home) -> None:
    code = """
from autotrack.plugin import begin_leaf
autotrack.enable()
with begin_leaf("acme", name="long", continues={!r}):
    until_told()
"""
    counts = []
    for run in (None, "feedfeedfeedfeed", "feedfeedfeedfeed"):
        child = home.start(code.format(run))
        seen = len(home.samples())
        until(lambda seen=seen: len(home.samples()) > seen + 1)
        home.finish(child)
        counts.append(len(home.samples()))
    steps = sorted(it.step for it in home.samples("feedfeedfeedfeed"))
    assert steps == list(range(counts[2] - counts[0]))


def test_gpus_are_read_and_one_reading_that_raises_is_told_once_and_left_out(home: Home) -> None:
    (home.imports / "pynvml.py").write_text(NVML)
    child = home.start("with autotrack.start_run('gpu'):\n    until_told()\n")
    until(lambda: len(home.samples()) >= 6)
    home.finish(child)
    first, *_, last = home.samples()
    for index in (0, 1):
        gpu = {key: value for key, value in last.values.items() if key.startswith(f"system/gpu/{index}/")}
        assert gpu == {
            f"system/gpu/{index}/utilization": 75.0,
            f"system/gpu/{index}/memory": 25.0,
            f"system/gpu/{index}/memory_used": float(2 << 30),
            f"system/gpu/{index}/temperature": 40.0 + index,
        }
        assert first.values[f"system/gpu/{index}/power"] == 250.5
    log = (home.folder / "forwarder.log").read_text().splitlines()
    assert [line.count("power of GPU") for line in log] == [1, 1] and "lost" in log[0]


def test_a_source_that_blocks_for_ever_keeps_neither_the_training_nor_the_forwarder(home: Home) -> None:
    (home.imports / "pynvml.py").write_text("import time\ndef nvmlInit(): time.sleep(10_000)\n")
    began = time.monotonic()
    variables = {"AUTOTRACK_BACKENDS": "noting,local", "AUTOTRACK_EXIT_TIMEOUT": "300"}
    home.finish(home.start("with autotrack.start_run('stuck'):\n    pass\n", **variables))
    assert time.monotonic() - began < 60
    assert home.record("stuck")["status"] == "finished"
    assert "a source blocks" in (home.folder / "forwarder.log").read_text()


def test_what_is_read_here_is_what_the_page_lists(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "system-metrics.md").read_text()
    listed = {name for row in page.splitlines() if row.startswith("| `") for name in re.findall(r"`(system/\S+)`", row)}
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as training:
        machine = Machine(training.pid, tmp_path)
        sum(range(3_000_000))  # some time, for what is counted in hundredths of a second
        read = set(machine.look())
        training.communicate(b"\n")
    assert set(machine.look()) <= read
    assert {name for name in read if "/gpu/" not in name} <= listed
    assert {name for name in listed if "/gpu/" not in name} - read <= {"system/disk_read", "system/disk_written"}
    assert {"system/cpu", "system/process/memory", "system/process/cpu"} <= read


def test_a_source_that_raises_is_left_out_and_the_others_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gone = tmp_path / "home"
    gone.mkdir()
    machine = Machine(os.getpid(), gone)
    assert "system/disk" in machine.look()
    gone.rmdir()
    assert "system/disk" not in machine.look()
    gone.mkdir()
    values = machine.look()
    assert "system/disk" not in values and "system/memory" in values
    assert caplog.text.count("disk cannot be read") == 1
