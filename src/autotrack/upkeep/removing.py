"""Removing whole runs for good: `autotrack rm`.

A choice of runs enters. It is looked at as a whole, and nothing is removed where one of them cannot go. What is done
first is one event in a journal of its own, the tombstone of all of them, on the disk before anything else: from then
on every reader of journals agrees that they are gone, and whoever is killed later has left nothing but work that `gc`,
or the same command again, does. Then the store lets go of their rows, and `traces` clears what the home still tells of
them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, select

from autotrack import __version__
from autotrack.errors import AutotrackError, RunRemoved, StoreError
from autotrack.events import ProvenanceLogged
from autotrack.forward.catching_up import adopt_orphans, take_in
from autotrack.forward.progress import all_progress
from autotrack.forward.start import Forwarder
from autotrack.journal import liveness
from autotrack.journal.reader import Journal, archived, journals
from autotrack.journal.removed import REMOVAL, TOMBSTONE, is_removal, removed_runs
from autotrack.journal.writer import Writer
from autotrack.settings import Settings
from autotrack.store import schema
from autotrack.store.burying import buried, compact
from autotrack.store.query import Store
from autotrack.store.records import HEADER, Record, header
from autotrack.store.rows import slices
from autotrack.upkeep.alone import alone, is_importing
from autotrack.upkeep.blanking import speaks_of
from autotrack.upkeep.collecting import Report, store_of
from autotrack.upkeep.retention import protected_runs
from autotrack.upkeep.traces import Traces, clear, holds

_NONE: Final[Callable[[str], None]] = lambda what: None  # noqa: E731


@dataclass
class Plan:
    """What is to go, and what is to be known before."""

    runs: list[Record] = field(default_factory=list)
    """Their headers, as `autotrack ls` has them."""
    again: list[str] = field(default_factory=list)
    """Ids of runs that were removed before, whose traces are looked for once more."""
    refused: list[dict[str, str]] = field(default_factory=list)
    """`{run, why}` of each that cannot go: then none goes."""
    elsewhere: dict[str, list[str]] = field(default_factory=dict)
    """By backend, the runs of which it has got something, which stays there."""
    undelivered: dict[str, list[str]] = field(default_factory=dict)
    """By backend, the runs of which it lacks something, which it never gets."""
    unknown: list[str] = field(default_factory=list)
    """Those of which no journal of this home tells: other homes share the store, or their journals are gone."""

    @property
    def ids(self) -> list[str]:
        """Of the runs that are to go."""
        return [str(run["id"]) for run in self.runs]

    def record(self) -> dict[str, Any]:
        """As it is printed."""
        return dict(vars(self))


@dataclass
class Removed:
    """What was done."""

    runs: list[str] = field(default_factory=list)
    traces: Traces = field(default_factory=Traces)
    problems: list[str] = field(default_factory=list)
    """What could not be done now, each with what to do about it."""


def plan(
    home: Path,
    settings: Settings,
    references: Sequence[str],
    where: str | None = None,
    *,
    with_children: bool = False,
    seen: Callable[[str], None] = _NONE,
) -> Plan:
    """What removing these runs means. `references` are ids, beginnings of ids or names; `where` is a query.

    Raises `RunNotFound`, `QueryError`, `StoreError`.
    """
    seen("runs")
    made = _chosen(home, settings, references, where, with_children=with_children)
    seen("journals")
    _look_elsewhere(home, settings, made)
    return made


def _chosen(
    home: Path, settings: Settings, references: Sequence[str], where: str | None = None, *, with_children: bool = False
) -> Plan:
    """The runs, and what keeps them from being removed."""
    if settings.backends == ("local",):
        adopt_orphans(home, settings)  # so that what nobody delivers any more is archived, where it can be cleared
    take_in(home, settings)
    made = Plan()
    with Store.open(home, settings) as store:
        wanted: dict[str, None] = {}
        for reference in references:
            try:
                wanted[store.resolve(reference)] = None
            except RunRemoved as gone:
                made.again.append(gone.run)
        if where is not None:
            wanted |= {str(run["id"]): None for run in store.find(where).runs}
        with store.reading() as connection:
            children = _descendants(connection, list(wanted))
            if with_children:
                wanted |= dict.fromkeys(children)
            made.runs = _headers(connection, list(wanted))
            made.refused = list(_refusals(connection, home, made.runs, [run for run in children if run not in wanted]))
    return made


def remove(home: Path, settings: Settings, chosen: Plan, why: str, seen: Callable[[str], None] = _NONE) -> Removed:
    """Remove what was planned, for good.

    Raises `AutotrackError` where it cannot be now, or not any more; nothing is then removed.
    """
    done = Removed()
    with alone(home, "remove the runs"):
        if is_importing(home):
            raise AutotrackError("an import goes on: remove the runs when it has ended")
        if chosen.runs:
            now = _chosen(home, settings, chosen.ids)
            if now.refused:
                told = "; ".join(f"{one['run']}: {one['why']}" for one in now.refused)
                raise AutotrackError(f"nothing was removed, since something has changed meanwhile: {told}")
            _bury(home, settings, chosen.ids, why)
            done.runs = chosen.ids
        seen("the store")
        take_in(home, settings)
        gone = [*chosen.ids, *chosen.again]
        with Store.open(home, settings) as store:
            with store.reading() as connection:
                late = set(gone) - buried(connection, gone)
            if late:
                done.problems.append("the store does not take the removal in now; autotrack sync --backends local does")
            try:
                compact(store.engine)
            except StoreError as problem:
                done.problems.append(f"{problem}; the same command again tries it once more")
        seen("traces")
        done.traces = clear(home, settings, gone)
        if settings.backends == ("local",):
            adopt_orphans(home, settings)
    return done


def clear_all(home: Path, settings: Settings, report: Report) -> None:
    """Clear what is left of runs that were removed before, by whatever home, and could not be reached then."""
    gone = set(removed_runs(home))
    with store_of(home, settings) as connection:
        if connection is not None:
            gone |= set(connection.execute(select(schema.tombstones.c.run_id)).scalars())
    for one in clear(home, settings, gone).left:
        report.keep(f"journal {one['journal']}, which tells of a removed run", one["why"])


def _headers(connection: Connection, ids: Sequence[str]) -> list[Record]:
    found: dict[str, Record] = {}
    for some in slices(ids):
        for row in connection.execute(select(*HEADER).where(schema.runs.c.id.in_(some))):
            found[row.id] = header(row)
    return [found[run] for run in ids if run in found]


def _descendants(connection: Connection, ids: Collection[str]) -> list[str]:
    """The children of these runs, and theirs, that are not among them."""
    found: dict[str, None] = {}
    known, fresh = set(ids), set(ids)
    while fresh:
        below: set[str] = set()
        for some in slices(sorted(fresh)):
            wanted = select(schema.runs.c.id).where(schema.runs.c.parent_id.in_(some))
            below |= set(connection.execute(wanted).scalars())
        fresh = below - known
        known |= fresh
        found |= dict.fromkeys(sorted(fresh))
    return list(found)


def _refusals(
    connection: Connection, home: Path, runs: Sequence[Record], staying: Sequence[str]
) -> Iterator[dict[str, str]]:
    parents = {row.id: row.parent_id for row in _parents(connection, staying)}
    placeholders: set[str] = set()
    for some in slices(str(run["id"]) for run in runs):
        wanted = select(schema.runs.c.id).where(schema.runs.c.id.in_(some), schema.runs.c.known == "placeholder")
        placeholders |= set(connection.execute(wanted).scalars())
    needed = protected_runs(connection)
    for run in runs:
        id = str(run["id"])
        if run["status"] == "running" and (id not in placeholders or _is_written(home, id)):
            yield {"run": id, "why": "it is going on: end it first"}
        if id in needed:
            why = "a registered model needs it, now or to tell where it came from (autotrack models)"
            yield {"run": id, "why": why}
        parts = sum(parent == id for parent in parents.values())
        if parts:
            told = "a run that would stay is part" if parts == 1 else f"{parts} runs that would stay are parts"
            yield {"run": id, "why": f"{told} of it: --with-children takes along what belongs to it"}


def _parents(connection: Connection, ids: Sequence[str]) -> Iterator[Any]:
    for some in slices(ids):
        wanted = select(schema.runs.c.id, schema.runs.c.parent_id).where(schema.runs.c.id.in_(some))
        yield from connection.execute(wanted)


def _is_written(home: Path, run: str) -> bool:
    return any(liveness.is_alive(folder) and speaks_of(folder, [run]) for folder in journals(home))


def _look_elsewhere(home: Path, settings: Settings, made: Plan) -> None:
    """What other backends have, and lack, of the runs: told, since nothing is removed there."""
    here: set[str] = set()
    for folder in [*journals(home), *archived(home)]:
        if is_removal(folder.name):
            continue
        runs = sorted(holds(folder, made.ids)) if made.runs else []
        here.update(runs)
        if not runs:
            continue
        known = {one.backend: one for one in all_progress(home, folder.name) if one.backend != "local"}
        first = Journal(folder).header()
        for name in dict.fromkeys([*(first.backends if first else ()), *settings.backends, *known]):
            progress = known.get(name)
            if progress is not None and progress.delivered:
                made.elsewhere[name] = sorted({*made.elsewhere.get(name, ()), *runs})
            if name != "local" and (progress is None or not progress.done):
                made.undelivered[name] = sorted({*made.undelivered.get(name, ()), *runs})
    made.unknown = sorted(set(made.ids) - here)


def _bury(home: Path, settings: Settings, runs: Sequence[str], why: str) -> None:
    """Say in a journal, in one event, that these runs are removed. Raises `AutotrackError` where it cannot be said."""
    (home / "journals").mkdir(exist_ok=True)
    writer = Writer(home / "journals", version=__version__, backends=settings.backends, kind=REMOVAL)
    try:
        told = {"who": settings.resolved_user, "why": why}
        record: dict[str, Any] = {run: dict(told) for run in runs}
        said = writer.append_event(ProvenanceLogged("", time.time_ns(), TOMBSTONE, record))
    finally:
        writer.close()
    if not said:
        raise AutotrackError(f"the removal cannot be noted, so nothing was removed: is there room in {home}?")
    for path in (*writer.folder.iterdir(), writer.folder, writer.folder.parent):
        _to_disk(path)  # what the store forgets must not come back from the journals after a power failure
    liveness.let_go(writer.folder)
    if settings.forwarder == "process" and settings.backends != ("local",):
        Forwarder.start(settings, writer.folder)


def _to_disk(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)
