"""Taking steps: they are in the store at once and in a journal for every backend, and nobody undoes another unseen."""

import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

import autotrack
from autotrack import settings
from autotrack.errors import ModelNotFound, RegistryConflict, RegistryRefused, StoreError, UsageError
from autotrack.events import ModelLogged, RegistryLogged
from autotrack.forward.catching_up import sync, take_in
from autotrack.journal.reader import Journal, archived, journals
from autotrack.provenance.blobs import Blobs
from autotrack.registry import changing, reading, writing
from autotrack.session import session
from autotrack.store import schema
from autotrack.testing import recording

sys.path.insert(0, str(Path(__file__).parent))
from registered_models import MOVE, REGISTER, answers, keep_models, started


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def registered(home: Path, *names: str) -> None:
    keep_models(home, *names)
    with recording(home, user="ann"):
        for name in names:
            autotrack.register_model("clf", name, why=f"it is {name}")


def refilled(home: Path) -> dict[str, Any]:
    """The model in a store that is filled from the journals once more."""
    for file in home.glob("store.db*"):
        file.unlink()
    with recording(home):
        sync(home, session.settings, ("local",))
        with writing.opened() as store:
            return reading.model(store, "clf")


def test_a_step_is_in_the_store_in_a_journal_and_says_who_when_and_why(home: Path) -> None:
    registered(home, "first")
    with recording(home, user="bob"):
        step = writing.move_alias("clf", "production", 1, "it is the only one")
        with writing.opened() as store:
            model = reading.model(store, "clf")
    assert step == model["log"][-1]
    assert (step["who"], step["why"], step["version"], step["effect"]) == ("bob", "it is the only one", 1, "done")
    assert model["aliases"]["production"]["who"] == "bob"
    assert model["versions"][0]["registered_by"] == "ann"
    events = [r.event for folder in [*archived(home), *journals(home)] for r in Journal(folder).records()]
    assert [event.action for event in events if isinstance(event, RegistryLogged)] == ["register", "alias"]
    assert len(list(archived(home))) == 2, "what is delivered everywhere does not stay among the journals"


def test_a_store_that_is_filled_anew_from_the_journals_tells_the_same(home: Path) -> None:
    registered(home, "first", "second")
    with recording(home):
        for version in (1, 2, 1):
            writing.move_alias("clf", "production", version, f"to {version}")
        with writing.opened() as store:
            before = reading.model(store, "clf")
    assert refilled(home) == before
    assert [step["effect"] for step in before["log"]] == ["done"] * 5


def test_a_step_of_a_training_that_had_begun_before_others_has_its_place_in_a_store_filled_anew(home: Path) -> None:
    keep_models(home, "first", "third")
    with recording(home, user="ann"):
        with autotrack.start_run("long") as run:
            said = answers([started(home, REGISTER.replace("RUN", "first"), "bob")])
            blob = Blobs(home).put_bytes(b"second")
            run._append(
                ModelLogged(
                    run.id, time.time_ns(), "model", "bytes", blob.digest, blob.bytes, register="clf", aliases=["new"]
                )
            )
        autotrack.register_model("clf", "third", aliases=["new"])
        with writing.opened() as store:
            before = reading.model(store, "clf")
    assert [one["run"] == run.id for one in before["versions"]] == [False, True, False], said
    assert refilled(home) == before


def test_a_long_lived_process_takes_many_steps_without_holding_on_to_their_journals(home: Path) -> None:
    registered(home, "first")
    with recording(home):
        before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
        for number in range(10):
            changing.annotate("clf/1", {"number": number})
        if before:
            assert len(os.listdir("/proc/self/fd")) <= before + 3


def test_models_that_a_run_registers_itself_are_versions_with_their_aliases(home: Path) -> None:
    sklearn = pytest.importorskip("sklearn.linear_model")
    with recording(home, models="off"), autotrack.start_run("training") as run:
        for rows in ([[0.0], [1.0]], [[0.0], [2.0]]):
            run.log_model(sklearn.LogisticRegression().fit(rows, [0, 1]), register="clf", aliases=["champion"])
    with recording(home), writing.opened() as store:
        model = reading.model(store, "clf")
        record = reading.with_registered(store, store.run(run.id))
    assert [(one["version"], one["run"], one["aliases"]) for one in model["versions"]] == [
        (2, run.id, ["champion"]),
        (1, run.id, []),
    ]
    assert {one["name"]: one["registered"] for one in record["models"]} == {
        "model": [{"model": "clf", "version": 1, "aliases": []}],
        "model-2": [{"model": "clf", "version": 2, "aliases": ["champion"]}],
    }
    with recording(home):
        assert autotrack.get_run(run.id)["models"] == record["models"]


