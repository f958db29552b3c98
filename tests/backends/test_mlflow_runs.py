"""Runs and experiments of the MLflow backend: who is whose child, how runs end and go on, where they are."""

from __future__ import annotations

import sys
from pathlib import Path
from threading import Thread

import pytest

from autotrack.events import MetricsLogged, RunEnded, TagsSet

sys.path.insert(0, str(Path(__file__).parent))  # test modules are not a package: a folder's name could hide a product

from mlflow_server import Journal, Lent, Server, lent, no_mlflow_settings, run_of

__all__ = ["lent", "no_mlflow_settings"]


def test_nested_runs_whichever_is_delivered_first(server: Server, lent: Lent, monkeypatch: pytest.MonkeyPatch) -> None:
    study = Journal()
    study.start("study")
    trial, early = Journal(), Journal()
    trial.start("trial", parent=study.run)
    trial.add(RunEnded, "pruned")
    early.start("early", parent=study.run)
    early.add(RunEnded, "finished")
    backend = lent.backend(server.url, monkeypatch)
    for journal in (early, study, trial):
        backend.deliver(journal.records)
    parent = run_of(server, study)
    assert parent["status"] == "RUNNING"
    for journal, status in ((trial, "KILLED"), (early, "FINISHED")):
        child = run_of(server, journal)
        assert child["tags"]["mlflow.parentRunId"] == parent["id"]
        assert child["status"] == status
    assert run_of(server, trial)["tags"]["autotrack.status"] == "pruned"
    backend.close()


@pytest.mark.parametrize(
    ("status", "shown"), [("finished", "FINISHED"), ("failed", "FAILED"), ("killed", "KILLED"), ("pruned", "KILLED")]
)
def test_statuses(server: Server, lent: Lent, monkeypatch: pytest.MonkeyPatch, status: str, shown: str) -> None:
    journal = Journal()
    journal.start()
    journal.add(RunEnded, status)
    backend = lent.backend(server.url, monkeypatch)
    backend.deliver(journal.records)
    run = run_of(server, journal)
    assert (run["status"], run["tags"]["autotrack.status"]) == (shown, status)
    backend.close()


def test_a_resumed_run_goes_on_and_an_old_replay_does_not_reopen_it(
    server: Server, lent: Lent, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Journal()
    first.start()
    first.add(TagsSet, {"stage": "one"})
    first.add(RunEnded, "failed")
    second = Journal(first.run)
    second.begin = first.begin + 10**12
    second.start(resumed=True)
    second.add(TagsSet, {"stage": "two"})
    backend = lent.backend(server.url, monkeypatch)
    backend.deliver(first.records)
    backend.deliver(second.records)
    assert run_of(server, first)["status"] == "RUNNING"
    ended = second.add(RunEnded, "finished")
    backend.deliver([ended])
    for again in (second.records[:2], first.records):
        backend.deliver(again)
        run = run_of(server, first)
        assert run["status"] == "FINISHED" and run["end"] == ended.event.time // 1_000_000
        assert run["tags"]["stage"] == "two" and run["tags"]["autotrack.status"] == "finished"
    backend.close()


def test_another_process_of_a_run_delivered_before_its_start(
    server: Server, lent: Lent, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = Journal(project="default project")
    owner.start("owner's name")
    worker = Journal(owner.run)
    worker.add(MetricsLogged, 0, {"rank1/loss": 1.0})
    backend = lent.backend(server.url, monkeypatch)
    backend.deliver(worker.records)
    backend.close()
    lent.context.state.clear()
    backend = lent.backend(server.url, monkeypatch)
    backend.deliver(owner.records)
    backend.deliver([worker.add(MetricsLogged, 1, {"rank1/loss": 0.5})])
    run = run_of(server, owner)
    assert run["name"] == "owner's name" and len(run["metrics"]["rank1/loss"]) == 2
    backend.close()


def test_experiments_race_deletion_and_override(
    server: Server, lent: Lent, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    backend = lent.backend(server.url, monkeypatch)
    other = Lent(tmp_path / "other")
    rival = other.backend(server.url, monkeypatch)
    mine, theirs = Journal(project="shared"), Journal(project="shared")
    mine.start()
    theirs.start()
    monkeypatch.setattr(  # both looked before either created
        rival._runs._experiments,
        "_active",
        lambda name, ask=rival._runs._experiments._active, seen=[]: ask(name) if seen else seen.append(name),
    )
    backend.deliver(mine.records)
    rival.deliver(theirs.records)
    assert {run_of(server, mine)["experiment"], run_of(server, theirs)["experiment"]} == {"shared"}
    server.ask("delete_experiment", "shared")
    later = Journal(project="shared")
    later.start()
    backend.deliver(later.records)
    assert run_of(server, later)["experiment"] == "shared-2"
    assert any("deleted" in why for _, _, why in lent.notes)
    backend.close()
    rival.close()
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "chosen")
    named = Lent(tmp_path / "named").backend(server.url, monkeypatch)
    journal = Journal(project="mine")
    journal.start()
    named.deliver(journal.records)
    run = run_of(server, journal)
    assert (run["experiment"], run["tags"]["autotrack.project"]) == ("chosen", "mine")
    named.close()


def test_many_journals_of_one_run_at_the_same_time_make_one_run(
    server: Server, lent: Lent, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = Journal(project="default project")
    owner.start("owner's name")
    owner.add(MetricsLogged, 0, {"rank0": 1.0})
    journals = [owner]
    for rank in range(1, 6):
        worker = Journal(owner.run)
        worker.add(MetricsLogged, 0, {f"rank{rank}": 1.0})
        journals.append(worker)
    backends = []
    for _ in journals:
        apart = Lent(lent.context.home)  # each journal has its own state
        backends.append(apart.backend(server.url, monkeypatch))
    threads = [
        Thread(target=backend.deliver, args=(journal.records,))
        for backend, journal in zip(backends, journals, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    run = run_of(server, owner)
    assert run["name"] == "owner's name" and sorted(run["metrics"]) == [f"rank{rank}" for rank in range(6)]
    for backend in backends:
        backend.close()
