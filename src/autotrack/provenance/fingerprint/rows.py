"""A hash for each row of a table, by its values alone, and multisets of rows that add up over shards.

A row's hash is `mix(sum over columns of mix(word + key of the column))`; of named parts, the sum is over the mixed hash
of each part plus a key of its name. `rows` adds up two mixes of each row's hash: addition, since two equal rows would
cancel each other in an exclusive or.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from autotrack.provenance.fingerprint.chunks import Array, Chunk
from autotrack.provenance.fingerprint.words import (
    ABSENT,
    GOLDEN,
    MASK,
    STRIP,
    key,
    keys,
    mix,
    mix_strip,
    name_key,
    number_words,
    words,
)

LANES: Final = (0xA0761D6478BD642F, 0xE7037ED1A0B428DB)
"""What a row's hash is combined with, by exclusive or, before each of the two mixes that are added up."""


class RowSum:
    """The multiset of rows: how many, and two sums modulo 2^64. Sums of shards add up to that of the whole."""

    __slots__ = ("count", "first", "second")

    def __init__(self, count: int = 0, first: int = 0, second: int = 0) -> None:
        self.count, self.first, self.second = count, first & MASK, second & MASK

    def add(self, hashes: Array) -> None:
        """Add rows by their hashes."""
        self.count += len(hashes)
        size = min(STRIP, len(hashes))
        space, scratch = np.empty(size, np.uint64), np.empty(size, np.uint64)
        sums = [self.first, self.second]
        for start in range(0, len(hashes), STRIP):
            part = hashes[start : start + STRIP]
            mixed_part, left = space[: len(part)], scratch[: len(part)]
            for index, lane in enumerate(LANES):
                np.bitwise_xor(part, np.uint64(lane), out=mixed_part)
                mix_strip(mixed_part, left)
                sums[index] += int(mixed_part.sum())
        self.first, self.second = sums[0] & MASK, sums[1] & MASK

    def __add__(self, other: RowSum) -> RowSum:
        return RowSum(self.count + other.count, self.first + other.first, self.second + other.second)

    @property
    def digest(self) -> str:
        """`x1:` and both sums in hexadecimal: those of shards can be added, given the digests alone."""
        return f"x1:{self.first:016x}{self.second:016x}"

    @classmethod
    def of(cls, digest: str, count: int) -> RowSum:
        """The sums that a digest tells, and how many rows they are of. Raises `ValueError` for another digest."""
        if not digest.startswith("x1:") or len(digest) != 35:
            raise ValueError(f"{digest!r} is no digest of rows")
        return cls(count, int(digest[3:19], 16), int(digest[19:], 16))


class RowHashes:
    """The hashes of the rows of one chunk of a table, column by column."""

    __slots__ = ("_columns", "_sum", "possible")

    def __init__(self, n: int) -> None:
        self._sum = np.zeros(n, np.uint64)
        self._columns = 0
        self.possible = True
        """False once a column had no canonical form."""

    def add_matrix(self, matrix: Array) -> None:
        """Add columns of real numbers, the rows of a matrix (k, n) as `native` gives them."""
        words = number_words(matrix)
        words += keys(self._columns, len(matrix))[:, None]
        self._columns += len(matrix)
        self._sum += mix(words).sum(axis=0) if len(matrix) > 1 else mix(words)[0]

    def add(self, chunk: Chunk) -> None:
        """Add one column."""
        found = words(chunk)
        if found is None:
            self.possible = False
            return
        found += key(self._columns)
        self._columns += 1
        self._sum += mix(found)

    def finish(self) -> Array | None:
        """One hash a row, or None where a column had no canonical form."""
        return mix(self._sum) if self.possible else None


def joined(parts: Mapping[str, Array | None]) -> Array | None:
    """The hashes of rows that lie side by side in named parts; None where a part has none, or their numbers differ."""
    total: Any = None
    for name, hashes in parts.items():
        if hashes is None or (total is not None and len(total) != len(hashes)):
            return None
        here = mix(hashes + name_key(name))
        total = here if total is None else total + here
    return None if total is None else mix(total)


def row_hashes(data: Any) -> Array | None:
    """One uint64 for each row of what can be read (an array of length n_rows); None where it cannot be.

    Equal rows have equal hashes, whatever the library, dtype or position: train and test can be compared by them. Of
    named parts with as many rows each, a row is that of all parts together. `rows` is the sum over these very hashes.
    """
    from autotrack.provenance.fingerprint.passing_over import hashes_of
    from autotrack.provenance.fingerprint.registry import read

    with np.errstate(all="ignore"):
        return hashes_of(read(data))


__all__ = ["ABSENT", "GOLDEN", "LANES", "RowHashes", "RowSum", "joined", "key", "mix", "row_hashes", "words"]
