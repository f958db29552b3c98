"""`verify` finds what is altered, lost, or otherwise than it was logged, and says what to do about it."""

import os
import random
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autotrack
from autotrack.events import MetricsLogged, ParamsLogged, RegistryLogged, RunEnded, RunStarted
from autotrack.forward.progress import Progress
from autotrack.journal import liveness
from autotrack.journal.writer import Writer
from autotrack.provenance.blobs import Blobs
from autotrack.store.query import Store
from autotrack.store.series import Points, from_steps
from autotrack.upkeep.checking import Checked, check
from autotrack.upkeep.facts import checksum

sys.path.insert(0, str(Path(__file__).parent))
import upkeep_homes as homes


def look(home: Path) -> Checked:
    settings = homes.settings_of(home)
    with Store.open(home, settings) as store:
        return check(home, settings, store)


def problems(home: Path) -> list[str]:
    return [one["problem"] for one in look(home).compared.problems]


@contextmanager
def changing(home: Path) -> Iterator[Any]:
    with closing(sqlite3.connect(home / "store.db")) as store:
        yield store
        store.commit()


CHANGES = {
    "UPDATE runs SET status = 'failed' WHERE name = 'run 0'": "it is failed and was finished",
    "UPDATE params SET value = '7' WHERE key = 'lr'": "'lr' of params has another value in the store",
    "DELETE FROM params WHERE key = 'name'": "'name' of params is not in the store",
    "UPDATE tags SET value = 'other'": "'team' of tags has another value in the store",
    "INSERT INTO tags SELECT id, 'odd', 'x', 1 FROM runs": "'odd' of tags is in no journal",
    "DELETE FROM artifacts WHERE name = 'notes.txt'": "the artifact notes.txt",
    "UPDATE models SET digest = NULL": "the model net",
    "DELETE FROM datasets": "the dataset train rows",
    "UPDATE notes SET count = 5 WHERE what = 'something'": "the note something it was left out",
    "DELETE FROM chunks WHERE series_id = 1": "the summary of the series",
    "UPDATE series SET max = 1e9 WHERE key = 'loss'": "the summary of the series 'loss' is not that of its points",
    "UPDATE chunks SET data = zeroblob(40) WHERE series_id = 2": "a chunk is of version 0",
    "DELETE FROM runs WHERE name = 'run 0'": "belongs to no run",
    "INSERT INTO runs SELECT 'made up', name, project, status, 1, 1, NULL, NULL, known, 1, '' FROM runs LIMIT 1":
        "it is in the store and in no journal",
}  # fmt: skip


def test_whatever_is_changed_in_the_store_is_found(tmp_path: Path) -> None:
    home = tmp_path / "home"
    homes.some_runs(home, 2)
    assert not look(home).damaged
    whole = (home / "store.db").read_bytes()
    for change, message in CHANGES.items():
        with changing(home) as store:
            store.execute(change)
        found = problems(home)
        assert any(message in problem for problem in found), (change, found)
        for file in home.glob("store.db*"):
            file.unlink()
        (home / "store.db").write_bytes(whole)
    assert not look(home).damaged


