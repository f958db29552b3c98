"""The real client for Neptune 3, online, against a server on loopback that speaks its protocol (`neptune_server`)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # test modules are not a package

pytest.importorskip("neptune_scale")

from neptune_server import NeptuneServer

import autotrack
from autotrack.testing import recording


@pytest.fixture
def server() -> Iterator[NeptuneServer]:
    made = NeptuneServer("team/churn")
    yield made
    made.close()


def record(home: Path) -> str:
    with recording(home), autotrack.start_run("online", tags={"team": "risk"}) as run:
        run.log_params({"lr": 0.5, "layers": 3})
        for step in range(200):
            run.log_metrics({"loss": 1 / (step + 1)}, step=step)
        run.log_metrics({"loss": float("inf")}, step=200.5)
        run.log_artifact(b"content", "report.txt")
        run.log_artifact(b"", "empty.txt")
        run.set_tags({"sys/tags": '["a", "b"]'})
    return run.id


def deliver(home: Path, server: NeptuneServer) -> tuple[str, dict[str, Any]]:
    """`autotrack sync` in a process of its own, as users run it: what it says, and what is known of the delivery."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("AUTOTRACK_", "NEPTUNE_"))},
        "AUTOTRACK_HOME": str(home),
        "AUTOTRACK_BACKENDS": "local,neptune",
        "AUTOTRACK_KEEP": "all",
        "AUTOTRACK_NEPTUNE_CLIENT": "neptune-scale",
        "NEPTUNE_API_TOKEN": server.token,
        "NEPTUNE_PROJECT": "team/churn",
    }
    done = subprocess.run(
        [sys.executable, "-m", "autotrack", "sync"], env=environment, capture_output=True, text=True, timeout=120
    )
    (progress,) = (home / "delivery").glob("*/neptune.json")
    return done.stdout + done.stderr, json.loads(progress.read_text())


def assert_all_is_there(server: NeptuneServer, run: str) -> None:
    held = server.runs[run]
    assert held["created"].experiment_id == "online"
    expected = [*((float(step), 1 / (step + 1)) for step in range(200)), (200.5, float("inf"))]
    assert held["series"]["loss"] == expected
    assert (held["values"]["lr"], held["values"]["layers"]) == (0.5, 3)
    assert (held["values"]["autotrack/status"], held["values"]["autotrack/tags/team"]) == ("finished", "risk")
    assert {name: server.files[path] for name, path in held["files"].items()} == {
        "report.txt": b"content",
        "empty.txt": b"",
    }
    assert held["tags"] == {"a", "b"}


def test_a_run_arrives_whole_and_sent_again_changes_nothing(server: NeptuneServer, tmp_path: Path) -> None:
    home = tmp_path / "home"
    run = record(home)
    said, progress = deliver(home, server)
    assert progress["done"] and not progress["problem"], said
    assert_all_is_there(server, run)
    assert not list((home / "neptune").glob("*/*/*.sqlite3")), "what was sent is no longer waiting"
    (kept,) = (home / "delivery").glob("*/neptune.json")
    kept.unlink()
    said, progress = deliver(home, server)
    assert progress["done"], said
    assert_all_is_there(server, run)
    assert progress["notes"].get(run, {}) == {}


def test_a_refused_token_is_one_clear_problem_and_data_wait(server: NeptuneServer, tmp_path: Path) -> None:
    home = tmp_path / "home"
    run = record(home)
    server.denied = True
    said, progress = deliver(home, server)
    assert not progress["done"] and "NEPTUNE_API_TOKEN" in progress["problem"] and "401" in progress["problem"]
    assert "secret-key" not in said and server.token not in said
    server.denied = False
    said, progress = deliver(home, server)
    assert progress["done"], said
    assert_all_is_there(server, run)
