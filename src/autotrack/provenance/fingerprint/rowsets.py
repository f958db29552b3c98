"""The rows of a dataset as a set of hashes: whether a row was among them is told from the record alone.

The hashes of a table's rows enter; a `RowSet` leaves, whole up to `MOST_ROWS` rows, and beyond that as a sketch: the
smallest `SKETCH` of the distinct hashes (a bottom-k sample). Since hashes are spread evenly, a sketch knows everything
about that share of all possible rows whose hashes are below its largest; about the others it says so.

The file: the 8 bytes `x1rows\\r\\n`, the header's length as a little-endian uint32, the header in JSON, then the sorted
hashes as differences, byte plane by byte plane, lowest first, `width` planes of `kept` bytes. The header is
`{n_rows, kept, width, whole, covered, part, columns[[name, declared]]}`. Sums of differences wrap at 2^64.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from autotrack.provenance.fingerprint.chunks import Array

MAGIC: Final = b"x1rows\r\n"
MOST_ROWS: Final = 1 << 20
"""Rows whose hashes are kept one by one: 8 MiB in memory, 6 or 7 in a file."""
SKETCH: Final = 1 << 16

YES: Final = 1
NO: Final = 0
UNKNOWN: Final = -1

_Z: Final = 1.959963984540054
"""Of the normal distribution, for intervals of 95 %."""


@dataclass(frozen=True)
class RowSet:
    """Hashes of rows, sorted. Duplicates are kept where it is whole, so that rows can be counted."""

    hashes: Array
    """uint64, ascending."""
    n_rows: int
    whole: bool
    """False for a sketch."""
    covered: bool = True
    """Whether every row of the dataset was looked at; else a row that is not here may have been there all the same."""
    part: str = ""
    """The named part whose rows these are, such as `X`; empty for a dataset without parts."""
    columns: Sequence[tuple[str, str]] = ()
    """Name and declared type of each column, in the order in which they are hashed."""

    @classmethod
    def of(cls, hashes: Array, *, covered: bool = True, part: str = "", columns: Any = ()) -> RowSet:
        """The set of these rows; `hashes` is not changed."""
        named = [(str(name), str(declared)) for name, declared in columns]
        count = len(hashes)
        if count <= MOST_ROWS:
            return cls(np.sort(hashes), count, True, covered, part, named)
        size = SKETCH
        while True:  # many rows may be the same one
            least = np.unique(np.partition(hashes, size)[:size] if size < count else hashes)
            if len(least) >= SKETCH or size >= count:
                break
            size *= 8
        whole = size >= count and len(least) <= SKETCH
        return cls(least if whole else least[:SKETCH], count, whole, covered, part, named)

    @classmethod
    def whole_of(cls, hashes: Array) -> RowSet:
        """The set of these rows, however many."""
        return cls(np.sort(hashes), len(hashes), True)

    def look_up(self, hashes: Array) -> Array:
        """For each row `YES`, `NO` or `UNKNOWN`, as int8. A `NO` is one: nothing that was kept speaks against it."""
        if not len(self.hashes):
            missing = NO if self.covered and not self.n_rows else UNKNOWN
            return np.full(len(hashes), missing, np.int8)
        places = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
        there = self.hashes[places] == hashes
        answers = np.where(there, np.int8(YES), np.int8(NO if self.covered else UNKNOWN))
        if not self.whole:
            answers[~there & (hashes > self.hashes[-1])] = UNKNOWN
        return answers

    @property
    def repeated(self) -> float:
        """The share of its own rows that are there more than once: how much chance alone makes rows alike."""
        if len(self.hashes) < 2 or not self.whole:
            return 0.0
        again = self.hashes[1:] == self.hashes[:-1]
        twins = np.zeros(len(self.hashes), bool)
        twins[1:] |= again
        twins[:-1] |= again
        return float(twins.mean())

    def encode(self) -> bytes:
        """The file's bytes."""
        steps = np.diff(self.hashes, prepend=np.uint64(0))
        width = (int(steps.max()).bit_length() + 7) // 8 if len(steps) else 0
        header = json.dumps(
            {
                "n_rows": self.n_rows,
                "kept": len(steps),
                "width": width,
                "whole": self.whole,
                "covered": self.covered,
                "part": self.part,
                "columns": [list(column) for column in self.columns],
            },
            separators=(",", ":"),
        ).encode()
        planes = steps.astype("<u8").view(np.uint8).reshape(-1, 8).T[:width]
        return b"".join([MAGIC, struct.pack("<I", len(header)), header, np.ascontiguousarray(planes).tobytes()])

    @classmethod
    def decode(cls, data: bytes) -> RowSet:
        """What `encode` gave. Raises `ValueError` for anything else."""
        start = len(MAGIC) + 4
        if data[: len(MAGIC)] != MAGIC or len(data) < start:
            raise ValueError("not a set of rows")
        end = start + struct.unpack_from("<I", data, len(MAGIC))[0]
        told = json.loads(data[start:end])
        kept, width = told["kept"], told["width"]
        if len(data) != end + kept * width:
            raise ValueError("a set of rows that was cut off")
        steps = np.zeros((kept, 8), np.uint8)
        steps[:, :width] = np.frombuffer(data, np.uint8, kept * width, end).reshape(width, kept).T
        hashes = np.cumsum(steps.view("<u8").ravel(), dtype=np.uint64)
        columns = [(name, declared) for name, declared in told["columns"]]
        return cls(hashes, told["n_rows"], told["whole"], told["covered"], told["part"], columns)


@dataclass(frozen=True)
class Share:
    """How many rows are in a set: `yes` of `known`, out of `of`; where not all are known, an estimate of all."""

    yes: int
    known: int
    of: int

    @classmethod
    def count(cls, answers: Array) -> Share:
        """What `RowSet.look_up` answered, counted."""
        unknown = int(np.count_nonzero(answers == UNKNOWN))
        return cls(int(np.count_nonzero(answers == YES)), len(answers) - unknown, len(answers))

    @property
    def interval(self) -> tuple[float, float] | None:
        """Between which shares of all rows the true one is, with 95 % (Wilson's interval); None where all is unknown.

        Only of a sketch: which rows it knows about is chance.
        """
        if not self.known:
            return None
        share, count = self.yes / self.known, self.known
        if count == self.of:
            return share, share
        middle = (share + _Z * _Z / (2 * count)) / (1 + _Z * _Z / count)
        half = _Z / (1 + _Z * _Z / count) * math.sqrt(share * (1 - share) / count + _Z * _Z / (4 * count * count))
        return max(0.0, middle - half), min(1.0, middle + half)


__all__ = ["NO", "UNKNOWN", "YES", "RowSet", "Share"]
