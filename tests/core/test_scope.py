"""One training call is one run: leaves inside leaves are silent, containers lend their run and keep it open."""

import os
import threading
from pathlib import Path

import pytest

from autotrack.events import RunEnded, RunStarted
from autotrack.journal.reader import Journal
from autotrack.journal.writer import Writer
from autotrack.patching import scope
from autotrack.run import Run


@pytest.fixture
def opened(tmp_path: Path):
    writer = Writer(tmp_path, version="test", backends=("local",))

    def open_run() -> Run:
        return Run(lambda: writer, name="name", project="project")

    open_run.folder = writer.folder
    return open_run


def ends(opened) -> list[str]:
    return [r.event.status for r in Journal(opened.folder).records() if isinstance(r.event, RunEnded)]


def starts(opened) -> int:
    return sum(isinstance(r.event, RunStarted) for r in Journal(opened.folder).records())


def test_a_leaf_inside_a_leaf_is_silent(opened) -> None:
    with scope.leaf(opened) as outer, scope.leaf(opened) as inner:
        assert outer is not None
        assert inner is None
    assert (starts(opened), ends(opened)) == (1, ["finished"])
    assert scope.current() is None


def test_a_leaf_that_fails_ends_its_run_as_failed(opened) -> None:
    with pytest.raises(ValueError, match="boom"), scope.leaf(opened):
        raise ValueError("boom")
    assert ends(opened) == ["failed"]


def test_a_container_lends_its_run_and_keeps_it_open(opened) -> None:
    mine = opened()
    with scope.container(mine):
        for error in (None, ValueError("boom")):
            try:
                with scope.leaf(opened) as run:
                    assert run is mine
                    if error:
                        raise error
            except ValueError:
                pass
    assert (starts(opened), ends(opened)) == (1, [])


def test_each_thread_has_its_own_scope(opened) -> None:
    seen = []
    with scope.leaf(opened):
        thread = threading.Thread(target=lambda: seen.append(scope.is_silent()))
        thread.start()
        thread.join()
    assert seen == [False]


@pytest.mark.parametrize("inside", [True, False])
def test_a_forked_child_is_silent_only_below_a_scope(opened, inside: bool) -> None:
    def child_is_silent() -> bool:
        pid = os.fork()
        if pid == 0:
            os._exit(int(scope.is_silent()))
        return bool(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

    if inside:
        with scope.leaf(opened):
            assert child_is_silent()
    else:
        assert not child_is_silent()
