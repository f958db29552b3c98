"""Queries on a real PostgreSQL: the same runs as plain Python over their records, and nothing of a query is SQL."""

import pytest

pytest.importorskip("psycopg")
pytest.importorskip("pyarrow")

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet
from hypothesis import HealthCheck, given, settings

from autotrack.cli.main import main
from autotrack.cli.parquet import write
from autotrack.session import session
from autotrack.settings import Settings
from autotrack.store.asking.flat import TABLES
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


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(queries())
def test_the_database_and_plain_python_agree(filled: Filled, query: tuple[str, Meaning]) -> None:
    store, _, records = filled
    text, meaning = query
    found = store.find(text)
    assert {run["id"] for run in found.runs} == {record["id"] for record in records if meaning(record)}


SORTS = [
    "started_at",
    "-name, -started_at",
    "params.lr",
    "-params.opt",
    'params."a b", id',
    "-params.'quo\"te'",
    "metrics.loss.max",
    "-metrics.loss",
    "metrics.val/accuracy.last_step",
    "-duration",
    "parent_id, -id",
    "tags.team",
    "environment.deep.nan",
    "-environment.deep.text",
    "datasets.train.note",
    "-datasets.test.n_rows",
    "models.bytes",
    "error.message",
    "code.entry",
]


@pytest.mark.parametrize("sort", SORTS)
def test_both_databases_sort_and_show_alike(filled: Filled, sort: str) -> None:
    store, other, _ = filled
    columns = sort.replace("-", "", 1) if sort.startswith("-") else sort
    found, expected = (one.find(sort=sort, columns=columns.replace(", -", ", ")) for one in (store, other))
    assert repr(found).replace("-0.0", "0.0") == repr(expected).replace("-0.0", "0.0")  # SQLite's floats have one zero
    for page in (store, other):
        part = page.find("metrics.loss is not null", sort=sort, limit=7, offset=3)
        assert part.runs == page.find("metrics.loss is not null", sort=sort).runs[3:10]
        assert part.total == page.find("metrics.loss is not null").total


def test_both_databases_count_keys_alike(filled: Filled) -> None:
    store, other, _ = filled
    assert store.columns() == other.columns()
    assert store.columns("status = failed") == other.columns("status = failed")


def test_the_largest_queries_are_answered(filled: Filled) -> None:
    store, _, records = filled
    assert store.find(" or ".join(["params.lr = nothing"] * 50)).total == 0
    numbers = ", ".join(str(number) for number in range(200))
    assert store.find(f"params.lr not in ({numbers})").total > 0
    letters = "".join(chr(place) for place in range(0x430, 0x430 + 32)) + "äöüß" * 42
    assert store.find(f"name ~ {letters} or params.lr !~ {letters}").total == len(records)


def test_hostile_text_is_text(filled: Filled) -> None:
    store, _, records = filled
    for hostile in ("'; DROP TABLE runs; --", "x' OR 'x'='x", ":p", "%(p)s", "$1", "{a,b}", "\\'; SELECT 1"):
        quoted = '"' + hostile.replace("\\", "\\\\") + '"'
        for query in (f"name = {quoted}z", f"params.{quoted} = {quoted}", f"environment.{quoted}.{quoted} ~ {quoted}"):
            query = query.replace('"z', 'z"')
            assert store.find(query).total == 0
        assert store.find(sort=f"environment.{quoted}.{quoted}, params.{quoted}").total == len(records)


def test_sql_and_parquet_read_it_too(
    filled: Filled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("duckdb")
    store, other, records = filled
    tables = [write(one, tmp_path / name, None) for one, name in ((store, "a"), (other, "b"))]
    assert tables[0] == tables[1] and tables[0]["runs"] == len(records)
    for name in TABLES:
        first, second = (pyarrow.parquet.read_table(tmp_path / place / f"{name}.parquet").to_pylist() for place in "ab")
        first, second = ([repr(row).replace("-0.0", "0.0") for row in rows] for rows in (first, second))
        assert sorted(first) == sorted(second), name  # SQLite's floats have one zero
    with monkeypatch.context() as patch:
        patch.setenv("AUTOTRACK_HOME", str(tmp_path))
        patch.setenv("AUTOTRACK_STORE_URL", store.engine.url.render_as_string(hide_password=False))
        session.configure()
        assert main(["sql", "select count(*) n from runs join params on run = id", "--json"]) == 0
    session.configure()
    assert json.loads(capsys.readouterr().out) == [{"n": tables[0]["params"]}]
