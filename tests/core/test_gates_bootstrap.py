"""The paired bootstrap: its interval covers the truth as often as it says, and is the same for ever."""

import pytest

pytest.importorskip("scipy")

import numpy as np
from scipy import stats

from autotrack.errors import UsageError
from autotrack.registry.bootstrap import MOST, mcnemar, paired, t_summary


def scores(rows: int, seed: int, first: float = 0.8, second: float = 0.75) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    difficulty = rng.random(rows)  # of a row, for both models
    return (difficulty < first).astype(float), (np.roll(difficulty, rows // 3) < second).astype(float)


def test_the_interval_covers_the_true_difference_as_often_as_it_says() -> None:
    """300 samples of 120 skewed differences whose mean is known: 95 % of the intervals hold it, within chance."""
    rng = np.random.default_rng(7)
    held = 0
    for _ in range(300):
        gained = rng.exponential(1.0, 120)
        found = paired(gained, np.zeros(120), resamples=1000)
        held += found.low <= 1.0 <= found.high
    assert 0.91 <= held / 300 <= 0.98


def test_two_models_that_are_equally_good_are_told_apart_no_more_often_than_it_says() -> None:
    beyond = sum(paired(*scores(120, seed, 0.8, 0.8), resamples=1000).low > 0 for seed in range(200))
    assert beyond / 200 <= 0.05  # of a two-sided 95 % interval, 2.5 % lie above


def test_the_same_rows_give_the_same_interval_on_every_machine() -> None:
    found = paired(*scores(500, 0), resamples=2000, seed=3)
    again = paired(*scores(500, 0), resamples=2000, seed=3)
    assert found == again
    assert found.told()["interval"] == PINNED
    assert paired(*scores(500, 0), resamples=2000, seed=4).told()["interval"] != PINNED


PINNED = [-0.006, 0.098]


def test_pairing_sees_a_difference_that_is_small_against_how_rows_differ() -> None:
    rng = np.random.default_rng(0)
    difficulty = rng.normal(0, 10, 400)
    found = paired(difficulty + rng.normal(0.1, 0.2, 400), difficulty)
    assert found.low > 0


def test_many_rows_are_drawn_in_groups_with_the_same_mean_and_nearly_the_same_interval() -> None:
    rng = np.random.default_rng(1)
    difference = rng.normal(0.02, 1.0, 200_003)
    found = paired(difference, np.zeros(len(difference)), resamples=2000)
    assert found.groups == MOST and found.rows == 200_003
    assert found.difference == pytest.approx(difference.mean(), abs=1e-12)
    expected = stats.norm.interval(0.95, difference.mean(), difference.std(ddof=1) / len(difference) ** 0.5)
    width = expected[1] - expected[0]
    assert found.low == pytest.approx(expected[0], abs=0.1 * width)
    assert found.high == pytest.approx(expected[1], abs=0.1 * width)


def test_mcnemar_and_t_agree_with_scipy() -> None:
    first, second = scores(300, 5)
    told = mcnemar(first, second)
    assert told is not None
    wins, losses = told["only_candidate_right"], told["only_champion_right"]
    assert told["p"] == pytest.approx(stats.binomtest(wins, wins + losses).pvalue)
    assert t_summary(first - second)["t"] == pytest.approx(stats.ttest_rel(first, second).statistic)
    assert mcnemar(first * 0.5, second) is None
    same = t_summary(first - first)
    assert same["t"] is None and same["mean"] == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [({"confidence": 1.0}, "confidence"), ({"resamples": 10}, "resamples"), ({"resamples": 10**7}, "resamples")],
)
def test_numbers_out_of_bounds_are_refused_by_name(options: dict, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        paired(np.ones(50), np.zeros(50), **options)


def test_rows_that_do_not_pair_are_refused() -> None:
    with pytest.raises(UsageError, match="one score of each model"):
        paired(np.ones(50), np.zeros(49))
