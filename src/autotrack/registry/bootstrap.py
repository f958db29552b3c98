"""Is one model better than another, or were the rows kind to it: a paired bootstrap of the mean difference.

The scores of two models for the same rows enter; an interval of the difference of their means leaves. Rows are drawn
with replacement, each with both of its scores, many times, and the quantiles of the means are the interval (the
percentile method: B. Efron, R. Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13). The draws depend on the
seed alone: they are taken from the raw words of PCG64, which numpy never changes, and not from its distributions, which
it may. So the same rows give the same interval years later.

Of more than `MOST` rows, the rows are dealt into that many groups, and groups are drawn instead: the mean of all is the
same, and the interval nearly so, for a bounded time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autotrack.errors import UsageError

MOST: Final = 8192
"""Rows that are drawn one by one."""

FEWEST_RESAMPLES: Final = 1000
MOST_RESAMPLES: Final = 100_000

_AT_ONCE: Final = 1 << 22
"""Rows that are drawn in one go: 32 MiB of indices."""


@dataclass(frozen=True)
class Interval:
    """The difference of two means, first minus second, with its interval."""

    difference: float
    low: float
    high: float
    confidence: float
    resamples: int
    rows: int
    groups: int
    """What was drawn: rows, or groups of them."""
    seed: int

    def told(self) -> dict[str, Any]:
        """As the evidence has it; floats to twelve digits, beyond which machines may differ."""
        return {
            "method": "paired bootstrap of the mean difference, percentile interval",
            "difference": rounded(self.difference),
            "interval": [rounded(self.low), rounded(self.high)],
            "confidence": self.confidence,
            "resamples": self.resamples,
            "seed": self.seed,
            "rows": self.rows,
            "drawn": self.groups,
        }


def paired(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    *,
    confidence: float = 0.95,
    resamples: int = 5000,
    seed: int = 0,
) -> Interval:
    """The interval of mean(first) - mean(second), two arrays (rows,) of finite scores of the same rows.

    Raises `UsageError` for arrays that do not fit together, and for numbers out of bounds.
    """
    if first.shape != second.shape or first.ndim != 1 or not len(first):
        raise UsageError("a paired bootstrap needs one score of each model for each row, and at least one row")
    if not 0.5 <= confidence < 1:
        raise UsageError(f"confidence={confidence} is not from 0.5 to below 1; use 0.95")
    if not FEWEST_RESAMPLES <= resamples <= MOST_RESAMPLES:
        raise UsageError(f"resamples={resamples} is not from {FEWEST_RESAMPLES} to {MOST_RESAMPLES}; use 5000")
    differences = first.astype(np.float64) - second.astype(np.float64)
    words = np.random.PCG64(seed)
    sums, sizes = _grouped(differences, words)
    means = _means(sums, sizes, resamples, words)
    outside = (1 - confidence) / 2
    low, high = np.quantile(means, [outside, 1 - outside])
    return Interval(
        float(differences.mean()), float(low), float(high), confidence, resamples, len(differences), len(sums), seed
    )


def t_summary(differences: NDArray[np.float64]) -> dict[str, Any]:
    """Student's paired t: the mean, its standard error, and t with its degrees of freedom (none where all agree)."""
    count = len(differences)
    mean = float(differences.mean())
    error = float(differences.std(ddof=1)) / math.sqrt(count) if count > 1 else math.nan
    return {
        "mean": rounded(mean),
        "standard_error": rounded(error) if count > 1 else None,
        "t": rounded(mean / error) if count > 1 and error > 0 else None,
        "degrees_of_freedom": count - 1,
    }


def mcnemar(first: NDArray[np.float64], second: NDArray[np.float64]) -> dict[str, Any] | None:
    """McNemar's exact test, where the scores are all 0 or 1; else None. `p` is two-sided, of equal error rates.

    Source: Q. McNemar, Psychometrika 12 (1947) 153-157, with the binomial distribution instead of chi-squared.
    """
    if not all(np.isin(scores, (0.0, 1.0)).all() for scores in (first, second)):
        return None
    wins, losses = int(((first == 1) & (second == 0)).sum()), int(((first == 0) & (second == 1)).sum())
    return {"only_candidate_right": wins, "only_champion_right": losses, "p": rounded(_two_sided(wins, losses))}


def rounded(value: float) -> float:
    """The value to twelve significant digits."""
    return float(f"{value:.12g}")


def _grouped(
    differences: NDArray[np.float64], words: np.random.PCG64
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The sum and the size of each of the groups that are drawn."""
    count = len(differences)
    if count <= MOST:
        return differences, np.ones(count)
    order = np.argsort(words.random_raw(count), kind="stable")  # by chance, so that no group is of one kind
    bounds = (np.arange(MOST + 1) * count) // MOST
    return np.add.reduceat(differences[order], bounds[:-1]), np.diff(bounds).astype(np.float64)


def _means(
    sums: NDArray[np.float64], sizes: NDArray[np.float64], resamples: int, words: np.random.PCG64
) -> NDArray[np.float64]:
    count = len(sums)
    equal = bool((sizes == sizes[0]).all())
    found = np.empty(resamples)
    step = max(1, _AT_ONCE // count)
    for start in range(0, resamples, step):
        some = min(step, resamples - start)
        # The high half of each word times the count, shifted: from 0 to count - 1, each as likely to 1 in 2**32.
        places = ((words.random_raw(some * count) >> np.uint64(32)) * np.uint64(count)) >> np.uint64(32)
        drawn = places.astype(np.intp).reshape(some, count)
        total = sizes[0] * count if equal else sizes[drawn].sum(axis=1)
        found[start : start + some] = sums[drawn].sum(axis=1) / total
    return found


def _two_sided(wins: int, losses: int) -> float:
    """Twice the smaller tail of Binomial(wins + losses, 1/2), at most 1."""
    count = wins + losses
    base = math.lgamma(count + 1) - count * math.log(2)
    tail = np.arange(min(wins, losses) + 1)
    logs = [base - math.lgamma(at + 1) - math.lgamma(count - at + 1) for at in tail.tolist()]
    return min(1.0, 2 * math.fsum(map(math.exp, logs)))


__all__ = ["Interval", "mcnemar", "paired", "t_summary"]
