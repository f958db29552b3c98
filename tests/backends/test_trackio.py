"""The trackio backend beyond the battery: the folder of trackio's own storage, the token, and who comes first."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from autotrack.backend import BackendContext, BackendRejected, BackendUnavailable
from autotrack.errors import UsageError
from autotrack.events import ArtifactLogged, MetricsLogged, ParamsLogged, Record, RunEnded, RunStarted, TagsSet
from autotrack.settings import load
from autotrack_trackio.backend import TrackioBackend, project_name

sys.path.insert(0, str(Path(__file__).parent))  # test modules are not a package: a folder's name could hide a product

from trackio_server import Trackio

ROOT = Path(__file__).parents[2]
BEGIN = 1_700_000_000_123_456_000


@pytest.fixture(scope="module")
def trackio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trackio]:
    one = Trackio(tmp_path_factory.mktemp("trackio"))
    one.start()
    try:
        yield one
    finally:
        one.stop()


class Lent:
    """What the forwarder lends, for one journal."""

    def __init__(self, home: Path) -> None:
        home.mkdir(exist_ok=True)
        self.notes: list[tuple[str, str, str]] = []
        settings = load({}, project="shelf")
        self.context = BackendContext(home=home, settings=settings, note=lambda *note: self.notes.append(note))

    def backend(self) -> TrackioBackend:
        self.context.state = json.loads(json.dumps(dict(self.context.state)))
        backend = TrackioBackend()
        backend.open(self.context)
        return backend


def records(writer: str, *events: object) -> list[Record]:
    return [Record(writer, number, number * 100, event) for number, event in enumerate(events)]


def the_run(trackio: Trackio, run: str) -> dict:
    (found,) = [one for one in trackio.read() if one["id"] == run]
    return found


def test_a_wrong_token_is_one_clear_message(trackio: Trackio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKIO_SERVER_URL", trackio.url)
    for token in ("wrong", ""):
        monkeypatch.setenv("TRACKIO_WRITE_TOKEN", token)
        with pytest.raises(BackendUnavailable, match="TRACKIO_WRITE_TOKEN") as problem:
            Lent(tmp_path / "home").backend()
        assert "wrong" not in str(problem.value)


def test_the_write_access_url_that_trackio_prints_is_enough(
    trackio: Trackio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKIO_SERVER_URL", f"{trackio.url}/?write_token={trackio.token}")
    monkeypatch.delenv("TRACKIO_WRITE_TOKEN", raising=False)
    lent = Lent(tmp_path / "home")
    backend = lent.backend()
    assert trackio.url in backend.check() and trackio.token not in backend.check()
    backend.deliver(records("w1", RunStarted("r-url", BEGIN, "by url", "shelf")))
    assert the_run(trackio, "r-url")["name"] == "by url"
    assert trackio.token not in json.dumps(lent.context.state)


def test_no_trackio_server_and_no_address_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKIO_SERVER_URL", "ftp://somewhere?write_token=secret")
    with pytest.raises(UsageError, match="TRACKIO_SERVER_URL") as problem:
        Lent(tmp_path / "home").backend()
    assert "secret" not in str(problem.value)
    monkeypatch.setenv("TRACKIO_SERVER_URL", "http://127.0.0.1:9")
    with pytest.raises(BackendUnavailable, match=r"127\.0\.0\.1:9"):
        Lent(tmp_path / "home").backend()


def test_events_that_come_before_the_runs_start_are_in_the_same_run(
    trackio: Trackio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKIO_SERVER_URL", trackio.url)
    monkeypatch.setenv("TRACKIO_WRITE_TOKEN", trackio.token)
    early, late = Lent(tmp_path / "home"), Lent(tmp_path / "home")
    early.backend().deliver(records("w2", MetricsLogged("r-early", BEGIN + 9, 5, {"loss": 0.5})))
    assert the_run(trackio, "r-early")["name"] == "r-early"
    start = RunStarted("r-early", BEGIN, "its name", "shelf")
    late.backend().deliver(records("w3", start, ParamsLogged("r-early", BEGIN + 1, {"lr": 0.1})))
    early.context.state.clear()
    early.backend().deliver(records("w2", MetricsLogged("r-early", BEGIN + 9, 5, {"loss": 0.5})))
    run = the_run(trackio, "r-early")
    assert run["name"] == "r-early" and run["config"]["lr"] == 0.1
    assert run["config"]["autotrack"]["name"] == "its name" and "name its name" in {what for _, what, _ in late.notes}
    assert [log["loss"] for log in run["logs"] if "loss" in log] == ["0.5"]


def test_a_replay_replaces_no_newer_value_of_another_process(
    trackio: Trackio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKIO_SERVER_URL", trackio.url)
    monkeypatch.setenv("TRACKIO_WRITE_TOKEN", trackio.token)
    first, second = Lent(tmp_path / "home"), Lent(tmp_path / "home")
    batch = records(
        "w4",
        RunStarted("r-two", BEGIN, "two", "shelf"),
        ParamsLogged("r-two", BEGIN + 1, {"lr": 0.1}),
        RunEnded("r-two", BEGIN + 2, "killed"),
    )
    first.backend().deliver(batch)
    second.backend().deliver(
        records(
            "w5",
            RunStarted("r-two", BEGIN + 5, "two", "shelf", resumed=True),
            ParamsLogged("r-two", BEGIN + 6, {"lr": 0.2}),
            TagsSet("r-two", BEGIN + 7, {"team": "risk"}),
            RunEnded("r-two", BEGIN + 8, "finished"),
        )
    )
    first.context.state.clear()
    first.backend().deliver(batch)
    config = the_run(trackio, "r-two")["config"]
    assert config["lr"] == 0.2 and config["autotrack"]["status"] == "finished"
    assert config["autotrack"]["tags"] == {"team": "risk"}


def test_a_step_beyond_64_bits_and_broken_text_harm_nothing_else(
    trackio: Trackio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKIO_SERVER_URL", trackio.url)
    monkeypatch.setenv("TRACKIO_WRITE_TOKEN", trackio.token)
    lent = Lent(tmp_path / "home")
    backend = lent.backend()
    start = RunStarted("r-odd", BEGIN, "odd \ud800", "shelf")
    odd = ParamsLogged("r-odd", BEGIN, {"big": 2**70, "half \ud800": "x\udfff", "autotrack": 1, "_Group": "mine"})
    backend.deliver(records("w6", start, odd, MetricsLogged("r-odd", BEGIN, 1, {"step": 1.5})))
    with pytest.raises(BackendRejected, match="64 bits"):
        backend.deliver([Record("w6", 9, 900, MetricsLogged("r-odd", BEGIN, 2**64, {"loss": 1.0}))])
    run = the_run(trackio, "r-odd")
    assert (
        run["config"]["big"] == str(2**70) and run["config"]["autotrack_"] == 1 and run["config"]["_Group_"] == "mine"
    )
    assert [log["__step"] for log in run["logs"] if "__step" in log] == ["1.5"]
    assert {what for _, what, _ in lent.notes} >= {"metric step", "param autotrack", "param big", "times of points"}


def test_projects_that_trackio_refuses_have_another_name() -> None:
    assert project_name("my project/1") == "myproject1"
    assert project_name("net_configs") == "runs_net_configs_"
    assert project_name("registry-a") == "runs_registry-a_"
    assert project_name("…") == "default"


FOLDER = """
import json, sys
from pathlib import Path
sys.path[:0] = json.loads(sys.argv[2])
import test_trackio
test_trackio.deliver_to_folder(Path(sys.argv[1]))
"""


def deliver_to_folder(home: Path) -> None:
    """Run where trackio is installed: a run into its folder, and once more."""
    lent = Lent(home)
    content = b"some text"
    digest = hashlib.sha256(content).hexdigest()
    blob = lent.context.blob(digest)
    blob.parent.mkdir(parents=True, exist_ok=True)
    blob.write_bytes(content)
    batch = records(
        "w7",
        RunStarted("r-folder", BEGIN, "in a folder", "shelf", "r-parent"),
        ParamsLogged("r-folder", BEGIN + 1000, {"lr": 0.1, "odd": float("nan")}),
        *(MetricsLogged("r-folder", BEGIN + step * 10**9, step, {"loss": step / 2}) for step in range(3)),
        MetricsLogged("r-folder", BEGIN, 3, {"loss": float("-inf")}),
        ArtifactLogged("r-folder", BEGIN, "notes/a.txt", digest, len(content)),
        RunEnded("r-folder", BEGIN + 10**10, "failed", {"type": "E", "message": "broke"}),
    )
    for _ in range(2):
        lent.context.state.clear()
        lent.backend().deliver(batch)
    assert os.environ["TRACKIO_DIR"] in lent.backend().check()
    assert not lent.notes


def test_without_a_server_runs_go_into_trackios_folder_with_their_times(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    trackio = Trackio(tmp_path)
    request.addfinalizer(trackio.stop)
    environment = {name: value for name, value in trackio.environment().items() if name != "PYTHONPATH"}
    places = [str(Path(__file__).parent), str(ROOT / "src"), str(ROOT / "integrations")]
    done = subprocess.run(
        [trackio.python, "-c", FOLDER, str(tmp_path / "home"), json.dumps(places)],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    if "No module named 'msgspec'" in done.stderr or "No module named 'pytest'" in done.stderr:
        pytest.skip("that Python has trackio, and not what autotrack needs")
    assert done.returncode == 0, done.stderr[-3000:]
    run = the_run(trackio, "r-folder")
    assert run["name"] == "in a folder" and run["config"]["_Group"] == "r-parent" and run["config"]["lr"] == 0.1
    logs = [log for log in run["logs"] if "loss" in log]
    assert sorted((log["step"], log["loss"]) for log in logs) == [(0, "0.0"), (1, "0.5"), (2, "1.0"), (3, "-inf")]
    assert [log["timestamp"] for log in logs if log["step"] == 2] == ["2023-11-14T22:13:22.123456+00:00"]
    assert [(file["path"], file["bytes"]) for file in run["files"]] == [("notes/a.txt", b"some text".hex())]
    assert run["config"]["autotrack"]["status"] == "failed"


def test_without_a_server_and_without_trackio_the_message_says_both_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TRACKIO_SERVER_URL", raising=False)
    monkeypatch.setitem(sys.modules, "trackio", None)
    with pytest.raises(UsageError, match=r"TRACKIO_SERVER_URL is not set.*pip install"):
        Lent(tmp_path / "home").backend()
    assert "TRACKIO_DIR" not in os.environ
