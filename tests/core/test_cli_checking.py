"""`autotrack doctor` asks each configured backend whether it would take events, in a bounded time."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from autotrack.cli.checking import check
from autotrack.settings import load

PLUGIN = """
import os, subprocess, sys, threading, time
from autotrack.backend import BackendUnavailable, Limits
from autotrack.errors import UsageError
from autotrack.plugin import BackendPlugin, hookimpl

@hookimpl
def autotrack_register_backends(register):
    for name in ("plain", "asked", "denied", "unset", "broken", "blocking", "quitting", "dying", "uninstalled"):
        factory = "nothing_of_this_name:It" if name == "uninstalled" else f"odd:{name.title()}"
        register(BackendPlugin(name=name, factory=factory, extra="odd"))

class Plain:
    limits = Limits()
    def open(self, context):
        print("noise")
        (context.home / "trace").write_text("x")
    def resume(self, writer): return None
    def deliver(self, batch): raise AssertionError("nothing is to be sent")
    def close(self): print("more noise")

class Asked(Plain):
    def check(self): return "Product 3.1 at https://me:hunter2@host/x"

class Denied(Plain):
    def check(self): raise BackendUnavailable("https://host answered 401: check ODD_TOKEN")

class Unset(Plain):
    def open(self, context): raise UsageError("odd needs ODD_URL: the address of its server")

class Broken(Plain):
    def check(self): return 1 // 0

class Blocking(Plain):
    def check(self):
        # Its own child holds the pipe as well.
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])
        open(os.environ["ODD_CHILD"], "w").write(str(child.pid))
        time.sleep(120)

class Quitting(Plain):
    def check(self): sys.exit("enough")

class Dying(Plain):
    def open(self, context): os._exit(3)
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "plugins"
    (folder / "odd-1.dist-info").mkdir(parents=True)
    (folder / "odd-1.dist-info" / "entry_points.txt").write_text("[autotrack]\nodd = odd\n")
    (folder / "odd.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("ODD_CHILD", str(tmp_path / "child"))
    return folder


def ask(home: Path, *names: str, seconds: float = 30) -> list[dict]:
    return check(load(home=home, backends=list(names)), names, seconds)


def test_each_says_in_one_line_what_it_is_or_what_to_do(plugin: Path, tmp_path: Path) -> None:
    names = ("plain", "asked", "denied", "unset", "broken", "quitting", "dying", "uninstalled")
    told = {one["name"]: one for one in ask(tmp_path / "home", *names)}
    assert list(told) == list(names)
    assert [name for name, one in told.items() if one["reachable"]] == ["plain", "asked"]
    assert (told["plain"]["told"], told["plain"]["problem"]) == (None, None)
    assert told["asked"]["told"].startswith("Product 3.1")
    assert told["denied"]["problem"] == "https://host answered 401: check ODD_TOKEN"
    assert told["unset"]["problem"] == "odd needs ODD_URL: the address of its server"
    assert "ZeroDivisionError" in told["broken"]["problem"]
    assert "enough" in told["quitting"]["problem"]
    assert told["dying"]["problem"] == "its process ended with code 3 and said nothing"
    assert "pip install 'autotrack-ml[odd]'" in told["uninstalled"]["problem"]
    assert not (tmp_path / "home").exists()


def test_one_that_blocks_is_ended_with_what_it_started_and_keeps_no_other_waiting(plugin: Path, tmp_path: Path) -> None:
    began = time.monotonic()
    blocking, asked = ask(tmp_path, "blocking", "asked", seconds=5)
    assert time.monotonic() - began < 8
    assert not blocking["reachable"] and "no answer within 5 seconds" in blocking["problem"]
    assert asked["reachable"]
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 10
    while _is_running(child):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _is_running(pid: int) -> bool:
    import psutil

    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_doctor_shows_what_they_said_and_no_secret(plugin: Path, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "AUTOTRACK_HOME": str(tmp_path / "home"),
        "AUTOTRACK_BACKENDS": "local,asked,denied,nowhere",
        "PYTHONPATH": str(plugin),
    }
    command = [sys.executable, "-m", "autotrack", "doctor"]
    done = subprocess.run([*command, "--json"], env=environment, capture_output=True, text=True, timeout=60)
    told = json.loads(done.stdout)
    assert [(one["name"], one["reachable"]) for one in told["backends"]] == [("asked", True), ("denied", False)]
    assert "denied: https://host answered 401: check ODD_TOKEN" in told["problems"]
    assert sum("nowhere" in problem for problem in told["problems"]) == 1
    text = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60).stdout
    assert "backend asked" in text and "Product 3.1" in text and "check ODD_TOKEN" in text
    assert "hunter2" not in text + done.stdout + done.stderr
    assert not (tmp_path / "home").exists()
