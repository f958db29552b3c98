"""The grid of leaves: the digest of every column's every chunk, kept so that a diff needs no data.

The file: the 8 bytes `x1grid\\r\\n`, the header's length as a little-endian uint32, the header in JSON, then the
leaves, 16 bytes each, part by part and column by column. The header is
`{"parts": [{"name": "X", "n_rows": …, "rows_per_leaf": …, "columns": [["age", "int64"], …]}, …]}`; a part's column has
ceil(n_rows / rows_per_leaf) leaves. A dataset without named parts has one part with an empty name; parts within parts
are named with a slash. A leaf of 16 zero bytes was not looked at (a partial fingerprint).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

MAGIC: Final = b"x1grid\r\n"
LEAF: Final = 16
UNSEEN: Final = bytes(LEAF)


@dataclass(frozen=True)
class PartGrid:
    """The leaves of one part: `leaves[i]` are those of column i, 16 bytes each, one after the other."""

    name: str
    n_rows: int
    rows_per_leaf: int
    columns: Sequence[tuple[str, str]]
    """Name and declared type of each column."""
    leaves: Sequence[bytes]

    @property
    def leaves_each(self) -> int:
        """How many leaves each column has."""
        return -(-self.n_rows // self.rows_per_leaf)

    def leaf(self, column: int, place: int) -> bytes:
        """The leaf of rows `place * rows_per_leaf` and following."""
        return self.leaves[column][place * LEAF : (place + 1) * LEAF]


@dataclass(frozen=True)
class Grid:
    """All leaves of a dataset."""

    parts: Sequence[PartGrid]

    def encode(self) -> bytes:
        """The file's bytes."""
        header = json.dumps(
            {
                "parts": [
                    {
                        "name": part.name,
                        "n_rows": part.n_rows,
                        "rows_per_leaf": part.rows_per_leaf,
                        "columns": part.columns,
                    }
                    for part in self.parts
                ]
            },
            separators=(",", ":"),
        ).encode()
        return b"".join(
            [MAGIC, struct.pack("<I", len(header)), header, *(leaves for part in self.parts for leaves in part.leaves)]
        )

    @classmethod
    def decode(cls, data: bytes) -> Grid:
        """What `encode` gave. Raises `ValueError` for anything else."""
        start = len(MAGIC) + 4
        if data[: len(MAGIC)] != MAGIC or len(data) < start:
            raise ValueError("not a grid of leaves")
        place = start + struct.unpack_from("<I", data, len(MAGIC))[0]
        parts = []
        for told in json.loads(data[start:place])["parts"]:
            part = PartGrid(
                told["name"],
                told["n_rows"],
                told["rows_per_leaf"],
                [(name, declared) for name, declared in told["columns"]],
                [],
            )
            size = part.leaves_each * LEAF
            leaves = [data[place + index * size : place + (index + 1) * size] for index in range(len(part.columns))]
            place += size * len(leaves)
            parts.append(PartGrid(part.name, part.n_rows, part.rows_per_leaf, part.columns, leaves))
        if place != len(data):
            raise ValueError("a grid of leaves that was cut off")
        return cls(parts)
