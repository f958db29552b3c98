"""What differs between two datasets: by column, range of rows, schema, order, and rows added or removed.

Two `Side`s enter, a `Difference` leaves. Columns are matched by part and name, then by name, then by what is in them,
which finds those that were renamed. Where both sides hold the leaves of their chunks, a change is known to a chunk's
range of rows; where the data of both is at hand as well, to the very rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from autotrack.provenance.fingerprint import membership
from autotrack.provenance.fingerprint.chunks import Array, Numbers
from autotrack.provenance.fingerprint.difference import Difference
from autotrack.provenance.fingerprint.grid import LEAF, Grid
from autotrack.provenance.fingerprint.leaves import leaf
from autotrack.provenance.fingerprint.matching import PlacedColumn, columns_of, matched
from autotrack.provenance.fingerprint.membership import ROUNDED
from autotrack.provenance.fingerprint.ranges import MOST_RANGES, Range, merged, ranges_of
from autotrack.provenance.fingerprint.rows import words
from autotrack.provenance.fingerprint.rowsets import RowSet
from autotrack.provenance.fingerprint.sides import Files, Side, row_hashes, single_columns

if TYPE_CHECKING:
    from autotrack.provenance.fingerprint.identity import Fingerprint
    from autotrack.provenance.fingerprint.tables import Table

_Doubtful: TypeAlias = tuple[int, int, bool | None]


def difference(a: Side, b: Side) -> Difference:
    """What differs in `b` from `a`."""
    value, schema, strict = _equal(a.value, b.value), _equal(a.schema, b.schema), _equal(a.strict, b.strict)
    rows = True if value else _equal(a.rows, b.rows)
    same = strict if strict is not None else _both(value, schema)
    found = Difference(same, value, schema, rows, n_rows=[a.n_rows, b.n_rows], coverage=[a.coverage, b.coverage])
    if None not in (a.n_rows, b.n_rows) and a.n_rows != b.n_rows:
        found.same = found.value = found.rows = False
    if a.files is not None and b.files is not None:
        found.files = _files(a.files, b.files)
    if found.same:
        return found
    moved = _count_rows(found, a, b)
    if a.grid is not None and b.grid is not None:
        names = [[part.name for part in grid.parts] for grid in (a.grid, b.grid)]
        found.parts = names if names[0] != names[1] else None
        _compare_columns(found, a, a.grid, b, b.grid, moved)
        if found.rows is None and found.n_rows[0] == found.n_rows[1]:
            _compare_changed_rows(found, a, b)
    if found.rows and value is False and found.order is None:
        found.order = "rows"
    return found


def diff(found: Fingerprint, other: Any) -> Difference:
    """What differs in `other`, another fingerprint or data, from `found`: what `Fingerprint.diff` gives."""
    from autotrack.provenance.fingerprint.identity import Fingerprint, fingerprint

    if isinstance(other, Fingerprint):
        return difference(Side.of_fingerprint(found), Side.of_fingerprint(other))
    return difference(Side.of_fingerprint(found), Side.of_fingerprint(fingerprint(other, keep_rows=True), other))


def _both(value: bool | None, schema: bool | None) -> bool | None:
    return False if False in (value, schema) else None if None in (value, schema) else True


def _equal(one: str | None, other: str | None) -> bool | None:
    """Whether two digests are of the same; None where one is missing, or both are of a part of the data alone."""
    if one is None or other is None:
        return None
    partial = [digest.startswith("x1p:") for digest in (one, other)]
    if any(partial):
        return False if all(partial) and one != other else None
    return one == other


def _count_rows(found: Difference, a: Side, b: Side) -> str | None:
    """Count the rows that the one has and the other lacks.

    Gives the part in which rows were added or taken away and none was changed: `*` for all of them, None for none.
    """
    if a.whole_rows is not None and b.whole_rows is not None and _alike(a, b):
        one, other, rows, part = RowSet.whole_of(a.whole_rows), RowSet.whole_of(b.whole_rows), b.whole_rows, "*"
    else:
        sets = _features(a, b)
        if sets is None:
            return None
        one, other, rows = sets
        part = other.part
    removed, added = _missing_from(other, one.hashes), _missing_from(one, other.hashes)
    if removed == one.n_rows and added == other.n_rows and (part == "*" or one.columns != other.columns):
        return None  # rows of other columns, or of the same in another order
    found.removed, found.added = removed, added
    if added and rows is not None:
        found.added_rows = ranges_of(np.flatnonzero(_not_in(one, rows)))
    return part if (added, removed).count(0) == 1 and one.n_rows != other.n_rows else None


def _alike(a: Side, b: Side) -> bool:
    """Whether the rows of two sides are hashed in the same way: the same parts, with as many columns."""
    shapes = [
        None if side.grid is None else [(part.name, len(part.columns)) for part in side.grid.parts] for side in (a, b)
    ]
    return shapes[0] == shapes[1]


def _features(a: Side, b: Side) -> tuple[RowSet, RowSet, Array | None] | None:
    """The rows of both sides by their features, and the hashes of the second in their order, if it is at hand."""
    one, other, rows = a.row_set, b.row_set, b.row_hashes
    if one is not None and b.data is not None:  # taken as the recorded ones were: by name, rounded
        rows = membership.hashes_like(one, b.data).hashes
        other = None if rows is None else replace(RowSet.whole_of(rows), part=one.part, columns=one.columns)
    elif other is not None and a.data is not None:
        hashes = membership.hashes_like(other, a.data).hashes
        one = None if hashes is None else replace(RowSet.whole_of(hashes), part=other.part, columns=other.columns)
    if one is None or other is None or not (one.whole and other.whole and one.covered and other.covered):
        return None
    if len(one.columns) != len(other.columns) or one.part.count("/") != other.part.count("/"):
        return None
    return one, other, rows


def _missing_from(rows: RowSet, hashes: Array) -> int:
    """How many of these sorted hashes are not there, or not as often."""
    values, counts = np.unique(hashes, return_counts=True)
    there = np.searchsorted(rows.hashes, values, "right") - np.searchsorted(rows.hashes, values, "left")
    return int(np.maximum(counts - there, 0).sum())


def _not_in(rows: RowSet, hashes: Array) -> Array:
    if not len(rows.hashes):
        return np.ones(len(hashes), bool)
    places = np.minimum(np.searchsorted(rows.hashes, hashes), len(rows.hashes) - 1)
    return rows.hashes[places] != hashes


def _compare_columns(found: Difference, a: Side, was: Grid, b: Side, now: Grid, moved: str | None) -> None:
    first, second = list(columns_of(was)), list(columns_of(now))
    pairs, renamed = matched(first, second)
    for one, other in pairs:
        types = [one.declared, other.declared]
        typed: dict[str, Any] = {"type": types} if types[0] != types[1] else {}
        ranges: list[Range] = []
        if found.rows is not True and moved not in ("*", other.part.name):
            ranges, unknown = _changed(a, one, b, other)
            found.not_compared = merged(found.not_compared + unknown)
            if ranges and typed and _is_rounding(a, one, b, other, ranges):
                ranges, typed["rounded"] = [], True
        if ranges:
            _tell(found, other, "values", row_ranges=ranges, **typed)
        elif one in renamed:
            _tell(found, other, "renamed", was=one.name, **typed)
        elif typed:
            _tell(found, other, "type", **typed)
    there = {one for one, _ in pairs} | {other for _, other in pairs}
    for one in first:
        if one not in there:
            _tell(found, one, "removed", row_ranges=[[0, one.part.n_rows]])
    for other in second:
        if other not in there:
            _tell(found, other, "added", row_ranges=[[0, other.part.n_rows]])
    if found.rows is True:
        found.order = "rows" if found.value is False else None
    elif found.value is False and _in_another_order(pairs) and not any(c["change"] == "values" for c in found.columns):
        found.order = "columns"


def _compare_changed_rows(found: Difference, a: Side, b: Side) -> None:
    """Whether the rows that differ are the same in another order: of data at hand, where they are few."""
    if a.tables.keys() != b.tables.keys() or not a.tables or found.not_compared or found.n_rows[0] is None:
        return
    ranges = merged([list(one) for column in found.columns for one in column["row_ranges"]])
    changes = {column["change"] for column in found.columns}
    if not ranges or not changes <= {"values", "type"} or 4 * sum(b - a for a, b in ranges) > found.n_rows[0]:
        return
    first, second = row_hashes(a, ranges), row_hashes(b, ranges)
    if first is None or second is None:
        return
    one, other = RowSet.whole_of(first), RowSet.whole_of(second)
    found.removed, found.added = _missing_from(other, one.hashes), _missing_from(one, other.hashes)
    found.rows = not found.removed
    if found.rows:
        found.columns = [column for column in found.columns if "type" in column]
    else:
        places = np.concatenate([np.arange(start, stop) for start, stop in ranges])
        found.added_rows = ranges_of(places[_not_in(one, second)])


def _is_rounding(a: Side, one: PlacedColumn, b: Side, other: PlacedColumn, ranges: list[Range]) -> bool:
    """Whether the column at hand becomes that of the other side once it is rounded to its type."""
    for side, column, recorded in ((a, one, other), (b, other, one)):
        dtype = ROUNDED.get(recorded.declared)
        table = side.tables.get(column.part.name)
        size = recorded.part.rows_per_leaf
        if dtype is None or table is None or column.declared in ROUNDED or column.part.n_rows != recorded.part.n_rows:
            continue
        source = single_columns(table)[column.index]
        places = sorted({place for start, stop in ranges for place in range(start // size, -(-stop // size))})
        for place in places:
            chunk = source.read(place * size, min((place + 1) * size, recorded.part.n_rows))
            if not isinstance(chunk, Numbers) or chunk.values.dtype.kind not in "iuf":
                return False
            with np.errstate(all="ignore"):
                rounded = replace(chunk, values=chunk.values.astype(dtype))
            if leaf(rounded).digest != recorded.leaf(place):
                return False
        return True
    return False


def _tell(found: Difference, column: PlacedColumn, change: str, row_ranges: Sequence[Range] = (), **more: Any) -> None:
    told = {"name": column.name, "change": change, "row_ranges": list(row_ranges), **more}
    if column.part.name and column.name != column.part.name:
        told["part"] = column.part.name
    found.columns.append(told)


def _in_another_order(pairs: list[tuple[PlacedColumn, PlacedColumn]]) -> bool:
    places = [(one.part.name, one.index) for one, other in pairs if one.part.name == other.part.name]
    return places != sorted(places, key=lambda place: (place[0], place[1])) and len(places) == len(pairs)


def _changed(a: Side, one: PlacedColumn, b: Side, other: PlacedColumn) -> tuple[list[Range], list[Range]]:
    """Ranges of rows in which two columns differ, and those of which it is not known."""
    n = min(one.part.n_rows, other.part.n_rows)
    size = one.part.rows_per_leaf
    tables = a.tables.get(one.part.name), b.tables.get(other.part.name)
    at_hand = None not in tables
    if size != other.part.rows_per_leaf:
        if not at_hand:
            return [[0, n]], []
        chunks: Iterable[_Doubtful] = ((start, min(start + size, n), None) for start in range(0, n, size))
    else:
        chunks = _differing_chunks(one, other, n, size)
    changed: list[Range] = []
    unknown: list[Range] = []
    for start, stop, certain in chunks:
        places = None
        if at_hand and len(changed) < MOST_RANGES:
            places = _places(tables[0], one.index, tables[1], other.index, start, stop)  # type: ignore[arg-type]
        if places is not None:
            changed += ranges_of(places)
        elif certain:
            changed.append([start, stop])
        else:
            unknown.append([start, stop])
    changed = merged(changed)
    if len(changed) > MOST_RANGES:
        changed = [*changed[: MOST_RANGES - 1], [changed[MOST_RANGES - 1][0], changed[-1][1]]]
    return changed, unknown


def _places(one: Table, index: int, other: Table, there: int, start: int, stop: int) -> Array | None:
    """The very rows in which two columns of data at hand differ; None where an element has no canonical form."""
    first = words(single_columns(one)[index].read(start, stop))
    second = words(single_columns(other)[there].read(start, stop))
    return None if first is None or second is None else np.flatnonzero(first != second) + start


def _differing_chunks(one: PlacedColumn, other: PlacedColumn, n: int, size: int) -> Iterator[_Doubtful]:
    """Chunks that differ (True), or of which the digests do not tell (None)."""
    pair = [np.frombuffer(column.leaves, np.uint8).reshape(-1, LEAF) for column in (one, other)]
    count = -(-n // size)
    first, second = (leaves[:count] for leaves in pair)
    unseen = ~first.any(axis=1) | ~second.any(axis=1)
    differing = (first != second).any(axis=1) & ~unseen
    for place in np.flatnonzero(differing | unseen).tolist():
        start, stop = place * size, min((place + 1) * size, n)
        ends = [min((place + 1) * size, column.part.n_rows) for column in (one, other)]
        yield start, stop, True if differing[place] and ends[0] == ends[1] else None


def _files(was: Files, now: Files) -> dict[str, Any]:
    """Which files were changed, added, removed and renamed; `unknown` those that one side has no digest of."""
    gone = {path: was[path][1] for path in was if path not in now}
    came = {path: now[path][1] for path in now if path not in was}
    by_digest = {digest: path for path, digest in sorted(gone.items(), reverse=True) if digest is not None}
    renamed = []
    for path, digest in sorted(came.items()):
        before = by_digest.pop(digest, None) if digest is not None else None
        if before is not None:
            renamed.append([before, path])
            del gone[before], came[path]
    changed, unknown = [], []
    for path in was.keys() & now.keys():
        (size, digest), (size_now, digest_now) = was[path], now[path]
        if size == size_now and (digest is None or digest_now is None):
            unknown.append(path)
        elif digest != digest_now:
            changed.append(path)
    told = {"added": came, "removed": gone, "changed": changed, "unknown": unknown}
    return {**{word: sorted(paths) for word, paths in told.items()}, "renamed": renamed}


__all__ = ["Difference", "diff", "difference"]
