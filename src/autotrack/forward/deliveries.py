"""How far each backend is with the events of one run: what `autotrack show` and the dashboard say under delivery."""

from __future__ import annotations

import mmap
import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from autotrack.settings import Settings

LOOKED_BACK: Final = 200
"""Archived journals that are searched for a run, beginning with the one that was started last before it."""


def deliveries(settings: Settings, run: dict[str, Any]) -> list[dict[str, Any]]:
    """For each journal that holds events of the run and each backend: what has arrived, what not, and why."""
    home = settings.resolved_home
    return [
        _delivery(home, folder, backend, run["id"])
        for folder in _journals_of(home, run)
        for backend in _backends(settings, home, folder)
    ]


def _delivery(home: Path, folder: Path, backend: str, run: str) -> dict[str, Any]:
    from autotrack.forward.delivery import undelivered
    from autotrack.forward.progress import Progress

    progress = Progress(home, folder.name, backend)
    lag = 0
    if not progress.done and backend != "local":  # the local store was brought up to date by looking at the run
        lag = undelivered(folder, progress)
    letters = progress.folder / f"{backend}.dead.jsonl"
    return {
        "backend": backend,
        "journal": folder.name,
        "lag": lag,
        "problem": progress.problem,
        "dead": _letters_of(letters, run),
        "dead_letters": str(letters) if letters.is_file() else None,
        "not_carried": [
            {"what": what, "count": count, "why": why} for what, (count, why) in progress.notes.get(run, {}).items()
        ],
    }


def _backends(settings: Settings, home: Path, folder: Path) -> list[str]:
    from autotrack.forward.progress import all_progress
    from autotrack.journal.reader import Journal

    header = Journal(folder).header()
    named = [*(header.backends if header else ()), *settings.backends]
    return list(dict.fromkeys([*named, *(one.backend for one in all_progress(home, folder.name))]))


def _letters_of(letters: Path, run: str) -> int:
    try:
        with letters.open(encoding="utf-8") as lines:
            return sum(f'"{run}"' in line for line in lines)
    except OSError:
        return 0


def _journals_of(home: Path, run: dict[str, Any]) -> list[Path]:
    from autotrack.journal.reader import archived, journals

    begun, ended = _stamp(run["started_at"]), _stamp(run["ended_at"]) if run["ended_at"] else "~"
    known = sorted([*archived(home), *journals(home)], key=lambda folder: folder.name)
    while_running = [folder for folder in known if begun < folder.name[: len(begun)] <= ended]
    before = [folder for folder in reversed(known) if folder.name[: len(begun)] <= begun][:LOOKED_BACK]
    own = next(_holding(before, run["id"]), None)
    others = [folder for folder in before if folder.parent.name == "journals" and folder != own]
    rest = list(_holding([*others, *while_running], run["id"]))
    return ([own] if own else []) + rest


def _holding(folders: Iterable[Path], run: str) -> Iterator[Path]:
    for folder in folders:
        try:
            if _holds(folder, run.encode()):
                yield folder
        except (OSError, EOFError):  # archived at this moment, or damaged: `autotrack verify` tells
            continue


def _holds(folder: Path, run: bytes) -> bool:
    # Every event of a run carries its id as plain bytes: searching for those is far quicker than decoding.
    for segment in folder.iterdir():
        if segment.name.endswith(".gz"):
            import gzip

            if run in gzip.decompress(segment.read_bytes()):
                return True
        elif segment.suffix == ".atj" and segment.stat().st_size:
            with segment.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as held:
                if held.find(run) >= 0:
                    return True
    return False


def _stamp(moment: str) -> str:
    return time.strftime("%Y%m%dT%H%M%S", time.gmtime(datetime.fromisoformat(moment).timestamp()))
