"""The dashboard while something trains: news of points, and of the death of a process."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from queue import Queue
from typing import Any

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from served import events, served

TRAINING = """
import sys, autotrack
with autotrack.start_run("live") as run:
    print(run.id, flush=True)
    for step, line in enumerate(sys.stdin):
        run.log_metrics({"loss": float(line)}, step=step)
        print("logged", flush=True)
"""


class Training:
    """A process that logs a point whenever it is told to. It has no forwarder: only readers take its journal in."""

    def __init__(self, home: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", TRAINING],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "AUTOTRACK_HOME": str(home), "AUTOTRACK_FORWARDER": "off", "AUTOTRACK_QUIET": "1"},
        )
        assert self.process.stdout is not None
        self.run = self.process.stdout.readline().strip()

    def log(self, value: float) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{value}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "logged\n"

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(20)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(20)


@pytest.fixture
def training(tmp_path: Path):
    training = Training(tmp_path / "home")
    yield training
    if training.process.poll() is None:
        training.process.kill()
        training.process.wait(20)
    for stream in (training.process.stdin, training.process.stdout):
        if stream is not None and not stream.closed:
            stream.close()


class News:
    """What the dashboard tells, gathered in a thread."""

    def __init__(self, client: httpx.Client) -> None:
        self.heard: Queue[dict[str, Any]] = Queue()
        self._thread = threading.Thread(target=self._listen, args=(client,), daemon=True)
        self._thread.start()
        assert self.heard.get(timeout=10)["runs"] == []  # the first says that the stream is open

    def _listen(self, client: httpx.Client) -> None:
        try:
            for told in events(client):
                self.heard.put(told)
        except httpx.HTTPError:
            pass

    def of(self, run: str) -> dict[str, Any]:
        """The next news of this run, within ten seconds."""
        deadline = time.monotonic() + 10
        while True:
            told = self.heard.get(timeout=max(0.01, deadline - time.monotonic()))
            if run in told["runs"]:
                return told


def test_points_are_told_of_and_shown_while_the_run_goes_on(training: Training, tmp_path: Path) -> None:
    with served(tmp_path / "home") as client:
        assert client.get(f"/api/run/{training.run}").json()["status"] == "running"
        news = News(client)
        training.log(0.5)
        first = news.of(training.run)
        (series,) = client.get("/api/series", params={"runs": training.run, "key": "loss"}).json()["series"]
        assert series["y"] == [0.5]
        training.log(0.25)
        second = news.of(training.run)
        assert second["version"] > first["version"]
        (series,) = client.get("/api/series", params={"runs": training.run, "key": "loss"}).json()["series"]
        assert series["y"] == [0.5, 0.25]
        training.end()
        news.of(training.run)
        assert client.get(f"/api/run/{training.run}").json()["status"] == "finished"


def test_a_run_that_begins_is_told_of(tmp_path: Path) -> None:
    with served(tmp_path / "home") as client:
        news = News(client)
        training = Training(tmp_path / "home")
        try:
            news.of(training.run)
            assert [run["id"] for run in client.get("/api/runs").json()["runs"]] == [training.run]
        finally:
            training.kill()
            for stream in (training.process.stdin, training.process.stdout):
                stream.close()  # type: ignore[union-attr]


def test_the_death_of_a_training_is_seen_within_two_seconds(training: Training, tmp_path: Path) -> None:
    with served(tmp_path / "home") as client:
        news = News(client)
        training.log(1.0)
        news.of(training.run)
        training.kill()
        killed = time.monotonic()
        news.of(training.run)
        seen = time.monotonic() - killed
        record = client.get(f"/api/run/{training.run}").json()
        assert record["status"] == "killed"
        assert record["metrics"]["loss"]["count"] == 1
        assert seen < 2


def test_a_browser_that_was_away_is_told_to_look_again(training: Training, tmp_path: Path) -> None:
    def first(client: httpx.Client, last: str | None) -> tuple[str, dict[str, Any]]:
        headers = {"Last-Event-ID": last} if last else {}
        with client.stream("GET", "/api/changes", headers=headers) as answer:
            lines = answer.iter_lines()
            named = next(line for line in lines if line.startswith("id: ")).removeprefix("id: ")
            return named, json.loads(next(line for line in lines if line.startswith("data: ")).removeprefix("data: "))

    with served(tmp_path / "home") as client:
        name, told = first(client, None)
        assert told["runs"] == []
        assert first(client, name)[1]["runs"] == []
        news = News(client)
        training.log(0.5)
        news.of(training.run)
        assert first(client, name)[1]["runs"] is None
        assert first(client, "of another dashboard")[1]["runs"] is None


def test_a_page_that_listens_does_not_keep_the_dashboard_from_ending(tmp_path: Path) -> None:
    with served(tmp_path / "home") as client:
        news = News(client)
        begun = time.monotonic()
    assert time.monotonic() - begun < 5
    assert news.heard.empty()


def test_the_command_serves_until_it_is_interrupted(training: Training, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "autotrack", "dashboard", "--port", "0", "--no-browser"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "AUTOTRACK_HOME": str(tmp_path / "home")},
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        address = line.split()[2]
        assert address.startswith("http://localhost:")
        assert httpx.get(f"{address}api/runs").json()["total"] == 1
        process.send_signal(signal.SIGINT)
        _, problems = process.communicate(timeout=15)
        assert process.returncode in (0, 130)
        assert "Traceback" not in problems
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