def test_registering_the_same_weights_again_gives_the_version_that_they_are(home: Path) -> None:
    registered(home, "first", "second")
    with recording(home):
        again = autotrack.register_model("clf", "first")
        assert again["version"] == 1
        assert autotrack.register_model("other", "second", aliases=["next"])["aliases"] == ["next"]
        with writing.opened() as store:
            assert [one["name"] for one in reading.models(store)] == ["clf", "other"]
            assert len(reading.model(store, "clf")["log"]) == 2


def test_of_two_processes_that_move_an_alias_from_the_same_state_one_wins_and_the_other_is_told(home: Path) -> None:
    registered(home, "first", "second", "third")
    with recording(home):
        writing.move_alias("clf", "production", 1)
    both = [started(home, MOVE.replace("NUMBER", str(n)), user) for n, user in ((2, "bob"), (3, "cy"))]
    said = sorted(answers(both))
    assert said[0] == "moved"
    assert said[1].startswith("told: clf@production: alias had no effect, since production had been moved to version")
    with recording(home), writing.opened() as store:
        model = reading.model(store, "clf")
    moves = [one for one in model["log"] if one["action"] == "alias"][1:]
    assert [one["effect"] for one in moves] == ["done", "conflict"], "both are in the log"
    assert model["aliases"]["production"]["version"] == moves[0]["version"]


def test_eight_processes_that_register_at_once_give_the_numbers_one_to_eight(home: Path) -> None:
    names = [f"run-{n}" for n in range(8)]
    keep_models(home, *names)
    with recording(home), writing.opened():
        pass
    processes = [started(home, REGISTER.replace("RUN", name)) for name in names]
    assert sorted(answers(processes)) == [str(n) for n in range(1, 9)]
    with recording(home), writing.opened() as store:
        assert [one["version"] for one in reading.model(store, "clf")["versions"]] == list(range(8, 0, -1))


def test_where_the_store_cannot_be_reached_nothing_is_written(home: Path) -> None:
    pytest.importorskip("psycopg")
    registered(home, "first")
    before = sorted(path.name for path in (home / "journals").iterdir())
    closed = "postgresql+psycopg://nobody@127.0.0.1:1/none"
    with recording(home, store_url=closed), pytest.raises(StoreError, match="check that it is reachable"):
        changing.approve("clf/1")
    assert sorted(path.name for path in (home / "journals").iterdir()) == before


def test_where_everything_is_off_steps_are_refused(home: Path) -> None:
    registered(home, "first")
    with recording(home, enabled=False), pytest.raises(UsageError, match="AUTOTRACK_ENABLED=0"):
        changing.approve("clf/1")


def test_a_home_that_cannot_be_written_is_told_and_nothing_changes(home: Path) -> None:
    registered(home, "first")
    with recording(home), writing.opened() as store:
        (home / "journals").rename(home / "away")
        (home / "journals").touch()  # a file where the folder was: no user may write there, root neither
        with pytest.raises(autotrack.errors.AutotrackError, match="nothing was changed"):
            changing.approve("clf/1", store=store)
        (home / "journals").unlink()
        (home / "away").rename(home / "journals")
        assert reading.model(store, "clf")["versions"][0]["approvals"] == []


def test_a_step_that_another_reader_takes_in_meanwhile_counts_once(home: Path) -> None:
    registered(home, "first")
    stop = threading.Event()
    with recording(home):
        in_force = session.settings

        def read_on() -> None:
            while not stop.is_set():
                take_in(home, in_force)

        reader = threading.Thread(target=read_on)
        reader.start()
        try:
            for number in range(10):
                changing.annotate("clf/1", {"n": number})
        finally:
            stop.set()
            reader.join(30)
        with writing.opened() as store:
            assert len(reading.model(store, "clf")["log"]) == 11
            with store.engine.connect() as connection:
                assert connection.execute(select(func.count()).select_from(schema.registry)).scalar() == 11


def test_who_it_was_is_the_setting_else_the_login_name_and_a_user_without_a_name_has_a_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert settings.load({"AUTOTRACK_USER": "Ann Other"}).resolved_user == "Ann Other"
    monkeypatch.setenv("LOGNAME", "bob")
    assert settings.load({}).resolved_user == "bob"
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
    assert settings.load({}).resolved_user == f"user {os.getuid()}"


def test_a_rerun_of_a_script_registers_nothing_and_moves_no_alias(home: Path) -> None:
    registered(home, "first")
    keep_models(home, "again")
    with recording(home, reproduce=str(home / "expected.json")):
        told = autotrack.register_model("clf", "again", aliases=["production"])
        assert (told["model"], told["version"]) == ("clf", None)
        assert autotrack.register_model("clf", "first", aliases=["production"])["version"] == 1
        with writing.opened() as store:
            assert len(reading.model(store, "clf")["log"]) == 1


