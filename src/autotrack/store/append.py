"""Points join their series: the part of an ingest that writes chunks.

New points per (run, key) enter, inside the ingest's transaction; rows of `series`, `chunks` and `overviews` are
written. Points that trickle in are gathered in one open chunk; chunks that are not full are merged once they hold
enough for a full one, so that each point is written a few times at most and a long series is few chunks however it
came.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from autotrack.store.overview import encode as encode_overview
from autotrack.store.rows import add, slices
from autotrack.store.schema import chunks, overviews, series
from autotrack.store.series import FULL, OPEN, Points, decode, encode, joined, step_from_text, step_text, summary

Place = tuple[str, str]
Row = dict[str, Any]


def append_points(connection: Connection, points: Mapping[Place, Points]) -> None:
    """Append to each series, making those that are new. The runs' rows must be locked."""
    if not points:
        return
    known = _known(connection, points)
    held = _loose_points(connection, points, known)
    made: list[Row] = []
    changed: list[Row] = []
    cut: list[Row] = []
    pieces: dict[Place, tuple[int, list[Points]]] = {}
    for place, new in points.items():
        row = known.get(place)
        if row is None:
            row = _described(place, new, None)
            first, parts, row["full_chunks"] = 0, _split(new), len(new) // FULL
            made.append(row)
        else:
            old, first = held[place]
            parts = _split(joined([*old, new]))
            full = sum(len(part) == FULL for part in parts)
            if first != row["chunks"]:
                cut.append({"b_series": row["id"], "b_first": first})
            row = _described(place, new, row) | {"b_id": row["id"], "full_chunks": row["full_chunks"]}
            if first == row["full_chunks"]:
                row["full_chunks"] += full
            changed.append(row)
        row["chunks"], row["tail"] = first + len(parts), len(parts[-1])
        pieces[place] = first, parts
    ids = {place: row["id"] for place, row in known.items()}
    if made:
        returned = connection.execute(insert(series).returning(series.c.run_id, series.c.key, series.c.id), made)
        ids.update({(run, key): number for run, key, number in returned})
    if changed:
        connection.execute(update(series).where(series.c.id == bindparam("b_id")), changed)
    if cut:
        after = (chunks.c.series_id == bindparam("b_series")) & (chunks.c.number >= bindparam("b_first"))
        connection.execute(delete(chunks).where(after), cut)
    rows = (
        _chunk(ids[place], first + index, part)
        for place, (first, parts) in pieces.items()
        for index, part in enumerate(parts)
    )
    for some in slices(rows, 2000):
        add(connection, chunks, some)
    full_chunks = {(row["run_id"], row["key"]): row["full_chunks"] for row in (*made, *changed)}
    views = (
        {"series_id": ids[place], "number": number, "data": encode_overview(part)}
        for place, (first, parts) in pieces.items()
        for number, part in enumerate(parts, first)
        if number < full_chunks[place]
    )
    for some in slices(views, 2000):
        add(connection, overviews, some)


def _known(connection: Connection, points: Mapping[Place, Points]) -> dict[Place, Row]:
    found: dict[Place, Row] = {}
    keys = sorted({key for _, key in points})
    for some_runs in slices(sorted({run for run, _ in points})):
        for some_keys in slices(keys):
            wanted = series.c.run_id.in_(some_runs) & series.c.key.in_(some_keys)
            for row in connection.execute(select(series).where(wanted)).mappings():
                if (row["run_id"], row["key"]) in points:
                    found[row["run_id"], row["key"]] = dict(row)
    return found


def _loose_points(
    connection: Connection, points: Mapping[Place, Points], known: Mapping[Place, Row]
) -> dict[Place, tuple[list[Points], int]]:
    """Per series that exists: the points to write anew with the new ones, and the number of the chunk they begin at."""
    merged, reopened = {}, {}
    found: dict[Place, tuple[list[Points], int]] = {}
    for place, row in known.items():
        loose = row["count"] - row["full_chunks"] * FULL
        if loose and loose + len(points[place]) >= FULL:
            merged[row["id"]] = place
            found[place] = [], row["full_chunks"]
        elif loose and row["tail"] < OPEN:
            reopened[row["id"]] = place
            found[place] = [], row["chunks"] - 1
        else:
            found[place] = [], row["chunks"]
    for which, first in ((merged, series.c.full_chunks), (reopened, series.c.chunks - 1)):
        for ids in slices(which):
            rows = connection.execute(
                select(chunks.c.series_id, chunks.c.data)
                .join(series, series.c.id == chunks.c.series_id)
                .where(chunks.c.series_id.in_(ids), chunks.c.number >= first)
                .order_by(chunks.c.series_id, chunks.c.number)
            )
            for number, data in rows:
                found[which[number]][0].append(decode(data))
    return found


def _split(points: Points) -> list[Points]:
    return [points[start : start + FULL] for start in range(0, len(points), FULL)]


def _described(place: Place, new: Points, old: Row | None) -> Row:
    told = summary(new)
    row: Row = {
        "run_id": place[0],
        "key": place[1],
        "count": told.count,
        "nan_count": told.nan_count,
        "first_step": told.first_step,
        "last_step": told.last_step,
        "last": told.last,
        "min": told.min,
        "max": told.max,
        "last_time": told.last_time,
    }
    if old is not None:
        row["count"] += old["count"]
        row["nan_count"] += old["nan_count"]
        row["first_step"] = min(told.first_step, step_from_text(old["first_step"]))
        row["last_step"] = max(told.last_step, step_from_text(old["last_step"]))
        row["min"] = min((value for value in (told.min, old["min"]) if value is not None), default=None)
        row["max"] = max((value for value in (told.max, old["max"]) if value is not None), default=None)
    row["first_step"], row["last_step"] = step_text(row["first_step"]), step_text(row["last_step"])
    return row


def _chunk(number_of_series: int, number: int, points: Points) -> Row:
    told = summary(points)
    return {
        "series_id": number_of_series,
        "number": number,
        "count": told.count,
        "first_step": step_text(told.first_step),
        "last_step": step_text(told.last_step),
        "last": told.last,
        "min": told.min,
        "max": told.max,
        "data": encode(points),
    }
