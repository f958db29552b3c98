"""One side of a comparison: what is known of a dataset, from its fingerprint or from a run's record alone.

A `Fingerprint`, with the data if it is at hand, or a dataset's record with the blobs that it names enters; a `Side`
leaves. Whatever the one or the other does not tell is None: an unknown stays unknown.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from autotrack.provenance.fingerprint import registry
from autotrack.provenance.fingerprint.chunks import NAN, Array, Chunk, Numbers
from autotrack.provenance.fingerprint.grid import Grid
from autotrack.provenance.fingerprint.leakage import features_of
from autotrack.provenance.fingerprint.manifest import Manifest
from autotrack.provenance.fingerprint.rows import RowHashes, joined
from autotrack.provenance.fingerprint.rowsets import RowSet
from autotrack.provenance.fingerprint.tables import Block, Column, Parts, Table

if TYPE_CHECKING:
    from autotrack.provenance.fingerprint.identity import Fingerprint

Files = dict[str, tuple[int, str | None]]
"""Path of each file -> its size and its SHA-256."""


@dataclass
class Side:
    """What is known of one dataset."""

    value: str | None
    schema: str | None
    rows: str | None
    strict: str | None
    coverage: float
    n_rows: int | None
    grid: Grid | None = None
    row_set: RowSet | None = None
    """Of the features."""
    row_hashes: Array | None = None
    """Of the features, in the order of the rows; None where they were not taken."""
    whole_rows: Array | None = None
    """Of all parts together, in the order of the rows; None where they were not taken."""
    files: Files | None = None
    """Of a folder or a list of files."""
    tables: dict[str, Table] = field(default_factory=dict)
    """The data of each part, where it is at hand."""
    data: Any = None
    """What was fingerprinted, where it is at hand."""

    @classmethod
    def of_fingerprint(cls, found: Fingerprint, data: Any = None) -> Side:
        """`data` is what was fingerprinted, where it is to be looked into; a `Manifest` too."""
        part, features = features_of(found)
        columns = [(column.name, column.declared) for column in features.columns]
        covered = features.coverage >= 1
        hashes = features.row_hashes
        side = cls(found.value, found.schema, found.rows, found.strict, found.coverage, found.n_rows, found.grid)
        if hashes is not None:
            side.row_set = RowSet.of(hashes, covered=covered, part=part, columns=columns)
            side.row_hashes = hashes if covered else None
            side.whole_rows = found.row_hashes if found.coverage >= 1 else None
        if isinstance(data, Manifest):
            side.files = {file.name: (file.size, data.digest(file)) for file in data.files}
            data = data.table()
        if data is not None:
            side.data, side.tables = data, dict(_tables(data))
        return side

    @classmethod
    def of_record(cls, record: Mapping[str, Any], open_blob: Callable[[str], BinaryIO]) -> Side:
        """A dataset as a run's record has it; `open_blob` opens a blob by its digest."""

        def blob(key: str) -> bytes | None:
            named = record.get(key)
            if not isinstance(named, Mapping) or "digest" not in named:
                return None
            try:
                with open_blob(named["digest"]) as opened:
                    return opened.read()
            except (OSError, ValueError):  # it was removed, or never came here
                return None

        grid, rows, files = blob("grid"), blob("row_set"), blob("manifest")
        return cls(
            record.get("value"),
            record.get("schema"),
            record.get("rows"),
            record.get("strict"),
            float(record.get("coverage", 0)),
            record.get("n_rows"),
            None if grid is None else Grid.decode(grid),
            None if rows is None else RowSet.decode(rows),
            None,
            None if files is None else _files(files),
        )


def single_columns(table: Table) -> list[Column]:
    """The columns of a table, each by itself."""
    columns: list[Column] = []
    for column in table.columns:
        if isinstance(column, Column):
            columns.append(column)
        else:
            columns += [_of_block(column, index) for index in range(len(column.names))]
    return columns


def _of_block(block: Block, index: int) -> Column:
    def read(start: int, stop: int) -> Chunk:
        values = np.ascontiguousarray(block.values[start:stop, index])
        return Numbers(len(values), None, NAN, values if block.convert is None else block.convert(values))

    return Column(block.names[index], block.declared, read, block.values.nbytes)


def row_hashes(side: Side, ranges: Sequence[Sequence[int]]) -> Array | None:
    """Hashes of whole rows of data at hand, in these ranges; None where a column has no canonical form."""
    parts = {}
    for name, table in side.tables.items():
        found = []
        for start, stop in ranges:
            hashes = RowHashes(stop - start)
            for column in single_columns(table):
                hashes.add(column.read(start, stop))
            done = hashes.finish()
            if done is None:
                return None
            found.append(done)
        parts[name] = np.concatenate(found) if found else np.empty(0, np.uint64)
    return joined(parts)


def _tables(data: Any, prefix: str = "") -> Iterator[tuple[str, Table]]:
    """The tables of data and of its parts, under the names that the grid has for them."""
    found = registry.read(data)
    if isinstance(found, Table):
        yield prefix, found
    elif isinstance(found, Parts):
        for name, part in found.parts.items():
            yield from _tables(part, f"{prefix}/{name}" if prefix else name)


def _files(lines: bytes) -> Files:
    told = map(json.loads, lines.decode().splitlines())
    return {path: (size, digest) for path, size, digest in told}


__all__ = ["Files", "Side", "row_hashes", "single_columns"]
