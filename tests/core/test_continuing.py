"""A run goes on: in the same process, and in a later one that resumes from a checkpoint of it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import autotrack
from autotrack.plugin import (
    Integration,
    begin_leaf,
    checkpoint_saved,
    observe_for_callback,
    rejoin_leaf,
    run_behind_checkpoint,
)
from autotrack.testing import recording


def train(**details: object):
    leaf = begin_leaf("acme", name="acme.train", **details)
    assert leaf is not None
    return leaf


def test_a_run_that_is_reopened_is_running_and_ends_once_more(tmp_path: Path) -> None:
    with recording(tmp_path) as recorded:
        with train() as leaf:
            leaf.run.log_metrics({"loss": 1.0}, step=1)
        with rejoin_leaf(leaf.run, reopen=True) as again:
            assert again.owns and recorded.runs()[0].status == "running"
            again.run.log_metrics({"test/loss": 0.5}, step=1)
        assert autotrack.current_run() is None
        (run,) = recorded.runs()
        assert (run.status, run.ends) == ("finished", 2)
        assert run.metrics == {"loss": [(1, 1.0)], "test/loss": [(1, 0.5)]}


def test_a_run_that_is_open_is_joined_and_left_open(tmp_path: Path) -> None:
    with recording(tmp_path) as recorded, autotrack.start_run("mine") as run:
        with rejoin_leaf(run, reopen=True) as again:
            assert not again.owns
        assert recorded.runs()[0].status == "running"


def test_a_later_process_goes_on_with_the_run_that_saved_the_checkpoint(tmp_path: Path) -> None:
    file, moved = tmp_path / "last.ckpt", tmp_path / "elsewhere" / "last.ckpt"
    first = f"""
import autotrack
from autotrack.plugin import begin_leaf, checkpoint_saved
autotrack.enable(home={str(tmp_path / "home")!r})
with begin_leaf("acme", name="acme.train") as leaf:
    leaf.run.log_metrics({{"loss": 1.0}}, step=0)
    open({str(file)!r}, "w").write("weights")
    checkpoint_saved(leaf.run, {str(file)!r}, step=0)
print(leaf.run.id)
"""
    second = f"""
import autotrack
from autotrack.plugin import begin_leaf, run_behind_checkpoint
autotrack.enable(home={str(tmp_path / "home")!r})
with begin_leaf("acme", name="other", continues=run_behind_checkpoint({str(moved)!r})) as leaf:
    leaf.run.log_metrics({{"loss": 0.5}}, step=1)
"""
    id = run_python(first).strip()
    moved.parent.mkdir()
    shutil.move(file, moved)
    run_python(second)
    listed = run_python(
        f"import autotrack, json; autotrack.enable(home={str(tmp_path / 'home')!r})\n"
        "runs = autotrack.runs(); record = autotrack.get_run(runs[0]['id'])\n"
        "print(len(runs), record['id'], record['name'], record['status'], record['metrics']['loss']['count'])"
    )
    assert listed.split() == ["1", id, "acme.train", "finished", "2"]


def test_a_checkpoint_that_somebody_else_wrote_is_nobodys(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint-5"
    folder.mkdir()
    (folder / "weights").write_text("1")
    with recording(tmp_path / "home"):
        with train() as leaf:
            checkpoint_saved(leaf.run, folder, step=5)
        assert run_behind_checkpoint(folder) == leaf.run.id
        (folder / "weights").write_text("other")
        assert run_behind_checkpoint(folder) is None
        assert run_behind_checkpoint(tmp_path / "nowhere") is None


def test_an_explicit_callback_records_where_nothing_is_enabled_and_only_itself(tmp_path: Path) -> None:
    with recording(tmp_path) as recorded:
        autotrack.disable()
        assert begin_leaf("acme", name="acme.train") is None
        with train(explicit=True):
            pass
        assert len(recorded.runs()) == 1


def test_observing_for_a_callback_opens_no_run_unasked_while_others_are_enabled(tmp_path: Path) -> None:
    with recording(tmp_path, "sklearn") as recorded:
        observe_for_callback(Integration(name="acme", module="json", install="builtins:id"))
        assert begin_leaf("acme", name="acme.train") is None
        with train(explicit=True):
            pass
        assert len(recorded.runs()) == 1


def run_python(script: str) -> str:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env={**os.environ})
    assert done.returncode == 0, done.stderr
    return done.stdout
