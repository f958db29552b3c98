"""Curves: series read for charts, as few points as the chart has room for, whatever the series' length.

A store, runs and a key enter; arrays leave. Short series and short stretches come point by point; long ones as
buckets, from the overviews that ingest wrote. Of a chunk that has none (an older store) one is worked out here and
kept in memory alone: readers do not write.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from autotrack.store import overview
from autotrack.store.overview import BUCKETS, Buckets
from autotrack.store.rows import slices
from autotrack.store.schema import chunks, overviews, series
from autotrack.store.series import FULL, decode, decode_all
from autotrack.store.stretches import Curve, beside, chunks_between, drawn, on_axis, ordered, overlaps, steps_around

HELD: Final = 96 << 20
"""Bytes of buckets that are remembered."""

NEAR: Final = 12
"""Full chunks that are read point by point rather than by their overviews."""

MOST_SORTED: Final = 4 << 20
"""Points of a series that is read whole where its steps came in no order."""


@dataclass(frozen=True)
class Row:
    """What the table of series says of one."""

    id: int
    run: str
    key: str
    count: int
    full: int
    chunks: int


def rows(connection: Connection, runs: Sequence[str], key: str) -> dict[str, Row]:
    """The series of this key, by run."""
    found: dict[str, Row] = {}
    c = series.c
    for some in slices(runs):
        wanted = select(c.id, c.run_id, c.key, c.count, c.full_chunks, c.chunks)
        for row in connection.execute(wanted.where(c.run_id.in_(some), c.key == key)):
            found[row[1]] = Row(*row)
    return found


class Curves:
    """Reads curves and remembers buckets of long series. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: OrderedDict[tuple[int, str, str], Buckets] = OrderedDict()
        self._size = 0

    def curve(
        self,
        connection: Connection,
        row: Row,
        axis: str,
        most: int,
        low: float | None = None,
        high: float | None = None,
        epochs: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
    ) -> Curve:
        """The series between `low` and `high` on its axis (`step`, `time` in seconds, `epoch`), in `most` at most.

        `epochs` are the steps and values of the run's series of epochs, for that axis.
        """
        around = steps_around(epochs, low, high) if axis == "epoch" and epochs is not None else (low, high)
        found, exact = self._read(connection, row, "time" if axis == "time" else "step", *around, most)
        x = on_axis(found, axis, epochs)
        x, found = ordered(x, found)
        first = 0 if low is None else int(np.searchsorted(x, low, "left"))
        end = len(x) if high is None else int(np.searchsorted(x, high, "right"))
        inside = slice(first, max(first, end))
        before, after = slice(max(0, first - 1), first), slice(inside.stop, inside.stop + 1)
        middle_x, middle = overview.merged(found[inside], x[inside], most)
        exact = exact and len(middle) == len(found[inside])
        # With a neighbour on each side, so that the line goes on there.
        return drawn(
            np.concatenate((x[before], middle_x, x[after])),
            np.concatenate((found[before], middle, found[after])),
            exact,
        )

    def shape(self, connection: Connection, row: Row, most: int) -> list[float | None]:
        """The form of a series in few values: means of as many stretches; None where a stretch has no finite value."""
        if row.chunks >= most and row.full:  # the last values of its chunks are at hand
            last = select(chunks.c.last).where(chunks.c.series_id == row.id).order_by(chunks.c.number)
            values = np.array(list(connection.execute(last).scalars()), np.float64)
            chosen = values[np.linspace(0, len(values) - 1, most).round().astype(int)]
            return [float(value) if np.isfinite(value) else None for value in chosen]
        found, _ = self._read(connection, row, "step", None, None, most)
        steps, found = ordered(on_axis(found, "step", None), found)
        curve = drawn(*overview.merged(found, steps, most), False)
        return [float(value) if np.isfinite(value) else None for value in curve.y]

    def _read(
        self, connection: Connection, row: Row, axis: str, low: float | None, high: float | None, most: int
    ) -> tuple[Buckets, bool]:
        """Buckets that cover the stretch, and whether each is one point."""
        near = max(NEAR, most // (FULL // overview.BUCKET))
        if row.full <= near:
            return self._points(connection, row, range(row.chunks), axis, low, high, most)
        full = self._overview(connection, row)
        loose = range(row.full, row.chunks)
        if low is not None or high is not None:
            of_chunk = full.reshape(-1, FULL // overview.BUCKET)
            wanted = chunks_between(of_chunk, axis, low, high)
            if len(wanted) <= near:
                points, exact = self._points(connection, row, [*wanted.tolist(), *loose], axis, low, high, most)
                return overview.joined([beside(of_chunk, axis, low, high), points]), exact
            full = of_chunk[wanted].reshape(-1)
        coarse = overview.joined([full, self._points(connection, row, loose, axis, None, None, FULL)[0]])
        if overlaps(coarse, axis, most) and row.count <= MOST_SORTED:  # they came in another order: look at them all
            return self._points(connection, row, range(row.chunks), axis, low, high, most)
        return coarse, False

    def _points(
        self,
        connection: Connection,
        row: Row,
        numbers: Sequence[int],
        axis: str,
        low: float | None,
        high: float | None,
        most: int,
    ) -> tuple[Buckets, bool]:
        """The points of some chunks between two bounds, with a neighbour on each side, and whether each is a bucket.

        Many more than `most` are put together, to a quarter of what one stretch of the chart shows.
        """
        data: list[bytes] = []
        for some in slices(numbers):
            wanted = (chunks.c.series_id == row.id) & chunks.c.number.in_(some)
            data += connection.execute(select(chunks.c.data).where(wanted).order_by(chunks.c.number)).scalars()
        if not data:
            return np.empty(0, BUCKETS), True
        points = decode_all(data).by_step()
        if low is not None or high is not None:
            x = points.times / 1e9 if axis == "time" else overview.floats(points)
            if axis == "time" and not bool(np.all(x[1:] >= x[:-1])):
                order = np.argsort(x, kind="stable")
                points, x = points[order], x[order]
            first = 0 if low is None else int(np.searchsorted(x, low, "left"))
            end = len(x) if high is None else int(np.searchsorted(x, high, "right"))
            beside = 1 if end - first <= 4 * most else 0  # a bucket holds nothing from beyond the bounds
            points = points[max(0, first - beside) : end + beside]
        size = max(1, len(points) // (4 * most))
        return overview.buckets(points, size), size == 1

    def _overview(self, connection: Connection, row: Row) -> Buckets:
        """The buckets of all full chunks, in the order of the chunks."""
        name, per = (row.id, row.run, row.key), FULL // overview.BUCKET
        with self._lock:
            held = self._held.get(name)
        if held is None or len(held) > row.full * per:
            held = np.empty(0, BUCKETS)
        have = len(held) // per
        if have < row.full:
            c = overviews.c
            told = select(c.number, c.data).where(c.series_id == row.id, c.number >= have, c.number < row.full)
            known = {row.number: row.data for row in connection.execute(told.order_by(c.number))}
            parts = [held]
            if len(known) == row.full - have:
                parts.append(overview.decode(known.values()))
            else:
                parts += [
                    overview.decode([known[number]]) if number in known else _made(connection, row, number)
                    for number in range(have, row.full)
                ]
            held = np.concatenate(parts)
            self._remember(name, held)
        return held

    def _remember(self, name: tuple[int, str, str], held: Buckets) -> None:
        with self._lock:
            before = self._held.pop(name, None)
            self._size += held.nbytes - (0 if before is None else before.nbytes)
            self._held[name] = held
            while self._size > HELD and len(self._held) > 1:
                self._size -= self._held.popitem(last=False)[1].nbytes


def _made(connection: Connection, row: Row, number: int) -> Buckets:
    wanted = select(chunks.c.data).where(chunks.c.series_id == row.id, chunks.c.number == number)
    return overview.buckets(decode(connection.execute(wanted).scalar_one()))


__all__ = ["Curves", "Row", "rows"]
