"""What a rerun is told of: curves to the last bit or to a tolerance, weights by what they hold, suspects in order."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autotrack
from autotrack.provenance.expecting import differ
from autotrack.reading import open_store
from autotrack.reproduce.curves import Difference, Tolerance, compare, is_clock, learned
from autotrack.reproduce.suspects import suspects
from autotrack.reproduce.verdict import judge
from autotrack.reproduce.weighing import Weighed, _gaps
from autotrack.testing import recording


@pytest.fixture
def compared(tmp_path: Path):
    """Compares curves, given as lists of (step, value), as two runs of a real store have them."""

    def compare_curves(
        was: list[tuple[Any, float]], *now: list[tuple[Any, float]], relative: float = 1e-6
    ) -> Difference:
        with recording(tmp_path):
            ids = []
            for curve in (was, *now):
                with autotrack.start_run() as run:
                    for step, value in curve:
                        run.log_metrics({"loss": value}, step=step)
                ids.append(run.id)
            with open_store() as store:
                spread = learned(store, ids[1:], ["loss"])
                return compare(store, ids[0], ids[1:], ["loss"], Tolerance(relative, 0.0), spread)[0]

    return compare_curves


def test_the_same_values_are_exact_with_nan_and_infinity_and_in_any_order_of_arrival(compared) -> None:
    curve = [(0, 0.5), (1, math.nan), (2, math.inf), (2.5, 0.1 + 0.2)]
    assert compared(curve, curve[::-1]).exact


def test_one_unit_in_the_last_place_is_not_exact_but_near(compared) -> None:
    found = compared([(0, 0.5), (1, 0.3)], [(0, 0.5), (1, 0.1 + 0.2)])
    assert (found.exact, found.within, found.step) == (False, True, 1)


def test_the_first_step_out_of_tolerance_is_named_with_both_values(compared) -> None:
    found = compared([(0, 1.0), (10, 2.0), (20, 3.0)], [(0, 1.0), (10, 2.5), (20, 9.0)])
    assert (found.within, found.step, found.was, found.now, found.largest) == (False, 10, 2.0, 2.5, 6.0)


def test_a_curve_that_ends_earlier_diverges_where_it_ends(compared) -> None:
    found = compared([(0, 1.0), (1, 1.0), (2, 1.0)], [(0, 1.0), (1, 1.0)])
    assert (found.within, found.step, found.now) == (False, 2, None)


def test_a_curve_that_has_another_step_diverges_there(compared) -> None:
    found = compared([(0, 1.0), (2, 1.0)], [(0, 1.0), (1, 1.0)])
    assert (found.within, found.step, found.was) == (False, 1, None)


def test_a_value_where_there_was_none_is_never_near(compared) -> None:
    assert not compared([(0, math.nan)], [(0, 1.0)], relative=1e9).within
    assert not compared([(0, math.inf)], [(0, 1.0)], relative=1e9).within
    assert not compared([(0, 1.0)], [(0, math.nan)], relative=1e9).within


def test_a_missing_curve_diverges(compared) -> None:
    assert not compared([(0, 1.0)], []).within


def test_repeats_teach_how_far_apart_runs_are(tmp_path: Path) -> None:
    with recording(tmp_path):
        ids = []
        for loss in (1.0, 1.25, 1.125):
            with autotrack.start_run() as run:
                run.log_metrics({"loss": loss, "same": 1.0}, step=0)
            ids.append(run.id)
        with open_store() as store:
            assert learned(store, ids, ["loss", "same", "absent"]) == {"loss": 0.25, "same": 0.0}


@pytest.mark.parametrize(
    "key", ["train_runtime", "epoch_time", "train/samples_per_second", "system/cpu", "fit_time", "steps_per_sec"]
)
def test_times_and_rates_are_not_compared(key: str) -> None:
    assert is_clock(key)


@pytest.mark.parametrize("key", ["loss", "validation/loss", "timeseries_mse", "per_class_recall", "perplexity"])
def test_what_was_learnt_is_compared(key: str) -> None:
    assert not is_clock(key)


def gaps(was: Any, now: Any, relative: float = 1e-6) -> list[tuple[str, float, bool]]:
    return list(_gaps(was, now, Tolerance(relative, 0.0), 0.0))


class Tree:
    def __init__(self, values: list[float]) -> None:
        self.values_ = np.array(values)
        self.me = self


def test_weights_are_compared_by_what_they_hold() -> None:
    assert gaps({"a": [Tree([1.0, math.nan])]}, {"a": [Tree([1.0, math.nan])]}) == []
    ((place, gap, near),) = gaps({"a": [Tree([1.0, 2.0])]}, {"a": [Tree([1.0, 2.5])]})
    assert (place, gap, near) == ("a.0.values_", 0.5, False)


@pytest.mark.parametrize(
    ("was", "now"),
    [
        (np.zeros(3), np.zeros(4)),
        (np.zeros(3), np.zeros(3, np.float32)),
        ({"a": 1}, {"b": 1}),
        ([1], [2]),
        (np.array([1, 2]), np.array([1, 3])),
        ("relu", "tanh"),
        (np.array(["a", None], dtype=object), np.array(["b", None], dtype=object)),
    ],
)
def test_other_weights_are_not_tolerated(was: Any, now: Any) -> None:
    assert not all(near for _, _, near in gaps(was, now, relative=1e9)) and gaps(was, now)


def test_a_little_rounding_of_weights_is_tolerated() -> None:
    ((_, gap, near),) = gaps(np.array([0.3], np.float32), np.array([0.3], np.float32) * np.float32(1 + 2e-7))
    assert near and 0 < gap < 1e-6


SAME, NEAR, FAR = (
    Difference("loss", True, True),
    Difference("loss", False, True, 3, 0.1, 0.1),
    Difference("auc", False, False, 2, 0.1, 0.2),
)
BYTES, NUMBERS, OTHER = (
    Weighed("m", None, bitwise=True, same=True, within=True),
    Weighed("m", None, same=True, within=True),
    Weighed("m", None, same=False, within=False),
)


@pytest.mark.parametrize(
    ("series", "models", "word"),
    [
        ([SAME], [BYTES], "bitwise"),
        ([], [BYTES], "bitwise"),
        ([SAME], [NUMBERS], "exact"),
        ([SAME], [], "exact"),
        ([SAME, NEAR], [BYTES], "within-tolerance"),
        ([SAME], [Weighed("m", None, same=False, within=True)], "within-tolerance"),
        ([SAME, FAR], [BYTES], "diverged"),
        ([SAME], [OTHER], "diverged"),
        ([SAME], [Weighed("m", None, opaque=True, problem="bytes")], "exact"),
        ([], [Weighed("m", None, opaque=True, problem="bytes")], "diverged"),
        ([], [], "refused"),
        ([], [Weighed("m", None, problem="unreadable")], "refused"),
    ],
)
def test_the_verdict_is_no_better_than_what_was_compared(series: list, models: list, word: str) -> None:
    assert judge(series, models)[0] == word


def record(**more: Any) -> dict[str, Any]:
    return {"code": {}, "environment": {}, "params": {}, "randomness": {}, **more}


def kinds(was: dict[str, Any], now: dict[str, Any], data: list[str], libraries: list[dict[str, Any]]) -> list[str]:
    return [one.kind for one in suspects(was, now, data, libraries)]


def test_suspects_come_in_the_order_of_what_is_likeliest() -> None:
    was = record(
        code={"changed_during_run": ["a.py"]},
        environment={"python": "3.11.4", "cpu": {"model": "a"}},
        params={"random_state": 0, "depth": 3},
    )
    now = record(environment={"python": "3.11.5", "cpu": {"model": "b"}}, params={"random_state": 1, "depth": 4})
    library = [{"name": "acme", "was": "1", "now": "2"}, {"name": "new", "was": None, "now": "1"}]
    found = kinds(was, now, ["train"], library)
    assert found == ["data", "code", "library", "library", "seed", "param", "hardware", "library"]


def test_an_unseeded_run_is_told_as_such() -> None:
    assert [
        str(one) for one in suspects(record(randomness={"seeded": False, "not_seeded": ["numpy"]}), record(), [], [])
    ] == ["seed: numpy had no seed, and cannot come again"]


def test_where_nothing_differs_the_cause_is_unknown() -> None:
    assert kinds(record(), record(), [], []) == ["unknown"]


@pytest.mark.parametrize(
    ("was", "now", "answer"),
    [
        ({"value": "x1:a"}, {"value": "x1:a"}, False),
        ({"value": "x1:a"}, {"value": "x1:b"}, True),
        ({"value": "x1p:a", "coverage": 0.5, "n_rows": 9}, {"value": "x1p:b", "coverage": 0.5, "n_rows": 9}, True),
        ({"value": "x1p:a", "coverage": 0.5, "n_rows": 9}, {"value": "x1:b", "coverage": 1.0, "n_rows": 9}, None),
        ({"value": "x1p:a", "coverage": 0.5, "n_rows": 9}, {"value": "x1:b", "coverage": 1.0, "n_rows": 8}, True),
        ({"n_rows": 9}, {"n_rows": 9}, None),
        ({"n_rows": 9}, {"n_rows": 8}, True),
        ({"value": None, "n_rows": 9}, {"value": "x1:b", "n_rows": 9}, None),
        ({"begins_with": {"value": "x1:a"}}, {"begins_with": {"value": "x1:a"}}, None),
        ({"begins_with": {"value": "x1:a"}}, {"begins_with": {"value": "x1:b"}}, True),
        ({"begins_with": {"value": "x1:a"}}, {}, None),
    ],
)
def test_whether_data_differ_is_only_said_where_it_is_known(was: dict, now: dict, answer: bool | None) -> None:
    assert differ([was], now) is answer
