"""What the battery records, and what it then expects of each backend: one run a case.

Values of points are exact in 32 bits, but for the case that asks for more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recorded import Weights, assert_small, points, recording_into, says, small
from subject import ReadRun

import autotrack
from autotrack.events import MetricsLogged
from autotrack.session import session

BEGIN = 1_750_000_000_123_456_789


@dataclass(frozen=True)
class Case:
    """One run: how it is recorded, and what says that it was carried."""

    feature: str
    """Of `EVERYTHING`; or `basics`, what all must carry; or `told`: carried exactly, or else noted."""
    record: Callable[[autotrack.Run], Any]
    check: Callable[[ReadRun], None]
    at_least: Callable[[ReadRun], None]
    """What holds of one that is `told`, even where a note says what has become of it."""


CASES: dict[str, Case] = {}


def case(
    feature: str, check: Callable[[ReadRun], None], at_least: Callable[[ReadRun], None] = lambda read: None
) -> Callable[[Callable[[autotrack.Run], Any]], Callable[[autotrack.Run], Any]]:
    def add(record: Callable[[autotrack.Run], Any]) -> Callable[[autotrack.Run], Any]:
        CASES[record.__name__] = Case(feature, record, check, at_least)
        return record

    return add


def reads(key: str, *expected: tuple[str, float]) -> Callable[[ReadRun], None]:
    """A check: this series holds just these points. NaN is written as text, so that it equals itself."""

    def check(read: ReadRun) -> None:
        found = [(step, repr(value)) for step, value in read.metrics.get(key, [])]
        assert sorted(found) == sorted((step, repr(value)) for step, value in expected)

    return check


PARAMS = {
    "integer": 3,
    "large": 2**53 - 1,
    "float": 0.1,
    "tiny": 1e-7,
    "true": True,
    "false": False,
    "text": "adam",
    "unicode": "Grüße, 世界 🙂",
    "lines": "one\ntwo",
    "number as text": "007",
    "nothing": None,
}


def _says_all(read: ReadRun) -> None:
    wrong = {key: read.params.get(key) for key, value in PARAMS.items() if not says(read.params.get(key), value)}
    assert not wrong
    assert read.params["number as text"] == "007"


@case("basics", _says_all)
def params_of_every_type(run: autotrack.Run) -> None:
    run.log_params(PARAMS)


def _same_types(read: ReadRun) -> None:
    typed = {key: value for key, value in PARAMS.items() if isinstance(value, int | float)}
    assert {key: (type(read.params[key]), read.params[key]) for key in typed} == {
        key: (type(value), value) for key, value in typed.items()
    }


@case("param_types", _same_types)
def params_as_numbers_and_flags(run: autotrack.Run) -> None:
    run.log_params(PARAMS)


@case("changed_params", lambda read: _assert(says(read.params["lr"], 0.25)))
def a_param_that_is_logged_again(run: autotrack.Run) -> None:
    run.log_params({"lr": 0.5, "other": 1})
    run.log_params({"lr": 0.25})


@case("basics", lambda read: assert_small(read, "several_points_a_step"))
def several_points_a_step(run: autotrack.Run) -> None:
    small(run)


@case("nan", reads("m", ("0", 1.0), ("1", float("nan")), ("2", 2.0)))
def a_point_that_is_no_number(run: autotrack.Run) -> None:
    for step, value in enumerate((1.0, float("nan"), 2.0)):
        run.log_metrics({"m": value}, step=step)


@case("infinities", reads("m", ("0", float("inf")), ("1", float("-inf")), ("2", 1.0)))
def infinite_points(run: autotrack.Run) -> None:
    for step, value in enumerate((float("inf"), float("-inf"), 1.0)):
        run.log_metrics({"m": value}, step=step)


@case("fractional_steps", reads("m", ("0.25", 1.0), ("0.5", 2.0), ("1.1", 3.0)))
def steps_between_integers(run: autotrack.Run) -> None:
    for step, value in ((0.25, 1.0), (0.5, 2.0), (1.1, 3.0)):
        run.log_metrics({"m": value}, step=step)


def _has_values(count: int) -> Callable[[ReadRun], None]:
    return lambda read: _assert(
        {value for _, value in read.metrics.get("m", [])} <= set(map(float, range(1, count + 1)))
    )


@case("told", reads("m", ("-3", 1.0), ("0", 2.0)), _has_values(2))
def negative_steps(run: autotrack.Run) -> None:
    run.log_metrics({"m": 1.0}, step=-3)
    run.log_metrics({"m": 2.0}, step=0)


@case("told", reads("m", (str(2**31), 1.0), (str(2**53 + 1), 2.0), (str(2**62), 3.0)), _has_values(3))
def huge_steps(run: autotrack.Run) -> None:
    for step, value in ((2**31, 1.0), (2**53 + 1, 2.0), (2**62, 3.0)):
        run.log_metrics({"m": value}, step=step)


@case("equal_points", reads("m", ("1", 0.5), ("1", 0.5)))
def equal_points_twice(run: autotrack.Run) -> None:
    for _ in range(2):
        session.sink().append_event(MetricsLogged(run.id, BEGIN, 1, {"m": 0.5}))


@case("repeated_steps", reads("m", ("1", 0.5), ("1", 0.75), ("2", 1.0)))
def two_values_at_one_step(run: autotrack.Run) -> None:
    for number, (step, value) in enumerate(((1, 0.5), (1, 0.75), (2, 1.0))):
        session.sink().append_event(MetricsLogged(run.id, BEGIN + number * 10**9, step, {"m": value}))


MOMENTS = [BEGIN, BEGIN + 5_000_000, BEGIN + 3_600_000_000_000]


def _same_times(read: ReadRun) -> None:
    assert "m" in read.times, "the subject's reader gives no times"
    for found, true in zip(sorted(read.times["m"]), MOMENTS, strict=True):
        assert abs(found - true / 1e9) < 0.001_001


@case("times", _same_times)
def points_of_another_time(run: autotrack.Run) -> None:
    for step, moment in enumerate(MOMENTS):
        session.sink().append_event(MetricsLogged(run.id, moment, step, {"m": float(step)}))


EXACT = [0.1, 1 / 3, 1e-300, 1.7e308, 123456789.123456789, -5e-324]


@case("exact_values", reads("m", *((str(step), value) for step, value in enumerate(EXACT))))
def values_of_64_bits(run: autotrack.Run) -> None:
    for step, value in enumerate(EXACT):
        run.log_metrics({"m": value}, step=step)


def _has_tags(read: ReadRun) -> None:
    assert read.tags.get("team") == "risk" and read.tags.get("note") == "Grüße, 世界 🙂"


@case("tags", _has_tags)
def tags(run: autotrack.Run) -> None:
    run.set_tags({"team": "fraud", "note": "Grüße, 世界 🙂"})
    run.set_tags({"team": "risk"})


def _outcome(status: str) -> Callable[[ReadRun], None]:
    return lambda read: _assert(read.status == status)


@case("status", _outcome("finished"))
def that_finishes(run: autotrack.Run) -> None:
    points(run, 0, 2)


@case("status", _outcome("killed"))
def that_is_killed(run: autotrack.Run) -> None:
    points(run, 0, 2)
    run.end("killed")


@case("status", _outcome("pruned"))
def that_is_pruned(run: autotrack.Run) -> None:
    points(run, 0, 2)
    run.end("pruned")


@case("status", _outcome("failed"))
def that_fails(run: autotrack.Run) -> None:
    _fail(run)


@case("error", lambda read: _assert("it broke: 50% 🙂" in (read.error or "")))
def with_the_error_that_ended_it(run: autotrack.Run) -> None:
    _fail(run)


def _fail(run: autotrack.Run) -> None:
    try:
        raise ValueError("it broke: 50% 🙂")
    except ValueError as error:
        run.end("failed", error)


@case("nested", lambda read: _assert(read.parent == _parents[0]))
def a_parent_of_runs(run: autotrack.Run) -> autotrack.Run:
    _parents[:] = [run.id]
    with autotrack.start_run("child") as child:
        points(child, 0, 2)
    return child


_parents: list[str] = []


@case("datasets", lambda read: _assert(sorted(read.datasets) == [("test", "held out"), ("train", "rows")]))
def datasets(run: autotrack.Run) -> None:
    run.log_dataset([[1.0, 2.0], [3.0, 4.0]], role="train", name="rows")
    run.log_dataset([[5.0, 6.0]], role="test", name="held out")


MODELS = {"clf": Weights(1.0, 2.0).file, "clf-2": Weights(3.0).file}


@case("models", lambda read: _assert(read.models == MODELS))
def models(run: autotrack.Run) -> None:
    run.log_model(Weights(1.0, 2.0), "clf", step=1)
    run.log_model(Weights(3.0), "clf", step=2)


ARTIFACTS = {"report.txt": "Grüße".encode(), "plots/curve.bin": bytes(range(256)), "empty.txt": b""}


@case("artifacts", lambda read: _assert({name: read.artifacts.get(name) for name in ARTIFACTS} == ARTIFACTS))
def artifacts(run: autotrack.Run) -> None:
    for name, content in ARTIFACTS.items():
        run.log_artifact(content, name)


class Figure:
    """Draws as matplotlib's does: that one takes a second to import."""

    def savefig(self, file: Any, format: str) -> None:
        file.write(b"\x89PNG\r\n\x1a\n" + format.encode())


