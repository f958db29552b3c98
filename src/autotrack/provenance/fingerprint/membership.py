"""Was this row in that dataset? Answered from the dataset's `RowSet`, kept in a run's record, without its data.

Rows enter, as anything that can be fingerprinted; for each leaves `YES`, `NO` or `UNKNOWN`. Columns are found by their
names, whatever else the data has; where the dataset had none, by their places. Numbers are rounded as the dataset's
were (a table of doubles against a training in float32). A `NO` is never said where the two cannot be compared.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from autotrack.provenance.fingerprint import registry
from autotrack.provenance.fingerprint.chunks import Array, Chunk, Instants, Numbers, Texts
from autotrack.provenance.fingerprint.identity import of_table_or_parts
from autotrack.provenance.fingerprint.leakage import FEATURES
from autotrack.provenance.fingerprint.manifest import BY_CONTENT, Manifest, of_path
from autotrack.provenance.fingerprint.rowsets import NO, UNKNOWN, YES, RowSet, Share
from autotrack.provenance.fingerprint.sides import single_columns
from autotrack.provenance.fingerprint.tables import Column, Identified, Parts, Table

_NUMERIC: Final = ("int", "uint", "float", "bool", "bfloat", "Int", "UInt", "Float", "double")
_TEXT: Final = re.compile(r"^U\d+$|str|text|utf8|object|timestamp|date")
ROUNDED: Final = {"float16": np.float16, "float32": np.float32, "Float32": np.float32, "float": np.float32}


@dataclass(frozen=True)
class Membership:
    """For each row whether it was in the dataset, as int8: `rowsets.YES`, `NO`, `UNKNOWN`."""

    answers: Array
    why: str = ""
    """Why not all is known; empty where it is."""

    def either(self, *others: Membership) -> Membership:
        """Of several readings of the same rows: yes where one says so, else unknown where one does."""
        answers = self.answers
        for other in others:
            unknown = (answers == UNKNOWN) | (other.answers == UNKNOWN)
            yes = (answers == YES) | (other.answers == YES)
            answers = np.where(yes, np.int8(YES), np.where(unknown, np.int8(UNKNOWN), np.int8(NO)))
        whys = [one.why for one in (self, *others) if one.why]
        return Membership(answers, whys[0] if whys and (answers == UNKNOWN).any() else "")

    @property
    def share(self) -> Share:
        """The answers, counted; with an interval for the share of all rows where a sketch was asked."""
        return Share.count(self.answers)


class _Incomparable(Exception):
    pass


def contains(rows: RowSet, data: Any) -> Membership:
    """Which rows of `data` are in `rows`. Nothing is raised for data that does not fit: its rows are unknown."""
    if isinstance(data, Manifest) or list(rows.columns) == [BY_CONTENT]:
        return _files(rows, data)
    found = hashes_like(rows, data)
    if found.hashes is None:
        return Membership(np.full(found.n_rows, UNKNOWN, np.int8), found.why)
    answers = rows.look_up(found.hashes)
    why = ""
    if (answers == UNKNOWN).any():
        why = "not all rows of the dataset were looked at" if rows.whole else "of the dataset a sketch was kept"
    return Membership(answers, why)


@dataclass(frozen=True)
class Hashes:
    """Hashes of rows, or why there are none."""

    hashes: Array | None
    n_rows: int
    why: str = ""


def hashes_like(rows: RowSet, data: Any) -> Hashes:
    """The rows of `data`, hashed as those of the set were: the same columns in the same order, rounded alike."""
    table = _features(registry.read(data), rows.part)
    if table is None:
        return Hashes(None, 0, "the data cannot be read")
    try:
        fitted = _fitted(table, rows.columns)
        with np.errstate(all="ignore"):
            found = of_table_or_parts(fitted, rows=True, keep_rows=True)
    except _Incomparable as problem:
        return Hashes(None, table.n_rows, str(problem))
    why = "" if found.row_hashes is not None else "some values have no canonical form"
    return Hashes(found.row_hashes, table.n_rows, why)


def _files(rows: RowSet, data: Any) -> Membership:
    """Files are in a set of files by their contents, whatever their names."""
    files = data if isinstance(data, Manifest) else None
    if files is None and isinstance(data, str | os.PathLike):
        files = of_path(data)
    if files is None or list(rows.columns) != [BY_CONTENT]:
        told: Any = data
        count = len(files.files) if files is not None else len(told) if hasattr(told, "__len__") else 0
        return Membership(np.full(count, UNKNOWN, np.int8), "files can be looked for among files alone")
    digests = [files.digest(file) for file in files.files]
    hashes = np.array([int(digest[:16], 16) if digest else 0 for digest in digests], np.uint64)
    answers = rows.look_up(hashes)
    answers[[digest is None for digest in digests]] = UNKNOWN
    why = "" if (answers != UNKNOWN).all() else "some files cannot be read, or were not looked at"
    return Membership(answers, why)


def _features(found: Table | Parts | Identified | None, part: str) -> Table | None:
    names = part.split("/") if part else []
    while isinstance(found, Parts):
        wanted = names.pop(0) if names else ""
        inside = found.parts
        key = next((name for name in (wanted, *FEATURES) if name in inside), next(iter(inside), None))
        found = None if key is None else registry.read(inside[key])
    return found if isinstance(found, Table) else None


def _fitted(table: Table, wanted: Sequence[tuple[str, str]]) -> Table:
    """The columns that the dataset had, in its order and rounded as its were."""
    columns = single_columns(table)
    by_name = {column.name: column for column in columns}
    lacking = [name for name, _ in wanted if name not in by_name]
    if all(not name or name.isdigit() for name, _ in wanted):
        if len(columns) != len(wanted):
            raise _Incomparable(f"the data has {len(columns)} columns, and the dataset had {len(wanted)} without names")
        chosen = columns
    elif lacking:
        raise _Incomparable(f"the data has no column {', '.join(map(repr, lacking[:5]))}")
    elif len(by_name) < len(columns):
        raise _Incomparable("several columns of the data have the same name")
    else:
        chosen = [by_name[name] for name, _ in wanted]
    made = [_as_declared(column, name, declared) for column, (name, declared) in zip(chosen, wanted, strict=True)]
    return Table(table.n_rows, made, {}, table.rows_per_leaf)


def _as_declared(column: Column, name: str, declared: str) -> Column:
    rounded = ROUNDED.get(declared)

    def read(start: int, stop: int) -> Chunk:
        chunk = column.read(start, stop)
        if isinstance(chunk, Numbers):
            if _TEXT.search(declared):
                raise _Incomparable(f"column {name!r} holds numbers, and in the dataset {declared}")
            if rounded is not None and chunk.values.dtype.kind in "iuf":
                return replace(chunk, values=chunk.values.astype(rounded))
            if declared == "bfloat16":
                raise _Incomparable(f"column {name!r} was rounded to bfloat16 in the dataset")
        elif isinstance(chunk, Texts | Instants) and declared.startswith(_NUMERIC):
            raise _Incomparable(f"column {name!r} holds texts or times, and in the dataset {declared}")
        elif isinstance(chunk, Texts) and declared.startswith("timestamp"):
            raise _Incomparable(f"column {name!r} holds texts, and in the dataset {declared}")
        return chunk

    return replace(column, read=read)


__all__ = ["Membership", "contains"]