def test_points_that_were_exchanged_are_found_though_their_number_and_range_are_the_same(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with homes.recorded(home):
        for name, steps in (("a", (0, 1, 2)), ("b", (0, 2, 1))):
            with autotrack.start_run(name) as run:
                for step, value in zip(steps, (1.0, 3.0, 2.0), strict=True):
                    run.log_metrics({"m": value}, step=step)
    homes.deliver(home)
    assert not look(home).damaged
    with changing(home) as store:
        (first, a), (second, b) = store.execute("SELECT series_id, data FROM chunks ORDER BY series_id").fetchall()
        store.executemany("UPDATE chunks SET data = ? WHERE series_id = ?", [(b, first), (a, second)])
    found = problems(home)
    assert found == ["the series 'm' has other steps, times or values in the store"] * 2


def test_a_checksum_of_points_depends_on_neither_order_nor_how_a_step_is_written() -> None:
    chance = random.Random(5)
    choices = [0, -3, 2**70, -(2**70), "0.5", "0.25", "-0.5", "100", "1e2", "12345678901234567890.5", 10, 1000]
    rows = [
        (chance.choice(choices), chance.randrange(2**62), chance.choice([0.0, -1.5, float("nan")])) for _ in range(60)
    ]

    def points(some: list[tuple[Any, int, float]]) -> Points:
        numerators, scale = from_steps([step for step, _, _ in some])
        times, values = (np.array([row[column] for row in some]) for column in (1, 2))
        return Points(numerators, scale, times.astype(np.int64), values.astype(np.float64))

    whole = checksum(points(rows))
    chance.shuffle(rows)
    assert checksum(points(rows)) == whole
    assert sum(checksum(points([row])) for row in rows) % 2**64 == whole
    assert checksum(points([(1, 5, 2.0), (2, 6, 3.0)])) != checksum(points([(1, 6, 2.0), (2, 5, 3.0)]))
    assert checksum(points([("0.5", 1, 1.0)])) != checksum(points([(5, 1, 1.0)]))
    rows[0] = (rows[0][0], rows[0][1] ^ 1, rows[0][2])
    assert checksum(points(rows)) != whole


def test_runs_of_several_journals_continued_ones_and_registered_models_agree(tmp_path: Path) -> None:
    home = tmp_path / "home"
    for number in range(3):
        writer = Writer(home / "journals", version="0", backends=("local",))
        at = 1000 * number
        writer.append_event(RunStarted("r", at, "r", "p", resumed=number > 0))
        writer.append_event(ParamsLogged("r", at + 1, {"lr": number, "x": "\0odd", "k" * 600: 1}))
        for step in range(9000):
            writer.append_event(MetricsLogged("r", at + 2 + step, f"{step}.5", {"m": float(number), f"n{number}": 1.0}))
        writer.append_event(RegistryLogged("r", at + 3, "clf", "annotate", f"id{number}", record={"a": number}))
        writer.append_event(RunEnded("r", at + 20_000, "killed" if number == 1 else "finished"))
        writer.close()
    homes.deliver(home)
    found = look(home)
    assert not found.damaged, found.compared.problems
    assert (found.compared.runs, found.compared.points) == (1, 6 * 9000)
    with changing(home) as store:
        store.execute("UPDATE registry SET who = 'mallory' WHERE event_id = 'id1'")
    assert any("the step clf annotate id1" in problem for problem in problems(home))


def test_a_version_that_was_registered_with_its_model_agrees_and_its_file_is_needed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with homes.recorded(home), autotrack.start_run() as run:
        run.log_model(homes.Net(homes.layer(1)), "net", register="clf", aliases=["champion"])
        run.log_model(homes.Net(homes.layer(2)), "net")
    assert not look(home).damaged, "also where the model has only just got its format"
    homes.deliver(home)
    found = look(home)
    assert not found.damaged, found.compared.problems
    with changing(home) as store:
        ((digest, count),) = store.execute("SELECT digest, count(*) FROM registry GROUP BY digest").fetchall()
        store.execute("DELETE FROM models WHERE digest = ?", (digest,))
    assert count == 2
    Blobs(home).path(digest).with_name(f"{digest}.parts").unlink()
    missing = look(home).blobs["missing"]
    assert {(one["kind"], one["name"]) for one in missing} == {("version", "clf")}


def test_what_the_store_lacks_is_told_with_the_command_that_fills_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    homes.some_runs(home, 1)
    (folder,) = (home / "archive").iterdir()
    with changing(home) as store:
        for table in ("runs", "cursors", "series", "chunks", "params", "params_history", "tags", "models", "artifacts"):
            store.execute(f"DELETE FROM {table}")
        for table in ("notes", "datasets", "provenance", "links", "run_details", "console"):
            store.execute(f"DELETE FROM {table}")
    told = homes.ask(home, "verify", code=1)
    (problem,) = told["store"]["problems"]
    assert problem["problem"].startswith("the store lacks ") and folder.name in problem["problem"]
    assert told["mend"] == ["autotrack sync --backends local fills the store with what it lacks"]
    assert homes.command(home, "sync", "--backends", "local").returncode == 0
    assert homes.ask(home, "verify")["damaged"] is False


def test_a_damaged_or_lost_blob_is_told_with_who_has_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    homes.some_runs(home, 1)
    (folder,) = (home / "archive").iterdir()
    progress = Progress(home, folder.name, "mlflow")
    progress.done = True
    progress.save()
    files = {path.read_bytes(): path for path in (home / "blobs").glob("??/*")}
    damaged = files[b"artifact 0"]
    damaged.write_bytes(b"artifact X")
    model = next(path for path in files.values() if path.suffix == ".parts")
    model.unlink()
    rows = next(path for content, path in files.items() if content.startswith(b"x1rows"))
    rows.unlink()
    told = homes.ask(home, "verify", code=1)
    assert told["blobs"]["damaged"] == [damaged.name]
    missing = {one["digest"]: one["kind"] for one in told["blobs"]["missing"]}
    assert missing.keys() == {model.stem, rows.name} and missing[model.stem] == "model"
    assert told["blobs"]["elsewhere"][damaged.name] == told["blobs"]["elsewhere"][model.stem] == ["mlflow"]
    assert f"blob {model.stem} was delivered to mlflow: get it from there" in told["mend"]
    text = homes.command(home, "verify").stdout
    assert "to mend: a damaged file may be whole in a backup" in text and f"missing: blob {model.stem} of model" in text


def test_a_run_that_is_being_written_and_journals_that_are_not_here_are_no_damage(tmp_path: Path) -> None:
    home = tmp_path / "home"
    homes.some_runs(home, 2)
    with homes.recorded(home):
        live = autotrack.start_run("live")
        live.log_metrics({"m": 1.0})
        with autotrack.start_run("child", parent="a run of another home"):
            pass
        live.log_metrics({"m": 2.0})
        told = homes.ask(home, "verify")
        assert told["damaged"] is False
        assert [one["problem"] for one in told["store"]["dangling"]] == [
            "its parent a run of another home is not in the store"
        ]
        live.end()
    for folder in (home / "archive").iterdir():
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
    told = homes.ask(home, "verify")
    assert told["damaged"] is False and told["store"]["journals_elsewhere"] == 1
    with changing(home) as store:
        store.execute("UPDATE params SET value = '7' WHERE run_id = ?", (live.id,))
    liveness.forget_held()
    assert homes.ask(home, "verify")["damaged"] is False, "it has no params"


def test_a_database_whose_pages_are_damaged_is_told(tmp_path: Path) -> None:
    home = tmp_path / "home"
    homes.some_runs(home, 2)
    with changing(home) as store:
        (page,) = store.execute("SELECT rootpage FROM sqlite_master WHERE name = 'runs_by_name'").fetchone()
        (size,) = store.execute("PRAGMA page_size").fetchone()
        store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with (home / "store.db").open("r+b") as file:
        file.seek((page - 1) * size + size - 40)
        file.write(b"\xff" * 30)
    assert any("the database itself is damaged" in problem for problem in problems(home))


def test_many_runs_are_compared_in_reasonable_time(tmp_path: Path) -> None:
    home = tmp_path / "home"
    writer = Writer(home / "journals", version="0", backends=("local",))
    for number in range(1500):
        writer.append_event(RunStarted(f"r{number}", number, "r", "p"))
        for step in range(20):
            writer.append_event(MetricsLogged(f"r{number}", number, step, {"a": 1.0 * step, "b": 2.0}))
        writer.append_event(RunEnded(f"r{number}", number, "finished"))
    writer.close()
    homes.deliver(home)
    found = look(home)
    assert not found.damaged and found.compared.runs == 1500 and found.compared.points == 60_000


def test_verify_changes_nothing_in_a_home_that_is_delivered(tmp_path: Path) -> None:
    home = tmp_path / "home"
    homes.some_runs(home, 1)
    Blobs(home).put_bytes(b"orphan")

    def state() -> dict[str, tuple[int, int]]:
        found = {}
        for place, _, names in os.walk(home):
            for name in names:
                if not name.startswith("store.db"):
                    status = os.stat(os.path.join(place, name))
                    found[os.path.join(place, name)] = status.st_mtime_ns, status.st_size
        return found

    before = state()
    told = homes.ask(home, "verify")
    assert state() == before and told["blobs"]["unnamed"] == 1


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_a_home_without_runs_is_said_to_have_none(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = homes.command(tmp_path / "none", "verify", *words)
    assert done.returncode == 0 and not (tmp_path / "none").exists()
