"""One job is one run: all ranks but the first are silent, workers too, and children know whose part they are."""

import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

import autotrack
from autotrack.events import MetricsLogged, ParamsLogged, RunStarted
from autotrack.journal.closing import close_dead
from autotrack.journal.reader import Journal, journals
from autotrack.patching import job
from autotrack.plugin import begin_leaf, rank
from autotrack.testing import Recorded, RecordedRun, recording

VARIABLE = "AUTOTRACK_RUN_ID"

TRAINING = """
import autotrack, multiprocessing, os, subprocess, sys
from autotrack.plugin import begin_leaf

def train(name="train", inside=lambda: None):
    with begin_leaf("job", name=name) as leaf:
        leaf.run.log_params({"name": name})
        leaf.run.log_metrics({"loss": 0.5}, step=1)
        inside()

def try_to_train(name="child"):
    leaf = begin_leaf("job", name=name)
    if leaf is None:
        return "silent"
    with leaf:
        leaf.run.log_params({"by": name})
        leaf.run.log_metrics({"child": 1.0}, step=1)
    return "recorded"

autotrack.enable()
"""


@pytest.fixture(autouse=True)
def no_rank(monkeypatch):
    for name in (*job.RANKS, VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(job, "_rank_in_group", 0)


def script(folder: Path, body: str, **environ: str) -> list[RecordedRun]:
    """Run a training script in a process of its own and give what it recorded."""
    home = folder / "home"
    file = folder / "train.py"
    file.write_text(TRAINING + textwrap.dedent(body))
    done = subprocess.run(
        [sys.executable, str(file)],
        env={**os.environ, "AUTOTRACK_HOME": str(home), "AUTOTRACK_FORWARDER": "off", **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for journal in journals(home):
        close_dead(journal)
    return Recorded(home).runs()


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, 0),
        ({"RANK": "3"}, 3),
        ({"RANK": "0", "LOCAL_RANK": "1"}, 0),
        ({"LOCAL_RANK": "1"}, 1),
        ({"LOCAL_RANK": "0", "NODE_RANK": "1"}, 1),
        ({"SLURM_PROCID": "2"}, 2),
        ({"OMPI_COMM_WORLD_RANK": "1"}, 1),
        ({"JSM_NAMESPACE_RANK": "4"}, 4),
        ({"RANK": "", "LOCAL_RANK": "none"}, 0),
    ],
)
def test_launchers_tell_the_rank(monkeypatch, variables, expected) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert rank() == expected


