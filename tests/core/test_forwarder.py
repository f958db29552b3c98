"""What was logged arrives, whoever dies: the trainer, the forwarder, a backend; and none of them costs the training."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

HEAD = "import autotrack, os, sys, time\n"

LOOP = """
with autotrack.start_run("loop") as run:
    step = 0
    while True:
        run.log_metrics({"loss": 1.0 / (step + 1), "acc": step / 1000}, step=step)
        sys.stdout.write(f"{step}\\n"); sys.stdout.flush()
        step += 1
"""

PLUGIN = '''
"""A backend for tests: behaves as AUTOTRACK_TEST_BACKEND says."""
import json, os, time
from pathlib import Path
from autotrack.backend import BackendRejected, BackendUnavailable, Limits
from autotrack.plugin import BackendPlugin, hookimpl

@hookimpl
def autotrack_register_backends(register):
    for name in ("raising", "blocking", "picky", "keeping", "gated"):
        register(BackendPlugin(name=name, factory=f"odd_backends:{name.title()}"))

class Keeping:
    limits = Limits(key_characters=r"[\\\\w]", key_length=8, param_length=5, integer_steps=True, infinities=False)
    def open(self, context):
        self.home = context.home
    def resume(self, writer):
        return None
    def deliver(self, batch):
        with open(self.home / "kept.jsonl", "a") as file:
            for record in batch:
                line = [record.writer, record.sequence, type(record.event).__name__, repr(record.event)]
                file.write(json.dumps(line, ensure_ascii=False) + "\\\\n")
        return batch[-1].sequence
    def close(self):
        pass

class Raising(Keeping):
    def deliver(self, batch):
        raise RuntimeError("always")

class Blocking(Keeping):
    def deliver(self, batch):
        time.sleep(10_000)

class Gated(Keeping):
    def deliver(self, batch):
        (self.home / "reached").touch()
        while not (self.home / "go").exists():
            time.sleep(0.01)
        return super().deliver(batch)

class Picky(Keeping):
    def deliver(self, batch):
        if any("bad" in getattr(record.event, "tags", ()) for record in batch):
            raise BackendRejected("no bad events here")
        return super().deliver(batch)
'''.replace("\\\\", "\\")


class Home:
    """A home folder, a way to run scripts in it, and a way to read it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "home"
        self.plugins = folder / "plugins"
        info = self.plugins / "odd_backends-1.dist-info"
        info.mkdir(parents=True)
        (info / "entry_points.txt").write_text("[autotrack]\nodd = odd_backends\n")
        (self.plugins / "odd_backends.py").write_text(PLUGIN)

    def environment(self, **more: str) -> dict[str, str]:
        return {
            **os.environ,
            "AUTOTRACK_HOME": str(self.folder),
            "PYTHONPATH": str(self.plugins),
            "XDG_STATE_HOME": str(self.folder.parent / "state"),
            **more,
        }

    def start(self, code: str, **environment: str) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-c", HEAD + code],
            env=self.environment(**environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, code: str, **environment: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-c", HEAD + code],
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def ask(self, expression: str) -> object:
        code = f"import json; print(json.dumps({expression}, default=str))"
        done = self.run(code, AUTOTRACK_QUIET="1")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def points(self, key: str) -> list[list[float]]:
        return self.ask(
            "[(p['step'], p['value']) for p in __import__('autotrack.reading', fromlist='x').open_store()"
            f".series_dicts(autotrack.runs()[-1]['id'], {key!r})]"
        )  # type: ignore[return-value]

    def await_archive(self, count: int, seconds: float = 20) -> None:
        until(lambda: len(list((self.folder / "archive").glob("*"))) >= count, seconds)

    def progress(self, backend: str) -> dict:
        (path,) = (self.folder / "delivery").glob(f"*/{backend}.json")
        return json.loads(path.read_text())


def until(true, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come to be in time"
        time.sleep(0.02)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def forwarders(folder: Path) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"autotrack.forward.process" in command and str(folder).encode() in command:
            found.append(int(entry.name))
    return found


@pytest.mark.parametrize("forwarder", ["process", "off"])
def test_sigkill_loses_no_returned_point_and_the_run_is_killed(home: Home, forwarder: str) -> None:
    child = home.start(LOOP, AUTOTRACK_FORWARDER=forwarder)
    said = [int(child.stdout.readline()) for _ in range(random.randrange(1, 3000))]
    os.kill(child.pid, signal.SIGKILL)
    said += [int(line) for line in child.stdout.read().splitlines()]
    child.communicate()
    points = home.points("loss")
    assert points[: len(said)] == [[step, 1.0 / (step + 1)] for step in said]
    assert len(points) <= len(said) + 1
    (run,) = home.ask("[autotrack.get_run(r['id']) for r in autotrack.runs()]")
    assert run["status"] == "killed"
    assert run["error"]["type"] == "ProcessGone"


def test_the_forwarder_itself_closes_a_killed_run_within_two_seconds(home: Home) -> None:
    child = home.start(LOOP)
    child.stdout.readline()
    until(lambda: (home.folder / "delivery").exists() or (home.folder / "store.db").exists())
    os.kill(child.pid, signal.SIGKILL)
    killed = time.monotonic()
    until(lambda: list((home.folder / "journals").glob("*/999999.atj")) or list((home.folder / "archive").glob("*")))
    assert time.monotonic() - killed < 2
    child.communicate()
    home.await_archive(1)


def test_statuses_are_true(home: Home) -> None:
    endings = {
        "pass": "finished",
        "1/0": "failed",
        "sys.exit(3)": "killed",
        "os._exit(0)": "killed",
        "os.kill(os.getpid(), 15)": "killed",
        "raise KeyboardInterrupt": "killed",
    }
    for code in endings:
        home.run(f"with autotrack.start_run(name={code!r}):\n    {code}\n")
    assert {run["name"]: run["status"] for run in home.ask("autotrack.runs()")} == endings


def test_a_forwarder_that_is_killed_is_followed_by_another_and_nothing_is_doubled(home: Home) -> None:
    code = """
first = autotrack.start_run("first")
for step in range(20_000):
    first.log_metrics({"loss": float(step)}, step=step)
    if step == 10_000:
        print("half", flush=True); sys.stdin.readline()
        while autotrack.session.session._forwarder.is_alive():  # a thread that waits for the disk outlives the kill
            time.sleep(0.01)
first.end()
with autotrack.start_run("second") as second:
    second.log_metrics({"loss": 1.0}, step=0)
"""
    child = subprocess.Popen(
        [sys.executable, "-c", HEAD + code],
        env=home.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout.readline() == "half\n"
    until(lambda: forwarders(home.folder))
    until(lambda: (home.folder / "store.db").exists())
    for pid in forwarders(home.folder):
        os.kill(pid, signal.SIGKILL)
    child.communicate("go\n")
    home.await_archive(1)
    runs = home.ask("[autotrack.get_run(r['id']) for r in autotrack.runs()]")
    assert {run["name"]: run["metrics"]["loss"]["count"] for run in runs} == {"first": 20_000, "second": 1}
    assert {run["status"] for run in runs} == {"finished"}


def test_bad_backends_cost_neither_the_training_nor_each_other(home: Home) -> None:
    code = "with autotrack.start_run() as run:\n    run.log_metrics({'m': 2.5}, step=1)\nprint('trained')\n"
    began = time.monotonic()
    done = home.run(code, AUTOTRACK_BACKENDS="raising,blocking,local,keeping", AUTOTRACK_EXIT_TIMEOUT="3")
    assert time.monotonic() - began < 8
    assert (done.returncode, done.stdout) == (0, "trained\n")
    assert "raising (RuntimeError('always')), blocking" in done.stderr
    assert "keeping" not in done.stderr
    assert home.points("m") == [[1, 2.5]]
    for pid in forwarders(home.folder):
        os.kill(pid, signal.SIGKILL)


def test_what_a_backend_refuses_is_set_aside_with_its_reason_and_the_rest_arrives(home: Home) -> None:
    code = (
        "with autotrack.start_run() as run:\n"
        "    for i in range(50): run.log_metrics({'m': 1.0}, step=i)\n"
        "    run.set_tags({'bad': 'x'})\n"
        "    for i in range(50): run.log_metrics({'m': 1.0}, step=50 + i)\n"
    )
    assert home.run(code, AUTOTRACK_BACKENDS="picky").stderr.count("\n") == 1
    kept = [json.loads(line) for line in (home.folder / "kept.jsonl").read_text().splitlines()]
    assert sum(kind == "MetricsLogged" for _, _, kind, _ in kept) == 100
    assert len({sequence for _, sequence, _, _ in kept}) == len(kept)
    (dead,) = (home.folder / "delivery").glob("*/picky.dead.jsonl")
    (letter,) = [json.loads(line) for line in dead.read_text().splitlines()]
    assert (letter["kind"], letter["reason"]) == ("TagsSet", "no bad events here")
    assert home.progress("picky")["dead"] == 1


def test_names_values_and_steps_are_made_to_fit_and_every_change_is_told(home: Home) -> None:
    code = (
        "with autotrack.start_run() as run:\n"
        "    run.log_metrics({'ndcg@3': 1.0, 'ndcg_3': 2.0, 'ndcg(3': 3.0, '损失': 4.0, 'a' * 20: 5.0}, step=1)\n"
        "    run.log_metrics({'inf': float('inf')}, step=0.5)\n"
        "    run.log_params({'long': 'x' * 10})\n"
    )
    home.run(code, AUTOTRACK_BACKENDS="keeping,local")
    kept = (home.folder / "kept.jsonl").read_text()
    assert "{'ndcg_3': 1.0, 'ndcg_3_2': 2.0, 'ndcg_3_3': 3.0, '损失': 4.0, 'aaaaaaaa': 5.0}" in kept
    assert "step=0, values={'inf': inf}" in kept
    assert "params={'long': 'xxxxx'}" in kept
    (notes,) = home.progress("keeping")["notes"].values()
    assert notes["fractional steps"][0] == notes["infinite values"][0] == 1
    assert "cut to 5 of its 10" in notes["value of 'long'"][1]
    (run,) = home.ask("[autotrack.get_run(r['id']) for r in autotrack.runs()]")
    assert run["params"] == {"long": "x" * 10}
    assert "ndcg@3" in run["metrics"]


def test_a_backend_that_is_configured_later_gets_the_old_runs(home: Home) -> None:
    home.run("with autotrack.start_run() as run:\n    run.log_metrics({'m': 2.5}, step=1)\n")
    home.await_archive(1)
    report = home.ask(
        "[(d.backend, d.complete) for d in __import__('autotrack.forward.catching_up', fromlist='x')"
        ".sync(autotrack.session.session.settings.resolved_home, autotrack.session.session.settings, ('keeping',))]"
    )
    assert report == [["keeping", True]]
    assert "'m': 2.5" in (home.folder / "kept.jsonl").read_text()


def test_a_run_that_its_framework_sends_itself_reaches_the_backend_once(home: Home) -> None:
    home.run(
        "from autotrack.plugin import begin_leaf\nautotrack.enable()\n"
        "for name, elsewhere in (('theirs', ['keeping']), ('ours', [])):\n"
        "    with begin_leaf('acme', name=name, not_to=elsewhere) as leaf: leaf.run.log_metrics({name: 1.5}, step=1)\n",
        AUTOTRACK_BACKENDS="local,keeping",
    )
    runs = {run["name"]: run for run in home.ask("autotrack.runs()")}
    assert runs["theirs"]["status"] == runs["ours"]["status"] == "finished"
    kept = (home.folder / "kept.jsonl").read_text()
    assert "'ours': 1.5" in kept and "'theirs': 1.5" not in kept and runs["theirs"]["id"] not in kept
    notes = home.progress("keeping")["notes"][runs["theirs"]["id"]]
    assert notes == {"the whole run": [1, "the framework's own logger sends it to keeping"]}


def test_in_a_run_of_the_users_only_what_the_framework_sends_itself_is_left_out(home: Home) -> None:
    home.run(
        "from autotrack.plugin import begin_leaf\nautotrack.enable()\n"
        "with autotrack.start_run() as run:\n"
        "    run.log_metrics({'mine': 1.5}, step=1)\n"
        "    with begin_leaf('acme', name='theirs', not_to=['keeping']) as leaf:\n"
        "        for step, loss in ((1, 2.5), (0.25, 3.5), (None, 5.5)):\n"
        "            leaf.run.log_metrics({'theirs': loss, 'more': loss}, step, not_to=leaf.not_to)\n"
        "        leaf.run.log_metrics({'ours': 4.5}, step=2)\n"
        "        leaf.run.log_params({'depth': 3})\n",
        AUTOTRACK_BACKENDS="local,keeping",
    )
    (run,) = home.ask("autotrack.runs()")
    assert [home.points(key) for key in ("theirs", "ours")] == [[[0.25, 3.5], [1, 2.5], [2, 5.5]], [[2, 4.5]]]
    kept = (home.folder / "kept.jsonl").read_text()
    assert "'mine': 1.5" in kept and "'ours': 4.5" in kept and "'depth': 3" in kept and "RunEnded" in kept
    assert not any(f"'theirs': {loss}" in kept for loss in (2.5, 3.5, 5.5))
    notes = home.progress("keeping")["notes"][run["id"]]
    assert notes == {"points": [6, "the framework's own logger feeds keeping"]}


def test_sync_waits_for_the_forwarder_that_is_delivering(home: Home) -> None:
    gated = {"AUTOTRACK_BACKENDS": "gated", "AUTOTRACK_EXIT_TIMEOUT": "0.1"}
    home.run("autotrack.start_run().log_metrics({'m': 2.5}, step=1)", **gated)
    until((home.folder / "reached").exists)
    command = [sys.executable, "-m", "autotrack", "sync", "--backends", "gated"]
    sync = subprocess.Popen(command, env=home.environment(), stderr=subprocess.PIPE, text=True)
    with pytest.raises(subprocess.TimeoutExpired):
        sync.wait(timeout=2)
    (home.folder / "go").touch()
    _, told = sync.communicate(timeout=20)
    assert sync.returncode == 0, told
    kept = [json.loads(line)[:2] for line in (home.folder / "kept.jsonl").read_text().splitlines()]
    assert [sequence for _, sequence in kept] == list(range(1, len(kept) + 1))


def test_remote_backends_alone_leave_nothing_behind(home: Home) -> None:
    home.run("with autotrack.start_run() as run:\n    pass\n", AUTOTRACK_BACKENDS="keeping")
    until(lambda: not list((home.folder / "journals").glob("*")))
    assert not list((home.folder / "archive").glob("*"))


def test_a_forwarder_whose_home_is_removed_ends(home: Home) -> None:
    child = home.start("with autotrack.start_run() as run:\n    print('open', flush=True); time.sleep(30)\n")
    child.stdout.readline()
    until(lambda: (home.folder / "store.db").exists())

    def removed() -> bool:
        # As with any program at work in a folder, what it writes in between can make one removal incomplete.
        shutil.rmtree(home.folder, ignore_errors=True)
        return not home.folder.exists()

    until(removed)
    until(lambda: not forwarders(home.folder))
    assert not home.folder.exists(), "nothing makes the folder again"
    child.kill()
    child.communicate()


def test_an_unknown_backend_is_told_with_what_there_is(home: Home) -> None:
    done = home.run(
        "with autotrack.start_run() as run:\n    pass\n", AUTOTRACK_BACKENDS="nowhere", AUTOTRACK_EXIT_TIMEOUT="5"
    )
    assert done.returncode == 0
    assert "there is no backend 'nowhere'; AUTOTRACK_BACKENDS takes a comma list of" in done.stderr
