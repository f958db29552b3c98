"""The forwarder to a self-hosted Neptune: what its variables say, and what the real clients leave on disk offline."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # test modules are not a package

from neptune_server import NeptuneServer

import autotrack
from autotrack.errors import BackendUnavailable, UsageError
from autotrack.events import AnyEvent, MetricsLogged, ParamsLogged, RunEnded, RunStarted
from autotrack.forward.catching_up import sync
from autotrack.settings import load
from autotrack.testing import recording
from autotrack_neptune import backend as module
from autotrack_neptune.paths import Paths, whole
from autotrack_neptune.reaching import reached
from autotrack_neptune.token import connection

SELF_HOSTED = "https://neptune.example.org"


def token(address: str) -> str:
    held = {"api_address": address, "api_url": address, "api_key": "secret-key"}
    return base64.b64encode(json.dumps(held).encode()).decode()


@pytest.mark.parametrize(
    "address", ["https://app.neptune.ai", "https://scale.neptune.ai/", "https://eu1.neptune.ai:443"]
)
def test_a_token_of_the_hosted_service_gets_the_sentence_that_it_ended(address: str) -> None:
    with pytest.raises(UsageError) as told:
        connection({"NEPTUNE_API_TOKEN": token(address), "NEPTUNE_PROJECT": "a/b"})
    message = str(told.value)
    assert "ended on 2026-03-05" in message and "autotrack import neptune" in message
    assert "NEPTUNE_API_TOKEN" in message and "secret-key" not in message and token(address) not in message


def test_a_token_of_a_server_of_ones_own_is_taken() -> None:
    held = connection({"NEPTUNE_API_TOKEN": token(SELF_HOSTED), "NEPTUNE_PROJECT": "team/churn"})
    assert (held.mode, held.project, held.token) == ("async", "team/churn", token(SELF_HOSTED))
    assert held.project_of("other") == "team/churn"
    assert connection({"NEPTUNE_API_TOKEN": token("https://notneptune.ai.example.org")}).mode == "async"


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({}, "NEPTUNE_API_TOKEN"),
        ({"NEPTUNE_API_TOKEN": "no token"}, "NEPTUNE_API_TOKEN"),
        ({"NEPTUNE_API_TOKEN": base64.b64encode(b"[1]").decode()}, "NEPTUNE_API_TOKEN"),
        ({"NEPTUNE_MODE": "debug"}, "NEPTUNE_MODE"),
    ],
)
def test_what_cannot_be_used_is_named(variables: dict[str, str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        connection(variables)


def test_a_project_needs_a_workspace_where_there_is_a_server() -> None:
    online = connection({"NEPTUNE_API_TOKEN": token(SELF_HOSTED)})
    assert online.project_of("team/churn") == "team/churn"
    with pytest.raises(UsageError, match="NEPTUNE_PROJECT"):
        online.project_of("churn")
    assert connection({"NEPTUNE_MODE": "offline"}).project_of("churn") == "autotrack/churn"


def test_the_client_is_the_one_that_is_installed_or_named(monkeypatch: pytest.MonkeyPatch) -> None:
    installed: set[str] = set()
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: name in installed or None)
    with pytest.raises(UsageError, match="neptune-scale"):
        module.chosen_client({})
    installed |= {"neptune"}
    assert module.chosen_client({}) == "neptune"
    installed |= {"neptune_scale"}
    assert module.chosen_client({}) == "neptune-scale"
    assert module.chosen_client({module.CLIENT_VARIABLE: "neptune"}) == "neptune"
    with pytest.raises(UsageError, match=module.CLIENT_VARIABLE):
        module.chosen_client({module.CLIENT_VARIABLE: "neptune-query"})


def test_paths_have_no_empty_steps_and_no_two_names_share_one() -> None:
    names = ["a/b", "a//b", "/a", "a/", "a/%/b", "a/%%/b", "/", "//", "%", " ", "a/ /b", "", "a"]
    paths = [whole(name) for name in names]
    assert len(set(paths)) == len(names)
    assert all(step.strip() for path in paths for step in path.split("/"))


def test_a_path_holds_one_thing() -> None:
    state: dict[str, Any] = {}
    paths = Paths(state)
    assert [paths.param("loss"), paths.metric("loss"), paths.file("loss")] == [
        "loss",
        "autotrack/metrics/loss",
        "autotrack/files/loss",
    ]
    assert [paths.metric("loss"), paths.param("sys/id"), paths.metric("autotrack/x")] == [
        "autotrack/metrics/loss",
        "autotrack/params/sys/id",
        "autotrack/metrics/autotrack/x",
    ]
    assert Paths(json.loads(json.dumps(state))).metric("loss") == "autotrack/metrics/loss"


def test_doctor_is_told_what_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    server = NeptuneServer("team/churn")
    where = connection({"NEPTUNE_API_TOKEN": server.token, "NEPTUNE_PROJECT": "team/churn"})
    assert reached(where, "neptune-scale") == f"neptune-scale to {server.address}, project team/churn"
    server.denied = True
    with pytest.raises(BackendUnavailable, match="NEPTUNE_API_TOKEN") as told:
        reached(where, "neptune-scale")
    assert server.token not in str(told.value)
    server.close()
    with pytest.raises(BackendUnavailable, match="cannot be reached"):
        reached(where, "neptune-scale")


class Keeping:
    """What an importer is lent, in memory."""

    def __init__(self) -> None:
        self.lost: list[str] = []

    def keep(self, source: Any) -> tuple[str, int]:
        data = source if isinstance(source, bytes) else Path(source).read_bytes()
        return f"{len(data)}", len(data)

    def not_carried(self, what: str, why: str, count: int = 1) -> None:
        self.lost.append(what)


def deliver(home: Path, monkeypatch: pytest.MonkeyPatch, client: str, logs: Path) -> dict[str, Any]:
    """Record a run, have it delivered offline; its notes."""
    for name, value in {
        "NEPTUNE_MODE": "offline",
        "NEPTUNE_PROJECT": "team/churn",
        "NEPTUNE_LOG_DIRECTORY": str(logs),
        "NEPTUNE_DATA_DIRECTORY": str(logs),
        module.CLIENT_VARIABLE: client,
    }.items():
        monkeypatch.setenv(name, value)
    with recording(home), autotrack.start_run("forwarded", tags={"team": "risk"}) as run:
        run.log_params({"lr": 0.1, "layers": 3, "deep/name": "x", "on": True, "big": 2**40})
        for step in range(5):
            run.log_metrics({"loss": 1 / (step + 1), "acc": step / 5}, step=step)
        run.log_metrics({"loss": 0.125}, step=7.5)
        run.log_metrics({"loss": float("nan")}, step=8)
        run.log_metrics({"loss": 0.5}, step=2)
        run.log_artifact(b"content", "report.txt")
    (outcome,) = sync(home, load(home=home, backends="neptune"), ("neptune",))
    assert outcome.complete and not outcome.problem
    (progress,) = (home / "delivery").glob("*/neptune.json")
    notes: dict[str, Any] = json.loads(progress.read_text())["notes"].get(run.id, {})
    return notes


def read_back(logs: Path) -> list[AnyEvent]:
    """What our own importer finds there."""
    from autotrack_neptune.importer import Importer

    (found,) = Importer().runs(str(logs), {})
    return list(found.events(Keeping()))


NOT_RISING = {"points of loss at steps that do not rise": 1}
LOSS = [*((step, 1 / (step + 1)) for step in range(5)), ("7.5", 0.125)]


def test_neptune_3_offline_comes_back_value_by_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("neptune_scale")
    notes = deliver(tmp_path / "home", monkeypatch, "neptune-scale", tmp_path / "logs")
    assert {what: count for what, (count, _) in notes.items()} == NOT_RISING
    events = read_back(tmp_path / "logs")
    assert_the_run(events)
    params = {key: value for event in events if isinstance(event, ParamsLogged) for key, value in event.params.items()}
    assert isinstance(events[0], RunStarted) and events[0].project == "team/churn"
    assert params["big"] == 2**40 and params["on"] is True


def test_neptune_2_offline_comes_back_value_by_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("neptune")
    notes = deliver(tmp_path / "home", monkeypatch, "neptune", tmp_path / "logs")
    assert {what: count for what, (count, _) in notes.items()} == {
        "points of loss that are not finite": 1,
        **NOT_RISING,
    }
    assert_the_run(read_back(tmp_path / "logs"))
    (log,) = (tmp_path / "logs").glob("offline/run__*/data-*.log")
    operations = [json.loads(line)["obj"] for line in log.read_text().splitlines()]
    assigned = {"/".join(one["path"]): one["value"] for one in operations if one["type"].startswith("Assign")}
    assert (assigned["lr"], assigned["layers"], assigned["on"], assigned["big"]) == (0.1, 3, True, float(2**40))
    assert assigned["autotrack/status"] == "finished" and assigned["sys/name"] == "forwarded"


def assert_the_run(events: list[AnyEvent]) -> None:
    assert isinstance(events[0], RunStarted) and events[0].name == "forwarded"
    assert isinstance(events[-1], RunEnded) and events[-1].status == "finished"
    points = [
        (event.step, event.values["loss"])
        for event in events
        if isinstance(event, MetricsLogged) and "loss" in event.values
    ]
    assert [(step, value) for step, value in points if value == value] == LOSS
    params = {key: value for event in events if isinstance(event, ParamsLogged) for key, value in event.params.items()}
    assert {key: params[key] for key in ("lr", "layers", "deep/name")} == {"lr": 0.1, "layers": 3, "deep/name": "x"}


def test_the_hosted_service_is_one_clear_problem_and_data_stay(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with recording(home), autotrack.start_run("kept") as run:
        run.log_metrics({"loss": 1.0}, step=0)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("AUTOTRACK_", "NEPTUNE_"))},
        "AUTOTRACK_HOME": str(home),
        "AUTOTRACK_BACKENDS": "local,neptune",
        "NEPTUNE_API_TOKEN": token("https://app.neptune.ai"),
        "NEPTUNE_PROJECT": "team/churn",
    }
    done = subprocess.run(
        [sys.executable, "-m", "autotrack", "sync"], env=environment, capture_output=True, text=True, timeout=60
    )
    assert "ended on 2026-03-05" in done.stdout + done.stderr
    assert "secret-key" not in done.stdout + done.stderr
    listed = subprocess.run(
        [sys.executable, "-m", "autotrack", "ls", "--json"], env=environment, capture_output=True, text=True, timeout=60
    )
    assert [run["name"] for run in json.loads(listed.stdout)] == ["kept"]
