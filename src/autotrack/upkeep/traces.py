"""What a home still tells of runs that were removed, beside the store: cleared as far as it can be reached now.

Ids enter. Archived journals, what is remembered of deliveries, console text that was left behind, remembered
checkpoints and reports of imports no longer tell anything of them when this leaves; what could not be cleared is told
with the reason. Called again, it does what is left to do.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autotrack.forward.progress import all_progress
from autotrack.journal import tail
from autotrack.journal.liveness import is_alive
from autotrack.journal.reader import Journal, archived, journals
from autotrack.journal.removed import is_removal
from autotrack.settings import Settings
from autotrack.upkeep.blanking import blank, speaks_of


@dataclass
class Traces:
    """What was cleared, and what was not."""

    frames: int = 0
    """Events in archived journals that no longer say anything."""
    left: list[dict[str, str]] = field(default_factory=list)
    """`{journal, why}` of each that still tells of them."""


def clear(home: Path, settings: Settings, runs: Collection[str]) -> Traces:
    """Clear what the home still tells of these runs, which were removed. What cannot be is in the answer."""
    made = Traces()
    if not runs:
        return made
    for folder in archived(home):
        if is_removal(folder.name):
            continue
        try:
            count, clean = blank(folder, runs)
        except OSError as problem:
            made.left.append({"journal": folder.name, "why": f"it cannot be written: {problem}"})
            continue
        made.frames += count
        if not clean:
            why = "it is damaged, so that it cannot be told what is in it; --journals-older-than removes it"
            made.left.append({"journal": folder.name, "why": why})
    for folder in journals(home):
        if not is_removal(folder.name) and holds(folder, runs):
            made.left.append({"journal": folder.name, "why": _why(folder, settings)})
    _forget_deliveries(home, runs)
    for run in runs:
        tail.forget(home, run)
    for path in _inside(home / "imports"):
        _clear_report(path, runs)
    for path in _inside(home / "checkpoints"):
        if _told(path).get("run") in runs:
            path.unlink(missing_ok=True)
    return made


def holds(folder: Path, runs: Iterable[str]) -> set[str]:
    """Those of the runs that have events in this journal."""
    named = speaks_of(folder, runs)
    found: set[str] = set()
    if named:
        try:
            for record in Journal(folder).records():
                if record.event.run in named:
                    found.add(record.event.run)
                    if len(found) == len(named):
                        break
        except (OSError, EOFError):  # it moves at this moment, or is damaged
            return named
    return found


def _why(folder: Path, settings: Settings) -> str:
    if is_alive(folder):
        return "a process goes on writing it; autotrack gc clears it when that has ended and all is delivered"
    lacking = ", ".join(name for name in settings.backends if name != "local") or "local"
    return f"it is not archived yet ({lacking}): autotrack sync, then autotrack gc"


def _forget_deliveries(home: Path, runs: Collection[str]) -> None:
    for folder in _inside(home / "delivery"):
        for progress in all_progress(home, folder.name):
            progress.forget(runs)


def _clear_report(path: Path, runs: Collection[str]) -> None:
    """A report of an import has a row for each run, with the names of its series."""
    told = _told(path)
    kept = {name: [one for one in told.get(name, ()) if one.get("run") not in runs] for name in ("rows", "problems")}
    if any(len(kept[name]) < len(told.get(name, ())) for name in kept):
        draft = path.with_name(f".{path.name}")
        draft.write_text(json.dumps({**told, **kept}, indent=1))
        draft.replace(path)


def _told(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _inside(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []
