"""What charts ask for: series as curves of so many points, and sparklines.

Requests enter; compact JSON leaves. A browser that has an answer already, and none of its series has grown, is told so
without a series being read.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import numpy as np
import xxhash
from numpy.typing import NDArray
from sqlalchemy import Connection, select
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from autotrack.dashboard import asked
from autotrack.dashboard.answers import answer, question
from autotrack.errors import UsageError
from autotrack.store.curves import Curves, Row, rows
from autotrack.store.query import Store
from autotrack.store.records import Record
from autotrack.store.rows import slices
from autotrack.store.schema import runs as runs_table
from autotrack.store.stretches import Curve

MOST_SERIES: Final = 100
MOST_POINTS: Final = 4000
MOST_SPECIAL: Final = 300
"""Places of NaN and infinities that are named for one series; `special_counts` has how many there are."""
SPARKLINES: Final = 40
"""Values of a sparkline."""
AXES: Final = {"relative": "time"}
"""Axes that are another one, counted from each run's start."""
EPOCHS: Final = ("epoch", "train/epoch", "trainer/epoch")
"""Names under which frameworks report the epoch as a series of its own."""


class Charts:
    """What is remembered between requests; safe to share between threads."""

    def __init__(self) -> None:
        self.curves = Curves()
        self.sparklines: dict[tuple[int, str, str, int], list[float | None]] = {}


def _series(request: Request) -> Any:
    """`{series: [{run, key, count, started, x, y, min, max, special, special_counts, exact}], missing: [run]}`."""
    ids = _ids(request, MOST_SERIES)
    key = asked.needed(request, "key")
    axis = asked.choice(request, "x", "step", "time", "relative", "epoch")
    most = asked.whole(request, "points", 800, 2, MOST_POINTS)
    low, high = asked.number(request, "from"), asked.number(request, "to")
    if low is not None and high is not None and low > high:
        raise UsageError("from= is not above to=")
    store: Store = request.app.state.store
    charts: Charts = request.app.state.charts
    with store.engine.connect() as connection:
        found = rows(connection, ids, key)
        epochs = _epochs(connection, ids) if axis == "epoch" else {}
        tag = _tag(request, found, epochs)
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers={"ETag": tag, "Cache-Control": "no-cache"})
        started = _started(connection, ids)
        told = []
        for run in ids:
            row = found.get(run)
            if row is None or (axis == "epoch" and run not in epochs):
                continue
            mapped = _mapped(charts, connection, epochs[run]) if axis == "epoch" else None
            start = started.get(run, 0.0) if axis == "relative" else 0.0  # its bounds are on each run's own clock
            first, last = (None if edge is None else edge + start for edge in (low, high))
            curve = charts.curves.curve(connection, row, AXES.get(axis, axis), most, first, last, mapped)
            told.append(_told(row, curve, started.get(run), start))
    have = {one["run"] for one in told}
    body = {"series": told, "missing": [run for run in ids if run not in have]}
    made = answer(request, body)
    made.headers["ETag"] = tag
    return made


def _told(row: Row, curve: Curve, started: float | None, start: float = 0.0) -> Record:
    x, special = curve.x, curve.special
    if start:
        x, special = x - start, [(at - start, kind) for at, kind in special]
    if len(special) > MOST_SPECIAL:
        chosen = np.linspace(0, len(special) - 1, MOST_SPECIAL).round().astype(int)
        special = [special[index] for index in chosen]
    return {
        "run": row.run,
        "key": row.key,
        "count": row.count,
        "started": started,
        "exact": curve.exact,
        "x": _numbers(x),
        "y": _numbers(curve.y),
        "min": _numbers(curve.low),
        "max": _numbers(curve.high),
        "special": special,
        "special_counts": curve.counts,
    }


def _numbers(values: NDArray[np.float64]) -> list[Any]:
    """For JSON: whole numbers without a fraction, and null (which is what NaN becomes) where there is none."""
    if len(values) and bool(np.all(np.abs(values) < 2**53)) and bool(np.all(values == np.trunc(values))):
        whole: list[Any] = values.astype(np.int64).tolist()
        return whole
    plain: list[Any] = values.tolist()
    return plain


def _tag(request: Request, found: dict[str, Row], epochs: dict[str, Row]) -> str:
    state = [[run, row.id, row.count] for run, row in (*sorted(found.items()), *sorted(epochs.items()))]
    told = msgspec.json.encode([request.app.state.hub.started, str(request.url.query), state])
    return f'W/"{xxhash.xxh3_64_hexdigest(told)}"'


def _ids(request: Request, most: int) -> list[str]:
    ids = asked.names(request, "runs", most)
    if not ids:
        raise UsageError("the address lacks runs=")
    return ids


def _started(connection: Connection, ids: list[str]) -> dict[str, float]:
    c = runs_table.c
    return {
        run: moment / 1e9
        for some in slices(ids)
        for run, moment in connection.execute(select(c.id, c.started_at).where(c.id.in_(some)))
    }


def _epochs(connection: Connection, ids: list[str]) -> dict[str, Row]:
    """Each run's series of epochs."""
    found: dict[str, Row] = {}
    for key in reversed(EPOCHS):
        found |= rows(connection, ids, key)
    return found


def _mapped(charts: Charts, connection: Connection, row: Row) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The steps and epochs of a run, neither of which falls."""
    curve = charts.curves.curve(connection, row, "step", MOST_POINTS)
    known = np.isfinite(curve.high)
    return curve.x[known], np.maximum.accumulate(curve.high[known])


def _sparklines(request: Request) -> Record:
    """`{run: [values]}`, at most 40 a run; runs without the series are left out."""
    ids = _ids(request, asked.MOST_RUNS)
    key = asked.needed(request, "key")
    charts: Charts = request.app.state.charts
    told: Record = {}
    with request.app.state.store.engine.connect() as connection:
        found = rows(connection, ids, key)
        for run, row in found.items():
            name = (row.id, run, key, row.count)
            if name not in charts.sparklines:
                if len(charts.sparklines) > 20_000:
                    charts.sparklines.clear()
                charts.sparklines[name] = charts.curves.shape(connection, row, SPARKLINES)
            told[run] = charts.sparklines[name]
    return told


routes: Final = [Route("/api/series", question(_series)), Route("/api/sparklines", question(_sparklines))]

__all__ = ["Charts", "routes"]
