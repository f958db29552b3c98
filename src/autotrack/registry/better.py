"""The gate `better`: the candidate against the champion, row by row on the same data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from autotrack.contracts import Finding
from autotrack.errors import UsageError
from autotrack.registry import bootstrap
from autotrack.registry.bootstrap import rounded

if TYPE_CHECKING:
    from autotrack.registry.evaluation import Evaluated
    from autotrack.registry.promotion import Promotion

Pair = tuple["Evaluated", "Evaluated"]

LOG = "run.log_evaluation(y_test, model.predict(X_test), data=X_test)"


def better(
    promotion: Promotion,
    *,
    evaluation: str | None = None,
    metric: str | None = None,
    margin: float = 0.0,
    confidence: float = 0.95,
    resamples: int = 5000,
    seed: int = 0,
    min_rows: int = 30,
) -> Finding:
    """Passes where the whole interval of the difference lies beyond `margin`, in the direction that is better.

    `evaluation` is the name of one, `metric` another than it was logged with. A negative `margin` asks that the
    candidate is not worse by more than that. Refuses where the two were not evaluated on the same data.
    """
    champion, candidate = promotion.champion, promotion.candidate
    if champion is None:
        return Finding("not-applicable", f"{promotion.alias} points to nothing yet: this is the first promotion")
    if champion.digest == candidate.digest:
        return Finding("not-applicable", f"{promotion.alias} points to this version already")
    ours = [one for one in candidate.evaluations if evaluation in (None, one.evaluation.name)]
    theirs = [one for one in champion.evaluations if evaluation in (None, one.evaluation.name)]
    told = {"candidate": [_about(one) for one in ours], "champion": [_about(one) for one in theirs]}
    for side, found in (("candidate", ours), ("champion", theirs)):
        if not found:
            named = f" called {evaluation!r}" if evaluation else ""
            return Finding("refuse", f"the {side} has no evaluation{named}: {LOG} in its run", told)
    pairs = [
        (one, other)
        for one in ours
        for other in theirs
        if one.evaluation.data is not None and one.evaluation.data == other.evaluation.data
    ]
    if not pairs:
        why = "the two were evaluated on different data; evaluate the champion on the candidate's, in a run of its own"
        if any(one.evaluation.data is None for one in (*ours, *theirs)):
            why = f"an evaluation does not say on which data it was made: {LOG}"
        return Finding("refuse", why, told)
    names = list(dict.fromkeys(one.evaluation.name for one, _ in pairs))
    if len(names) > 1 and "test" not in names:
        return Finding("refuse", f"both have the evaluations {', '.join(names)}: say which, evaluation=…", told)
    name = names[0] if len(names) == 1 else "test"
    pair = [both for both in pairs if both[0].evaluation.name == name][-1]
    return _compared(pair, metric, margin, confidence, resamples, seed, min_rows)


def _compared(
    pair: Pair, metric: str | None, margin: float, confidence: float, resamples: int, seed: int, min_rows: int
) -> Finding:
    ours, theirs = (one.evaluation for one in pair)
    wanted = metric or ours.metric
    told: dict[str, Any] = {
        "candidate": _about(pair[0]),
        "champion": _about(pair[1]),
        "data": ours.data,
        "metric": wanted,
        "margin": margin,
    }
    if ours.rows != theirs.rows or not _same_targets(ours, theirs):
        return Finding("refuse", "the two evaluations have other targets: the rows are not the same, or shuffled", told)
    if ours.rows < min_rows:
        return Finding("refuse", f"{ours.rows} rows tell too little; at least {min_rows} are needed", told)
    try:
        first, second = ours.scores(wanted), theirs.scores(wanted)
    except UsageError as problem:
        return Finding("refuse", str(problem), told)
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        return Finding("refuse", "some rows have a score that is no finite number", told)
    higher = ours.higher_is_better if wanted == ours.metric else _is_higher(wanted)
    gain, lost = (first, second) if higher else (second, first)
    interval = bootstrap.paired(gain, lost, confidence=confidence, resamples=resamples, seed=seed)
    told |= {
        "means": {"candidate": rounded(float(first.mean())), "champion": rounded(float(second.mean()))},
        "higher_is_better": higher,
        "better_by": interval.told(),
        "paired_t": bootstrap.t_summary(gain - lost),
        "mcnemar": bootstrap.mcnemar(first, second) if wanted == "accuracy" else None,
    }
    means = f"{wanted} {told['means']['candidate']:.6g} against {told['means']['champion']:.6g}"
    shown = (
        f"better by {interval.difference:.4g}, with {confidence:.0%} between {interval.low:.4g} and {interval.high:.4g}"
    )
    if interval.low > margin:
        return Finding("pass", f"{means}: {shown}, on {ours.rows} rows", told)
    needed = f"all of that has to be above {margin:g}"
    return Finding("refuse", f"{means}: {shown}, on {ours.rows} rows; {needed}", told)


def _same_targets(ours: Any, theirs: Any) -> bool:
    if ours.targets is None or theirs.targets is None:  # only scores were kept; their data are the same
        return True
    if ours.classes != theirs.classes:  # codes of other lists of words
        first, second = (np.asarray(one.classes)[one.targets] if one.classes else one.targets for one in (ours, theirs))
        return bool(np.array_equal(first, second))
    return bool(np.array_equal(ours.targets, theirs.targets))


def _is_higher(metric: str) -> bool:
    from autotrack.provenance.evaluations import HIGHER

    return HIGHER[metric]


def _about(one: Evaluated) -> dict[str, Any]:
    return {"run": one.run, "file": one.digest, "name": one.evaluation.name, **one.evaluation.summary()}


__all__ = ["better"]
