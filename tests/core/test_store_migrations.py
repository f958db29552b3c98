"""Stores of older versions are brought up to date: the tables are those of a new store, and what was in them stays.

On SQLite here; `tests/backends/test_store_postgresql.py` has what PostgreSQL adds, with the same functions.
"""

import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from autotrack.backend import BackendContext
from autotrack.errors import StoreError
from autotrack.events import MetricsLogged, ParamsLogged, Record, RegistryLogged
from autotrack.settings import Settings
from autotrack.store import schema
from autotrack.store.backend import LocalBackend
from autotrack.store.engine import open_engine, stored_version, writing
from autotrack.store.query import Store

sys.path.insert(0, str(Path(__file__).parent))
from old_stores import described, old_store, opened_at_once


@pytest.mark.parametrize("version", [1, 2, 3])
def test_an_old_store_becomes_what_a_new_one_is(tmp_path: Path, version: int) -> None:
    old_store(tmp_path / "old", Settings(), version)
    new = open_engine(tmp_path / "new", Settings())
    old = open_engine(tmp_path / "old", Settings())
    assert described(old) == described(new)
    with old.connect() as connection:
        assert stored_version(connection) == schema.SCHEMA
    for engine in (old, new):
        engine.dispose()


def test_migrations_lead_to_the_version_that_is_declared(tmp_path: Path) -> None:
    files = sorted((Path(schema.__file__).parent / "migrations" / "versions").glob("version_*.py"))
    assert [path.stem for path in files] == [f"version_{number}" for number in range(1, schema.SCHEMA + 1)]


def test_runs_of_an_old_store_are_read_and_go_on_after_it_was_brought_up_to_date(tmp_path: Path) -> None:
    old_store(tmp_path, Settings(), 1, rows=True)
    with Store.open(tmp_path, Settings()) as store:
        record = store.run("r")
    assert record["name"] == "kept" and record["params"] == {"lr": 0.5}
    backend = LocalBackend()
    backend.open(BackendContext(tmp_path, Settings()))
    assert backend.resume("w") == 10
    events = [
        MetricsLogged("r", 3, 0, {"loss": 1.0}),
        ParamsLogged("r", 3, {"lr": 0.25}),
        RegistryLogged("r", 4, "clf", "register", "id-1", "d" * 64),
    ]
    backend.deliver([Record("w", at, at * 10, event) for at, event in enumerate(events, 2)])
    backend.close()
    with Store.open(tmp_path, Settings()) as store:
        record = store.run("r")
    assert record["metrics"]["loss"]["count"] == 1 and record["params"] == {"lr": 0.25}


def test_processes_that_open_an_old_store_at_once_bring_it_up_to_date_once(tmp_path: Path) -> None:
    old_store(tmp_path, Settings(), 1, rows=True)
    assert sorted(opened_at_once(tmp_path, None)) == ["False", "False", "True"]  # who imported Alembic
    with Store.open(tmp_path, Settings()) as store:
        assert store.run("r")["name"] == "kept"


def test_one_that_is_killed_half_way_leaves_the_old_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old_store(tmp_path, Settings(), 1, rows=True)
    from autotrack.store import migrations

    before = migrations.upgrade

    def killed(*arguments: Any) -> None:
        before(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(migrations, "upgrade", killed)
        with pytest.raises(KeyboardInterrupt):
            open_engine(tmp_path, Settings())
    assert _version(tmp_path) == "1"
    open_engine(tmp_path, Settings()).dispose()
    assert _version(tmp_path) == str(schema.SCHEMA)


def _version(home: Path) -> str:
    import sqlite3

    connection = sqlite3.connect(home / "store.db")
    try:
        return str(connection.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()[0])
    finally:
        connection.close()


def test_alembic_is_imported_only_where_there_is_something_to_bring_up_to_date(tmp_path: Path) -> None:
    assert opened_at_once(tmp_path / "new", None, 1) == ["False"]  # made
    assert opened_at_once(tmp_path / "new", None, 1) == ["False"]  # opened again
    old_store(tmp_path / "old", Settings(), 2)
    assert opened_at_once(tmp_path / "old", None, 1) == ["True"]


def test_without_alembic_an_old_store_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old_store(tmp_path, Settings(), 2)
    monkeypatch.setitem(sys.modules, "alembic", None)
    with pytest.raises(StoreError, match="pip install alembic"):
        open_engine(tmp_path, Settings())


def test_a_newer_store_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    engine = open_engine(tmp_path, Settings())
    with writing(engine) as connection:
        connection.execute(text("UPDATE meta SET value = '99' WHERE key = 'schema'"))
    engine.dispose()
    with pytest.raises(StoreError, match="upgrade autotrack"):
        open_engine(tmp_path, Settings())
    assert _version(tmp_path) == "99"
