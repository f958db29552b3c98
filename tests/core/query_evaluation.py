"""Queries drawn at random, each with what it means in plain Python, and runs to ask them of.

The meaning is worked out from the records that `Store.records` gives, with nothing of the query's own code.
"""

import math
import operator
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st
from sqlalchemy import Engine

from autotrack.events import (
    ArtifactLogged,
    DatasetLogged,
    Event,
    MetricsLogged,
    ModelLogged,
    ParamsLogged,
    ProvenanceLogged,
    Record,
    RunEnded,
    RunStarted,
    TagsSet,
)
from autotrack.store import ingest

Meaning = Callable[[dict[str, Any]], bool]

START = 1_760_000_000_123_456_789
DAY = 86400 * 10**9

TEXTS = [
    "adam",
    "Adam",
    "ADAMW",
    "it's",
    'a "quoted" word',
    "back\\slash",
    "\\u0041",
    "line\nbreak\tand tab",
    "Müller",
    "MÜLLER",
    "straße",
    "ΣΊΣΥΦΟΣ",
    "σίσυφος",
    "\u212aelvin",
    "日本",
    "😀 smile",
    "",
    " ",
    "null",
    "true",
    "0.1",
    "NaN",
    "Infinity",
    "nul\0inside",
    "\ud83dlone",
    "%_*?[x]",
    "'; DROP TABLE runs; --",
    "u0041",
    "00e9",
]
NUMBERS: list[Any] = [
    0,
    1,
    -1,
    3,
    3.0,
    0.1,
    0.30000000000000004,
    0.3,
    1e-5,
    -0.0,
    1e300,
    5e-324,
    1e23,
    10**23,
    2**53,
    2**53 + 1,
    2**63 - 1,
    2**63,
    2**64 - 1,
    -(2**63),
    10**18,
    10**18 + 1,
    1.7976931348623157e308,
    math.nan,
    math.inf,
    -math.inf,
]
SCALARS: list[Any] = [*TEXTS, *NUMBERS, True, False, None]
KEYS = ["lr", "opt", "a b", "model.hidden size", 'quo"te', "schicht/größe"]
METRICS = ["loss", "val/accuracy", "a.min", "x y"]
TAGS = ["team", "host name"]


