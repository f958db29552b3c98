"""Tables whose rows are gathered a stretch at a time, such as those of a part of a dataset: never copied as a whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from autotrack.provenance.fingerprint.chunks import Array, Chunk
from autotrack.provenance.fingerprint.registry import read
from autotrack.provenance.fingerprint.tables import Block, Column, Table


def stretches(n_rows: int, take: Callable[[int, int], Any]) -> Table | None:
    """The table of `n_rows` rows of which `take(start, stop)` gives each stretch, as an object that can be read.

    All stretches must be of one type. None where they cannot be read as a table.
    """
    sample = read(take(0, min(1, n_rows)))
    if not isinstance(sample, Table):
        return None
    gathered = _Gathered(take)
    columns: list[Column | Block] = []
    for place, column in enumerate(sample.columns):
        if isinstance(column, Block):
            columns.append(replace(column, values=_Lazy(gathered, place, column.values.nbytes * n_rows)))
        else:
            columns.append(replace(column, read=gathered.reader(place), bytes=column.bytes * n_rows))
    return replace(sample, n_rows=n_rows, columns=columns)


class _Gathered:
    """The stretch that was gathered last, which all columns are read from."""

    def __init__(self, take: Callable[[int, int], Any]) -> None:
        self._take = take
        self._at: tuple[int, int] | None = None
        self._table: Any = None

    def table(self, start: int, stop: int) -> Table:
        if self._at != (start, stop):
            self._table = None  # before the next one is gathered
            self._table, self._at = read(self._take(start, stop)), (start, stop)
        if not isinstance(self._table, Table):
            raise TypeError("stretches of one table are of different types")
        return self._table

    def reader(self, place: int) -> Callable[[int, int], Chunk]:
        def read_column(start: int, stop: int) -> Chunk:
            column = self.table(start, stop).columns[place]
            if not isinstance(column, Column):
                raise TypeError("stretches of one table are of different types")
            return column.read(0, stop - start)

        return read_column


class _Lazy:
    """What a `Block` needs of an array: its size, and stretches of its rows."""

    def __init__(self, gathered: _Gathered, place: int, nbytes: int) -> None:
        self._gathered, self._place, self.nbytes = gathered, place, nbytes

    def __getitem__(self, rows: slice) -> Array:
        column = self._gathered.table(rows.start, rows.stop).columns[self._place]
        if not isinstance(column, Block):
            raise TypeError("stretches of one table are of different types")
        return column.values
