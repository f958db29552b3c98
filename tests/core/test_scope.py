"""One training call is one run: leaves inside leaves are silent, containers lend their run and keep it open."""

import os
import threading
from pathlib import Path

import pytest

import autotrack
from autotrack.patching import scope
from autotrack.patching.observe import Outcome
from autotrack.testing import recording


@pytest.fixture
def recorded(tmp_path: Path):
    with recording(tmp_path) as recorded:
        yield recorded


def train(error: BaseException | None = None, inside=lambda: None) -> None:
    leaf = scope.begin_leaf("test", name="model")
    if leaf is None:
        return
    with leaf:
        inside()
        leaf.outcome = Outcome(None, error)


def test_a_leaf_inside_a_leaf_is_silent(recorded) -> None:
    train(inside=train)
    (run,) = recorded.runs()
    assert (run.status, run.ends, run.integration) == ("finished", 1, "test")
    assert scope.current() is None


def test_a_leaf_that_fails_ends_its_run_as_failed(recorded) -> None:
    train(ValueError("boom"))
    (run,) = recorded.runs()
    assert run.status == "failed"
    assert run.error["message"] == "boom"


def test_a_container_lends_its_run_and_keeps_it_open(recorded) -> None:
    with autotrack.start_run("mine"):
        train()
        train(ValueError("boom"))
        (run,) = recorded.runs()
        assert run.status == "running"
    (run,) = recorded.runs()
    assert (run.name, run.status, run.ends) == ("mine", "finished", 1)


def test_a_run_that_is_started_without_with_owns_too_and_runs_nest(recorded) -> None:
    outer = autotrack.start_run("outer")
    inner = autotrack.start_run("inner")
    assert autotrack.current_run() is inner
    outer.end()
    assert autotrack.current_run() is inner
    inner.end("failed")
    assert autotrack.current_run() is None
    assert [(run.name, run.parent, run.status) for run in recorded.runs()] == [
        ("outer", None, "finished"),
        ("inner", outer.id, "failed"),
    ]


def test_each_thread_has_its_own_scope_unless_it_is_carried(recorded) -> None:
    seen = []

    def in_thread() -> None:
        scopes = scope.carried()

        def work() -> None:
            seen.append(scope.is_silent())
            with scope.resume(scopes):
                seen.append(scope.is_silent())

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    train(inside=in_thread)
    assert seen == [False, True]


def test_ranks_above_zero_open_no_run(recorded, monkeypatch) -> None:
    monkeypatch.setenv("RANK", "1")
    train()
    assert recorded.runs() == []


@pytest.mark.parametrize("inside", [True, False])
def test_a_forked_child_is_silent_only_below_a_scope(recorded, inside: bool) -> None:
    answers = []

    def child_is_silent() -> None:
        pid = os.fork()
        if pid == 0:
            os._exit(int(scope.is_silent()))
        answers.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

    if inside:
        train(inside=child_is_silent)
    else:
        child_is_silent()
    assert answers == [int(inside)]


def test_what_an_integration_records_now_is_told_in_its_thread_alone(recorded) -> None:
    ongoing: scope.Ongoing[str] = scope.Ongoing("test")
    other: scope.Ongoing[str] = scope.Ongoing("test")
    seen: list[str | None] = []

    def fail() -> None:
        with ongoing.recorded_in(None):
            seen.append(ongoing.now())
            raise ValueError

    with ongoing.recorded_in("outer"):
        with pytest.raises(ValueError):
            fail()
        assert (ongoing.now(), other.now()) == ("outer", None)
        thread = threading.Thread(target=lambda: seen.append(ongoing.now()))
        thread.start()
        thread.join()
    assert (ongoing.now(), seen) == (None, [None, None])


def test_only_a_leaf_in_anothers_run_names_the_backends_that_its_framework_feeds(recorded) -> None:
    with scope.begin_leaf("test", name="own", not_to=["acme"]) as leaf:
        assert leaf.not_to == ()  # the start of its run says it
    with autotrack.start_run("mine") as run:
        with scope.begin_leaf("test", name="part", not_to=["acme"]) as leaf:
            assert leaf.not_to == ["acme"]
        with scope.rejoin_leaf(run, not_to=["acme"]) as leaf:
            assert leaf.not_to == ["acme"]