def test_a_rank_above_zero_keeps_nothing_of_a_run_of_the_users_either(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("RANK", "1")
    with recording(tmp_path) as recorded:
        with autotrack.start_run("mine", params={"a": 1}) as run:
            run.log_metrics({"loss": 1.0}, step=1)
            run.log_artifact(b"x", "x.txt")
            assert autotrack.current_run() is run
            with begin_leaf("job", name="fit") as leaf:
                leaf.run.log_metrics({"loss": 1.0}, step=2)
            assert VARIABLE not in os.environ
        assert run.status == "finished"
        assert begin_leaf("job", name="fit", explicit=True) is None
    assert recorded.runs() == []
    assert journals(tmp_path) == []


def test_the_environment_names_the_run_while_its_scope_is_open(tmp_path) -> None:
    with recording(tmp_path):
        with autotrack.start_run() as run:
            assert os.environ[VARIABLE] == f"{run.id}/within"
            autotrack.enable(home=tmp_path, forwarder="off")  # read anew, it is not this process's own
            with begin_leaf("job", name="fit"):
                assert os.environ[VARIABLE] == f"{run.id}/part"
            assert os.environ[VARIABLE] == f"{run.id}/within"
            with autotrack.start_run() as inner:
                assert os.environ[VARIABLE] == f"{inner.id}/within"
        assert VARIABLE not in os.environ


def test_what_the_environment_said_before_it_says_after(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv(VARIABLE, "given")
    with recording(tmp_path):
        with begin_leaf("job", name="fit") as leaf:
            assert leaf.run.id == "given"
            assert os.environ[VARIABLE] == "given/part"
        assert os.environ[VARIABLE] == "given"
        with autotrack.start_run():
            os.environ[VARIABLE] = "the user's"
        assert os.environ[VARIABLE] == "the user's"


def test_two_threads_in_runs_of_their_own_tell_children_nothing(tmp_path) -> None:
    def train() -> None:
        with autotrack.start_run("other"):
            seen.append(os.environ.get(VARIABLE))

    seen: list[str | None] = []
    with recording(tmp_path):
        with autotrack.start_run("one") as run:
            thread = threading.Thread(target=train)
            thread.start()
            thread.join()
            assert os.environ[VARIABLE] == f"{run.id}/within"
        assert VARIABLE not in os.environ
    assert seen == [None]


def test_a_script_that_a_run_starts_adds_to_it_and_a_later_one_does_not(tmp_path) -> None:
    (tmp_path / "child.py").write_text(TRAINING + "print(try_to_train())")
    found = script(
        tmp_path,
        """
        child = [sys.executable, os.path.join(os.path.dirname(__file__), "child.py")]
        with autotrack.start_run("whole"):
            assert subprocess.run(child, capture_output=True, text=True, check=True).stdout == "recorded\\n"
        assert subprocess.run(child, capture_output=True, text=True, check=True).stdout == "recorded\\n"
        train("later", lambda: print(subprocess.run(child, capture_output=True, text=True, check=True).stdout))
        """,
    )
    assert sorted((run.name, run.status) for run in found) == [
        ("child", "finished"),
        ("later", "finished"),
        ("whole", "finished"),
    ]
    whole = next(run for run in found if run.name == "whole")
    assert (whole.ends, whole.metrics, whole.params) == (1, {"child": [(1, 1.0)]}, {"by": "child"})
    assert "child" not in next(run for run in found if run.name == "later").metrics


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_runs_that_a_child_of_a_run_starts_are_its_children(tmp_path, start) -> None:
    found = script(
        tmp_path,
        f"""
        def trial(name):
            with autotrack.start_run(name) as run:
                run.log_params({{"name": name}})

        if __name__ == "__main__":
            with autotrack.start_run("study"):
                with multiprocessing.get_context({start!r}).Pool(2) as pool:
                    pool.map(trial, ["a", "b"])
            trial("c")
        """,
    )
    names = {run.id: run.name for run in found}
    assert sorted((run.name, names.get(run.parent)) for run in found) == [
        ("a", "study"),
        ("b", "study"),
        ("c", None),
        ("study", None),
    ]
    assert [run.params for run in found if run.name == "study"] == [{}]


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_trainings_that_a_child_of_a_run_makes_are_in_that_run(tmp_path, start) -> None:
    (run,) = script(
        tmp_path,
        f"""
        if __name__ == "__main__":
            with autotrack.start_run("whole"):
                with multiprocessing.get_context({start!r}).Pool(1) as pool:
                    assert pool.map(try_to_train, ["a", "b"]) == ["recorded", "recorded"]
        """,
    )
    assert (run.name, run.status, run.ends) == ("whole", "finished", 1)
    assert run.metrics["child"] == [(1, 1.0), (1, 1.0)]


def test_workers_that_a_training_spawns_are_silent(tmp_path) -> None:
    found = script(
        tmp_path,
        """
        def work():
            with multiprocessing.get_context("spawn").Pool(2) as pool:
                assert pool.map(try_to_train, ["a", "b"]) == ["silent", "silent"]

        if __name__ == "__main__":
            train("whole", work)
        """,
    )
    assert [(run.name, run.params, list(run.metrics)) for run in found] == [("whole", {"name": "whole"}, ["loss"])]


def test_trainings_that_no_training_is_around_are_runs_wherever_they_are(tmp_path) -> None:
    found = script(
        tmp_path,
        """
        if __name__ == "__main__":
            with multiprocessing.get_context("spawn").Pool(2) as pool:
                assert pool.map(try_to_train, ["a", "b"]) == ["recorded", "recorded"]
        """,
    )
    assert sorted(run.name for run in found) == ["a", "b"]


def test_what_a_spawned_child_repeats_of_the_main_module_is_not_recorded_again(tmp_path) -> None:
    found = script(
        tmp_path,
        """
        assert (try_to_train("once") == "silent") == (__name__ != "__main__")
        with autotrack.start_run("also once") as run:  # no guard around these either
            run.log_metrics({"loss": 1.0}, step=1)

        if __name__ == "__main__":
            with multiprocessing.get_context("spawn").Pool(2) as pool:
                assert pool.map(abs, [-1, 1]) == [1, 1]
        """,
    )
    assert [(run.name, run.ends) for run in found] == [("once", 1), ("also once", 1)]


def test_a_child_of_a_run_gives_what_it_nests_a_run_of_its_own(tmp_path) -> None:
    code = "import autotrack\nwith autotrack.start_run('a'):\n    with autotrack.start_run('b'): pass\n"
    subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "AUTOTRACK_HOME": str(tmp_path), "AUTOTRACK_FORWARDER": "off", VARIABLE: "given"},
        check=True,
        timeout=60,
    )
    events = [record.event for folder in journals(tmp_path) for record in Journal(folder).records()]
    started = [(event.name, event.parent) for event in events if isinstance(event, RunStarted)]
    assert started == [("b", "given")]
    assert not [event for event in events if isinstance(event, MetricsLogged | ParamsLogged)]
