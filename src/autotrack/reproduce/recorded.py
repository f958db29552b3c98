"""What was recorded of a run and of the process that it was made in: all that a rerun starts from.

A reference enters, `Recorded` leaves. Runs of one process are those whose end the same journal tells.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from autotrack.provenance.expecting import REPEATS
from autotrack.session import session
from autotrack.store.remote_blobs import readable
from autotrack.store.schema import provenance, runs

if TYPE_CHECKING:
    from autotrack.provenance.blobs import Blobs
    from autotrack.store.query import Store

Record = dict[str, Any]


@dataclass(frozen=True)
class Recorded:
    """A run that is to be run again, and the runs that its script makes, in the order of their starts."""

    run: Record
    runs: list[Record]
    home: Path

    @property
    def code(self) -> Record:
        """Which code it ran."""
        found: Record = self.run["code"]
        return found

    @property
    def environment(self) -> Record:
        """Where it ran."""
        found: Record = self.run["environment"]
        return found

    @property
    def root(self) -> Path | None:
        """The folder that the code was in, if that is known."""
        root = self.code.get("root") or self.code.get("repository")
        return Path(root) if root else None

    @property
    def blobs(self) -> Blobs:
        """The files that the records name: in the home, or in the team's object store."""
        return readable(self.home, session.settings)

    def expectations(self) -> Record:
        """What the process that runs it again is held to, for `autotrack.provenance.expecting`."""
        within = _family(self.run["id"], self.runs)
        expected = [
            {
                "id": run["id"],
                "name": run["name"],
                "integration": run["integration"],
                "stops": run["id"] in within,
                "datasets": [
                    {"role": one["role"], "name": one["name"], "fingerprint": one["fingerprint"]}
                    for one in run["datasets"]
                ],
                **self._unseeded(run),
            }
            for run in self.runs
        ]
        return {"run": self.run["id"], "runs": expected}

    def _unseeded(self, run: Record) -> Record:
        """The generators that it drew from without a seed, and the file with their states at its begin, if kept."""
        told = run["randomness"] or {}
        state, names = told.get("state"), told.get("not_seeded")
        if not state or not names:
            return {}
        blobs = self.blobs
        return (
            {"unseeded": {"states": str(blobs.path(state["digest"])), "names": names}}
            if blobs.has(state["digest"])
            else {}
        )


@dataclass
class Remade:
    """What a rerun made: its process's end and the runs that repeat recorded ones."""

    exit_code: int
    folder: Path
    runs: dict[str, str] = field(default_factory=dict)
    """From the id of the recorded run to that of the new one."""
    mismatch: Record | None = None
    said: str = ""
    """The last lines that it wrote to stderr."""


def recorded(store: Store, reference: str, home: Path) -> Recorded:
    """The run that `reference` means, with its process. Raises `RunNotFound`."""
    run = store.run(reference)
    with store.engine.connect() as connection:
        writer = connection.execute(select(runs.c.status_writer).where(runs.c.id == run["id"])).scalar()
        made = select(runs.c.id).where(runs.c.status_writer == writer).order_by(runs.c.started_at, runs.c.id)
        ids = list(connection.execute(made).scalars()) if writer else []
    return Recorded(run, store.records(ids or [run["id"]]), home)


def original(store: Store, reference: str) -> str:
    """The id of the run that `reference` means, a rerun only where it is named by its id; `latest` is the newest.

    Raises `RunNotFound`.
    """
    with store.engine.connect() as connection:
        reruns = select(provenance.c.run_id).where(provenance.c.kind == REPEATS)
        found = select(runs.c.id).where(runs.c.id.not_in(reruns)).order_by(runs.c.started_at.desc(), runs.c.id)
        if reference != "latest":
            found = found.where(runs.c.name == reference)
        ids = list(connection.execute(found.limit(2)).scalars())
    if ids and (reference == "latest" or len(ids) == 1):
        return str(ids[0])
    return store.resolve(reference)


def _family(run: str, among: list[Record]) -> set[str]:
    """The run and what runs below it."""
    found = {run}
    for one in among:  # children start after their parents
        if one["parent_id"] in found:
            found.add(one["id"])
    return found