def fill(engine: Engine, count: int = 80) -> None:
    """Runs that have a bit of everything, among it what databases and JSON find hard."""
    events: list[Event] = []
    for number in range(count):
        run, at = f"run{number:03}", START + number * 7 * 3600 * 10**9

        def pick(pool: list[Any], salt: int, number: int = number) -> Any:
            return pool[(number * 31 + salt * 17 + number // 7) % len(pool)]

        document = {"python": pick(["3.11.7", "3.12.0"], 1), "deep": {"nan": pick(NUMBERS, 9), "text": pick(TEXTS, 3)}}
        code = {"commit": f"{number % 9:x}" * 40, "text": pick(TEXTS, 5)} if number % 4 else {}
        name, project = pick(TEXTS, 2).replace("\ud83d", ""), pick(["churn", "Risk", "größe"], 1)
        parent = None if number % 3 else f"run{number // 2:03}"
        events.append(RunStarted(run, at, name, project, parent, pick(["sklearn", "keras", None], 4), document, code))
        events += [
            ParamsLogged(run, at, {key: pick(SCALARS, place)}) for place, key in enumerate(KEYS) if (number + place) % 5
        ]
        events += [
            TagsSet(run, at, {key: pick(TEXTS, place + 7)}) for place, key in enumerate(TAGS) if (number + place) % 3
        ]
        for place, key in enumerate(METRICS):
            for point in range((number + place) % 4):
                value = float(pick(NUMBERS, place * 5 + point))
                events.append(
                    MetricsLogged(run, at + point, pick([point, f"{point}.25", 10**20 + point], place), {key: value})
                )
        for place, role in enumerate(["train", "test"]):
            if (number + place) % 4:
                value = f"x1:{(number % 6) * 11 + place:032x}"
                inner = {"X": {"value": "x1:ffff", "mean": pick(NUMBERS, 3)}}
                told = {
                    "n_rows": number * 10,
                    "parts": inner,
                    "value": value,
                    "note": pick(TEXTS, 1),
                    "by": pick(SCALARS, 2),
                }
                events.append(DatasetLogged(run, at, role, pick(["customers", "Größe"], place), told))
        if number % 3 == 1:
            events.append(ModelLogged(run, at, "clf", pick(["skops", "ubj"], 1), f"{number % 5:x}" * 64, number * 1000))
            events.append(
                ModelLogged(run, at, "kept", "none", None, None, pick([None, 3, "2.5"], 1), problem="too large")
            )
        if number % 5 == 2:
            events.append(ArtifactLogged(run, at, pick(["report.html", "a b.png"], 1), f"{number:064x}", number))
        if number % 2:
            told = {
                "commit": f"{number % 7:x}a" * 20,
                "entry": pick([*SCALARS, ["a", {"b": 1}], {"c": pick(SCALARS, 4)}], 6),
            }
            events.append(ProvenanceLogged(run, at, pick(["code", "environment", "notebook"], 3), told))
        if number % 7:
            error = {"type": "ValueError", "message": pick(TEXTS, 2), "traceback": "…"} if number % 7 == 1 else None
            ended = at + pick([1, 10**9, 1500 * 10**6, 3600 * 10**9, 2 * DAY], 2)
            events.append(
                RunEnded(
                    run, ended, pick(["finished", "failed", "killed", "pruned"], 1) if not error else "failed", error
                )
            )
    records = [Record("writer", place, place + 1, event) for place, event in enumerate(events)]
    ingest.ingest(engine, records)


# What a condition means


def shown(text: str) -> str:
    """Text as the columns hold it."""
    return "".join("\ufffd" if "\ud800" <= one <= "\udfff" else "\u2400" if one == "\0" else one for one in text)


def small(text: str) -> str:
    return "".join(one.lower() if len(one.lower()) == 1 else one for one in text)


def as_decimal(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return Decimal(repr(value)) if math.isfinite(value) else Decimal(str(value))


ORDER = {"=": operator.eq, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def numbers(value: Decimal, sign: str, wanted: Decimal) -> bool:
    if value.is_nan() or wanted.is_nan():
        return sign == "=" and value.is_nan() and wanted.is_nan()
    return bool(ORDER[sign](value, wanted))


def scalar(value: Any, sign: str, wanted: Any) -> bool:
    """`wanted` is text, a decimal or a flag."""
    if value is None:
        return False
    if sign == "~":
        if isinstance(value, bool):
            text = str(value).lower()
        elif isinstance(value, str):
            text = shown(value)
        else:
            text = repr(value).replace("nan", "NaN").replace("inf", "Infinity")
        return small(wanted) in small(text)
    if isinstance(wanted, bool):
        return isinstance(value, bool) and value is wanted
    if isinstance(wanted, str):
        return isinstance(value, str) and bool(ORDER[sign](shown(value), wanted))
    number = as_decimal(value)
    return number is not None and numbers(number, sign, wanted)


def at(document: Any, path: list[str]) -> Any:
    for key in path:
        if isinstance(document, list) and key.isdigit() and int(key) < len(document):
            document = document[int(key)]
        elif isinstance(document, dict) and key in document:
            document = document[key]
        else:
            return None
    return document


def nanoseconds(iso: str | None) -> int | None:
    """To the microsecond, as records have it."""
    if iso is None:
        return None
    return (datetime.fromisoformat(iso) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000


# Conditions at random, as text and as meaning

SIGNS = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])


def quoted(text: str) -> st.SearchStrategy[str]:
    def one(mark: str) -> str:
        return mark + text.replace("\\", "\\\\").replace(mark, "\\" + mark) + mark

    return st.sampled_from([one('"'), one("'")])


@st.composite
def written_number(draw: Any) -> tuple[str, Decimal]:
    value = draw(
        st.one_of(
            st.sampled_from(NUMBERS),
            st.integers(-(2**70), 2**70),
            st.floats(),
            st.decimals(allow_nan=False, allow_infinity=False, places=3),
        )
    )
    text = str(value) if isinstance(value, Decimal) else repr(value)
    if text in ("nan", "inf"):
        text = draw(st.sampled_from([text, text.upper(), {"nan": "NaN", "inf": "Infinity"}[text]]))
    return text, Decimal(text)


def texts() -> st.SearchStrategy[str]:
    part = st.sampled_from(TEXTS).flatmap(lambda text: st.integers(0, 4).map(lambda start: text[start : start + 3]))
    anything = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
    return st.one_of(st.sampled_from(TEXTS).map(shown), part.map(shown), anything)


def turned(sign: str, test: Callable[[str], Meaning]) -> Meaning:
    """`!=` and `!~` are the opposites of the others."""
    if sign.startswith("!"):
        plain = test(sign[1:])
        return lambda record: not plain(record)
    return test(sign)


def dotted(*segments: str) -> str:
    return ".".join(
        one if one.replace("_", "").replace("/", "").isalnum() else '"' + one.replace('"', '\\"') + '"'
        for one in segments
    )


@st.composite
def about_text(draw: Any, name: str, get: Callable[[dict[str, Any]], list[str]]) -> tuple[str, Meaning]:
    wanted = draw(texts())
    sign = draw(st.sampled_from(["=", "!=", "<", "<=", ">", ">=", "~", "!~"]))

    def test(sign: str) -> Meaning:
        return lambda record: any(scalar(value, sign, wanted) for value in get(record))

    return f"{name} {sign} {draw(quoted(wanted))}", turned(sign, test)


@st.composite
def about_scalar(draw: Any, name: str, get: Callable[[dict[str, Any]], list[Any]]) -> tuple[str, Meaning]:
    kind = draw(st.sampled_from(["text", "text", "number", "number", "flag", "null", "list"]))
    if kind == "text":
        found: tuple[str, Meaning] = draw(about_text(name, get))
        return found
    if kind == "null":
        absent = draw(st.booleans())
        return (
            f"{name} is {'' if absent else 'not '}null",
            lambda record: all(one is None for one in get(record)) == absent,
        )
    if kind == "list":
        members, written = [], []
        for _ in range(draw(st.integers(1, 3))):
            text, value = draw(
                st.one_of(written_number(), texts().flatmap(lambda one: st.tuples(quoted(one), st.just(one))))
            )
            written.append(text)
            members.append(value)
        negated = draw(st.booleans())
        return (
            f"{name} {'not ' * negated}in ({', '.join(written)})",
            lambda record: any(scalar(value, "=", one) for value in get(record) for one in members) != negated,
        )
    sign = draw(SIGNS)
    wanted: Any
    if kind == "flag":
        sign, wanted = draw(st.sampled_from(["=", "!="])), draw(st.booleans())
        text = str(wanted).lower()
    else:
        text, wanted = draw(written_number())
        sign = draw(st.sampled_from(["=", "!="])) if wanted.is_nan() else sign

    def test(sign: str) -> Meaning:
        return lambda record: any(scalar(value, sign, wanted) for value in get(record))

    return f"{name} {sign} {text}", turned(sign, test)


@st.composite
def about_metric(draw: Any) -> tuple[str, Meaning]:
    key, part = (
        draw(st.sampled_from(METRICS)),
        draw(st.sampled_from(["last", "min", "max", "", "count", "last_step", "first_step"])),
    )
    text, wanted = draw(written_number())
    sign = draw(st.sampled_from(["=", "!="])) if wanted.is_nan() else draw(SIGNS)

    def test(sign: str) -> Meaning:
        def meaning(record: dict[str, Any]) -> bool:
            if key not in record["metrics"]:
                return False
            value = record["metrics"][key][part or "last"]
            if part in ("count", "last_step", "first_step"):
                return numbers(Decimal(str(value)), sign, wanted)
            return numbers(Decimal(value), sign, Decimal(float(wanted)))

        return meaning

    return f"{dotted('metrics', key)}{'.' * bool(part)}{part} {sign} {text}", turned(sign, test)


@st.composite
def about_time(draw: Any) -> tuple[str, Meaning]:
    name, sign = draw(st.sampled_from(["started_at", "ended_at"])), draw(SIGNS)
    moment = datetime.fromtimestamp(START // 10**9, UTC) + timedelta(seconds=draw(st.integers(-10, 80 * 7 * 3600)))
    moment = moment.replace(microsecond=draw(st.sampled_from([0, 123456])))
    pattern, width = draw(
        st.sampled_from(
            [
                ("%Y-%m-%d", timedelta(days=1)),
                ("%Y-%m-%dT%H:%M", timedelta(minutes=1)),
                ("%Y-%m-%dT%H:%M:%SZ", timedelta(seconds=1)),
                ("%Y-%m-%d %H:%M:%S.%f", timedelta(microseconds=1)),
            ]
        )
    )
    text = moment.strftime(pattern)
    first = nanoseconds(datetime.strptime(text, pattern).replace(tzinfo=UTC).isoformat())
    assert first is not None
    last = first + width // timedelta(microseconds=1) * 1000

    def test(sign: str) -> Meaning:
        def meaning(record: dict[str, Any]) -> bool:
            value = nanoseconds(record[name])
            if value is None:
                return False
            return {
                "=": first <= value < last,
                "<": value < first,
                "<=": value < last,
                ">": value >= last,
                ">=": value >= first,
            }[sign]

        return meaning

    return f'{name} {sign} "{text}"', turned(sign, test)


def one_condition() -> st.SearchStrategy[tuple[str, Meaning]]:
    found: list[st.SearchStrategy[tuple[str, Meaning]]] = [about_metric(), about_time()]
    add = found.append
    for key in KEYS:
        add(about_scalar(dotted("params", *key.split(".")), lambda record, key=key: [record["params"].get(key)]))
    for key in TAGS:
        add(about_text(dotted("tags", key), lambda record, key=key: [record["tags"].get(key)]))
    for name in ("id", "name", "project", "integration", "parent_id"):
        add(about_text(name, lambda record, name=name: [record[name]]))
    for path in (
        ["environment", "deep", "nan"],
        ["environment", "deep", "text"],
        ["environment", "python"],
        ["code", "text"],
        ["code", "entry"],
        ["code", "entry", "c"],
        ["notebook", "entry", "1", "b"],
    ):
        add(about_scalar(dotted(*path), lambda record, path=path: [at(record, path)]))
    for role in ("train", "test"):
        for path in (["n_rows"], ["note"], ["by"], ["parts", "X", "mean"]):
            add(
                about_scalar(
                    dotted("datasets", role, *path),
                    lambda record, role=role, path=path: [
                        at(one["fingerprint"], path) for one in record["datasets"] if one["role"] == role
                    ],
                )
            )
    add(about_text("datasets.name", lambda record: [one["name"] for one in record["datasets"]]))
    add(about_text("models.format", lambda record: [one["format"] for one in record["models"]]))
    add(about_text("artifacts.name", lambda record: [one["name"] for one in record["artifacts"]]))
    add(about_text("error.message", lambda record: [(record["error"] or {}).get("message")]))
    return st.one_of(found)


def queries() -> st.SearchStrategy[tuple[str, Meaning]]:
    """A text, and the function that says of a record whether it fits."""

    def joined(parts: st.SearchStrategy[tuple[str, Meaning]]) -> st.SearchStrategy[tuple[str, Meaning]]:
        def negate(part: tuple[str, Meaning]) -> tuple[str, Meaning]:
            return f"not ({part[0]})", lambda record: not part[1](record)

        def both(pair: tuple[tuple[str, Meaning], tuple[str, Meaning], str]) -> tuple[str, Meaning]:
            (first, one), (second, two), word = pair
            joins = all if word.lower() == "and" else any
            return f"({first}) {word} ({second})", lambda record: joins((one(record), two(record)))

        return st.one_of(parts.map(negate), st.tuples(parts, parts, st.sampled_from(["and", "or", "AND"])).map(both))

    return st.recursive(one_condition(), joined, max_leaves=4)
