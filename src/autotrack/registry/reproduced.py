"""The gate `reproduced`: whether a rerun of the run that made the candidate came to the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from autotrack.contracts import Finding
from autotrack.reproduce.curves import Tolerance, compare, is_clock
from autotrack.reproduce.verdict import REPRODUCED, judge
from autotrack.reproduce.weighing import weigh
from autotrack.store.schema import links

if TYPE_CHECKING:
    from autotrack.registry.promotion import Promotion, Side

WORDS = ("within-tolerance", "exact", "bitwise")
"""From the least to the most."""


def reproduced(promotion: Promotion, *, at_least: str = "within-tolerance") -> Finding:
    """Passes where a rerun by `autotrack reproduce` is recorded whose metrics and weights are the same.

    `at_least` is `within-tolerance`, `exact` or `bitwise`. The records are compared anew, so that nobody's word counts.
    """
    if at_least not in WORDS:
        raise ValueError(f"at_least={at_least!r} is none of {', '.join(WORDS)}")
    side = promotion.candidate
    if side.run is None:
        return Finding("refuse", "the run that made this version is not known here")
    with side.store.engine.connect() as connection:
        wanted = select(links.c.run_id).where(
            links.c.relation == "reproduces", links.c.identity == f"run:{side.run['id']}"
        )
        ids = sorted(set(connection.execute(wanted).scalars()))
    if not ids:
        return Finding("refuse", f"nobody has repeated its run: autotrack reproduce {side.run['id']}")
    found = [_compared(side, side.run, rerun) for rerun in ids]
    told = {"run": side.run["id"], "at_least": at_least, "reruns": found}
    words = [one["verdict"] for one in found if one["verdict"] in REPRODUCED]
    best = max(words, key=WORDS.index, default=None)
    if best is not None and WORDS.index(best) >= WORDS.index(at_least):
        return Finding("pass", f"its run was repeated: {best}", told)
    nearest = next((one for one in found if one["verdict"] == best), found[-1])
    needed = f", and {at_least} is needed" if best is not None else ""
    return Finding("refuse", f"the nearest rerun is {nearest['verdict']}{needed}: {nearest['why']}", told)


def _compared(side: Side, was: dict[str, Any], rerun: str) -> dict[str, Any]:
    now = side.store.run(rerun)
    keys = [key for key in was["metrics"] if not is_clock(key)]
    series = compare(side.store, was["id"], [rerun], keys, Tolerance(), {})
    word, why = judge(series, weigh(was["models"], now["models"], side.home, Tolerance()))
    if was["status"] == "finished" and now["status"] != "finished":
        word, why = "diverged", f"the rerun {now['status']}"
    return {"run": rerun, "verdict": word, "why": why, "compared": len(series)}


__all__ = ["reproduced"]
