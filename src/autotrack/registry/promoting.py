"""Promoting a version: its gates are asked, and what they said is in the log whatever comes of it.

`clf/7` and an alias enter. Where all gates pass, the alias is moved by compare-and-swap with the evidence in its step;
where one refuses, the refusal is a step and the alias stays. Forcing needs a reason, asks the gates all the same, and
is recorded as forced.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from autotrack.errors import UsageError
from autotrack.registry import gates, reading
from autotrack.registry.gates import Options, Result
from autotrack.registry.promotion import Promotion, promotion
from autotrack.registry.writing import check_usable, opened, step
from autotrack.session import session
from autotrack.store.query import Store
from autotrack.store.remote_blobs import readable


@dataclass
class Promoted:
    """What became of a promotion, or would become of it."""

    promotion: Promotion
    results: list[Result]
    step: dict[str, Any] | None = None
    """The step that was taken, as the log lists it; None where nothing was to be done, or only asked."""
    moved: bool = False
    forced: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether no gate has refused."""
        return gates.passed(self.results)

    def told(self) -> dict[str, Any]:
        """As JSON: `{model, alias, candidate, champion, passed, moved, forced, first, gates, notes, step}`."""
        asked = self.promotion
        return {
            "model": asked.model,
            "alias": asked.alias,
            "candidate": _short(asked.candidate.version),
            "champion": _short(asked.champion.version) if asked.champion is not None else None,
            "first": asked.champion is None,
            "passed": self.passed,
            "moved": self.moved,
            "forced": self.forced,
            "gates": self.results,
            "notes": self.notes,
            "step": self.step,
        }


def check(
    reference: str,
    alias: str,
    *,
    named: Sequence[str] | Mapping[str, Options] = (),
    sample: Callable[[], Any] | None = None,
    store: Store | None = None,
) -> Promoted:
    """What the gates say of moving `alias` to the version `reference`; nothing is written.

    `named` are gates to ask beside those that protect the alias; without either the usual ones are asked. Raises
    `ModelNotFound`, `UsageError`, `StoreError`.
    """
    if store is None:
        with opened() as found:
            return check(reference, alias, named=named, sample=sample, store=found)
    home = session.settings.resolved_home
    asked = promotion(store, home, reference, alias, blobs=readable(home, session.settings), sample=sample)
    made = Promoted(asked, gates.ask(asked, gates.wanted(asked, named)))
    if asked.champion is None:
        made.notes.append(f"{asked.model}@{alias} points to nothing yet: this would be its first promotion")
    return made


def promote(
    reference: str,
    alias: str,
    why: str = "",
    *,
    force: bool = False,
    named: Sequence[str] | Mapping[str, Options] = (),
    sample: Callable[[], Any] | None = None,
    store: Store | None = None,
) -> Promoted:
    """Ask the gates, then move the alias or record the refusal.

    A refusal is in the answer, not raised: `moved` is False. With `force` and a reason the alias is moved all the same.
    Raises what `check` raises, `RegistryConflict` where somebody else has moved the alias meanwhile or the version is
    retired, and `RegistryRefused` where the rules have changed meanwhile.
    """
    if store is None:
        with opened() as found:
            return promote(reference, alias, why, force=force, named=named, sample=sample, store=found)
    if force and not why.strip():
        raise UsageError("forcing needs a reason: say why")
    made = check(reference, alias, named=named, sample=sample, store=store)
    asked = made.promotion
    digest, champion = asked.candidate.digest, asked.champion.digest if asked.champion is not None else None
    known = reading.folded(store, asked.model)
    check_usable(known, known.versions[digest])
    run = str(asked.candidate.version.get("run") or "")
    if champion == digest:
        made.notes.append(f"{asked.model}@{alias} points to version {asked.candidate.version['version']} already")
        return made
    if not made.passed and not force:
        made.step = step(
            asked.model, "refuse", digest, why, {"alias": alias, "evidence": made.results}, run, store=store
        ).record
        return made
    made.forced = force and not made.passed
    record = {"alias": alias, "from": champion, "evidence": made.results, **({"forced": True} if made.forced else {})}
    made.step = step(asked.model, "alias", digest, why, record, run, store=store).record
    made.moved = True
    made.notes = [note.replace("would be", "is") for note in made.notes]
    return made


def _short(version: Mapping[str, Any]) -> dict[str, Any]:
    return {key: version.get(key) for key in ("version", "digest", "run", "format", "registered_by", "registered_at")}


__all__ = ["Promoted", "check", "promote"]
