"""The steps of registered models: which actions there are, what each holds, and how models and versions are named.

Rows of the store's table `registry`, or fields of `autotrack.events.RegistryLogged`, enter; `Step`s leave. What the
steps together mean is told by `autotrack.registry.views`; nothing here reads or writes a file.

| action | digest | record |
|---|---|---|
| `register` | the version | `{model: name of the model within its run, …}`, all of it optional |
| `alias` | the version | `{alias, from: digest or null, evidence: [result of a gate, …], forced, rollback}` |
| `unalias` | the version that it leaves | `{alias, from, forced}` |
| `stage` | the version | `{stage: text, or null for none}` |
| `annotate` | the version | `{key: text, number, flag, or null to remove it, …}` |
| `approve`, `disapprove` | the version | `{}`: the last word of each person counts |
| `sign` | the version | what signs it, as `autotrack.registry.signing` says |
| `protect` | | `{alias, rules: {approvals: number, gates: {name: {option: value}}}}` |
| `unprotect` | | `{alias}` |
| `retire` | the version | `{forced}`: also where an alias points to it |
| `restore` | the version | `{}` |
| `refuse` | the version | `{alias, evidence: [result of a gate, …]}`: gates said no |

A result of a gate is a mapping with at least `gate`, its name, and `passed`. With `from`, an `alias` or `unalias` has
an effect only where the alias points to that digest (null: to nothing) when its turn comes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from autotrack.errors import UsageError

ABOUT_A_VERSION: Final = frozenset(
    (
        "register",
        "alias",
        "unalias",
        "stage",
        "annotate",
        "approve",
        "disapprove",
        "sign",
        "retire",
        "restore",
        "refuse",
    )
)
"""Actions that name the digest of a version; of `unalias` it may be absent."""

ACTIONS: Final = ABOUT_A_VERSION | {"protect", "unprotect"}
"""All actions. A step of another one, written by a later release, is shown and has no effect."""

ABOUT_AN_ALIAS: Final = frozenset({"alias", "unalias", "protect", "unprotect", "refuse"})
"""Actions whose record names an alias."""

LONGEST: Final = 100
"""Characters of a model's name or an alias."""

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._ -]*[A-Za-z0-9])?")
_NUMBER = re.compile(r"v?[0-9]+")
_REFERENCE = re.compile(r"(?P<model>.+?)(?:@(?P<alias>[^@/]+)|/(?P<version>[0-9]+))?", re.DOTALL)


@dataclass(frozen=True)
class Step:
    """One step, as the log holds it. `time` is in nanoseconds since the epoch."""

    id: str
    time: int
    model: str
    action: str
    digest: str | None = None
    run: str = ""
    who: str = ""
    why: str = ""
    record: Mapping[str, Any] = field(default_factory=dict)

    @property
    def alias(self) -> str:
        """The alias that it is about, or nothing."""
        return str(self.record.get("alias") or "") if self.action in ABOUT_AN_ALIAS else ""


@dataclass(frozen=True)
class Reference:
    """What `clf`, `clf@production` or `clf/3` names: a model, and at most one of an alias and a version."""

    model: str
    alias: str | None = None
    version: int | None = None

    def __str__(self) -> str:
        return self.model + (f"@{self.alias}" if self.alias else f"/{self.version}" if self.version else "")


def parse(text: str) -> Reference:
    """`clf`, `clf@production` or `clf/3` in its parts. Raises `UsageError`."""
    found = _REFERENCE.fullmatch(text)
    if found is None:
        raise UsageError(f"{text!r} names no model; use clf, clf@production or clf/3")
    version = found["version"]
    return Reference(found["model"], found["alias"], None if version is None else int(version))


def parse_alias(text: str) -> Reference:
    """`clf@production` in its parts. Raises `UsageError` for anything else."""
    found = parse(text)
    if found.alias is None:
        raise UsageError(f"{text!r} names no alias; use the model and the alias as clf@production")
    return found


def check_name(name: str) -> str:
    """The name, where a model may be called so. Raises `UsageError`."""
    return _checked(name, "the name of a model", "such as churn or main.risk.clf-2")


def check_alias(alias: str) -> str:
    """The alias, where there may be such a one. Raises `UsageError`."""
    if _NUMBER.fullmatch(alias) or alias == "latest":
        raise UsageError(
            f"the alias {alias!r} would be taken for a version; use a word such as production "
            "(clf/3 is version 3, clf is the latest)"
        )
    return _checked(alias, "an alias", "such as production")


def check(step: Step) -> None:
    """Raise `UsageError` where the step lacks what its action needs, or holds what no log can."""
    if step.action not in ACTIONS:
        raise UsageError(f"the registry has no action {step.action!r}; it has {', '.join(sorted(ACTIONS))}")
    if step.action == "register":
        check_name(step.model)
    if step.action in ABOUT_A_VERSION - {"unalias"} and not step.digest:
        raise UsageError(f"{step.action} needs the digest of a version")
    if step.action in ABOUT_AN_ALIAS:
        check_alias(step.alias)
    if step.record.get("forced") and not step.why.strip():
        raise UsageError("forcing needs a reason: say why")
    try:
        json.dumps(step.record, allow_nan=False)
    except (TypeError, ValueError) as problem:
        raise UsageError(f"the record of {step.action} holds what JSON does not ({problem})") from None


def moment(at: str | int | datetime | None) -> int | None:
    """A moment in nanoseconds since the epoch, of such a number, a `datetime`, or ISO 8601; None stays None.

    A day alone, `2026-05-01`, means its end: what held when that day was over. Without a zone a time is UTC. Times are
    shown to the microsecond, so a moment means the last nanosecond of its microsecond. Raises `UsageError`.
    """
    if at is None or isinstance(at, int):
        return at
    try:
        time = datetime.fromisoformat(at.strip()) if isinstance(at, str) else at
        if time.tzinfo is None:
            time = time.replace(tzinfo=UTC)
        since = time - datetime(1970, 1, 1, tzinfo=UTC)
    except (ValueError, OverflowError):
        raise UsageError(f"{at!r} is no moment; use 2026-05-01, 2026-05-01T12:00Z or 2026-05-01T12:00+02:00") from None
    if isinstance(at, str) and is_day(at):
        return (since.days + 1) * 86_400 * 10**9 - 1
    return (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000 + 999


def is_day(at: str) -> bool:
    """Whether the text is a day without a time."""
    return re.fullmatch(r"\d{4}-?\d{2}-?\d{2}", at.strip()) is not None


def _checked(name: str, what: str, example: str) -> str:
    if not name:
        raise UsageError(f"{what} is missing: use letters, digits, and . _ - between them, {example}")
    if len(name) > LONGEST:
        raise UsageError(f"{what} has {len(name)} characters; use at most {LONGEST}")
    if not _NAME.fullmatch(name):
        strange = "".join(dict.fromkeys(sign for sign in name if not re.match(r"[A-Za-z0-9._ -]", sign)))
        wrong = f"holds {strange!r}" if strange else "begins or ends with a sign"
        rule = f"use letters (a-z, A-Z), digits, and . _ - between them, {example}"
        raise UsageError(f"{name!r} cannot be {what}, since it {wrong}: {rule}")
    return name
