"""What a query means: the SQL that it becomes fits the same runs as plain Python over their records."""

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

from query_evaluation import Meaning, fill, queries


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, list[dict[str, Any]]]]:
    with Store(open_engine(tmp_path_factory.mktemp("home"), Settings())) as store:
        fill(store.engine)
        yield store, store.records([run["id"] for run in store.runs()])


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(queries())
def test_the_database_and_plain_python_agree(
    filled: tuple[Store, list[dict[str, Any]]], query: tuple[str, Meaning]
) -> None:
    store, records = filled
    text, meaning = query
    found = store.find(text)
    assert {run["id"] for run in found.runs} == {record["id"] for record in records if meaning(record)}
    assert found.total == len(found.runs)
