"""Letting go of what somebody no longer wants: weights and artifacts of old or lesser runs, and delivered journals.

A choice enters. What a registered model needs never goes: its version, and whatever runs that came from; nor what a run
needs that was not chosen, what is still being written, or what a configured backend has not got. The record of a run
stays, and says through the journal what was removed, when, by whom and why, before anything is removed.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Select, select

from autotrack import __version__
from autotrack.errors import AutotrackError, UsageError
from autotrack.events import NoteLogged, ProvenanceLogged
from autotrack.forward.catching_up import adopt_orphans, take_in
from autotrack.forward.progress import Progress
from autotrack.forward.start import Forwarder
from autotrack.journal.reader import Journal, archived, journals
from autotrack.journal.writer import Writer
from autotrack.provenance.blobs import RECIPE, Blobs
from autotrack.settings import Settings
from autotrack.store import schema
from autotrack.store.query import Store
from autotrack.store.records import iso
from autotrack.store.rows import slices
from autotrack.upkeep.collecting import Collecting, Report
from autotrack.upkeep.naming import REMOVED, Unnamed, named_in

HURRY: Final = 600.0
"""Seconds within which even what was chosen is left alone, since a journal may be about to name it."""

_RUN: Final = "run:"
_APART: Final = (REMOVED, "inputs", "outputs")
"""Kinds of provenance that speak of files without needing them."""


@dataclass(frozen=True)
class Choice:
    """Which models are no longer wanted: those to which all of it applies that is given."""

    older_than: float | None = None
    """Seconds since they were saved."""
    keep_best: int | None = None
    """Those of the best runs stay, by `by`; runs without that metric are left alone."""
    by: str | None = None
    highest: bool = False
    """Whether the best run is the one with the highest value of the metric: else, the lowest."""
    project: str | None = None
    status: str | None = None
    where: str | None = None
    """In the language of queries (`Store.find`)."""
    artifacts: bool = False
    """Whether artifacts go as well as models."""

    @property
    def why(self) -> str:
        """The choice in words."""
        words = []
        if self.older_than is not None:
            words.append(f"older than {self.older_than / 86400:g} days")
        if self.keep_best is not None:
            best = f"{'highest' if self.highest else 'lowest'} {self.by}"
            words.append(f"not among the {self.keep_best} best by the {best}")
        words += [f"{name} {value}" for name, value in (("project", self.project), ("status", self.status)) if value]
        if self.where:
            words.append(f"runs where {self.where}")
        return ", ".join(words)


@dataclass(frozen=True)
class Unwanted:
    """One model or artifact that is to go."""

    run: str
    what: str
    name: str
    step: str | None
    digest: str
    bytes: int
    time: int

    def record(self) -> dict[str, Any]:
        """As it is printed."""
        return {**vars(self), "time": iso(self.time)}


def let_go(collecting: Collecting, choice: Choice, hurry: float = HURRY) -> None:
    """Remove what was chosen, after saying so in the records of the runs.

    Raises `UsageError` for a choice that cannot be made, `QueryError` for a query that cannot be read.
    """
    home, settings, report = collecting.home, collecting.settings, collecting.report
    if (choice.keep_best is None) != (choice.by is None):
        raise UsageError("--keep-best N and --by METRIC go together")
    before = time.time() - hurry
    if settings.backends == ("local",):
        adopt_orphans(home, settings)  # so that what nobody delivers any more counts as delivered
    take_in(home, settings)
    with Store.open(home, settings) as store:
        chosen = _runs(store, choice)
        with store.engine.connect() as connection:
            unwanted = _unwanted(connection, home, settings, chosen, choice, report)
    blobs = Blobs(home)
    unwanted = [one for one in unwanted if one.time < before * 1e9 and blobs.has(one.digest)]
    report.removed += [one.record() for one in unwanted]
    if unwanted and not report.dry_run:
        _tell(home, settings, unwanted, choice.why)
    for one in {one.digest: one for one in unwanted}.values():
        path = blobs.path(one.digest)
        for file in (path, path.with_name(path.name + RECIPE)):
            if file.is_file() and not collecting.remove(f"{one.what}s", file, before):
                report.keep(f"{one.what} {one.name} of run {one.run}", "it was kept again just now")


def let_journals_go(collecting: Collecting, older_than: float) -> None:
    """Remove archived journals of which the store and every configured backend have all.

    A backend that is configured later does not get their runs, and nothing can be compared with them any more.
    """
    home, settings, report = collecting.home, collecting.settings, collecting.report
    take_in(home, settings)
    with Store.open(home, settings) as store, store.engine.connect() as connection:
        held = {row.writer: int(row.position) for row in connection.execute(select(schema.cursors))}
    before = time.time() - older_than
    for folder in archived(home):
        if folder.stat().st_mtime >= before or "-import-" in folder.name:
            continue  # by its journals an import knows what it has brought
        lacking = [name for name in dict.fromkeys(("local", *settings.backends)) if not _has(home, folder, name, held)]
        if lacking:
            report.keep(f"journal {folder.name}", f"{', '.join(lacking)} lacks events of it: autotrack sync")
            continue
        report.journals.append(folder.name)
        collecting.remove("journals", folder)


def _has(home: Path, folder: Path, backend: str, held: dict[str, int]) -> bool:
    if backend != "local":
        return Progress(home, folder.name, backend).done
    position = held.get(folder.name, 0)
    return position > 0 and next(Journal(folder).records(position, final=True), None) is None


def _runs(store: Store, choice: Choice) -> set[str]:
    """The runs that were chosen; none that is running."""
    runs = schema.runs
    wanted = select(runs.c.id).where(runs.c.status != "running")
    if choice.project is not None:
        wanted = wanted.where(runs.c.project == choice.project)
    if choice.status is not None:
        wanted = wanted.where(runs.c.status == choice.status)
    with store.engine.connect() as connection:
        chosen = set(connection.execute(wanted).scalars())
        if choice.where:
            chosen &= {str(run["id"]) for run in store.find(choice.where).runs}
        if choice.keep_best is not None:
            chosen = _lesser(connection, chosen, choice)
    return chosen


def _lesser(connection: Connection, chosen: set[str], choice: Choice) -> set[str]:
    """Of the chosen runs, those that have the metric and are not among the best by it."""
    series = schema.series
    value = series.c.max if choice.highest else series.c.min
    wanted = select(series.c.run_id, value).where(series.c.key == choice.by, value.is_not(None))
    found = [(float(best), run) for run, best in connection.execute(wanted) if run in chosen]
    if not found:
        raise UsageError(f"none of these runs has the metric {choice.by!r}; autotrack metrics RUN lists those of a run")
    found.sort(key=lambda pair: (-pair[0] if choice.highest else pair[0], pair[1]))
    return {run for _, run in found[choice.keep_best :]}


def _unwanted(
    connection: Connection, home: Path, settings: Settings, chosen: set[str], choice: Choice, report: Report
) -> list[Unwanted]:
    protected = protected_runs(connection)
    if chosen & protected:
        report.keep(f"{len(chosen & protected)} runs", "a registered model needs them")
        chosen -= protected
    before = float("inf") if choice.older_than is None else (time.time() - choice.older_than) * 1e9
    told, needed = [], set(_registered(connection))
    for what, table in (("model", schema.models), ("artifact", schema.artifacts)):
        for row in connection.execute(select(table).where(table.c.digest.is_not(None)).order_by(table.c.id)):
            if row.run_id not in chosen or row.time >= before or (what == "artifact" and not choice.artifacts):
                needed.add(row.digest)
                continue
            step = row.step if what == "model" else None
            told.append(Unwanted(row.run_id, what, row.name, step, row.digest, row.bytes or 0, row.time))
    told = [one for one in told if one.digest not in needed]
    unnamed = Unnamed(one.digest for one in told)
    unnamed.see_records(connection, but_kinds=_APART)
    undelivered = named_in(_undelivered(home, settings), home)
    waiting = {one.digest for one in told if one.digest in unnamed and one.digest in undelivered}
    if waiting:
        why = "a run is being written, or a backend lacks them (autotrack sync delivers)"
        report.keep(f"{len(waiting)} models and artifacts", why)
    return [one for one in told if one.digest in unnamed and one.digest not in waiting]


def protected_runs(connection: Connection) -> set[str]:
    """The runs that a registered version came from, and all whose models those built on, however far back."""
    found: set[str] = set()
    fresh = {run for run in connection.execute(select(schema.registry.c.run_id)).scalars() if run}
    fresh |= _makers(connection, _registered(connection))
    links = schema.links
    while fresh:
        found |= fresh
        inputs: set[str] = set()
        for some in slices(sorted(fresh)):
            wanted = select(links.c.identity).where(links.c.run_id.in_(some), links.c.relation == "inputs")
            inputs |= set(connection.execute(wanted).scalars())
        runs = {one.removeprefix(_RUN) for one in inputs if one.startswith(_RUN)}
        fresh = (runs | _makers(connection, inputs)) - found
    return found


def _registered(connection: Connection) -> list[str]:
    wanted: Select[Any] = select(schema.registry.c.digest).where(schema.registry.c.digest.is_not(None)).distinct()
    return list(connection.execute(wanted).scalars())


def _makers(connection: Connection, digests: Iterable[str]) -> set[str]:
    """The runs that have made files with these digests."""
    found: set[str] = set()
    links = schema.links
    for some in slices(digests):
        for table in (schema.models, schema.artifacts):
            found |= set(connection.execute(select(table.c.run_id).where(table.c.digest.in_(some))).scalars())
        made = select(links.c.run_id).where(links.c.identity.in_(some), links.c.relation == "outputs")
        found |= set(connection.execute(made).scalars())
    return found


def _undelivered(home: Path, settings: Settings) -> list[Path]:
    """Journals that are being written, or that a configured backend has not got whole."""
    remote = [name for name in settings.backends if name != "local"]
    old = [one for one in archived(home) if not all(Progress(home, one.name, name).done for name in remote)]
    return [*journals(home), *old]


def _tell(home: Path, settings: Settings, unwanted: Sequence[Unwanted], why: str) -> None:
    """Say in the record of each run what goes; it is in the store when this returns, and on its way elsewhere."""
    who, now = settings.resolved_user, time.time_ns()
    day = time.strftime("%Y-%m-%d", time.gmtime(now // 10**9))
    writer = Writer(home / "journals", version=__version__, backends=settings.backends)
    try:
        for one in unwanted:
            told = {"what": one.what, "name": one.name, "step": one.step, "bytes": one.bytes}
            record = {one.digest: {**told, "time": iso(now), "who": who, "why": why}}
            writer.append_event(ProvenanceLogged(one.run, now, REMOVED, record))
            noun = "weights of model" if one.what == "model" else "artifact"
            step = f" at step {one.step}" if one.step is not None else ""
            text = f"{noun} {one.name}{step} removed by gc on {day}, by {who}: {why}"
            writer.append_event(NoteLogged(one.run, now, f"{one.what}s removed", 1, text))
    finally:
        writer.close()
    if writer.lost:
        raise AutotrackError(f"what is to go cannot be noted, so nothing was removed: is there room in {home}?")
    take_in(home, settings)
    if settings.forwarder == "process":
        Forwarder.start(settings, writer.folder)
