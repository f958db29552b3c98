"""Witnesses see each run of a process from its begin to its end, and a broken one disturbs nobody."""

import sys
from types import ModuleType
from typing import Any

import pytest

import autotrack
from autotrack import guard
from autotrack.provenance import witnesses
from autotrack.session import session


class Seen:
    """A witness that remembers what it was told, and logs to the run."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def begun(self, run: Any) -> None:
        self.told.append(("begun", run.name))

    def ending(self, run: Any) -> None:
        self.told.append(("ending", run.name))
        run.log_provenance("seen", {"status": run.status})

    def close(self) -> None:
        self.told.append(("close", ""))

    def forked(self) -> None:
        self.told.append(("forked", ""))


class Broken(Seen):
    """A witness that fails whenever it is told something."""

    def begun(self, run: Any) -> None:
        raise OSError("no such luck")

    ending = begun


@pytest.fixture
def seen(tmp_path, monkeypatch: pytest.MonkeyPatch) -> Seen:
    place = ModuleType("autotrack_test_witness")
    witness = Seen()
    place.broken, place.seen = lambda settings: Broken(), lambda settings: witness  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "autotrack_test_witness", place)
    monkeypatch.setattr(
        witnesses, "PLACES", ("autotrack_test_witness:broken", "autotrack_test_witness:seen", "nowhere:at_all")
    )
    monkeypatch.setenv("AUTOTRACK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AUTOTRACK_FORWARDER", "off")
    monkeypatch.setenv("AUTOTRACK_STRICT", "0")
    monkeypatch.setattr(session, "_witnesses", None)
    session.close()
    session.configure()
    yield witness
    session.close()
    guard.reset()


def test_each_run_is_seen_from_its_begin_to_its_end(seen: Seen, capsys: pytest.CaptureFixture[str]) -> None:
    with autotrack.start_run("outer"):
        autotrack.start_run("inner").end()
    session.close()
    assert seen.told == [
        ("begun", "outer"), ("begun", "inner"), ("ending", "inner"), ("ending", "outer"), ("close", ""),
    ]  # fmt: skip
    record = autotrack.runs()[-1]
    assert autotrack.get_run(record["id"])["seen"] == {"status": "finished"}
    said = capsys.readouterr().err
    assert "no such luck" in said and "nowhere" in said


def test_a_run_of_another_process_is_not_witnessed(seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOTRACK_RUN_ID", "0123456789abcdef/within")
    session.configure()
    session.open_run("worker").end()
    assert seen.told == []


def test_the_same_settings_again_make_no_new_witnesses_and_others_do(seen: Seen) -> None:
    made = []
    for console in (True, True, False):
        session.configure(console=console)
        autotrack.start_run("one").end()
        made.append(session._witnesses)
    assert made[0] is made[1] and made[1] is not made[2]