def test_steps_wait_in_their_journals_for_a_backend_that_does_not_answer(home: Path) -> None:
    registered(home, "first")
    with recording(home, backends=["local", "nowhere"]):
        changing.approve("clf/1")
        with writing.opened() as store:
            assert len(reading.model(store, "clf")["versions"][0]["approvals"]) == 1
    waiting = [r.event for folder in journals(home) for r in Journal(folder).records()]
    assert [event.action for event in waiting if isinstance(event, RegistryLogged)] == ["approve"]


def test_a_clock_that_was_set_back_changes_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registered(home, "first", "second")
    with recording(home):
        writing.move_alias("clf", "production", 1)
        monkeypatch.setattr(writing.time, "time_ns", lambda: 10**18)
        step = writing.move_alias("clf", "production", 2)
        with writing.opened() as store:
            log = reading.model(store, "clf")["log"]
    assert step is not None and step["effect"] == "done"
    assert [one["time"] for one in log] == sorted(one["time"] for one in log)


def test_a_rollback_goes_back_and_a_retired_version_is_no_place_to_go(home: Path) -> None:
    registered(home, "first", "second", "third")
    with recording(home, user="ann"):
        for number in (1, 2, 3):
            writing.move_alias("clf", "production", number)
        with pytest.raises(RegistryConflict, match="clf@production points to version 3"):
            changing.retire("clf/3")
        changing.retire("clf/2", "trained on the wrong year")
        with pytest.raises(RegistryConflict, match="restore clf/2"):
            writing.move_alias("clf", "next", 2)
        assert changing.rollback("clf@production", "too many refusals").record["version"] == 1
        with pytest.raises(RegistryConflict, match="no other version before"):
            changing.rollback("clf@production")
        with writing.opened() as store:
            assert reading.resolve(store, "clf")["version"] == 3
        changing.retire("clf/1", "all of it is wrong", force=True)
        assert changing.retire("clf/1") is None
        restored = changing.restore("clf/2")
        assert restored is not None and restored.record["effect"] == "done"
        with writing.opened() as store:
            assert reading.resolve(store, "clf@production")["retired"]["why"] == "all of it is wrong"


def test_a_training_cannot_move_a_protected_alias_past_its_gates(home: Path) -> None:
    sklearn = pytest.importorskip("sklearn.linear_model")
    registered(home, "first")
    with recording(home, user="ann"):
        writing.move_alias("clf", "production", 1)
        changing.protect("clf@production", {"better": {}}, 1)
        with autotrack.start_run("eager") as run:
            model = sklearn.LogisticRegression().fit([[0.0], [1.0]], [0, 1])
            run.log_model(model, register="clf", aliases=["production"])
        with writing.opened() as store:
            found = reading.model(store, "clf")
        assert found["aliases"]["production"]["version"] == 1
        assert (found["log"][-1]["effect"], found["log"][-1]["because"]) == (
            "refused",
            "production is protected and better did not say yes",
        )
        with pytest.raises(RegistryRefused, match="protected"):
            changing.unalias("clf@production")
        with pytest.raises(UsageError, match="reason"):
            changing.unalias("clf@production", force=True)
        changing.unalias("clf@production", "it must go", force=True)
        with writing.opened() as store, pytest.raises(ModelNotFound, match="no alias 'production'"):
            reading.resolve(store, "clf@production")


def test_secrets_in_reasons_and_annotations_are_masked(home: Path) -> None:
    registered(home, "first")
    with recording(home):
        changing.annotate("clf/1", {"api_key": "abc123abc123", "auc": 0.5}, "see https://ann:hunter2@example.org/x")
        with writing.opened() as store:
            step = reading.model(store, "clf")["log"][-1]
    assert step["record"] == {"api_key": "***", "auc": 0.5}
    assert "hunter2" not in step["why"]


@pytest.mark.parametrize("values", [{}, {"": 1}, {"k" * 101: 1}, {"k": [1]}, {"k": "v" * 1001}, {"k": float("nan")}])
def test_what_cannot_be_noted_is_refused_before_anything_is_written(home: Path, values: dict) -> None:
    registered(home, "first")
    with recording(home):
        with pytest.raises(UsageError):
            changing.annotate("clf/1", values)
        with writing.opened() as store:
            assert len(reading.model(store, "clf")["log"]) == 1


def test_what_is_not_there_is_named_with_what_is(home: Path) -> None:
    registered(home, "first")
    with recording(home), writing.opened() as store:
        with pytest.raises(ModelNotFound, match="'clv'; there are clf"):
            reading.model(store, "clv")
        with pytest.raises(ModelNotFound, match="no version 7; its versions: 1"):
            reading.resolve(store, "clf/7")
        with pytest.raises(ModelNotFound, match="no alias 'prod'; its aliases: none"):
            reading.resolve(store, "clf@prod")
        with pytest.raises(ModelNotFound, match=r"no model was registered as 'clf' at 2020-01-01T23:59:59\.999999Z"):
            reading.model(store, "clf", "2020-01-01")
