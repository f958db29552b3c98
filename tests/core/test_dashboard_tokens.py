"""Tokens of the dashboard: printed once, kept as a salted hash, refused when they expired or were revoked."""

import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine

from autotrack.cli.tokens import tokens as command
from autotrack.dashboard import tokens
from autotrack.errors import UsageError
from autotrack.session import session
from autotrack.settings import Settings
from autotrack.store.engine import open_engine


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(tmp_path, Settings())
    yield engine
    engine.dispose()


def test_a_token_tells_its_owner_and_the_store_never_holds_it(engine: Engine, tmp_path: Path) -> None:
    ada, bob = tokens.add(engine, "ada"), tokens.add(engine, "bob", days=1)
    assert len({ada, bob}) == 2 and len(ada) >= 44
    assert (tokens.check(engine, ada), tokens.check(engine, bob)) == ("ada", "bob")
    for wrong in ("", "ada", ada[:-1], ada + "x", ada.upper(), "atk_", "\0", "ä" * 20, "\udcff", "x" * 10_000):
        assert tokens.check(engine, wrong) is None
    engine.dispose()
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("store.db*"))
    assert ada.encode() not in kept and ada.removeprefix("atk_").encode() not in kept
    hashes = [row[0] for row in sqlite3.connect(tmp_path / "store.db").execute("SELECT hash FROM tokens")]
    assert len({text.partition("$")[0] for text in hashes}) == 2  # each has a salt of its own


def test_a_revoked_or_expired_token_is_refused_and_its_name_can_be_given_again(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, short = tokens.add(engine, "ada"), tokens.add(engine, "bob", days=1)
    with pytest.raises(UsageError, match="revoke it first"):
        tokens.add(engine, "ada")
    tokens.revoke(engine, "ada")
    assert tokens.check(engine, old) is None
    with pytest.raises(UsageError, match=r"no token to revoke; there are tokens of bob"):
        tokens.revoke(engine, "ada")
    new = tokens.add(engine, "ada")
    assert tokens.check(engine, new) == "ada" and tokens.check(engine, old) is None
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now + 2 * 86_400 * 10**9)
    assert tokens.check(engine, short) is None and tokens.check(engine, new) == "ada"
    assert {one.name: one.state for one in tokens.listed(engine)} == {"ada": "valid", "bob": "expired"}
    assert tokens.check(engine, tokens.add(engine, "bob")) == "bob"


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 101, "\x1b[31m"])
def test_a_name_that_cannot_be_shown_is_refused(engine: Engine, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name"):
        tokens.add(engine, name)


def test_roles_and_days_are_checked(engine: Engine) -> None:
    with pytest.raises(UsageError, match="reader"):
        tokens.add(engine, "ada", role="owner")
    for days in (0, -1, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="days"):
            tokens.add(engine, "ada", days=days)
    assert tokens.listed(engine) == []


def test_the_command_prints_a_token_once(tmp_path: Path) -> None:
    session.configure(home=tmp_path)
    try:
        runner = CliRunner()
        made = runner.invoke(command, ["add", "ada", "--days", "30"], catch_exceptions=False)
        token = made.stdout.strip()
        listed = runner.invoke(command, ["ls"], catch_exceptions=False).output
        assert token.startswith("atk_") and "ada" in listed and token not in listed
        rows = json.loads(runner.invoke(command, ["ls", "--json"], catch_exceptions=False).output)
        assert [(row["name"], row["role"], row["state"]) for row in rows] == [("ada", "reader", "valid")]
        assert rows[0]["expires"].endswith("Z") and token not in str(rows)
        runner.invoke(command, ["revoke", "ada"], catch_exceptions=False)
        rows = json.loads(runner.invoke(command, ["ls", "--json"], catch_exceptions=False).output)
        assert rows[0]["state"] == "revoked"
    finally:
        session.configure()
