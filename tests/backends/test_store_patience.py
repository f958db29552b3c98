"""A query that takes too long is ended, on SQLite and on a real PostgreSQL, and the next one is answered as ever."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert, text

from autotrack.cli.main import main
from autotrack.errors import QueryTooSlow, StoreError
from autotrack.session import session
from autotrack.settings import Settings, load
from autotrack.store import schema
from autotrack.store.engine import open_engine, writing
from autotrack.store.grouping import grouped
from autotrack.store.query import Store

sys.path.insert(0, str(Path(__file__).parent))
from postgresql_server import new_database, running_server

SECONDS = 0.4
RUNS = 200
CLUMSY = " or ".join(f'params.prompt ~ "nowhere{number} \u0416"' for number in range(50))
"""Fifty searches through long texts: minutes, where nothing ends it."""


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    with running_server() as url:
        yield url


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str | None]:
    """The home and URL of a store whose runs have a long text each."""
    home = tmp_path_factory.mktemp("patience") / "home"
    url = new_database(request.getfixturevalue("postgresql")) if request.param == "postgresql" else None
    engine = open_engine(home, Settings(store_url=url))
    row = {"project": "p", "status": "finished", "started_at": 1, "known": "started", "status_at": 1}
    runs = [{**row, "id": f"r{at}", "name": f"run {at}", "status_writer": "w"} for at in range(RUNS)]
    prompt = "lorem IPSUM dolor \u0436 " * 5_000
    params = [{"run_id": one["id"], "key": "prompt", "value": f'"{prompt}"', "time": 1} for one in runs]
    with writing(engine) as connection:
        connection.execute(insert(schema.runs), runs)
        connection.execute(insert(schema.params), params)
    engine.dispose()
    return home, url


@pytest.fixture
def store(place: tuple[Path, str | None]) -> Iterator[Store]:
    home, url = place
    with Store.open(home, load({}, store_url=url, query_seconds=SECONDS)) as store:
        yield store


@pytest.mark.parametrize("ask", [Store.find, Store.columns, lambda store, where: grouped(store, where, "status")])
def test_a_query_that_takes_long_is_ended_and_the_next_one_works(store: Store, ask) -> None:
    for _ in range(3):  # each time on the connection that was interrupted, if the pool gives it again
        begun = time.monotonic()
        with pytest.raises(QueryTooSlow, match="AUTOTRACK_QUERY_SECONDS"):
            ask(store, CLUMSY)
        assert SECONDS * 0.9 < time.monotonic() - begun < SECONDS + 2
        assert ask(store, "name = 'run 7'")
    assert store.find("status = finished", limit=10).total == RUNS
    assert store.run("r7")["params"]["prompt"].startswith("lorem")


def test_the_limit_holds_for_all_statements_of_a_query_together(store: Store) -> None:
    def ask_again_and_again() -> None:
        with store.asking() as connection:
            for _ in range(1000):
                connection.execute(text("SELECT count(*) FROM params WHERE value LIKE '%x%y%z%'"))

    begun = time.monotonic()
    with pytest.raises(QueryTooSlow):
        ask_again_and_again()
    assert time.monotonic() - begun < SECONDS + 2


def test_what_is_wrong_with_the_database_is_no_slow_query(store: Store) -> None:
    with pytest.raises(StoreError, match="cannot be read"), store.asking() as connection:
        connection.execute(text("SELECT nothing FROM nowhere"))


def test_without_a_limit_nothing_is_ended(place: tuple[Path, str | None]) -> None:
    home, url = place
    for seconds in (None, 0):
        with Store.open(home, load({}, store_url=url, query_seconds=seconds)) as store:
            assert not store.patience
            with store.asking() as connection:
                if store.engine.dialect.name == "postgresql":
                    assert connection.execute(text("SHOW statement_timeout")).scalar_one() == "0"
                assert connection.execute(text("SELECT count(*) FROM runs")).scalar_one() == RUNS


def test_the_command_line_says_so_where_a_limit_is_set(
    place: tuple[Path, str | None], capsys: pytest.CaptureFixture[str]
) -> None:
    home, url = place
    session.configure(home=home, store_url=url, query_seconds=SECONDS)
    try:
        assert main(["ls", "--where", CLUMSY]) == 1
        assert "the query was ended after 0.4 seconds" in capsys.readouterr().err
        assert main(["ls", "--where", "name = 'run 7'"]) == 0
        assert "run 7" in capsys.readouterr().out
    finally:
        session.configure()
