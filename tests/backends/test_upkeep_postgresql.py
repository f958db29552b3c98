"""A home whose store is a PostgreSQL database, and its files in an object store: backed up, restored, verified."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

import autotrack
from autotrack.errors import UsageError
from autotrack.provenance.blobs import Blobs
from autotrack.reading import kept_model
from autotrack.store.query import Store, jsonable
from autotrack.upkeep.backing_up import back_up
from autotrack.upkeep.checking import check
from autotrack.upkeep.restoring import restore

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "core"))
import upkeep_homes as homes
from postgresql_server import new_database, running_server


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with running_server() as url:
        yield url


def runs(home: Path, **more: str) -> dict[str, object]:
    with Store.open(home, homes.settings_of(home, **more)) as store:
        return {
            run["id"]: jsonable(
                [store.run(run["id"]), {key: store.series_dicts(run["id"], key) for key in store.keys(run["id"])}]
            )
            for run in store.runs()
        }


def is_whole(home: Path, **more: str) -> bool:
    settings = homes.settings_of(home, **more)
    with Store.open(home, settings) as store:
        return not check(home, settings, store).damaged


def test_a_database_is_exported_without_a_program_of_its_and_comes_back_into_either(
    server: str, tmp_path: Path
) -> None:
    home, place, url = tmp_path / "home", tmp_path / "b.tar.gz", new_database(server)
    homes.some_runs(home, 3, store_url=url)
    assert not (home / "store.db").exists() and is_whole(home, store_url=url)
    made = back_up(home, homes.settings_of(home, store_url=url), place)
    assert made.runs == 3
    before = runs(home, store_url=url)
    light = tmp_path / "light"
    restore(place, light, homes.settings_of(light))
    assert runs(light) == before and is_whole(light)
    other, heavy = new_database(server), tmp_path / "heavy"
    restore(place, heavy, homes.settings_of(heavy, store_url=other))
    assert not (heavy / "store.db").exists()
    assert runs(heavy, store_url=other) == before and is_whole(heavy, store_url=other)
    homes.some_runs(heavy, 1, store_url=other)  # ids that the database gives go on
    assert len(runs(heavy, store_url=other)) == 4 and is_whole(heavy, store_url=other)
    with pytest.raises(UsageError, match=r"there are runs in .* already"):
        restore(place, tmp_path / "more", homes.settings_of(tmp_path / "more", store_url=other))
    assert not (tmp_path / "more").exists() and len(runs(heavy, store_url=other)) == 4


def test_of_a_team_each_home_is_verified_and_collected_by_itself(server: str, tmp_path: Path) -> None:
    mine, yours, url = tmp_path / "mine", tmp_path / "yours", new_database(server)
    (run,) = homes.some_runs(mine, 1, store_url=url)
    homes.some_runs(yours, 2, store_url=url)
    for home in (mine, yours):
        settings = homes.settings_of(home, store_url=url)
        with Store.open(home, settings) as store:
            found = check(home, settings, store)
        assert not found.damaged and found.compared.runs == 3 and found.compared.elsewhere == 1
    homes.age(mine, yours)
    kept = homes.blob_files(mine)
    assert homes.ask(mine, "gc", AUTOTRACK_STORE_URL=url)["freed"] == []
    assert homes.blob_files(mine) == kept
    with Store.open(mine, homes.settings_of(mine, store_url=url)) as store, store.engine.begin() as connection:
        connection.execute(text("UPDATE tags SET value = 'other' WHERE run_id = :run"), {"run": run})
        connection.execute(text("DELETE FROM params WHERE run_id = :run"), {"run": run})
    told = homes.ask(mine, "verify", code=1, AUTOTRACK_STORE_URL=url)
    assert {"'lr' of params is not in the store"} <= {one["problem"] for one in told["store"]["problems"]}
    assert homes.ask(yours, "verify", AUTOTRACK_STORE_URL=url)["damaged"] is False


def test_files_that_only_the_object_store_holds_are_in_the_backup(server: str, tmp_path: Path) -> None:
    pytest.importorskip("obstore", reason="obstore is not installed: pip install 'autotrack-ml[team]'")
    url, objects = new_database(server), tmp_path / "objects"
    objects.mkdir()
    team = {"store_url": url, "blobs_url": objects.as_uri()}
    home, desk, new = tmp_path / "home", tmp_path / "desk", tmp_path / "new"
    with homes.recorded(home, **team), autotrack.start_run("shared") as run:
        run.log_artifact(b"an artifact", "a.txt")
        run.log_model(homes.Net(homes.layer(1)), "net")
    homes.deliver(home, **team)
    desk.mkdir()
    assert not (desk / "blobs").exists() and is_whole(desk, **team)
    place = tmp_path / "folder"
    first = back_up(desk, homes.settings_of(desk, **team), place)
    second = back_up(desk, homes.settings_of(desk, **team), place)
    assert first.runs == 1 and second.copied < first.copied - 20_000, "what was fetched is not fetched again"
    restore(place, new, homes.settings_of(new))
    assert set(Blobs(new).digests()) >= set(Blobs(home).digests()) and is_whole(new)
    with homes.recorded(new):
        assert kept_model("shared").layers == (homes.layer(1),)
