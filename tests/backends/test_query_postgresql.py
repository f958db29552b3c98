"""Queries on a real PostgreSQL: the same runs as plain Python over their records, and nothing of a query is SQL."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from autotrack.settings import Settings
from autotrack.store.engine import open_engine
from autotrack.store.query import Store

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "core"))

from postgresql_server import new_database, running_server
from query_evaluation import Meaning, fill, queries

Filled = tuple[Store, Store, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    """A store on PostgreSQL, the same on SQLite, and their records."""
    home = tmp_path_factory.mktemp("home")
    with running_server() as server:
        settings = Settings(store_url=new_database(server))
        with Store(open_engine(home, settings)) as store, Store(open_engine(home, Settings())) as other:
            fill(store.engine)
            fill(other.engine)
            yield store, other, store.records([run["id"] for run in store.runs()])


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(queries())
def test_the_database_and_plain_python_agree(filled: Filled, query: tuple[str, Meaning]) -> None:
    store, _, records = filled
    text, meaning = query
    found = store.find(text)
    assert {run["id"] for run in found.runs} == {record["id"] for record in records if meaning(record)}