@case("artifacts", lambda read: _assert(read.artifacts.get("roc.png", b"").startswith(b"\x89PNG")))
def a_figure(run: autotrack.Run) -> None:
    run.log_figure(Figure(), "roc.png")


HOSTILE = [
    *("a b", "A b", "a_b", "a/b", "a//b", "/a", "a/", "../a", "a.b", "a:b", "a-b", "a\\b", "a|b", "a%b", "a%2Fb"),
    *(
        "ä",
        "ae",
        "漢字",
        "🙂",
        "[x]@",
        "'\"`",
        "new\nline",
        "tab\tb",
        "<b>&amp;</b>",
        "{}",
        "${HOME}",
        "#1",
        ".",
        "..",
        " ",
    ),
    *("con", "time", "step", "_step", "_timestamp", "name", "x" * 300, "x" * 299 + "y", "é", "e\u0301"),
]
"""Some differ in case alone, or in how Unicode is composed."""


def _each_hostile_once(read: ReadRun) -> None:
    """Under whatever name: no two series have become one, and none is lost."""
    found = [points for points in read.metrics.values() if len(points) == 1 and points[0][1] % 1 == 0.5]
    assert sorted(points[0][1] for points in found) == [number + 0.5 for number in range(len(HOSTILE))]


@case("basics", _each_hostile_once)
def metrics_with_hostile_names(run: autotrack.Run) -> None:
    run.log_metrics({name: number + 0.5 for number, name in enumerate(HOSTILE)}, step=0)


