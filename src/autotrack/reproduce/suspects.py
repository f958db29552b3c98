"""What may explain that a rerun came out differently, the likeliest first.

The records of the two runs enter; sentences leave, each with its kind, in the order: data, code, library, seed, param,
hardware, and at last that nothing is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

_HARDWARE: Final = ("system", "processors", "cpu", "gpu", "cuda", "blas", "container")
_UNIMPORTANT: Final = ("time", "free", "available", "used", "load", "temperature", "libraries")
_SEEDS: Final = ("seed", "random_state", "random_seed")


@dataclass(frozen=True)
class Suspect:
    """One explanation: `kind` is data, code, library, seed, param, hardware or unknown."""

    kind: str
    what: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}"


def suspects(
    was: Mapping[str, Any], now: Mapping[str, Any], data: list[str], libraries: list[dict[str, Any]]
) -> list[Suspect]:
    """What differs between the records of two runs. `data` and `libraries` have been found to differ already."""
    found = [Suspect("data", one) for one in data]
    changed = was["code"].get("changed_during_run")
    if changed:
        names = ", ".join(str(one.get("path", one) if isinstance(one, dict) else one) for one in changed[:5])
        found.append(Suspect("code", f"changed while the run went on, after it had been recorded: {names}"))
    pythons = was["environment"].get("python"), now["environment"].get("python")
    if None not in pythons and pythons[0] != pythons[1]:
        libraries = [{"name": "Python", "was": pythons[0], "now": pythons[1]}, *libraries]
    found += libraries_told(libraries)
    found += _seeds(was, now)
    found += _params(was["params"], now["params"])
    found += _hardware(was["environment"], now["environment"])
    found += [Suspect("library", _library(one)) for one in libraries if one["was"] is None]
    if not found:
        found.append(Suspect("unknown", "nothing that is recorded differs: the training itself is not deterministic"))
    return found


def libraries_told(libraries: list[dict[str, Any]]) -> list[Suspect]:
    """Of distributions that differ, those that the run had."""
    return [Suspect("library", _library(one)) for one in libraries if one["was"] is not None]


def _library(one: Mapping[str, Any]) -> str:
    if one["now"] is None:
        return f"{one['name']} {one['was']} is not there any more"
    if one["was"] is None:
        return f"{one['name']} {one['now']} was not there"
    return f"{one['name']} {one['was']} → {one['now']}"


def _seeds(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[Suspect]:
    a, b = was.get("randomness") or {}, now.get("randomness") or {}
    used = [*(a.get("used") or ()), *(b.get("used") or ())]
    found = []
    for group in ("seeds", "flags"):
        before, after = a.get(group) or {}, b.get(group) or {}
        for name in sorted({**before, **after}, key=lambda name: name not in used):  # those that were used go first
            if before.get(name) != after.get(name):
                what = "" if group == "seeds" else "the flag "
                found.append(Suspect("seed", f"{what}{name} was {before.get(name)}, now {after.get(name)}"))
    for name, value in was["params"].items():
        if _is_seed(name) and name in now["params"] and now["params"][name] != value:
            found.append(Suspect("seed", f"the param {name} was {value}, now {now['params'][name]}"))
    if not found and a.get("seeded") is False:
        lacking = ", ".join(map(str, a.get("not_seeded") or ())) or "its random numbers"
        drawn = "what was drawn before the run began " if b.get("restored") else ""
        found.append(Suspect("seed", f"{lacking} had no seed, and {drawn}cannot come again"))
    elif not found and a.get("unknown"):
        used_so = ", ".join(map(str, a["unknown"]))
        found.append(Suspect("seed", f"{used_so} gave random numbers, and whether with a seed is not known"))
    return found


def _params(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[Suspect]:
    """Params that the same code took from elsewhere: from the environment, a file, the clock."""
    return [
        Suspect("param", f"{name} was {was.get(name)}, now {now.get(name)}")
        for name in {**was, **now}
        if was.get(name) != now.get(name) and not _is_seed(name)
    ]


def _is_seed(name: str) -> bool:
    last = name.rpartition(".")[2].rpartition("__")[2].lower()
    return last in _SEEDS or last.endswith("_seed")


def _hardware(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[Suspect]:
    found = []
    for name in _HARDWARE:
        before, after = was.get(name), now.get(name)
        if before is None or after is None or before == after:
            continue
        for place, a, b in _leaves(name, before, after):
            found.append(Suspect("hardware", f"{place} was {a}, now {b}"))
    return found


def _leaves(place: str, was: Any, now: Any) -> list[tuple[str, Any, Any]]:
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        return [
            one
            for key in {**was, **now}
            if not any(word in str(key).lower() for word in _UNIMPORTANT)
            for one in _leaves(f"{place}.{key}", was.get(key), now.get(key))
        ]
    return [] if was == now else [(place, was, now)]


__all__ = ["Suspect", "libraries_told", "suspects"]
