"""The verdict on a rerun: how its curves and weights compare with the recorded ones, in one word and with the reasons.

Comparisons enter, a `Verdict` leaves; `told` gives the JSON that the program prints.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from autotrack.reproduce.curves import Difference, Tolerance
from autotrack.reproduce.suspects import Suspect
from autotrack.reproduce.weighing import Weighed

Word: TypeAlias = Literal["bitwise", "exact", "within-tolerance", "diverged", "refused"]

REPRODUCED: Final = ("bitwise", "exact", "within-tolerance")


@dataclass
class Check:
    """Whether one of code, environment and data is what it was; `same` is None where that cannot be told."""

    same: bool | None = None
    differences: list[Any] = field(default_factory=list)
    note: str | None = None

    def told(self) -> dict[str, Any]:
        """As the verdict's JSON has it."""
        return {"same": self.same, "differences": self.differences, "note": self.note}


@dataclass
class Verdict:
    """What `autotrack reproduce` found. `word` is None where nothing was run (`--check`)."""

    reproduces: str
    word: Word | None = None
    why: str | None = None
    """In words, why it is not the same, or could not be tried."""
    suspects: list[Suspect] = field(default_factory=list)
    code: Check = field(default_factory=Check)
    environment: Check = field(default_factory=Check)
    data: Check = field(default_factory=Check)
    run: str | None = None
    """The new run."""
    repeats: list[str] = field(default_factory=list)
    series: list[Difference] = field(default_factory=list)
    models: list[Weighed] = field(default_factory=list)
    params: dict[str, list[Any]] = field(default_factory=dict)
    """Params that differ, as they were and as they are."""
    not_compared: list[str] = field(default_factory=list)
    tolerance: Tolerance = field(default_factory=Tolerance)
    learned: dict[str, float] = field(default_factory=dict)
    folder: str | None = None
    """Where the code was restored, where that is still there."""

    @property
    def step(self) -> Any:
        """The first step at which a series is out of tolerance, or None."""
        first = first_apart(self.series)
        return first.step if first else None

    def told(self) -> dict[str, Any]:
        """The verdict as JSON."""
        return {
            "verdict": self.word,
            "suspect": str(self.suspects[0]) if self.suspects else None,
            "checks": {
                "code": self.code.told(),
                "environment": self.environment.told(),
                "data": self.data.told(),
            },
            "run": self.run,
            "reproduces": self.reproduces,
            "why": self.why,
            "step": self.step,
            "suspects": [{"kind": one.kind, "what": one.what} for one in self.suspects],
            "series": [one.told() for one in self.series if not one.exact],
            "compared": len(self.series),
            "models": [one.told() for one in self.models],
            "params": self.params,
            "not_compared": self.not_compared,
            "tolerance": {
                "relative": self.tolerance.relative,
                "absolute": self.tolerance.absolute,
                "learned": self.learned,
            },
            "repeats": self.repeats,
            "folder": self.folder,
        }


def judge(series: Sequence[Difference], models: Sequence[Weighed]) -> tuple[Word, str | None]:
    """The word for these comparisons, and why it is not a better one."""
    apart = first_apart(series)
    if apart is not None:
        return "diverged", f"{apart.key} at step {apart.step}: {_value(apart.was)} before, {_value(apart.now)} now"
    heavy = [one for one in models if one.within is False]
    if heavy:
        return "diverged", f"the weights of {heavy[0].name!r} differ ({heavy[0].where or 'as a whole'})"
    compared = [one for one in models if one.same is not None]
    opaque = [one for one in models if one.opaque]
    if opaque and not series:
        return "diverged", f"the weights of {opaque[0].name!r} differ ({opaque[0].problem})"
    if not series and not compared:
        problem = next((one.problem for one in models if one.problem), None)
        return "refused", problem or "the run has neither metrics nor kept weights that could be compared"
    inexact = [one.key for one in series if not one.exact]
    unlike = [f"the weights of {one.name!r}" for one in compared if not one.same]
    if inexact or unlike:
        return "within-tolerance", f"not the same to the last bit: {', '.join([*inexact, *unlike][:5])}"
    if models and all(one.bitwise for one in models):
        return "bitwise", None
    if not models:
        return "exact", "no weights were kept to compare"
    if all(one.same for one in models):
        return "exact", "the weights are the same numbers, in files that are not the same bytes"
    return "exact", next(one.problem for one in models if one.problem)


def first_apart(series: Sequence[Difference]) -> Difference | None:
    """The series that is out of tolerance first, by step."""
    apart = [one for one in series if not one.within]
    return min(apart, key=lambda one: float(one.step or 0), default=None)


def _value(value: float | None) -> str:
    return "no value" if value is None else repr(value)


__all__ = ["REPRODUCED", "Check", "Verdict", "judge"]