def _each_param_once(read: ReadRun) -> None:
    values = sorted(value for value in map(str, read.params.values()) if value.startswith("value "))
    assert values == sorted(f"value {number}" for number in range(len(HOSTILE)))


@case("basics", _each_param_once)
def params_with_hostile_names(run: autotrack.Run) -> None:
    run.log_params({name: f"value {number}" for number, name in enumerate(HOSTILE)})


def _each_tag_once(read: ReadRun) -> None:
    values = sorted(value for value in map(str, read.tags.values()) if value.startswith("value "))
    assert values == sorted(f"value {number}" for number in range(len(HOSTILE)))


@case("tags", _each_tag_once)
def tags_with_hostile_names(run: autotrack.Run) -> None:
    run.set_tags({name: f"value {number}" for number, name in enumerate(HOSTILE)})


FILES = [
    "a b.txt",
    "../up.txt",
    "/root.txt",
    "a//b.txt",
    "ä/世界.txt",
    "100%.txt",
    "con.txt",
    "x" * 120 + ".txt",
    "a:b.txt",
]


def _each_file_once(read: ReadRun) -> None:
    contents = sorted(content for content in read.artifacts.values() if content.startswith(b"file "))
    assert contents == sorted(f"file {number}".encode() for number in range(len(FILES)))


@case("artifacts", _each_file_once)
def files_with_hostile_names(run: autotrack.Run) -> None:
    for number, name in enumerate(FILES):
        run.log_artifact(f"file {number}".encode(), name)


LONG = "0123456789" * 10_000


def _is_cut(values: dict[str, Any]) -> None:
    """The long value begins as it should, if it is there; the short one beside it is whole."""
    assert LONG.startswith(str(values.get("long", ""))[:50])
    assert values.get("short", "s") == "s"


@case("told", lambda read: _assert(read.params["long"] == LONG), lambda read: _is_cut(read.params))
def a_long_param(run: autotrack.Run) -> None:
    run.log_params({"long": LONG, "short": "s"})


@case("told", lambda read: _assert(read.tags["long"] == LONG), lambda read: _is_cut(read.tags))
def a_long_tag(run: autotrack.Run) -> None:
    run.set_tags({"long": LONG, "short": "s"})


def record_all(home: Path) -> dict[str, str]:
    """Record every case into a home; the id of the run that is looked at, for each."""
    found = {}
    with recording_into(home):
        for name, one in CASES.items():
            with autotrack.start_run(name) as run:
                looked_at = one.record(run) or run
            found[name] = looked_at.id
    return found


def _assert(truth: bool) -> None:
    assert truth
