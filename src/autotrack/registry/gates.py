"""Gates before a promotion: which there are, asking them, and what their answers come to.

A `Promotion` enters, results leave: `{gate, passed, verdict, why, evidence, options}` of each gate, in the order asked.
A gate that raises, that answers something else than a `Finding`, or that is not installed here has refused: nothing
passes by a fault. Nothing is written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from autotrack.contracts import Finding, Gate
from autotrack.errors import UsageError
from autotrack.plugins import plugins, resolve
from autotrack.registry.promotion import Promotion
from autotrack.store.records import jsonable

Result = dict[str, Any]
Options = Mapping[str, Any]

_HERE: Final = "autotrack.registry"

BUILT_IN: Final = {
    gate.name: gate
    for gate in (
        Gate("safe-format", f"{_HERE}.builtin_gates:safe_format", "its file runs no code when it is read"),
        Gate("signature", f"{_HERE}.builtin_gates:signature", "takes and gives what the champion does"),
        Gate("no-leakage", f"{_HERE}.leaking:no_leakage", "no row that judged it was trained on"),
        Gate("better", f"{_HERE}.better:better", "better than the champion on the same rows, beyond chance"),
        Gate("signed", f"{_HERE}.builtin_gates:signed", "has a valid signature by an accepted key"),
        Gate("reproduced", f"{_HERE}.reproduced:reproduced", "its run was repeated with the same outcome"),
        Gate("latency", f"{_HERE}.latency:latency", "predicts single rows within a budget"),
        Gate("approvals", f"{_HERE}.builtin_gates:approvals", "enough people other than its author approved"),
    )
}
"""The gates of autotrack itself. One of a plugin with such a name is not used: it could say yes to everything."""

USUAL: Final = ("safe-format", "signature", "no-leakage", "better")
"""What is asked where neither the alias nor the user names gates."""


def known() -> dict[str, Gate]:
    """Every gate of this environment, by name."""
    return {**plugins.load().gates, **BUILT_IN}


def wanted(promotion: Promotion, named: Sequence[str] | Mapping[str, Options] = ()) -> dict[str, Options]:
    """The gates to ask, with their options: those that protect the alias, and those that the user named.

    Naming one adds it, or options to it; it takes none away. Raises `UsageError` for a name that is no gate.
    """
    given: dict[str, Options] = dict(named) if isinstance(named, Mapping) else {name: {} for name in named}
    there = known()
    for name in given:
        if name not in there and name not in promotion.rules:
            raise UsageError(f"there is no gate {name!r}; there are {', '.join(there)}")
    found: dict[str, Options] = dict(promotion.rules)
    if promotion.approvals:
        needed = max(promotion.approvals, int(found.get("approvals", {}).get("needed", 0)))
        found["approvals"] = {**found.get("approvals", {}), "needed": needed}
    for name, options in given.items():
        # What protects the alias holds: the user may say what it leaves open, not change it.
        found[name] = {**options, **found.get(name, {})}
    return found or {name: {} for name in USUAL}


def ask(promotion: Promotion, gates: Mapping[str, Options]) -> list[Result]:
    """What each gate says."""
    there = known()
    return [_asked(promotion, name, options, there.get(name)) for name, options in gates.items()]


def passed(results: Sequence[Result]) -> bool:
    """Whether no gate has refused."""
    return all(result["passed"] for result in results)


def refusals(results: Sequence[Result]) -> str:
    """The names of the gates that refused, with their reasons."""
    return "; ".join(f"{result['gate']}: {result['why']}" for result in results if not result["passed"])


def parse(text: str) -> tuple[str, dict[str, Any]]:
    """A gate as it is typed, with its options: `latency`, `latency:p95_ms=5,n=100`, `signed:keys=@release.pub`.

    A value is JSON, or else text; with an `@` before it, the content of that file. Options may be one JSON object as
    well: `better:{"margin": 0.01}`. Raises `UsageError`.
    """
    name, _, rest = text.partition(":")
    options: dict[str, Any] = {}
    try:
        if rest.lstrip().startswith("{"):
            options = dict(json.loads(rest))
        else:
            for one in filter(None, rest.split(",")):
                key, equals, value = one.partition("=")
                if not equals or not key.strip():
                    raise ValueError(f"{one!r} is no option=value")
                options[key.strip()] = _value(value)
    except (OSError, ValueError) as problem:
        raise UsageError(
            f"the gate {text!r} cannot be read ({problem}): use {name}:option=value,option=value"
        ) from None
    if not name.strip():
        raise UsageError(f"{text!r} names no gate: use NAME, or NAME:option=value")
    return name.strip(), options


def _value(text: str) -> Any:
    if text.startswith("@"):
        return Path(text[1:]).read_text()
    try:
        return json.loads(text)
    except ValueError:
        return text


def _asked(promotion: Promotion, name: str, options: Options, gate: Gate | None) -> Result:
    if gate is None:
        finding = Finding("refuse", f"no gate {name!r} is installed here", {"installed": sorted(known())})
    else:
        try:
            finding = _checked(resolve(gate.check)(promotion, **options))
        except Exception as problem:  # whatever a gate runs into, it has not said yes
            reason = f"{type(problem).__name__}: {problem}"
            finding = Finding("refuse", f"it could not be asked ({reason})", {"error": reason})
    return {
        "gate": name,
        "passed": finding.verdict != "refuse",
        "verdict": finding.verdict,
        "why": finding.why,
        "evidence": jsonable(dict(finding.evidence)),
        "options": dict(options),
    }


def _checked(answer: Any) -> Finding:
    if not isinstance(answer, Finding) or answer.verdict not in ("pass", "refuse", "not-applicable"):
        raise TypeError(f"it answered {answer!r}, which is no Finding")
    json.dumps(jsonable(dict(answer.evidence)), allow_nan=False)
    return answer


__all__ = ["BUILT_IN", "USUAL", "ask", "known", "parse", "passed", "refusals", "wanted"]
