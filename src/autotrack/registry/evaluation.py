"""The evaluations of a registered version: those of the run that made it, and those of runs that only evaluated it.

A version as `autotrack.registry.reading` gives it enters, with the store and the blobs; `Evaluated`s leave, in the
order of their runs. An evaluation belongs to a version where its run has kept that model, or where its run has kept no
model and has used that one alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from autotrack.errors import RunNotFound
from autotrack.provenance.evaluations import KIND, Evaluation
from autotrack.store.schema import links

if TYPE_CHECKING:
    from autotrack.provenance.blobs import Blobs
    from autotrack.store.query import Store

Record = dict[str, Any]


@dataclass(frozen=True)
class Evaluated:
    """An evaluation, and where it was recorded."""

    evaluation: Evaluation
    run: str
    digest: str
    """Of its file."""


def of_version(store: Store, blobs: Blobs, version: Mapping[str, Any], run: Record | None) -> list[Evaluated]:
    """The evaluations of a version. Raises `ValueError` for a file that is damaged, `OSError` for one that is gone."""
    found = list(_of_maker(blobs, version, run)) if run is not None else []
    digest = str(version["digest"])
    with store.engine.connect() as connection:
        users = select(links.c.run_id).where(links.c.identity == digest, links.c.relation == "inputs")
        ids = sorted(set(connection.execute(users).scalars()) - {run["id"] if run is not None else ""})
    for record in _known(store, ids):
        if set(record.get("inputs", {})) == {digest} and not record["models"]:
            found += _read(blobs, record)
    return found


def _known(store: Store, ids: list[str]) -> list[Record]:
    try:
        return sorted(store.records(ids), key=lambda record: (record["started_at"], record["id"])) if ids else []
    except RunNotFound:  # a run of which only journals elsewhere know
        return []


def _of_maker(blobs: Blobs, version: Mapping[str, Any], run: Record) -> Iterator[Evaluated]:
    kept = [model for model in run["models"] if model["digest"]]
    names = {model["name"] for model in kept if model["digest"] == version["digest"]}
    for one in _read(blobs, run):
        # Where a run has kept several models and the evaluation names none, it is of the last.
        last = bool(kept) and kept[-1]["digest"] == version["digest"]
        if one.evaluation.model in names or (one.evaluation.model is None and (last or not kept)):
            yield one


def _read(blobs: Blobs, run: Record) -> Iterator[Evaluated]:
    for told in run.get(KIND, {}).values():
        if not isinstance(told, dict) or not isinstance(told.get("digest"), str):
            continue
        with blobs.open(told["digest"]) as opened:
            read = Evaluation.decode(opened.read())
        data = read.data or _recorded_data(run, read)
        yield Evaluated(replace(read, data=data), run["id"], told["digest"])


def _recorded_data(run: Record, read: Evaluation) -> str | None:
    """The fingerprint of the only data that the run has in the role of this name, if it has as many rows."""
    values = {
        one["fingerprint"].get("value")
        for one in run["datasets"]
        if one["role"] == read.name and one["fingerprint"].get("n_rows") == read.rows
    }
    value = values.pop() if len(values) == 1 else None
    return value if isinstance(value, str) and value.startswith("x1:") else None


__all__ = ["Evaluated", "of_version"]
