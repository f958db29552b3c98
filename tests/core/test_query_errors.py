"""Queries that cannot be: each is refused with the word that is at fault, and nothing of a text ever becomes SQL."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from autotrack.errors import QueryError, UsageError
from autotrack.events import ParamsLogged, Record, RunStarted, TagsSet
from autotrack.settings import Settings
from autotrack.store import ingest
from autotrack.store.asking.parsing import parse
from autotrack.store.engine import open_engine
from autotrack.store.query import Store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store(open_engine(tmp_path_factory.mktemp("home"), Settings())) as opened:
        events = [
            RunStarted("r", 1, "first", "p"),
            ParamsLogged("r", 1, {"lr": 0.1}),
            TagsSet("r", 1, {"team": "risk"}),
        ]
        ingest.ingest(opened.engine, [Record("w", n, n + 1, event) for n, event in enumerate(events)])
        yield opened


@pytest.mark.parametrize(
    ("text", "word", "told"),
    [
        ("statis = finished", "statis", "did you mean status?"),
        ("lr > 3", "lr", "a param is params.lr"),
        ("status = finshed", "finshed", "there are running, finished, failed, killed, pruned"),
        ("status in (finished, gone)", "gone", "there is no status 'gone'"),
        ("params > 3", "params", "as in params.lr"),
        ("params. > 3", "params.", "has to follow the dot"),
        ("params..x > 3", "params..x", "between two dots"),
        ('params."a"b = 3', 'params."a"b', "a dot is missing"),
        ("name.first = x", "name.first", "has no parts"),
        ("models.size > 3", "models.size", "models.bytes"),
        ("error.what = x", "error.what", "type, message, traceback"),
        ("metrics.things.best > 3", "metrics.things.best", "write .max or .min"),
        ("metrics.loss < low", "low", "is a number"),
        ("metrics.loss ~ 3", "3", "~ searches text"),
        ("metrics.loss < nan", "nan", "no order"),
        ("params.lr < true", "true", "no order"),
        ("params.lr = null", "null", "is null"),
        ("params.lr = params.other", "params.other", 'written "params.other"'),
        ("params.lr = 1e999999", "1e999999", "beyond"),
        ("params.lr", "", "one of ="),
        ("params.lr =", "", "a value has to stand here"),
        ("params.lr = (1)", "(", "a value has to stand here"),
        ("params.lr in 1", "1", "a list in parentheses"),
        ("params.lr in (1 2)", "2", "a comma or a closing parenthesis"),
        ("params.lr not 1", "1", "in has to stand here"),
        ("params.lr is 1", "1", "null has to stand here"),
        ("tags.n > 10", "10", 'write "10"'),
        ("started_at > yesteryear", "yesteryear", "is no time"),
        ("started_at > 2026-13-01", "2026-13-01", "is no time"),
        ("duration > long", "long", "is no duration"),
        ("status = finished name = x", "name", "and, or, or the end"),
        ("status = finished)", ")", "never opened"),
        ("(status = finished", "(", "never closed"),
        ("and status = finished", "and", "a field has to stand here"),
        ('name = "x', '"', "not closed"),
        ('name = "x"y', '"x"y', "quoted as a whole"),
        ("name ! x", "!", "lone"),
        ("status = finished and", "", "a field has to stand here"),
        ("name = x\0", "\0", "U+0000"),
        ("name = x\ud800", "\ud800", "U+D800"),
    ],
)
def test_an_error_points_at_the_word(store: Store, text: str, word: str, told: str) -> None:
    with pytest.raises(QueryError) as caught:
        store.find(text)
    problem = caught.value
    assert told in str(problem) and isinstance(problem, UsageError) and isinstance(problem, ValueError)
    place = text.rindex(word) if word else len(text)
    assert (problem.text, problem.position) == (text, place)
    assert problem.length == max(1, len(word))
    shown, carets = problem.pointer().split("\n")
    assert carets.strip() == "^" * problem.length and carets.index("^") == place
    assert shown.isprintable() and problem.__notes__ == [problem.pointer()]


def test_the_pointer_of_a_long_query_shows_the_part_around_the_word() -> None:
    text = "name = x or " * 40 + "nome = x" + " or name = y" * 40
    with pytest.raises(QueryError) as caught:
        parse(text)
    shown, carets = caught.value.pointer().split("\n")
    assert len(shown) < 110 and shown[carets.index("^") : carets.rindex("^") + 1] == "nome"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name = " + "x" * 10_000, "at most 10,000 characters"),
        ("(" * 40 + "name = x" + ")" * 40, "at most 30 parentheses deep"),
        ("not " * 40 + "name = x", "at most 30 parentheses deep"),
        (" or ".join(["name = x"] * 51), "at most 50 conditions"),
        (f"params.a in ({', '.join(['1'] * 201)})", "at most 200 values"),
        ("name ~ " + "x" * 201, "at most 200 characters"),
        ("(" * 9_000, "at most 30 parentheses deep"),
    ],
)
def test_a_huge_query_is_refused(store: Store, text: str, told: str) -> None:
    with pytest.raises(QueryError, match=told):
        store.find(text)


def test_the_largest_query_that_is_allowed_is_answered(store: Store) -> None:
    assert store.find(" or ".join(["params.lr = 0.1"] * 50)).total == 1
    assert store.find("not " * 30 + "params.lr = 0.1").total == 1
    assert store.find("(" * 30 + "name = first" + ")" * 30).total == 1
    numbers = ", ".join(str(number) for number in range(199))
    assert store.find(f"params.lr in ({numbers}, 0.1)").total == 1
    letters = "".join(chr(place) for place in range(0x430, 0x430 + 32)) + "äöüß" * 42
    assert store.find(f"name ~ {letters} or params.lr ~ {letters} or code.commit ~ {letters}").total == 0
    nested = "params.lr = 0.1"
    for place in range(29):
        field = ("params.x", "name", "environment.a.b", "datasets.train.n_rows", "tags.x", "metrics.loss.min")[
            place % 6
        ]
        value = "3" if place % 6 in (0, 3, 5) else "text"
        nested = f"({nested} {('and not', 'or')[place % 2]} {field} = {value})"
    assert store.find(nested).total == 1


@pytest.mark.parametrize(
    "sort", ["nome", "-", "name,", "name name", ",", "-params", "name desc", '"name"', ", ".join(["name"] * 101)]
)
def test_fields_to_sort_by_are_checked_too(store: Store, sort: str) -> None:
    if sort == "name,":  # a last comma does no harm
        assert store.find(sort=sort).total == 1
        return
    with pytest.raises(QueryError):
        store.find(sort=sort)
    with pytest.raises(QueryError):
        store.find(columns=sort)


HOSTILE = [
    "'; DROP TABLE runs; --",
    '" OR 1=1 --',
    "x' OR 'x'='x",
    "%' OR 1=1 --",
    "); DELETE FROM runs; --",
    "\\' OR 1=1 --",
    ":param_1",
    "%(param_1)s",
    "?1",
    "{run}",
]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_is_text(store: Store, hostile: str) -> None:
    quoted = '"' + hostile.replace("\\", "\\\\").replace('"', '\\"') + '"'
    before = _content(store)
    for query in (
        f"name = {quoted}",
        f"name ~ {quoted}",
        f"params.lr = {quoted}",
        f"params.{quoted} = {quoted}",
        f"tags.{quoted} < {quoted}",
        f"metrics.{quoted}.min > 3",
        f"datasets.{quoted} in ({quoted}, {quoted})",
        f"environment.{quoted}.{quoted} ~ {quoted}",
        f"models.digest = {quoted}",
    ):
        assert store.find(query).total == 0, query
        assert store.find(f"not {query}").total == 1
    for field in (f"params.{quoted}", f"environment.{quoted}", f"datasets.{quoted}.{quoted}"):
        assert store.find(sort=[field, f"-{field}"], columns=[field]).runs[0]["values"] == {field: None}
    assert _content(store) == before


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.text(max_size=40),
        st.lists(
            st.sampled_from(
                [
                    "name",
                    "params.a",
                    "=",
                    "~",
                    "(",
                    ")",
                    "and",
                    "not",
                    "in",
                    "'",
                    '"',
                    ",",
                    "7d",
                    "ago",
                    "started_at",
                    "1",
                    "is",
                    "null",
                    ".",
                    "-",
                    "!",
                ]
            ),
            max_size=9,
        ).map(" ".join),
    )
)
@example("name = x; DROP TABLE runs")
@example("1=1")
def test_any_text_is_an_answer_or_an_error_that_points_into_it(store: Store, text: str) -> None:
    for ask in (
        lambda: store.find(text),
        lambda: store.find(sort=text),
        lambda: store.find(columns=text),
        lambda: store.columns(text),
    ):
        try:
            ask()
        except QueryError as problem:
            refused = problem
        else:
            continue
        assert 0 <= refused.position <= len(text) and refused.position + refused.length <= len(text) + 1
        assert refused.pointer().count("\n") == 1


def _content(store: Store) -> list[str]:
    with sqlite3.connect(str(store.engine.url.database)) as connection:
        return list(connection.iterdump())


def test_the_store_is_only_read(store: Store, tmp_path: Path) -> None:
    before = _content(store)
    store.find("params.lr > 0", sort="params.lr", columns="params.lr")
    store.columns()
    assert _content(store) == before
