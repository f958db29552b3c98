"""Every run in the store against the journals of the home: whether the store holds just what was logged.

The store is read first, at one moment, then each journal as far as the store had taken it in by then. Where journals
are gone on purpose, or were never here (several homes may share a database), the store may hold more; never less.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from autotrack.events import Record
from autotrack.journal.reader import CLOSING, Journal, archived, journals
from autotrack.store.query import Store
from autotrack.upkeep.facts import Facts, Held, of_journal, of_store

MOST: Final = 10
"""Differences of one run that are told one by one."""


@dataclass
class Compared:
    """How the store compares with the journals."""

    runs: int = 0
    points: int = 0
    removed: int = 0
    """Runs that were removed for good, of which neither the store nor anybody who reads journals has anything."""
    journals: list[dict[str, Any]] = field(default_factory=list)
    """`{journal, frames, damaged, torn_bytes, problem}` of each journal of the home."""
    here: set[str] = field(default_factory=set)
    """The runs of which a journal of the home tells."""
    elsewhere: int = 0
    """Journals that the store has taken in and that are not here."""
    problems: list[dict[str, str]] = field(default_factory=list)
    """`{run, problem}`; what concerns no run has an empty one."""
    dangling: list[dict[str, str]] = field(default_factory=list)
    lacking: bool = False
    """Whether journals hold what the store has not taken in."""


def compare(
    home: Path, store: Store | None, seen: Callable[[], None] = lambda: None, *, takes_all: bool = True
) -> Compared:
    """Read the store and every journal. Without a store only the journals are looked at.

    With `takes_all` the store is to have all journals that have ended; else those alone of which it has something.
    """
    found = Compared()
    ended = {folder.name for folder in journals(home) if CLOSING in Journal(folder).segments()}
    held = _held(store, found) if store is not None else None
    told: dict[str, Facts] = {}
    exact = held is not None
    here: set[str] = set()
    for folder in [*journals(home), *archived(home)]:
        if folder.name in here:  # it was archived meanwhile
            continue
        here.add(folder.name)
        whole = folder.parent.name == "archive" or folder.name in ended
        row = _journal(folder, home, held, told, found, whole=whole, expected=takes_all)
        if row is not None:
            found.journals.append(row)
            exact = exact and not row["damaged"] and not row["problem"]
        seen()
    found.journals.sort(key=lambda row: row["journal"])
    if held is not None:
        found.elsewhere = len(held.cursors.keys() - here)
        exact = exact and not found.elsewhere
        for run, facts in sorted(told.items()):
            if run in held.removed:
                continue
            words = list(_differences(facts, held.runs.get(run), exact=exact))
            found.problems += [{"run": run, "problem": word} for word in _some(words)]
        if exact:
            extra = sorted(run for run in held.runs.keys() - told.keys() if run)
            found.problems += [{"run": run, "problem": "it is in the store and in no journal"} for run in extra]
    return found


def _held(store: Store, found: Compared) -> Held:
    with store.engine.connect() as plain:
        connection = plain
        if store.engine.dialect.name == "postgresql":
            connection = plain.execution_options(isolation_level="REPEATABLE READ")
        else:
            for word in connection.exec_driver_sql("PRAGMA quick_check(5)").scalars():
                if word != "ok":
                    found.problems.append({"run": "", "problem": f"the database itself is damaged: {word}"})
        held = of_store(connection)
    found.runs, found.points = len([run for run in held.runs if run]), held.points
    found.removed = len(held.removed)
    found.problems += held.problems
    found.dangling += held.dangling
    return held


def _journal(
    folder: Path,
    home: Path,
    held: Held | None,
    told: dict[str, Facts],
    found: Compared,
    *,
    whole: bool,
    expected: bool,
) -> dict[str, Any] | None:
    """What is to be said of a journal itself; None where it is gone. Adds to `told` what the store should hold."""
    journal, frames, problem = Journal(folder), 0, None
    position = held.cursors.get(folder.name, 0) if held is not None else 0
    after = 0

    def taken_in() -> Iterator[Record]:
        nonlocal after
        for record in journal.records(final=whole):
            if record.position <= position:
                yield record
            else:
                after += 1

    try:
        frames = of_journal(taken_in(), folder.name, home / "spool", told) + after
    except FileNotFoundError:
        if folder.exists():
            raise
        moved = home / "archive" / folder.name
        if moved == folder or not moved.is_dir():
            return None
        return _journal(moved, home, held, told, found, whole=whole, expected=expected)
    except (OSError, EOFError, zlib.error) as error:  # a compressed segment that cannot be unpacked
        problem = f"{type(error).__name__}: {error}"
    if held is not None and after and whole and not problem and (expected or folder.name in held.cursors):
        found.lacking = True
        found.problems.append({"run": "", "problem": f"the store lacks {after} events of the journal {folder.name}"})
    damage = journal.damage
    return {
        "journal": folder.name,
        "frames": frames,
        "damaged": damage.frames,
        "torn_bytes": damage.torn_bytes,
        "problem": problem,
    }


def _differences(told: Facts, held: Facts | None, *, exact: bool) -> Iterator[str]:
    """What the store has otherwise than the journals, in words."""
    if held is None:
        yield "it is in the journals and not in the store"
        return
    if exact and told.statuses and not set(held.statuses.values()) & set(told.statuses.values()):
        yield f"it is {', '.join(held.statuses.values())} and was {', '.join(sorted(set(told.statuses.values())))}"
    for key, (count, total) in told.points.items():
        stored, checked = held.points.get(key, (0, 0))
        if stored < count or (exact and stored > count):
            yield f"the series {key!r} has {count} points in the journals and {stored} in the store"
        elif stored == count and checked != total:
            yield f"the series {key!r} has other steps, times or values in the store"
    for place, possible in told.values.items():
        kind, key = place
        if place not in held.values:
            yield f"{key!r} of {kind} is not in the store"
        elif exact and not held.values[place] <= possible:
            yield f"{key!r} of {kind} has another value in the store"
    for item, count in told.items.items():
        if held.items[item] < count and not (told.unsure and item[0] == "model"):
            yield f"{_named(item)} is in the journals and not, or less often, in the store"
    if exact:
        more: list[tuple[str, ...]] = [item for item in held.items if held.items[item] > told.items[item]]
        if told.unsure:
            more = [item for item in more if item[0] not in ("model", "step")]
        yield from (f"{_named(item)} is in the store and not, or less often, in the journals" for item in more)
        yield from (f"the series {key!r} is in no journal" for key in held.points.keys() - told.points.keys())
        yield from (f"{key!r} of {kind} is in no journal" for kind, key in held.values.keys() - told.values.keys())


def _named(item: tuple[str, ...]) -> str:
    kind, *rest = item
    return f"the {kind} {' '.join(word for word in rest if word)}"


def _some(words: list[str]) -> list[str]:
    return words if len(words) <= MOST else [*words[:MOST], f"and {len(words) - MOST} more differences"]


def mending(found: Compared) -> list[str]:
    """What to do about it, in words."""
    words = []
    if found.lacking:
        words.append("autotrack sync --backends local fills the store with what it lacks")
    if any(one["problem"] for one in found.problems) and not found.lacking:
        words.append(
            "where the journals are whole, move the store away: autotrack sync --backends local fills a new one"
        )
    return words
