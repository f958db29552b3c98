"""One pass over a table: each chunk is read once, its leaf taken and, if wanted, the hashes of its rows added to.

What is read at once fits the processor's cache. A matrix in row-major order is transposed some hundred rows at a time.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from autotrack import guard
from autotrack.provenance.fingerprint.chunks import NAN, NULL, Array, Chunk, Numbers, Opaque
from autotrack.provenance.fingerprint.grid import UNSEEN
from autotrack.provenance.fingerprint.hasher import digest
from autotrack.provenance.fingerprint.leaves import Leaf, column_digest, leaf, matrix_leaves, table_digest
from autotrack.provenance.fingerprint.numbers import native
from autotrack.provenance.fingerprint.registry import read
from autotrack.provenance.fingerprint.rows import RowHashes, RowSum, joined
from autotrack.provenance.fingerprint.tables import Block, Column, Identified, Parts, Table

RATE: Final = 2e9
"""Bytes a second that the budget counts with for leaves of numbers; what is slow is a fortieth of that."""

CELLS_OF_ROWS: Final = 1e8
"""Cells a second that the budget counts with for the hashes of rows."""

AT_ONCE: Final = 1 << 16
"""Numbers that go through the steps of the hashing together."""

TURNED: Final = 1 << 24
"""Bytes of a matrix that are transposed together."""

TURNED_ROWS: Final = 256
"""Rows that are transposed at a time: those of a wide matrix lie on a page of memory each."""

FAR_APART: Final = 8192
"""Bytes between rows from which on they are first copied side by side: else they contend for the same cache lines."""

OVERTIME: Final = 3.0
"""How many times the budget may really pass before the pass is stopped."""


def seconds_for(found: Table | Parts | Identified | None, rows: bool) -> float:
    """About how long a whole pass takes, by sizes and kinds alone."""
    if isinstance(found, Parts):
        return sum(seconds_for(read(part), rows) for part in found.parts.values())
    if not isinstance(found, Table):
        return 0.0
    fast = slow = cells = 0
    for column in found.columns:
        cells += found.n_rows * (len(column.names) if isinstance(column, Block) else 1)
        if isinstance(column, Column) and column.slow:
            slow += column.bytes
        else:
            fast += column.values.nbytes if isinstance(column, Block) else column.bytes
    return (fast + 40 * slow) / RATE + (cells / CELLS_OF_ROWS if rows else 0)


def width_of(table: Table) -> int:
    """How many columns a table has; a tensor counts as one."""
    return sum(len(column.names) if isinstance(column, Block) else 1 for column in table.columns)


def plan_for(table: Table, rows: bool, seconds: float | None) -> list[int] | None:
    """The chunks to read: the first ones, others at even distances, and the last. None for all."""
    count = -(-table.n_rows // table.rows_per_leaf)
    needed = seconds_for(table, rows)
    if seconds is None or needed <= seconds or count < 2:
        return None
    kept = max(1, int(count * seconds / needed))
    if kept >= count:
        return None
    head = max(1, kept // 4)
    strided = kept - head
    spread = {head + (count - 1 - head) * (place + 1) // strided for place in range(strided)} if strided else set()
    return sorted({*range(head), *spread})


class Pass:
    """One pass over one table. What it found stands in its attributes after `run`."""

    def __init__(
        self, table: Table, plan: list[int] | None, rows: bool, keep_rows: bool, seconds: float | None
    ) -> None:
        self._table = table
        self._count = -(-table.n_rows // table.rows_per_leaf)
        self._plan = range(self._count) if plan is None else plan
        self._until = None if seconds is None else time.monotonic() + OVERTIME * seconds + 0.5
        self._width = width_of(table)
        self._words = [] if plan is None else ["head+strided"]
        self._scratch: Array = None
        self.rows = RowSum() if rows and plan is None else None
        """The multiset of rows; None where it is not wanted, or not possible."""
        self.row_hashes: Any = np.empty(table.n_rows, np.uint64) if self.rows is not None and keep_rows else None
        self.leaves: list[bytes] = []
        """The leaves of each column, one after the other."""
        self.whole: list[bool] = []
        """For each column, whether all of it was looked at and has a canonical form."""
        self.coverage = 1.0
        """The share of the cells that was looked at and has a canonical form."""
        self.marks = b""
        """What stood for missing elements, in all columns; empty where none was missing."""

    def run(self) -> None:
        """Read what the plan says, unless the clock stops it."""
        chunks: list[list[Leaf] | None] = [None] * self._count
        for place in self._plan:
            if self._until is not None and place and time.monotonic() > self._until:
                self._words, self.rows, self.row_hashes = ["stopped"], None, None
                break
            start = place * self._table.rows_per_leaf
            stop = min(self._table.n_rows, start + self._table.rows_per_leaf)
            hashes = RowHashes(stop - start) if self.rows is not None else None
            chunks[place] = list(self._leaves_of(start, stop, hashes))
            if hashes is not None:
                self._add_rows(start, hashes.finish())
        self._scratch = None
        self._look_at(chunks)

    @property
    def method(self) -> str:
        """How much was looked at, in words."""
        return "+".join(self._words) or "full"

    def column_digests(self) -> list[bytes]:
        """The digest of each column."""
        return [column_digest(leaves, partial=not whole) for leaves, whole in zip(self.leaves, self.whole, strict=True)]

    def value(self, columns: list[bytes]) -> bytes:
        """The digest of the table, by those of its columns."""
        return table_digest(self._table.n_rows, self._table.rows_per_leaf, columns, partial=self.coverage < 1)

    def _add_rows(self, start: int, hashes: Array | None) -> None:
        if hashes is None or self.rows is None:
            self.rows = self.row_hashes = None
            return
        self.rows.add(hashes)
        if self.row_hashes is not None:
            self.row_hashes[start : start + len(hashes)] = hashes

    def _look_at(self, chunks: list[list[Leaf] | None]) -> None:
        nothing = [Leaf(UNSEEN, canonical=False)] * self._width
        grid = [nothing if chunk is None else chunk for chunk in chunks]
        self.leaves = [b"".join([chunk[column].digest for chunk in grid]) for column in range(self._width)]
        seen = 0
        marked = False
        self.whole = [all(chunk[column].canonical for chunk in grid) for column in range(self._width)]
        for place, chunk in enumerate(grid):
            size = min(self._table.n_rows - place * self._table.rows_per_leaf, self._table.rows_per_leaf)
            for one in chunk:
                seen += size if one.canonical else 0
                marked = marked or bool(one.marks)
                if not one.canonical and one.digest != UNSEEN and "opaque" not in self._words:
                    self._words.append("opaque")
        cells = self._width * self._table.n_rows
        self.coverage = seen / cells if cells else 1.0
        if marked:
            self.marks = b"".join(
                digest(b"".join(bytes((len(chunk[column].marks),)) + chunk[column].marks for chunk in grid))
                for column in range(self._width)
            )

    def only_rows(self) -> Array | None:
        """The hashes of all rows, without any leaf; None where a column has no canonical form."""
        found = []
        for place in range(self._count):
            start = place * self._table.rows_per_leaf
            stop = min(self._table.n_rows, start + self._table.rows_per_leaf)
            hashes = RowHashes(stop - start)
            for column in self._table.columns:
                if isinstance(column, Block):
                    for matrix in self._matrices(column, start, stop):
                        _add_matrix(hashes, matrix)
                else:
                    hashes.add(_chunk(column, start, stop))
            done = hashes.finish()
            if done is None:
                return None
            found.append(done)
        return found[0] if len(found) == 1 else np.concatenate([np.empty(0, np.uint64), *found])

    def _leaves_of(self, start: int, stop: int, hashes: RowHashes | None) -> Iterator[Leaf]:
        for column in self._table.columns:
            if isinstance(column, Block):
                for matrix in self._matrices(column, start, stop):
                    yield from _leaves_of_matrix(matrix, hashes)
            else:
                chunk = _chunk(column, start, stop)
                if hashes is not None:
                    hashes.add(chunk)
                yield leaf(chunk)

    def _matrices(self, block: Block, start: int, stop: int) -> Iterator[Array]:
        """The columns of a stretch of a block as matrices with one column in each row, which is contiguous."""
        stretch: Any = block.values[start:stop]
        n, width = stretch.shape
        together = max(1, AT_ONCE // n)
        lies_in_columns = stretch.strides[0] == stretch.itemsize
        group = max(1, width if lies_in_columns or n * width <= AT_ONCE else max(64, TURNED // n) // stretch.itemsize)
        for first in range(0, width, group):
            source = stretch[:, first : first + group].T
            turned = source if lies_in_columns or n == 1 else self._turned(source)
            for at in range(0, len(turned), together):
                part = turned[at : at + together]
                yield part if block.convert is None else block.convert(part)

    def _turned(self, source: Array) -> Array:
        """A matrix (k, n) that lies in columns, copied so that its rows are contiguous."""
        if self._scratch is None or self._scratch.dtype != source.dtype or self._scratch.size < source.size:
            self._scratch = np.empty(source.size, source.dtype)
        turned = self._scratch[: source.size].reshape(source.shape)
        far_apart = abs(source.strides[1]) >= FAR_APART
        for row in range(0, source.shape[1], TURNED_ROWS):
            some = source[:, row : row + TURNED_ROWS]
            turned[:, row : row + TURNED_ROWS] = some.T.copy().T if far_apart else some
        return turned


def _chunk(column: Column, start: int, stop: int) -> Chunk:
    try:
        return column.read(start, stop)
    except Exception as problem:  # what its library cannot give has no canonical form, and the coverage tells
        if guard.strict or type(problem).__module__.startswith("autotrack."):
            raise
        return Opaque(stop - start, None, NULL, column.declared)


def _leaves_of_matrix(matrix: Array, hashes: RowHashes | None) -> list[Leaf]:
    if hashes is not None:
        _add_matrix(hashes, matrix)
    try:
        return matrix_leaves(native(matrix))
    except TypeError:  # long doubles
        return [leaf(Numbers(len(row), None, NAN, row)) for row in matrix]


def _add_matrix(hashes: RowHashes, matrix: Array) -> None:
    try:
        hashes.add_matrix(native(matrix))
    except TypeError:
        for row in matrix:
            hashes.add(Numbers(len(row), None, NAN, row))


def hashes_of(found: Table | Parts | Identified | None) -> Array | None:
    """The hashes of the rows of a table, or of parts with as many rows each; None where there are none."""
    if found is None or isinstance(found, Identified):
        return None
    if isinstance(found, Table):
        return Pass(found, None, False, False, None).only_rows()
    parts = {str(name): hashes_of(read(part)) for name, part in found.parts.items()}
    return joined(parts)
