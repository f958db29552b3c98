"""A registered model as its log has made it: versions, aliases, and what became of each step.

`autotrack.registry.views` makes these of the log, and nobody changes them. `autotrack.registry.reading` shows them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from autotrack.registry.log import Step

Effect: TypeAlias = Literal["done", "conflict", "refused"]
"""What became of a step: it holds; it came too late or about something that is not there; it was not allowed."""


@dataclass
class Version:
    """One version of a model."""

    number: int
    digest: str
    registered: Step
    run: str = ""
    """The first run that was named when the digest was registered."""
    stage: str | None = None
    approvals: dict[str, Step] = field(default_factory=dict)
    """By person; who disapproves afterwards is among the objections instead."""
    objections: dict[str, Step] = field(default_factory=dict)
    annotations: dict[str, Any] = field(default_factory=dict)
    retired: Step | None = None
    signed: Step | None = None


@dataclass
class Held:
    """A time during which an alias pointed to one version, or (`digest` is None) to nothing."""

    digest: str | None
    step: Step
    until: Step | None = None


@dataclass
class Alias:
    """Where an alias points, and has pointed."""

    held: list[Held] = field(default_factory=list)
    """Everything that it pointed to, one after the other."""
    stack: list[str | None] = field(default_factory=list)
    """What a rollback can go back to: as `held`, without what rollbacks have undone."""
    changed: int = 0
    """When it was last moved, or set to where it pointed anyway."""

    @property
    def now(self) -> Held | None:
        """What it points to, or None."""
        return self.held[-1] if self.held and self.held[-1].digest is not None else None

    def evidence(self, held: Held) -> list[dict[str, Any]]:
        """What gates had said when it was moved there; of a rollback, when that version had been put there before."""
        told = evidence_of(held.step)
        if told or not held.step.record.get("rollback"):
            return told
        earlier = [one for one in self.held if one.digest == held.digest and one.step.time < held.step.time]
        return next((evidence_of(one.step) for one in reversed(earlier) if evidence_of(one.step)), [])

    @property
    def digest(self) -> str | None:
        """The digest that it points to, or None."""
        return self.held[-1].digest if self.held else None


@dataclass
class Entry:
    """A step, and what became of it."""

    step: Step
    effect: Effect
    because: str = ""
    """Why it had no effect."""


@dataclass
class RegisteredModel:
    """A model as its steps up to some moment have made it."""

    name: str
    versions: dict[str, Version] = field(default_factory=dict)
    """By digest, in the order of their registration."""
    aliases: dict[str, Alias] = field(default_factory=dict)
    """Also of aliases that point to nothing any more."""
    protected: dict[str, Step] = field(default_factory=dict)
    """By alias: the step whose record has the rules."""
    log: list[Entry] = field(default_factory=list)

    def version(self, number: int) -> Version | None:
        """The version of this number, or None."""
        return next((version for version in self.versions.values() if version.number == number), None)

    def latest(self) -> Version | None:
        """The version with the highest number that is not retired, or None."""
        return max((one for one in self.versions.values() if not one.retired), key=lambda one: one.number, default=None)

    def pointing_to(self, digest: str) -> list[str]:
        """The aliases that point to a version, in alphabetical order."""
        return sorted(name for name, alias in self.aliases.items() if alias.digest == digest)

    def before(self, alias: str) -> Version | None:
        """The version to which a rollback of the alias would go, or None where there is none.

        That is the last one that it pointed to before, and that is neither retired nor what it points to now.
        Two rollbacks one after the other go two back.
        """
        known = self.aliases.get(alias)
        if known is None:
            return None
        for digest in reversed(known.stack[:-1]):
            if digest is not None and digest != known.digest and not self.versions[digest].retired:
                return self.versions[digest]
        return None


def rules_of(protection: Step | None) -> tuple[dict[str, dict[str, Any]], int]:
    """The gates that a protected alias asks, each with its options, and how many people have to approve."""
    rules = protection.record.get("rules") if protection is not None else None
    rules = rules if isinstance(rules, dict) else {}
    gates, needed = rules.get("gates"), rules.get("approvals")
    named = gates if isinstance(gates, dict) else {str(name): {} for name in gates} if isinstance(gates, list) else {}
    options = {str(name): dict(told) if isinstance(told, dict) else {} for name, told in named.items()}
    return options, needed if isinstance(needed, int) else 0


def evidence_of(step: Step) -> list[dict[str, Any]]:
    """What the gates said before the step was taken."""
    told = step.record.get("evidence")
    return [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []
