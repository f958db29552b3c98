"""Which column of one dataset became which of another: by part and name, then by name, then by what is in it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from autotrack.provenance.fingerprint.grid import UNSEEN, Grid, PartGrid


@dataclass(frozen=True, eq=False)
class PlacedColumn:
    """A column of a part of one side. Two of them are the same only if they are one object."""

    part: PartGrid
    index: int
    occurrence: int

    @property
    def name(self) -> str:
        """Its name, or that of its part where it has none."""
        return self.part.columns[self.index][0] or self.part.name

    @property
    def declared(self) -> str:
        """Its type, as its library declared it."""
        return self.part.columns[self.index][1]

    @property
    def leaves(self) -> bytes:
        """The leaves of all its chunks."""
        return self.part.leaves[self.index]

    @property
    def content(self) -> Any:
        """What is in it, for matching; None where a part of it was not looked at."""
        unseen = not self.leaves or any(self.leaf(place) == UNSEEN for place in range(self.part.leaves_each))
        return None if unseen else (self.part.n_rows, self.part.rows_per_leaf, self.leaves)

    def leaf(self, place: int) -> bytes:
        """The leaf of one chunk."""
        return self.part.leaf(self.index, place)


def columns_of(grid: Grid) -> Iterator[PlacedColumn]:
    """All columns of all parts."""
    for part in grid.parts:
        counted: Counter[str] = Counter()
        for index, (name, _) in enumerate(part.columns):
            yield PlacedColumn(part, index, counted[name])
            counted[name] += 1


def matched(
    first: list[PlacedColumn], second: list[PlacedColumn]
) -> tuple[list[tuple[PlacedColumn, PlacedColumn]], set[PlacedColumn]]:
    """Which column became which, in the order of the second; and those that have another name there."""
    pairs: dict[PlacedColumn, PlacedColumn] = {}
    taken: set[PlacedColumn] = set()
    renamed: set[PlacedColumn] = set()
    keys: list[Any] = [
        lambda column: (column.part.name, column.part.columns[column.index][0], column.occurrence),
        lambda column: (column.name, column.occurrence),
        lambda column: column.content,
    ]
    for key in keys:
        waiting: dict[Any, list[PlacedColumn]] = defaultdict(list)
        for one in first:
            if one not in taken:
                waiting[key(one)].append(one)
        for other in second:
            if other in pairs:
                continue
            wanted = key(other)
            if wanted is not None and waiting.get(wanted):
                one = waiting[wanted].pop(0)
                pairs[other] = one
                taken.add(one)
                if key is keys[2] and one.name != other.name:
                    renamed.add(one)
    return [(pairs[other], other) for other in second if other in pairs], renamed


__all__ = ["PlacedColumn", "columns_of", "matched"]
