"""What the pages of registered models ask for: `/api/models` and `/api/models/NAME`, both with `at=` a moment.

Requests enter; what `autotrack.registry.reading` tells leaves as JSON, for a model with the figures of the runs that
its versions came from. `app` mounts `routes`.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import select
from starlette.routing import Route

from autotrack.dashboard import asked
from autotrack.dashboard.run_api import Look, endpoint
from autotrack.registry import reading
from autotrack.store import schema
from autotrack.store.records import HEADER, Record, header
from autotrack.store.rows import slices

MOST_VERSIONS: Final = 300
"""Versions whose runs are looked up, the newest first."""


def _at(look: Look) -> str | None:
    return asked.text(look.request, "at", longest=64) or None


def _models(look: Look) -> list[Record]:
    """Every model, of its versions the latest alone, and how many there are."""
    told = []
    for one in reading.models(look.store, at=_at(look)):
        versions = one["versions"]
        told.append(one | {"versions": versions[:1], "versions_total": len(versions), "log": []})
    return told


def _model(look: Look) -> Record:
    found = reading.model(look.store, str(look.request.path_params["name"]), at=_at(look))
    ids = list(dict.fromkeys(one["run"] for one in found["versions"][:MOST_VERSIONS] if one.get("run")))
    return found | {"runs": _runs(look, ids)}


def _runs(look: Look, ids: list[str]) -> dict[str, Any]:
    """Of each run, by its id: its header, and the last value of each of its metrics."""
    found: dict[str, Any] = {}
    series = schema.series
    with look.store.engine.connect() as connection:
        for some in slices(ids):
            for row in connection.execute(select(*HEADER).where(schema.runs.c.id.in_(some))):
                found[row.id] = header(row) | {"metrics": {}}
            wanted = select(series.c.run_id, series.c.key, series.c.last).where(series.c.run_id.in_(some))
            for run, key, last in connection.execute(wanted.order_by(series.c.key)):
                if run in found and not key.startswith("system/"):
                    found[run]["metrics"][key] = float("nan") if last is None else last
    return found


routes: Final = [
    Route("/api/models", endpoint(_models)),
    Route("/api/models/{name:path}", endpoint(_model)),
]

__all__ = ["routes"]
